import numpy as np
from numpy.typing import NDArray

MAX_SCANS: int

class PageHeat:
    def set_ranges(self, start: NDArray[np.uint64], end: NDArray[np.uint64]) -> None: ...
    def add(
        self,
        start: NDArray[np.uint64],
        end: NDArray[np.uint64],
        void_start: NDArray[np.uint64],
        void_end: NDArray[np.uint64],
    ) -> None: ...
    def sum_up(self, nr_samples: int) -> int: ...
    def end(
        self, threshold: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.bool_]]: ...
