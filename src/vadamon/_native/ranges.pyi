import numpy as np
from numpy.typing import NDArray

def is_sorted(values: NDArray[np.uint64]) -> bool: ...
def union(start: NDArray[np.uint64], end: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]: ...
def subtract(
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    minus_start: NDArray[np.uint64],
    minus_end: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.intp]]: ...
