"""What monitoring operations need of an address space."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vadamon.mappings import Mappings
from vadamon.snapshot import SampleHealth


class AddressSpace(Protocol):
    """Mappings and accessed bits of one address space.

    An address that is not mapped, or not backed by an ordinary page, counts as not accessed. Use it as a context
    manager, or call `close`: nothing is left behind in the target.
    """

    def mappings(self) -> Mappings:
        """Return the mappings as they are now, sorted; never ``[vsyscall]``."""

    def mkold(self, addresses: NDArray[np.uint64]) -> None:
        """Clear the accessed bits of the pages at ``addresses`` (uint64[n], sorted)."""

    def young(self, addresses: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Ask for each of ``addresses`` (uint64[n], sorted) whether its page was accessed since its `mkold`.

        Returns ``(accessed: bool[n], page_size: uint64[n])``, the size in bytes of the page each address lies in.
        """

    def is_alive(self) -> bool:
        """Tell whether there is still an address space to look at."""

    def close(self) -> None:
        """Let go of the target."""


@runtime_checkable
class ReportsVoids(Protocol):
    """An address space that cannot always clear or check a page, and says so.

    Optional beside `AddressSpace`: where an address space lacks it, all its samples count as valid.
    """

    def voids(self) -> NDArray[np.bool_]:
        """Return bool[n] for the n addresses of the last ``young``: True where its answer tells nothing."""

    def take_health(self) -> SampleHealth:
        """Return the counts of what went wrong since the last call, and begin to count anew."""

    def generation(self) -> int:
        """Return a number that changes when the target got a new address space (``execve``)."""


@runtime_checkable
class ClearsAtOnce(Protocol):
    """An address space that can clear some of its memory only all at once, and now and then.

    Optional beside `AddressSpace` and `ReportsVoids`. What is cleared at once can be checked anywhere, not only at the
    addresses that were prepared: many checks make up for there being few clearings.
    """

    def nr_extra_checks(self) -> int:
        """Return how many more addresses a region are worth checking in this round; mostly 0."""

    def young_extra(self, addresses: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Check addresses (uint64[n], sorted) that no `mkold` prepared, after `young`; n as in the round.

        Returns ``(accessed: bool[n], void: bool[n])``.
        """
