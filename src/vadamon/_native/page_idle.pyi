import numpy as np
from numpy.typing import NDArray

UNCLEARED: int
UNCHECKED: int

class PageIdle:
    def __init__(self, kpageflags: int, bitmap: int) -> None: ...
    def mkold(self, pagemap: int, addresses: NDArray[np.uint64], voids: NDArray[np.uint8]) -> bool: ...
    def young(
        self,
        pagemap: int,
        addresses: NDArray[np.uint64],
        voids: NDArray[np.uint8],
        accessed: NDArray[np.uint8],
        page_size: NDArray[np.uint64],
    ) -> bool: ...
