import numpy as np
from numpy.typing import NDArray

def mark(
    offsets: NDArray[np.int64],
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    value: NDArray[np.int64],
    unknown: NDArray[np.uint8],
    column_first: NDArray[np.int64],
    column_last: NDArray[np.int64],
    space_start: NDArray[np.uint64],
    space_end: NDArray[np.uint64],
    space_offsets: NDArray[np.uint64],
    edges: NDArray[np.uint64],
    cells: NDArray[np.int64],
    unknown_bytes: NDArray[np.int64],
) -> None: ...
