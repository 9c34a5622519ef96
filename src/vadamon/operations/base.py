"""What the monitoring loop asks of a kind of memory (``struct damon_operations``)."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.base import ClearsAtOnce, ReportsResident, ReportsVoids, Rounds, SamplesByItself, Schedule
from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.regions import Regions


class Target:
    """One monitored target, and all state of the round of samples it is in (``struct damon_target``).

    ``address_space`` is what the operations look at: an `AddressSpace` for those of virtual address spaces, anything
    that they understand for others. ``regions`` are the user's: operations leave them as they are set. Without them
    the operations find regions of their own in ``init``.
    """

    def __init__(self, target_id: int, address_space: Any, regions: Regions | None = None) -> None:
        self.target_id = target_id
        self.address_space = address_space
        self.user_ranges = None if regions is None else regions.ranges()
        """Ranges that the user has set, or None."""
        self.regions = Regions.from_ranges(self.user_ranges or [])
        self.attrs = Attrs()
        """What ``init`` was given."""
        self.mappings = Mappings()
        """Mappings when they were last looked up."""
        self.sampling_addresses: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        """One address a region, of the sample under way."""
        self.page_sizes: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        """Size of the page each sampling address lies in, in bytes, as the last check found it."""
        self.voids: ReportsVoids | None = address_space if isinstance(address_space, ReportsVoids) else None
        """The address space, if it reports void samples."""
        self.extra: ClearsAtOnce | None = address_space if isinstance(address_space, ClearsAtOnce) else None
        """The address space, if it can check more addresses than were prepared."""
        self.extra_addresses: list[NDArray[np.uint64]] = []
        """Of those, more than one address a region."""
        self.by_itself: SamplesByItself | None = address_space if isinstance(address_space, SamplesByItself) else None
        """The address space, if it can take samples by itself."""
        self.sized: ReportsResident | None = address_space if isinstance(address_space, ReportsResident) else None
        """The address space, if it knows how much of it is in memory."""
        self.generation = 0
        """Generation of the address space that the regions are of."""

    def resident(self) -> int:
        """Return how many bytes are in memory now; 0 where there is no telling."""
        return 0 if self.sized is None else self.sized.resident()


class MonitoringOperations(Protocol):
    """Hooks of the monitoring loop, each for one target. They keep what they need on the target."""

    def init(self, target: Target, attrs: Attrs) -> None:
        """Make the first regions of ``target``, unless the user has set them."""

    def update(self, target: Target) -> None:
        """Fit the regions to what has changed since, unless the user has set them."""

    def prepare_access_checks(self, target: Target, rng: np.random.Generator) -> None:
        """Begin a sample: pick what to look at in each region, and clear what tells that it was accessed."""

    def check_accesses(self, target: Target) -> None:
        """End a sample: `Regions.count` what was accessed since."""

    def reset_aggregated(self, target: Target) -> None:
        """Begin an aggregation interval anew; the loop itself resets the counters of the regions."""

    def target_valid(self, target: Target) -> bool:
        """Tell whether there is still something to monitor."""

    def cleanup(self, target: Target) -> None:
        """Let go of the target. Called once, however monitoring ended."""


@runtime_checkable
class TakesRounds(Protocol):
    """Operations that can take several samples in one call, where time is CLOCK_MONOTONIC.

    Optional beside `MonitoringOperations`.
    """

    def rounds(self, targets: Sequence[Target], rng: np.random.Generator, schedule: Schedule) -> Rounds:
        """Take samples until the schedule ends, or one needs the caller; none where the targets do not allow it.

        Of a sample that is left under way, `MonitoringOperations.prepare_access_checks` is done for all targets, and
        where its stage is PREPARED `MonitoringOperations.check_accesses` for the first ``nr_done``.
        """
