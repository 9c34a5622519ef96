"""Which ways to read accessed bits work on this machine, found out by doing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from vadamon.errors import VadamonError


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether one backend works here; where it does not, why, and what would make it work."""

    backend: str
    works: bool
    detail: str


def diagnose() -> list[Diagnosis]:
    """Try all backends on a process of our own."""
    return [Diagnosis("page-table", *_try_page_table())]


def _try_page_table() -> tuple[bool, str]:
    try:
        from vadamon.address_space.page_table import PageTableAddressSpace

        with _touching_process() as (pid, address), PageTableAddressSpace(pid) as space:
            addresses = np.array([address], dtype=np.uint64)
            # The page is so new that it may not be on the LRU yet: ask a few times.
            for _ in range(20):
                space.mkold(addresses)
                time.sleep(0.02)
                accessed, _ = space.young(addresses)
                if accessed[0] and not space.voids()[0]:
                    return True, "read by an eBPF page-table walk, cleared by process_madvise"
    except VadamonError as error:
        return False, str(error)
    return False, "a page that is touched all the time was not seen as accessed"


@contextmanager
def _touching_process() -> Iterator[tuple[int, int]]:
    """Give the pid of a process, and an address that it touches all the time."""
    from vadamon.workload import Area, Sweep, Workload

    size = 2 << 20
    with Workload([Area("page", size=size, patterns=[Sweep(length=size, period_us=5000)])]) as workload:
        yield workload.pid, workload.areas["page"].start + size // 2
