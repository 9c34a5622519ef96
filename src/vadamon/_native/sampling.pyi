import numpy as np
from numpy.typing import NDArray

def pick(
    bit_generator: np.random.BitGenerator, start: NDArray[np.uint64], end: NDArray[np.uint64]
) -> NDArray[np.uint64]: ...
def count(
    accessed: NDArray[np.uint8],
    void: NDArray[np.uint8] | None,
    addresses: NDArray[np.uint64] | None,
    page_sizes: NDArray[np.uint64] | None,
    nr_accesses: NDArray[np.uint32],
    nr_valid: NDArray[np.uint32],
) -> None: ...
