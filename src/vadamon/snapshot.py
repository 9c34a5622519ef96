"""What a monitor yields at the end of each aggregation interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SampleHealth:
    """How far the samples of one snapshot can be trusted. All are counts within one aggregation interval."""

    late_samples: int = 0
    """Samples that were checked more than half a sample interval after their time."""
    missed_samples: int = 0
    """Samples that were left out, because their time had passed altogether."""
    unchecked: int = 0
    """Sampling addresses whose page could not be looked at."""
    uncleared: int = 0
    """Sampling addresses whose page's accessed bit could not be cleared (memory mapped by several processes, ...)."""
    failed_reads: int = 0
    """Page-table entries that the kernel would not read."""
    paced: int = 0
    """Sampling addresses that were left out, so that clearing their pages would not slow the target down."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All regions of one target at the end of one aggregation interval.

    Times are nanoseconds of CLOCK_MONOTONIC. The arrays have one entry a region, sorted by address: ``start`` and
    ``end`` are uint64 byte addresses (half open), ``nr_accesses`` (out of ``nr_samples``) and ``age`` (in aggregation
    intervals; where those are tuned, in such as the run began with) are uint32, and ``unknown`` is bool: where it is
    set no sample of this interval was valid, and ``nr_accesses`` is the last known value. ``resident`` is how many
    bytes of the target were in memory at the end; 0 where that is not known.
    """

    target_id: int
    start_ns: int
    end_ns: int
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    nr_accesses: NDArray[np.uint32]
    age: NDArray[np.uint32]
    nr_samples: int
    unknown: NDArray[np.bool_]
    health: SampleHealth = SampleHealth()
    resident: int = 0

    def __len__(self) -> int:
        return len(self.start)
