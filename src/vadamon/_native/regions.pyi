import numpy as np
from numpy.typing import NDArray

def merge(
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    nr_accesses: NDArray[np.uint32],
    last_nr_accesses: NDArray[np.uint32],
    age: NDArray[np.uint32],
    nr_valid: NDArray[np.uint32],
    unknown: NDArray[np.uint8],
    threshold: int,
    size_limit: int,
) -> int: ...
def split(
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    tenths: NDArray[np.uint8],
    min_region_size: int,
    new_start: NDArray[np.uint64],
    new_end: NDArray[np.uint64],
    source: NDArray[np.intp],
) -> int: ...
