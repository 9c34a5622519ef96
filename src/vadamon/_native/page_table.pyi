import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.base import Schedule
from vadamon.regions import Regions

NEEDS_CLEAR_REFS: int
UNCLEARED: int
UNCHECKED: int
OK: int
GONE: int
CHANGED: int
MAX_ROUND_REGIONS: int

class ScanResult:
    young: NDArray[np.uint64]
    refs: NDArray[np.uint64]
    uncleared: NDArray[np.uint64]
    complete: bool
    resident: int
    failed_reads: int
    begin_ns: int
    end_ns: int
    refs_file: bool
    refs_anon: bool

class PageTable:
    def __init__(self, pid: int, tid: int, flush_budget: float) -> None: ...
    def close(self) -> None: ...
    def attach(self, tid: int) -> int: ...
    def mkold(self, addresses: NDArray[np.uint64], voids: NDArray[np.uint8]) -> int: ...
    def young(
        self,
        addresses: NDArray[np.uint64],
        voids: NDArray[np.uint8],
        accessed: NDArray[np.uint8],
        page_size: NDArray[np.uint64],
        unprepared: bool = False,
    ) -> int: ...
    def scan(
        self, start: NDArray[np.uint64], end: NDArray[np.uint64], clear: bool
    ) -> tuple[int, ScanResult | None]: ...
    @property
    def refs(self) -> tuple[int, int, int]: ...
    @property
    def present(self) -> int: ...
    @property
    def identity(self) -> tuple[int, int]: ...

RoundTarget = tuple[
    PageTable, Regions, int, NDArray[np.uint64], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint64]
]

def take_rounds(
    targets: list[RoundTarget], bit_generator: np.random.BitGenerator, schedule: Schedule
) -> tuple[int, int, int, int, int, int, int, NDArray[np.int64]]: ...
