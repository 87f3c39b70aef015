"""JAX written by hand, with XLA's defaults: epochs of ``lax.scan`` in one compiled call, and optax's Adam.

`mlperf.rivals._jax`, which all variants share, says what is compiled, and why: a call trains for 20 epochs, NumPy draws
the orders, Adam works on one flat vector if the network is small. XLA prefers vectors of 256 bits here, even if the
processor has 512; `mlperf.rivals.jax_wide` asks for these. JAX is pinned to the cores that it may use, as no flag
limits its threads.
"""

from collections.abc import Sequence

from mlperf.protocol import BATCH_SIZE
from mlperf.rivals import Regressor

NAME = "JAX lax.scan"
REQUIRES = ("jax", "optax")


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return a regressor in JAX; parameters as in `mlperf.rivals.dataloader`."""
    from mlperf.rivals._jax import JaxRegressor

    return JaxRegressor(hidden_layer_sizes, max_iter, batch_size=batch_size)
