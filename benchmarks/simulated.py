"""Simulated machine: speed and memory."""

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from vadamon.address_space.simulated import Machine, SimulatedAddressSpace
from vadamon.clock import VirtualClock

GIB = 1 << 30
PAGES_PER_GIB = 1 << 18
START = 1 << 40

# The peak resident memory of a process with a simulated one of 100 GiB, of which each tenth page is touched.
PEAK_MEMORY = """
import resource, sys
from vadamon.address_space.simulated import Machine, SimulatedAddressSpace
from vadamon.clock import VirtualClock
space = SimulatedAddressSpace(Machine(VirtualClock()))
space.mmap(1 << 40, 100 << 30, populate=sys.argv[1] == "populated")
space.touch(1 << 40, (1 << 40) + (100 << 30), step=40960)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def seconds(function: Callable[[], object], repeats: int = 10) -> float:
    """Return the least time of several calls, after one that does not count."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_mib(kind: str) -> str:
    command = [sys.executable, "-c", PEAK_MEMORY, kind]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Print the table."""
    space = SimulatedAddressSpace(Machine(VirtualClock()))
    space.mmap(START, 4 * GIB)
    end = START + 4 * GIB
    addresses = np.random.default_rng(1).integers(START, end, 1 << 17, dtype=np.uint64)

    start = time.perf_counter()
    space.touch(START, end)
    print("| what | figure |")
    print("| --- | --- |")
    print(f"| first touch of a range | {4 * PAGES_PER_GIB / (time.perf_counter() - start):.2g} pages/s |")
    for name, nr_pages, touch in (
        ("touch a range", 4 * PAGES_PER_GIB, lambda: space.touch(START, end)),
        ("touch each second page of a range", 2 * PAGES_PER_GIB, lambda: space.touch(START, end, step=8192)),
        ("write to a range", 4 * PAGES_PER_GIB, lambda: space.touch(START, end, write=True)),
        ("touch random addresses", 1 << 17, lambda: space.touch_addresses(addresses)),
    ):
        print(f"| {name} | {nr_pages / seconds(touch):.2g} pages/s |")
    for nr_regions in (100, 1000):
        sample = np.sort(addresses[:nr_regions])
        print(f"| mkold, {nr_regions} addresses | {seconds(lambda a=sample: space.mkold(a), 100) * 1e6:.0f} µs |")
        print(f"| young, {nr_regions} addresses | {seconds(lambda a=sample: space.young(a), 100) * 1e6:.0f} µs |")
    print(f"| 100 GiB on demand, each tenth page touched | {peak_mib('on demand')} MiB |")
    print(f"| 100 GiB populated, each tenth page touched | {peak_mib('populated')} MiB |")


if __name__ == "__main__":
    main()
