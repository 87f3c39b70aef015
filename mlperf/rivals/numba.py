"""Loops by hand, compiled by numba: who writes the loops needs no framework.

An epoch is one compiled call; NumPy draws the order of its samples. ``fastmath`` lets sums be taken in vectors, and
``error_model="numpy"`` spares the check of every division. The matrix products go two rows and four terms at a time,
which is more than twice as fast as three plain loops and still reads as such. The gradient passes ReLU as a factor of
0 or 1: a branch would be mispredicted. All parameters lie in one array: one compiled function then serves every
network, and Adam is one loop. What was compiled is kept (``cache=True``).
"""

import os
from collections.abc import Sequence

from mlperf.protocol import BATCH_SIZE
from mlperf.rivals import Regressor
from mlperf.training.cache import folder_of

NAME = "numba, loops by hand"
REQUIRES = ("numba",)


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return a regressor in compiled loops; parameters as in `mlperf.rivals.dataloader`."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder_of("numba") or ""))
    from mlperf.rivals._numba import NumbaRegressor

    return NumbaRegressor(hidden_layer_sizes, max_iter, batch_size=batch_size)
