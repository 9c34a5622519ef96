"""Patterns of access: which addresses a program accesses from one time to another.

An access is to one cache line of 64 bytes. Those of a regular pattern are evenly spaced in time; those of a random one
are a Poisson process, so that what many of them touch can be drawn page by page, at a cost bounded by the pages.
"""

from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vadamon.simulation.memory import PAGE_SIZE, Memory

CACHE_LINE = 64
_SURE = 40.0
"""Accesses that a page gets on average, from which on it is touched: the rest is less than a double can tell."""
_FEW = 1 / 8
"""Accesses that a page gets on average, below which it is quicker to draw each access than whether each page is hit."""


class Pattern(Protocol):
    """Accesses to the memory ``[start, start + size)``."""

    def touch(self, memory: Memory, begin_ns: int, end_ns: int, rng: np.random.Generator) -> None:
        """Do the accesses of the times ``[begin_ns, end_ns)``, since the pattern began."""


class Sequential:
    """One access each ``stride`` bytes, from the start to the end, and again; ``rate`` is in accesses a second."""

    def __init__(self, start: int, size: int, rate: Fraction, write: bool = False, stride: int = CACHE_LINE) -> None:
        self._start = start
        self._nr_places = -(-size // stride)
        self._stride = stride
        self._rate = rate
        self._write = write

    def touch(self, memory: Memory, begin_ns: int, end_ns: int, rng: np.random.Generator) -> None:
        """See `Pattern`."""
        first, last = self._nr_done(begin_ns), self._nr_done(end_ns)
        if last - first >= self._nr_places:
            self._touch(memory, 0, self._nr_places)
        elif last > first:
            place = first % self._nr_places
            stop = place + last - first
            self._touch(memory, place, min(stop, self._nr_places))
            if stop > self._nr_places:
                self._touch(memory, 0, stop - self._nr_places)

    def _nr_done(self, time_ns: int) -> int:
        """Return how many accesses there were before a time: number i comes at i / rate."""
        return -(-self._rate.numerator * time_ns // (self._rate.denominator * 1_000_000_000))

    def _touch(self, memory: Memory, place: int, stop: int) -> None:
        start = self._start + place * self._stride
        end = self._start + (stop - 1) * self._stride + 1
        memory.touch(start, end, self._stride, self._write)


class Random:
    """Accesses to random addresses, all alike; ``rate`` is in accesses a second."""

    def __init__(self, start: int, size: int, rate: Fraction, write: bool = False) -> None:
        self._start = start
        self._end = start + size
        self._first_page = start - start % PAGE_SIZE
        self._nr_pages = -(-(self._end - self._first_page) // PAGE_SIZE)
        self._rate = rate
        self._write = write

    def touch(self, memory: Memory, begin_ns: int, end_ns: int, rng: np.random.Generator) -> None:
        """See `Pattern`."""
        mean = float(self._rate * (end_ns - begin_ns) / 1_000_000_000)
        if mean >= _SURE * self._nr_pages:
            memory.touch(self._start, self._end, 1, self._write)
            return
        if mean < _FEW * self._nr_pages:
            pages = rng.integers(self._nr_pages, size=rng.poisson(mean))
        else:
            pages = np.flatnonzero(rng.random(self._nr_pages) < -np.expm1(-mean / self._nr_pages))
        _touch_pages(memory, self._first_page, pages, self._write)


class Zipf:
    """Accesses to random pages, of which the one of rank k gets a share in proportion to ``k ** -exponent``.

    Ranks go up with the addresses or, with a generator to ``shuffle`` them by, are spread at random. ``rate`` is in
    accesses a second.
    """

    def __init__(
        self,
        start: int,
        size: int,
        rate: Fraction,
        write: bool = False,
        exponent: float = 1.0,
        shuffle: np.random.Generator | None = None,
    ) -> None:
        self._first_page = start - start % PAGE_SIZE
        nr_pages = -(-(start + size - self._first_page) // PAGE_SIZE)
        weights = np.arange(1, nr_pages + 1, dtype=np.float64) ** -exponent
        if shuffle is not None:
            shuffle.shuffle(weights)
        self._shares: NDArray[np.float64] = weights / weights.sum()
        self._up_to = np.cumsum(self._shares)
        self._up_to[-1] = 1.0  # whatever the rounding came to
        self._rate = rate
        self._write = write
        self._touch_probability: tuple[float, NDArray[np.float64]] = (-1.0, self._shares)

    def touch(self, memory: Memory, begin_ns: int, end_ns: int, rng: np.random.Generator) -> None:
        """See `Pattern`."""
        mean = float(self._rate * (end_ns - begin_ns) / 1_000_000_000)
        if mean < _FEW * len(self._shares):
            pages = np.searchsorted(self._up_to, rng.random(rng.poisson(mean)), side="right")
        else:
            pages = np.flatnonzero(rng.random(len(self._shares)) < self._probability(mean))
        _touch_pages(memory, self._first_page, pages, self._write)

    def _probability(self, mean: float) -> NDArray[np.float64]:
        """Return with what probability each page is touched by ``mean`` accesses to all of them."""
        if self._touch_probability[0] != mean:
            self._touch_probability = mean, -np.expm1(-mean * self._shares)
        return self._touch_probability[1]


def _touch_pages(memory: Memory, first_page: int, pages: NDArray[np.intp], write: bool) -> None:
    memory.touch_addresses(np.uint64(first_page) + pages.astype(np.uint64) * np.uint64(PAGE_SIZE), write)
