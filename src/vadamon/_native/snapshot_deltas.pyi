import numpy as np
from numpy.typing import NDArray

Bytes = bytes | memoryview

def pack(values: NDArray[np.uint64]) -> bytes: ...
def unpack(data: Bytes, n: int) -> NDArray[np.uint64]: ...
def to_deltas(
    offsets: NDArray[np.int64],
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    nr_accesses: NDArray[np.uint32],
    age: NDArray[np.uint32],
    unknown: NDArray[np.uint8],
    shift: int,
) -> tuple[bytes, bytes, bytes, bytes]: ...
def from_deltas(
    offsets: NDArray[np.int64],
    codes: Bytes,
    borders: Bytes,
    accesses: Bytes,
    ages: Bytes,
    shift: int,
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    nr_accesses: NDArray[np.uint32],
    age: NDArray[np.uint32],
    unknown: NDArray[np.uint8],
) -> None: ...
