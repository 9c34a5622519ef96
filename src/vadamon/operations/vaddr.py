"""Monitoring operations for virtual address spaces (``mm/damon/vaddr.c``)."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vadamon._native import sampling
from vadamon.address_space.base import AddressSpace, Rounds, Schedule, Stage
from vadamon.attrs import Attrs
from vadamon.operations.base import Target
from vadamon.regions import Regions, check_ranges, range_arrays

Ranges = tuple[NDArray[np.uint64], NDArray[np.uint64]]
"""Starts and ends, uint64[n] each."""


def three_regions(ranges: Iterable[tuple[int, int]], min_region_size: int = 4096) -> list[tuple[int, int]]:
    """Cut the span of ``ranges`` (sorted, bytes) in three, at its two biggest gaps (``__damon_va_three_regions``).

    Of equal gaps the first counts as the bigger. Starts and ends are aligned up to ``min_region_size``, a power of
    two. In a process these are the heap, the mmap area and the stack, with all that lies near them.

    Raises ValueError where there are fewer than two gaps, or where the ranges are empty, overlap or are not sorted.
    """
    start, end = range_arrays(ranges)
    if np.count_nonzero(end[:-1] < start[1:]) < 2:
        raise ValueError("there are fewer than two gaps between the ranges")
    return _pairs(*_cut_at_gaps(start, end, min_region_size))


def evenly_split(start: int, end: int, nr_pieces: int, min_region_size: int = 4096) -> list[tuple[int, int]]:
    """Split ``[start, end)`` into exactly ``nr_pieces`` (``damon_va_evenly_split_region``).

    All are of the same size, a multiple of ``min_region_size``; the last one takes the rest.

    Raises ValueError where ``nr_pieces`` is below 1 or a piece would be empty.
    """
    if nr_pieces < 1:
        raise ValueError(f"cannot split a region into {nr_pieces} pieces")
    piece = (end - start) // nr_pieces
    piece -= piece % min_region_size
    if piece <= 0:
        raise ValueError(
            f"cannot split [{start:#x}, {end:#x}) into {nr_pieces} pieces of at least {min_region_size} bytes"
        )
    cuts = [*range(start, start + nr_pieces * piece, piece), end]
    return list(pairwise(cuts))


def apply_three_regions(regions: Regions, three: Iterable[tuple[int, int]], min_region_size: int = 4096) -> None:
    """Fit ``regions`` to the three ranges of now, in place (``damon_set_regions``).

    Regions outside all three go. In each of the three, the first and the last region are stretched or cut to its
    ends (start aligned down to ``min_region_size``, end up), and holes between regions get new regions. One of the
    three that no region is in gets one new region. A region that reaches into two of them belongs to the first.
    Counters of regions that stay, stay.

    Raises ValueError where the three, thus aligned, are empty, overlap or are not sorted.
    """
    start, end = range_arrays(three)
    size = np.uint64(min_region_size)
    low, high = start - start % size, _align_up(end, size)
    check_ranges(low, high)
    _fit(regions, low, high)


def _fit(regions: Regions, low: NDArray[np.uint64], high: NDArray[np.uint64]) -> None:
    """Fit regions to the ranges ``[low, high)``."""
    nr_ranges = len(low)
    # The first range that ends behind the start of a region is the only one the region can belong to.
    owner = np.searchsorted(high, regions.start, side="right")
    inside = owner < nr_ranges
    inside[inside] = low[owner[inside]] < regions.end[inside]
    stays = np.flatnonzero(inside)
    owner = owner[stays]
    start, end = regions.start[stays], regions.end[stays]

    same_range = owner[1:] == owner[:-1]
    is_first = np.append(True, ~same_range)[: len(stays)]
    is_last = np.append(~same_range, True)[: len(stays)]
    start = np.where(is_first, low[owner], start)
    end = np.where(is_last, high[owner], end)

    hole = same_range & (end[:-1] < start[1:])
    vacant = np.ones(nr_ranges, dtype=np.bool_)
    vacant[owner] = False
    all_start = np.concatenate((start, end[:-1][hole], low[vacant]))
    all_end = np.concatenate((end, start[1:][hole], high[vacant]))
    source = np.full(len(all_start), -1, dtype=np.intp)
    source[: len(stays)] = stays
    order = np.argsort(all_start)
    regions.rebuild(all_start[order], all_end[order], source[order])


def _cut_at_gaps(start: NDArray[np.uint64], end: NDArray[np.uint64], min_region_size: int) -> Ranges:
    """Cut the span of ranges at its two biggest gaps, or at the one there is; all aligned up to min_region_size."""
    gap = start[1:] - end[:-1]
    # Stable, so that of equal gaps the first comes first; ~ turns the order round.
    biggest = np.argsort(~gap, kind="stable")[:2]
    cuts = np.sort(biggest[gap[biggest] > 0])
    size = np.uint64(min_region_size)
    low = _align_up(np.append(start[:1], start[1:][cuts]), size)
    high = _align_up(np.append(end[:-1][cuts], end[-1:]), size)
    return low, high


def _align_up(addresses: NDArray[np.uint64], size: np.uint64) -> NDArray[np.uint64]:
    return addresses + (-addresses) % size


def _pairs(start: NDArray[np.uint64], end: NDArray[np.uint64]) -> list[tuple[int, int]]:
    return list(zip(start.tolist(), end.tolist(), strict=True))


class VirtualAddressOperations:
    """The hooks for targets whose ``address_space`` is an `AddressSpace`.

    Where fewer than two gaps are mapped around, the mapped spans are monitored all the same (the kernel monitors
    nothing then). When the target gets a new address space by ``execve``, its regions are begun anew at once, and
    nothing that was seen of the old one is kept; ranges that the user has set are kept, without their counters.
    """

    def init(self, target: Target, attrs: Attrs) -> None:
        """Make the first regions (``__damon_va_init_regions``).

        Each of the three regions is split evenly, into about ``attrs.min_nr_regions`` pieces in all.
        """
        target.attrs = attrs
        self._begin(target)

    def _begin(self, target: Target) -> None:
        self._look_up_mappings(target)
        if target.user_ranges is not None:
            target.regions = Regions.from_ranges(target.user_ranges)
            return
        attrs = target.attrs
        low, high = self._mapped_spans(target)
        piece = max(attrs.min_region_size, int((high - low).sum()) // attrs.min_nr_regions)
        target.regions = Regions.from_ranges(
            pair
            for start, end in _pairs(low, high)
            for pair in evenly_split(start, end, max(1, (end - start) // piece), attrs.min_region_size)
        )

    def update(self, target: Target) -> None:
        """Look at the mappings anew, and fit the regions to them (``damon_va_update``)."""
        if self._has_new_address_space(target):
            self._begin(target)
            return
        self._look_up_mappings(target)
        if target.user_ranges is None:
            _fit(target.regions, *self._mapped_spans(target))

    def prepare_access_checks(self, target: Target, rng: np.random.Generator) -> None:
        """Pick a random sampling address in each region, and clear the accessed bits of their pages."""
        regions = target.regions
        target.sampling_addresses = sampling.pick(rng.bit_generator, regions.start, regions.end)
        self._clear(target, rng)

    def _clear(self, target: Target, rng: np.random.Generator) -> None:
        """Clear the accessed bits of the pages at the sampling addresses."""
        regions = target.regions
        space: AddressSpace = target.address_space
        space.mkold(target.sampling_addresses)
        if target.extra is not None and (nr_extra := target.extra.nr_extra_checks()):
            target.extra_addresses = [
                sampling.pick(rng.bit_generator, regions.start, regions.end) for _ in range(nr_extra)
            ]

    def rounds(self, targets: Sequence[Target], rng: np.random.Generator, schedule: Schedule) -> Rounds:
        """Take whole samples, as `prepare_access_checks` and `check_accesses` do, where the address spaces can.

        Of a sample that is left under way, `prepare_access_checks` is done. Subclasses with hooks of their own for a
        sample need one for this too.
        """
        spaces = [target.by_itself for target in targets]
        if spaces[0] is None or any(type(space) is not type(spaces[0]) for space in spaces):
            return Rounds.none(schedule)
        pairs = [(space, target.regions) for space, target in zip(spaces, targets, strict=True) if space is not None]
        done = spaces[0].rounds(pairs, rng, schedule)
        if done.stage == Stage.BETWEEN:
            return done
        for target, addresses in zip(targets, done.addresses, strict=True):
            target.sampling_addresses = addresses
        if done.stage == Stage.PICKED:
            self._clear(targets[done.nr_done], rng)
            for target in targets[done.nr_done + 1 :]:
                self.prepare_access_checks(target, rng)
        return done

    def check_accesses(self, target: Target) -> None:
        """Count the accesses since `prepare_access_checks`; void samples count neither way.

        Sampling addresses in the same page, which may be a huge one, all get the answer for the first of them, as
        ``__damon_va_check_access`` does it, whatever the address space says of the others.
        """
        space: AddressSpace = target.address_space
        accessed, target.page_sizes = space.young(target.sampling_addresses)
        if self._has_new_address_space(target):
            self._begin(target)
            return
        void = None if target.voids is None else target.voids.voids()
        target.regions.count(accessed, void, (target.sampling_addresses, target.page_sizes))
        if target.extra is not None and target.extra_addresses:
            for addresses in target.extra_addresses:
                target.regions.count(*target.extra.young_extra(addresses))
            target.extra_addresses = []

    def reset_aggregated(self, target: Target) -> None:
        """Do nothing: there is nothing beside the counters of the regions."""

    def target_valid(self, target: Target) -> bool:
        """Tell whether the address space is still there."""
        space: AddressSpace = target.address_space
        return space.is_alive()

    def cleanup(self, target: Target) -> None:
        """Close the address space."""
        space: AddressSpace = target.address_space
        space.close()

    def _has_new_address_space(self, target: Target) -> bool:
        return target.voids is not None and target.voids.generation() != target.generation

    def _look_up_mappings(self, target: Target) -> None:
        # The generation first: if there is an execve in between, the next check finds it.
        if target.voids is not None:
            target.generation = target.voids.generation()
        space: AddressSpace = target.address_space
        target.mappings = space.mappings()

    def _mapped_spans(self, target: Target) -> Ranges:
        """Return the three regions, or the mapped spans where there are fewer; none where nothing is mapped."""
        mappings = target.mappings
        if not len(mappings):
            return mappings.start, mappings.end
        low, high = _cut_at_gaps(mappings.start, mappings.end, target.attrs.min_region_size)
        wide = low < high  # aligning to more than a page can leave nothing
        return low[wide], high[wide]
