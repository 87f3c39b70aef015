"""JAX as in `mlperf.rivals.jax_scan`, with vectors of 512 bits.

The option that ``XLA_FLAGS=--xla_cpu_prefer_vector_width=512`` sets for a whole process is given to the one compiled
function. A width that a user set in ``XLA_FLAGS`` is kept. On a processor without such vectors nothing changes.
"""

from collections.abc import Sequence

from mlperf.protocol import BATCH_SIZE
from mlperf.rivals import Regressor

NAME = "JAX lax.scan, 512-bit"
REQUIRES = ("jax", "optax")


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return a regressor in JAX; parameters as in `mlperf.rivals.dataloader`."""
    from mlperf.rivals._jax import JaxRegressor

    return JaxRegressor(hidden_layer_sizes, max_iter, batch_size=batch_size, vector_width=512)
