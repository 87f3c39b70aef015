"""The network in JAX, trained by one compiled call for many epochs.

An epoch is a ``lax.scan`` over its mini-batches inside a loop over the epochs of a call, so that Python is involved
only once in `EPOCHS_A_CALL` epochs. The order of the samples is drawn by NumPy: ``jax.random.permutation`` sorts, which
takes several times as long as the steps of a small network. Where the network is small, optax's Adam works on one flat
vector (``optax.flatten``), in which XLA finds one loop instead of one for each array of parameters.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mlperf.protocol import LEARNING_RATE
from mlperf.rivals._jax_setup import pinned_and_cached
from mlperf.rivals._process import xla_options

EPOCHS_A_CALL = 20
"""Epochs whose orders are handed over together, 4 bytes a sample each."""

FLAT_UP_TO = 10_000
"""Parameters up to which Adam works on one flat vector. Of more it saves nothing, and a large network takes longer, as
all parameters are copied for it in each step."""


class JaxRegressor:
    """A multi-layer perceptron in JAX.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    max_iter : int
        Epochs.
    batch_size : int
        Samples of one mini-batch.
    unroll : int, default=1
        Steps of the scan in one iteration of its loop.
    vector_width : int, optional
        Bits of the vectors that XLA prefers; by default XLA chooses. A width that a user set in ``XLA_FLAGS`` is kept.

    Attributes
    ----------
    n_steps_ : int
        Steps that the optimiser took.

    Examples
    --------
    >>> from mlperf.rivals._jax import JaxRegressor  # doctest: +SKIP
    >>> JaxRegressor((8,), 2, batch_size=64).fit(X, y).predict(X).shape  # doctest: +SKIP
    (100,)
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int],
        max_iter: int,
        *,
        batch_size: int,
        unroll: int = 1,
        vector_width: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.unroll = unroll
        self.vector_width = vector_width

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train a new network; shapes as in `mlperf.rivals.Regressor`."""
        rng = np.random.default_rng(0)
        with pinned_and_cached():
            train = compiled_epochs(self.batch_size, self.unroll, self.vector_width)
            features, target = jnp.asarray(X, jnp.float32), jnp.asarray(y, jnp.float32)
            parameters = initial_parameters([X.shape[1], *self.hidden_layer_sizes, 1], rng)
            state = parameters, optimizer(parameters).init(parameters)
            for first in range(0, self.max_iter, EPOCHS_A_CALL):
                n_epochs = min(EPOCHS_A_CALL, self.max_iter - first)
                orders = np.empty((EPOCHS_A_CALL, len(X)), np.int32)
                for order in orders[:n_epochs]:
                    order[:] = rng.permutation(len(X))
                state = train(state, orders, n_epochs, features, target)
            self.parameters_, counted = jax.block_until_ready(state)
        self.n_steps_ = int(optax.tree.get(counted, "count"))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the standardised target; shapes as in `mlperf.rivals.Regressor`."""
        with pinned_and_cached():
            return np.asarray(_forward(self.parameters_, jnp.asarray(X, jnp.float32)))


def initial_parameters(sizes: Sequence[int], rng: np.random.Generator) -> list[tuple[jax.Array, jax.Array]]:
    """Return weights and biases of each layer, drawn as torch draws them."""
    parameters = []
    for n_in, n_out in pairwise(sizes):
        bound = n_in**-0.5
        W = rng.uniform(-bound, bound, (n_in, n_out))
        b = rng.uniform(-bound, bound, n_out)
        parameters.append((jnp.asarray(W, jnp.float32), jnp.asarray(b, jnp.float32)))
    return parameters


def optimizer(parameters: Any) -> optax.GradientTransformation:
    """Return the Adam that is fastest for so many parameters."""
    adam = optax.adam(LEARNING_RATE)
    n_parameters = sum(array.size for array in jax.tree.leaves(parameters))
    return optax.flatten(adam) if n_parameters <= FLAT_UP_TO else adam


def _forward(parameters: Any, X: jax.Array) -> jax.Array:
    for W, b in parameters[:-1]:
        X = jax.nn.relu(X @ W + b)
    W, b = parameters[-1]
    return (X @ W + b)[:, 0]


def _squared_error(parameters: Any, X: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean((_forward(parameters, X) - y) ** 2)


def _step(state: Any, batch: Any) -> Any:
    parameters, moments = state
    gradient = jax.grad(_squared_error)(parameters, *batch)
    updates, moments = optimizer(parameters).update(gradient, moments)
    return (optax.apply_updates(parameters, updates), moments), None


@cache
def compiled_epochs(
    batch_size: int, unroll: int, vector_width: int | None, *, together: bool = False
) -> Callable[..., Any]:
    """Return the function that trains one network, or many, for some epochs; cached, or JAX would compile it anew."""

    def epoch(state: Any, order: jax.Array, X: jax.Array, y: jax.Array) -> Any:
        whole = len(X) // batch_size * batch_size
        batches = [part[order[:whole]].reshape(-1, batch_size, *part.shape[1:]) for part in (X, y)]
        state, _ = jax.lax.scan(_step, state, batches, unroll=unroll)
        if whole < len(X):
            state, _ = _step(state, (X[order[whole:]], y[order[whole:]]))
        return state

    def epochs(state: Any, orders: jax.Array, n_epochs: int, X: jax.Array, y: jax.Array) -> Any:
        return jax.lax.fori_loop(0, n_epochs, lambda i, state: epoch(state, orders[i], X, y), state)

    every = jax.vmap(epochs, in_axes=(0, 0, None, 0, 0)) if together else epochs
    return jax.jit(every, compiler_options=xla_options(vector_width))
