import numpy as np
from numpy.typing import NDArray

def first_of_groups(
    size: NDArray[np.float64], mean: NDArray[np.float64], mergeable: NDArray[np.uint8], max_nr: int
) -> NDArray[np.intp]: ...
