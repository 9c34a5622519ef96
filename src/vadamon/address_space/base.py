"""What monitoring operations need of an address space."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vadamon.mappings import Mappings
from vadamon.regions import Regions
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
class ReportsResident(Protocol):
    """An address space that knows how much of it is in memory. Optional beside `AddressSpace`."""

    def resident(self) -> int:
        """Return how many bytes are in memory now; 0 where there is no telling."""


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


class Stage(IntEnum):
    """How far a round of samples is, one sample of each region."""

    BETWEEN = 0
    """None is under way."""
    PICKED = 1
    """Its addresses are picked: `AddressSpace.mkold` comes next."""
    PREPARED = 2
    """Their pages are cleared: the sleep, or what is left of it, and `AddressSpace.young` come next."""


class Schedule(NamedTuple):
    """When samples are due. Tick k is ``start_ns + k * sample_ns`` of CLOCK_MONOTONIC."""

    start_ns: int
    sample_ns: int
    now: int
    """The last tick whose time has come."""
    end: int
    """No sample begins at this tick, or after it."""
    until_ns: int
    """None is under way after this time."""


class Rounds(NamedTuple):
    """What came of samples that an address space has taken by itself."""

    stage: Stage
    """Of the round that is left to the caller: how far the target after the first ``nr_done`` is.

    Where that is PICKED, those before it are prepared, and those after it not begun. Where it is PREPARED, those before
    it are checked and counted, and those after it prepared.
    """
    nr_done: int
    addresses: Sequence[NDArray[np.uint64]]
    """Of that round, uint64[n] for each target."""
    nr_samples: int
    nr_late: int
    """Of these, checked more than half a sample interval after they were due."""
    last: int
    """The tick of the last one; where there is none, the ``now`` of the schedule."""
    due: int
    """Where the stage is PREPARED, the tick at which the one under way is due."""
    now: int
    """The last tick whose time has come."""

    @classmethod
    def none(cls, schedule: Schedule) -> "Rounds":
        """Return what came of none at all."""
        return cls(Stage.BETWEEN, 0, (), 0, 0, schedule.now, schedule.now, schedule.now)


@runtime_checkable
class SamplesByItself(Protocol):
    """An address space that can take samples without coming back to Python for each. Optional beside `AddressSpace`."""

    @classmethod
    def rounds(cls, targets: Sequence[tuple[Self, Regions]], rng: np.random.Generator, schedule: Schedule) -> Rounds:
        """Take samples of all targets, and `Regions.count` them, until the schedule ends or one needs the caller.

        A sample needs the caller where anything has to be done for it that is rare; a signal ends the sleep too.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """Which pages were accessed between two scans: the one before that cleared them, and this one.

    ``start``, ``end`` and ``page_size`` are uint64[n]: sorted runs of neighbours of one size that were accessed.
    ``void_start`` and ``void_end`` are uint64[m]: pages of which the scan tells nothing, because what was found of them
    at the one before could not be cleared. All others were not accessed.
    """

    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    page_size: NDArray[np.uint64]
    void_start: NDArray[np.uint64]
    void_end: NDArray[np.uint64]
    resident: int
    """Bytes that are mapped to pages."""
    begin_ns: int
    """When the scan began. CLOCK_MONOTONIC, as is the next."""
    end_ns: int
    """When it had looked at, and cleared, the last page."""
    complete: bool
    """Or else it tells nothing at all: it is the first, or what is mapped could not be looked at, now or before."""


@runtime_checkable
class Scans(Protocol):
    """An address space of which every page can be looked at, not only those at some addresses.

    Optional beside `AddressSpace`.
    """

    def scan(self, start: NDArray[np.uint64], end: NDArray[np.uint64], *, clear: bool = True) -> Scan:
        """Look at every page of the ranges ``[start, end)`` (uint64[n], sorted).

        With ``clear`` the next scan will tell what is accessed from now on; without, what it does since the last one
        that cleared.
        """
