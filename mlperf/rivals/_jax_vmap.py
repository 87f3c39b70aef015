"""Many networks at once in JAX: the epochs of `mlperf.rivals._jax` under ``jax.vmap``."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def many_epochs(
    hidden_layer_sizes: Sequence[int],
    X: np.ndarray,
    y: np.ndarray,
    *,
    batch_size: int,
    vector_width: int | None = None,
) -> Callable[[int], Any]:
    """Make a callable that trains one network on each of many problems, all in one compiled function.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    X : ndarray of shape (n_networks, n_samples, n_features)
        Standardised features of each.
    y : ndarray of shape (n_networks, n_samples)
        Standardised target of each.
    batch_size : int
        Samples of one mini-batch.
    vector_width : int, optional
        Bits of the vectors that XLA prefers.

    Returns
    -------
    callable
        Called with a number of epochs; continues from where the last call ended, and returns the parameters.

    Examples
    --------
    >>> from mlperf.rivals._jax_vmap import many_epochs  # doctest: +SKIP
    >>> train = many_epochs((8,), X, y, batch_size=64)  # doctest: +SKIP
    >>> parameters = train(2)  # doctest: +SKIP
    """
    import jax
    import jax.numpy as jnp

    from mlperf.rivals._jax import compiled_epochs, initial_parameters, optimizer
    from mlperf.rivals._jax_setup import pinned_and_cached

    rng = np.random.default_rng(0)
    n_networks, n_samples, n_features = X.shape
    with pinned_and_cached():
        train = compiled_epochs(batch_size, 1, vector_width, together=True)
        drawn = [initial_parameters([n_features, *hidden_layer_sizes, 1], rng) for _ in range(n_networks)]
        parameters = jax.tree.map(lambda *each: jnp.stack(each), *drawn)
        state = parameters, jax.vmap(optimizer(drawn[0]).init)(parameters)
        features, target = jnp.asarray(X, jnp.float32), jnp.asarray(y, jnp.float32)

    def call(n_epochs: int) -> Any:
        nonlocal state
        orders = np.empty((n_networks, n_epochs, n_samples), np.int32)
        for order in orders.reshape(-1, n_samples):
            order[:] = rng.permutation(n_samples)
        with pinned_and_cached():
            state = jax.block_until_ready(train(state, orders, n_epochs, features, target))
        return state[0]

    return call
