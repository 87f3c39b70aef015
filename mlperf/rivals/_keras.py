"""The network in Keras, on JAX."""

import math
import os
from collections.abc import Sequence
from functools import cache
from typing import Any, Self

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras reads it when it is loaded

import keras

from mlperf.protocol import LEARNING_RATE
from mlperf.rivals._jax_setup import pinned_and_cached


class KerasRegressor:
    """A multi-layer perceptron in Keras.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    max_iter : int
        Epochs.
    batch_size : int
        Samples of one mini-batch.
    epoch_per_execution : bool, default=False
        Whether ``fit`` takes all steps of an epoch in one execution, instead of one step.

    Attributes
    ----------
    n_steps_ : int
        Steps that the optimiser took.

    Examples
    --------
    >>> from mlperf.rivals._keras import KerasRegressor  # doctest: +SKIP
    >>> KerasRegressor((8,), 2, batch_size=64).fit(X, y).predict(X).shape  # doctest: +SKIP
    (100,)
    """

    def __init__(
        self, hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int, epoch_per_execution: bool = False
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.epoch_per_execution = epoch_per_execution

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train a new network; shapes as in `mlperf.rivals.Regressor`."""
        steps = math.ceil(len(X) / self.batch_size) if self.epoch_per_execution else 1
        with pinned_and_cached():
            self.model_, initial = _compiled_model(X.shape[1], tuple(self.hidden_layer_sizes), steps)
            self.model_.set_weights(initial)
            _forget_steps(self.model_.optimizer)
            features, target = X.astype(np.float32), y.astype(np.float32)[:, None]
            self.model_.fit(features, target, batch_size=self.batch_size, epochs=self.max_iter, verbose=0)
            self.weights_ = _weights(self.model_)
        self.n_steps_ = int(keras.ops.convert_to_numpy(self.model_.optimizer.iterations))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the standardised target; shapes as in `mlperf.rivals.Regressor`."""
        with pinned_and_cached():
            self.model_.set_weights(self.weights_)  # another regressor may have trained the model since
            return self.model_.predict(X.astype(np.float32), verbose=0)[:, 0]


@cache
def _compiled_model(n_features: int, hidden_layer_sizes: tuple[int, ...], steps_per_execution: int) -> tuple[Any, Any]:
    """Return a model and its initial weights; cached, as Keras compiles the step of every new model."""
    hidden = [keras.layers.Dense(units, activation="relu") for units in hidden_layer_sizes]
    model = keras.Sequential([keras.layers.Input((n_features,)), *hidden, keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE), loss="mse", steps_per_execution=steps_per_execution)
    return model, _weights(model)


def _weights(model: Any) -> list[np.ndarray]:
    # `model.get_weights()` goes a way that NumPy 2 warns about.
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def _forget_steps(optimizer: Any) -> None:
    """Set Adam's moments and its count of steps back to zero."""
    for variable in optimizer.variables:
        if variable.path != optimizer.learning_rate.path:
            variable.assign(np.zeros(variable.shape))
