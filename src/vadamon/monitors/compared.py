"""Sampling and scanning of one process at the same time: how well does a sample tell what all pages would?

Two monitors of one process would take accessed bits from each other. So only the scan clears them, and the sample reads
from what the scan has seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vadamon import operations
from vadamon.attrs import Attrs
from vadamon.clock import Clock
from vadamon.mappings import Mappings
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.monitors.scanning import ScannedTarget, check_scannable
from vadamon.operations.base import Target
from vadamon.ranges import Array
from vadamon.snapshot import SampleHealth, Snapshot

_PAGE = 4096

Keep = Callable[[Snapshot, Mappings], None]


class ScannedAddressSpace:
    """An address space whose `young` looks at every page, and answers for single addresses from that.

    What was found of all pages is kept in the heat of ``scanned``.
    """

    def __init__(self, scanned: ScannedTarget) -> None:
        self.scanned = scanned
        self._is_cleared = False
        self._voids: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)

    def mappings(self) -> Mappings:
        """Return the mappings as they are now; they are what is scanned from now on."""
        self.scanned.look_up_mappings()
        return self.scanned.mappings

    def mkold(self, addresses: Array) -> None:
        """Do nothing but at the first time: each scan has cleared what it has seen."""
        if not self._is_cleared:
            self._is_cleared = True
            self.scanned.scan()

    def young(self, addresses: Array) -> tuple[NDArray[np.bool_], Array]:
        """Scan, and tell of ``addresses`` (uint64[n]) whether their pages were accessed since the scan before."""
        scan = self.scanned.check()
        if scan is None:
            self._voids = np.ones(len(addresses), dtype=np.bool_)
            return ~self._voids, np.full(len(addresses), _PAGE, dtype=np.uint64)
        run = _find(addresses, scan.start, scan.end)
        accessed = run >= 0
        page_sizes = np.full(len(addresses), _PAGE, dtype=np.uint64)
        page_sizes[accessed] = scan.page_size[run[accessed]]
        self._voids = _find(addresses, scan.void_start, scan.void_end) >= 0
        return accessed, page_sizes

    def voids(self) -> NDArray[np.bool_]:
        """Return bool[n]: where the last `young` tells nothing."""
        return self._voids

    def take_health(self) -> SampleHealth:
        """Return what went wrong since the last call."""
        voids = self.scanned.voids
        return SampleHealth() if voids is None else voids.take_health()

    def generation(self) -> int:
        """Return a number that changes when the target got a new address space."""
        voids = self.scanned.voids
        return 0 if voids is None else voids.generation()

    def resident(self) -> int:
        """Return how many bytes are in memory now; 0 where there is no telling."""
        return self.scanned.resident()

    def is_alive(self) -> bool:
        """Tell whether there is still an address space to look at."""
        return bool(self.scanned.address_space.is_alive())

    def close(self) -> None:
        """Let go of the target."""
        self.scanned.address_space.close()


class ComparedMonitor(SamplingMonitor):
    """A `SamplingMonitor` that looks at every page at each sample, and keeps that beside what it has sampled.

    With each snapshot ``keep``, which may be set, is called: with one of all pages, as a `ScanningMonitor` makes them,
    of the same target and time and of as many samples, and with the mappings. So the two differ by the sampling of
    addresses and nothing else. It costs what scanning costs, at the sample interval.

    Raises ValueError where an aggregation interval would hold more than 255 samples, and for an ``intervals_goal``.
    """

    def __init__(self, targets: Sequence[ScannedTarget], attrs: Attrs, clock: Clock, rng: np.random.Generator) -> None:
        check_scannable(attrs)
        spaces = [(target.target_id, ScannedAddressSpace(target)) for target in targets]
        super().__init__([Target(*space) for space in spaces], attrs, operations.get("vaddr"), clock, rng)
        self.keep: Keep = lambda snapshot, mappings: None

    def _aggregate(self, targets: Sequence[Target], now: int) -> list[Snapshot]:
        snapshots = super()._aggregate(targets, now)
        heats = [target.address_space.scanned.heat for target in targets]
        threshold = max(heat.sum_up(self._nr_samples) for heat in heats) // 10
        for target, snapshot, heat in zip(targets, snapshots, heats, strict=True):
            start, end, nr_accesses, age, unknown = heat.end(threshold)
            of_all = replace(snapshot, start=start, end=end, nr_accesses=nr_accesses, age=age, unknown=unknown)
            self.keep(of_all, target.mappings)
        return snapshots


def _find(addresses: Array, start: Array, end: Array) -> NDArray[np.intp]:
    """Return which of the sorted ranges each address lies in; -1 where it is none."""
    index = np.searchsorted(start, addresses, side="right") - 1
    inside = index >= 0
    inside[inside] = addresses[inside] < end[index[inside]]
    return np.where(inside, index, -1)
