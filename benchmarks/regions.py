"""Regions: merge and split."""

import timeit

import numpy as np

from vadamon.regions import Regions


def regions(n: int) -> Regions:
    rng = np.random.default_rng(1)
    start = np.arange(n, dtype=np.uint64) * np.uint64(1 << 20)
    return Regions(start, start + np.uint64(1 << 20), nr_accesses=rng.integers(0, 21, n), age=rng.integers(0, 100, n))


def microseconds(work, n: int, number: int = 200) -> float:
    many = [regions(n) for _ in range(number)]
    return timeit.timeit(lambda: work(many.pop()), number=number) / number * 1e6


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(2)
    print("| what | time |")
    print("| --- | --- |")
    print(f"| merge of 1000 regions | {microseconds(lambda r: r.merge(2, 1 << 30), 1000):.0f} µs |")
    print(f"| split of 500 regions in 2 | {microseconds(lambda r: r.split(2, rng), 500):.0f} µs |")
    print(f"| split of 500 regions in 3 | {microseconds(lambda r: r.split(3, rng), 500):.0f} µs |")
