import numpy as np
from numpy.typing import NDArray

AGE_BITS: int
ONE: int

def mark(
    offsets: NDArray[np.int64],
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    nr_accesses: NDArray[np.uint32],
    age: NDArray[np.uint32],
    unknown: NDArray[np.uint8],
    nr_samples: NDArray[np.uint32],
    column_first: NDArray[np.int64],
    column_last: NDArray[np.int64],
    space_start: NDArray[np.uint64],
    space_end: NDArray[np.uint64],
    space_offsets: NDArray[np.uint64],
    edges: NDArray[np.uint64],
    cells: NDArray[np.int64],
    unknown_bytes: NDArray[np.int64],
) -> None: ...
def add_usage(
    offsets: NDArray[np.int64],
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    nr_accesses: NDArray[np.uint32],
    unknown: NDArray[np.uint8],
    nr_samples: NDArray[np.uint32],
    end_ns: NDArray[np.int64],
    length_ns: NDArray[np.int64],
    instants: NDArray[np.int64],
    space_start: NDArray[np.uint64],
    space_end: NDArray[np.uint64],
    space_offsets: NDArray[np.uint64],
    edges: NDArray[np.uint64],
    accessed_ns: NDArray[np.float64],
    known_ns: NDArray[np.float64],
    unknown_ns: NDArray[np.float64],
    last_access_ns: NDArray[np.int64],
) -> None: ...
