"""Types that many modules name."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""An array of double precision."""
Integers = NDArray[np.int64]
"""Labels, indices or counts."""
Seed = int | tuple[int, ...]
"""A seed, with any number of further integers that distinguish independent streams of random numbers."""
