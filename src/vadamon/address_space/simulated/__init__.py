"""A simulated machine: the same monitoring, deterministic, on any operating system.

Its page tables, accessed bits and lists of pages are NumPy arrays. A `SimulatedAddressSpace` is a process of such a
`Machine`, and what monitors look at; with a virtual clock the very loop that watches live processes watches it.
"""

from vadamon.address_space.simulated.address_space import PageState, SimulatedAddressSpace
from vadamon.address_space.simulated.machine import Machine

__all__ = ["Machine", "PageState", "SimulatedAddressSpace"]
