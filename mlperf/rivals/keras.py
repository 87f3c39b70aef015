"""Keras 3 on JAX, its fastest backend on a CPU: ``compile`` and ``fit``, one step an execution.

``fit`` shows nothing (``verbose=0``). One model is kept for each shape and reset before a fit, since Keras compiles the
step of a new model anew. XLA keeps its default flags: a step is mostly Keras's own Python, which no flag speeds up. A
backend that a user chose in ``KERAS_BACKEND`` is kept.
"""

from collections.abc import Sequence

from mlperf.protocol import BATCH_SIZE
from mlperf.rivals import Regressor

NAME = "Keras on JAX"
REQUIRES = ("keras", "jax")


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return a regressor in Keras; parameters as in `mlperf.rivals.dataloader`."""
    from mlperf.rivals._keras import KerasRegressor

    return KerasRegressor(hidden_layer_sizes, max_iter, batch_size=batch_size)
