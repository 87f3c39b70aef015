"""Keras as in `mlperf.rivals.keras`, with ``steps_per_execution``: an epoch is one execution.

Between executions, Keras runs its callbacks and collects metrics, so there is only one execution in an epoch. On JAX,
the steps of one execution are still called one by one.
"""

from collections.abc import Sequence

from mlperf.protocol import BATCH_SIZE
from mlperf.rivals import Regressor

NAME = "Keras on JAX, steps_per_execution"
REQUIRES = ("keras", "jax")


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return a regressor in Keras; parameters as in `mlperf.rivals.dataloader`."""
    from mlperf.rivals._keras import KerasRegressor

    return KerasRegressor(hidden_layer_sizes, max_iter, batch_size=batch_size, epoch_per_execution=True)
