"""JAX as in `mlperf.rivals.jax_wide`, with ``unroll=4``: four steps are written out in each turn of the scan.

That saves some of the loop's overhead and lets XLA fuse across steps, but takes about twice as long to compile.
"""

from collections.abc import Sequence

from mlperf.protocol import BATCH_SIZE
from mlperf.rivals import Regressor

NAME = "JAX lax.scan, 512-bit, unroll 4"
REQUIRES = ("jax", "optax")


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return a regressor in JAX; parameters as in `mlperf.rivals.dataloader`."""
    from mlperf.rivals._jax import JaxRegressor

    return JaxRegressor(hidden_layer_sizes, max_iter, batch_size=batch_size, vector_width=512, unroll=4)
