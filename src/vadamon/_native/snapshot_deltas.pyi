import numpy as np
from numpy.typing import NDArray

def pack(values: NDArray[np.uint64]) -> bytes: ...
def unpack(data: bytes | memoryview) -> NDArray[np.uint64]: ...
def to_deltas(
    offsets: NDArray[np.int64],
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    nr_accesses: NDArray[np.uint32],
    age: NDArray[np.uint32],
    unknown: NDArray[np.uint8],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]: ...
def from_deltas(
    offsets: NDArray[np.int64],
    codes: NDArray[np.uint64],
    borders: NDArray[np.uint64],
    accesses: NDArray[np.uint64],
    ages: NDArray[np.uint64],
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    nr_accesses: NDArray[np.uint32],
    age: NDArray[np.uint32],
    unknown: NDArray[np.uint8],
) -> None: ...
