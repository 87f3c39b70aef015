"""What a user would train with instead: other libraries, each set to the same network, batches, steps and optimiser.

Every function returns an object with ``fit(X, y)`` and ``predict(X)`` on standardised data. The libraries are imported
inside the functions: those that are not installed are not needed.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from mlperf.training.compiled import cache_folder
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE


def _module(n_features: int, hidden: Sequence[int]) -> nn.Sequential:
    sizes = [n_features, *hidden, 1]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class _Torch:
    """A torch module that another library, or a plain loop, trains."""

    module: nn.Module

    def predict(self, X: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.module(torch.as_tensor(X, dtype=torch.float32))[:, 0].numpy()


def dataloader(hidden: Sequence[int], max_iter: int) -> Any:
    """Return plain torch, as its tutorials train: DataLoader and Adam.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer.
    max_iter : int
        Epochs.

    Returns
    -------
    object
        With ``fit(X, y)`` and ``predict(X)`` on standardised data: X of shape (n_samples, n_features), y and what is
        predicted of shape (n_samples,).

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.rivals.peers import dataloader
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> dataloader((8,), 2).fit(X, X[:, 0]).predict(X).shape
    (100,)
    """
    from torch.utils.data import DataLoader, TensorDataset

    class Plain(_Torch):
        def fit(self, X: np.ndarray, y: np.ndarray) -> "Plain":
            self.module = _module(X.shape[1], hidden)
            optimizer = torch.optim.Adam(self.module.parameters(), lr=LEARNING_RATE)
            data = TensorDataset(*(torch.as_tensor(part, dtype=torch.float32) for part in (X, y[:, None])))
            loader = DataLoader(data, batch_size=BATCH_SIZE, shuffle=True)
            for _ in range(max_iter):
                for X_batch, y_batch in loader:
                    optimizer.zero_grad()
                    nn.functional.mse_loss(self.module(X_batch), y_batch).backward()
                    optimizer.step()
            return self

    return Plain()


def scikit_learn(hidden: Sequence[int], max_iter: int) -> Any:
    """Return scikit-learn's MLPRegressor without penalty and without stopping early."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    class ScikitLearn(MLPRegressor):
        def fit(self, X: np.ndarray, y: np.ndarray) -> "ScikitLearn":
            with warnings.catch_warnings():  # the epochs are fixed, converged or not
                warnings.simplefilter("ignore", ConvergenceWarning)
                return super().fit(X, y)

    return ScikitLearn(
        hidden_layer_sizes=hidden,
        learning_rate_init=LEARNING_RATE,
        batch_size=BATCH_SIZE,
        max_iter=max_iter,
        n_iter_no_change=max_iter,
        tol=0,
        alpha=0,
        random_state=0,
    )


def skorch(hidden: Sequence[int], max_iter: int) -> Any:
    """Return skorch's NeuralNetRegressor, its log and its own validation split left out."""
    from skorch import NeuralNetRegressor

    class Skorch:
        def fit(self, X: np.ndarray, y: np.ndarray) -> "Skorch":
            self.net = NeuralNetRegressor(
                _module(X.shape[1], hidden),
                max_epochs=max_iter,
                lr=LEARNING_RATE,
                batch_size=BATCH_SIZE,
                optimizer=torch.optim.Adam,
                iterator_train__shuffle=True,
                train_split=None,
                verbose=0,
                callbacks__print_log=None,
            )
            self.net.fit(X.astype(np.float32), y.astype(np.float32)[:, None])
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return self.net.predict(X.astype(np.float32))[:, 0]

    return Skorch()


def lightning(hidden: Sequence[int], max_iter: int) -> Any:
    """Return Lightning's Trainer without logger, checkpoints, progress bar and summary."""
    import logging

    from lightning.pytorch import LightningModule, Trainer
    from torch.utils.data import DataLoader, TensorDataset

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)

    class Network(LightningModule):
        def __init__(self, n_features: int) -> None:
            super().__init__()
            self.network = _module(n_features, hidden)

        def training_step(self, batch: Any) -> torch.Tensor:
            return nn.functional.mse_loss(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)

    class Lightning(_Torch):
        def fit(self, X: np.ndarray, y: np.ndarray) -> "Lightning":
            network = Network(X.shape[1])
            data = TensorDataset(*(torch.as_tensor(part, dtype=torch.float32) for part in (X, y[:, None])))
            trainer = Trainer(
                accelerator="cpu",
                max_epochs=max_iter,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(network, DataLoader(data, batch_size=BATCH_SIZE, shuffle=True))
            self.module = network.network
            return self

    return Lightning()


@cache
def _keras_model(n_features: int, hidden: tuple[int, ...]) -> tuple[Any, Any]:
    """Return Keras's model and its initial weights; kept, as Keras compiles the step of a new model in every fit."""
    _prepare_jax()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras as library

    dense = [library.layers.Dense(units, activation="relu") for units in hidden]
    model = library.Sequential([library.Input((n_features,)), *dense, library.layers.Dense(1)])
    model.compile(optimizer=library.optimizers.Adam(LEARNING_RATE), loss="mse")
    return model, model.get_weights()


def keras(hidden: Sequence[int], max_iter: int) -> Any:
    """Return Keras 3 on JAX."""

    class Keras:
        def fit(self, X: np.ndarray, y: np.ndarray) -> "Keras":
            self.model, initial = _keras_model(X.shape[1], tuple(hidden))
            self.model.set_weights(initial)
            for variable in self.model.optimizer.variables[2:]:  # after the steps taken and the learning rate
                variable.assign(np.zeros(variable.shape))
            self.model.optimizer.iterations.assign(0)
            inputs, targets = X.astype(np.float32), y.astype(np.float32)[:, None]
            self.model.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=max_iter, verbose=0)
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return self.model.predict(X.astype(np.float32), verbose=0)[:, 0]

    return Keras()


def _prepare_jax() -> None:
    """Give JAX one thread, as all have here, and a cache on disk for what it compiled, as our engine has."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax as library

    library.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
    library.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@cache
def _jax_parts() -> tuple[Any, Any, Any]:
    """Return JAX's optimiser, prediction and epoch; kept, as JAX compiles a new function anew in every fit."""
    _prepare_jax()
    import jax as library
    import jax.numpy as jnp
    import optax

    def forward(parameters: Any, X: Any) -> Any:
        for W, b in parameters[:-1]:
            X = library.nn.relu(X @ W + b)
        W, b = parameters[-1]
        return (X @ W + b)[:, 0]

    optimizer = optax.adam(LEARNING_RATE)

    def step(state: Any, batch: Any) -> Any:
        parameters, moments = state
        loss, gradient = library.value_and_grad(lambda p: jnp.mean((forward(p, batch[0]) - batch[1]) ** 2))(parameters)
        updates, moments = optimizer.update(gradient, moments)
        return (optax.apply_updates(parameters, updates), moments), loss

    def epoch(state: Any, key: Any, X: Any, y: Any) -> Any:
        order = library.random.permutation(key, len(X))
        whole = len(X) // BATCH_SIZE * BATCH_SIZE
        batches = [part[order[:whole]].reshape(-1, BATCH_SIZE, *part.shape[1:]) for part in (X, y)]
        state, losses = library.lax.scan(step, state, batches)
        if whole < len(X):
            state, _ = step(state, (X[order[whole:]], y[order[whole:]]))
        return state, losses

    return optimizer, forward, library.jit(epoch)


def jax(hidden: Sequence[int], max_iter: int) -> Any:
    """Return JAX written by hand: an epoch is one compiled `lax.scan`, with optax's Adam."""
    optimizer, forward, epoch = _jax_parts()
    import jax as library
    import jax.numpy as jnp

    class Jax:
        def fit(self, X: np.ndarray, y: np.ndarray) -> "Jax":
            inputs, targets = jnp.asarray(X, jnp.float32), jnp.asarray(y, jnp.float32)
            sizes = [X.shape[1], *hidden, 1]
            rng = np.random.default_rng(0)
            parameters = [
                (
                    jnp.asarray(rng.uniform(-(a**-0.5), a**-0.5, (a, b)), jnp.float32),
                    jnp.asarray(rng.uniform(-(a**-0.5), a**-0.5, b), jnp.float32),
                )
                for a, b in pairwise(sizes)
            ]
            state = parameters, optimizer.init(parameters)
            for key in library.random.split(library.random.key(0), max_iter):
                state, losses = epoch(state, key, inputs, targets)
            losses.block_until_ready()
            self.parameters = state[0]
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.asarray(forward(self.parameters, jnp.asarray(X, jnp.float32)))

    return Jax()


PEERS: dict[str, tuple[tuple[str, ...], Callable[[Sequence[int], int], Any]]] = {
    "torch, DataLoader": (("torch",), dataloader),
    "scikit-learn": (("sklearn",), scikit_learn),
    "skorch": (("skorch",), skorch),
    "Lightning": (("lightning",), lightning),
    "Keras on JAX": (("keras", "jax"), keras),
    "JAX lax.scan": (("jax", "optax"), jax),
}
"""Name for people, modules that must be installed, and function."""


def installed() -> dict[str, Callable[[Sequence[int], int], Any]]:
    """Return the peers whose library is installed here.

    Returns
    -------
    dict of callable
        From the peer's name to a function of the hidden layer sizes and the number of epochs.

    Examples
    --------
    >>> from mlperf.rivals.peers import installed
    >>> list(installed())[:2]
    ['torch, DataLoader', 'scikit-learn']
    """
    return {name: make for name, (modules, make) in PEERS.items() if all(map(find_spec, modules))}


def missing() -> list[str]:
    """Return the names of the peers that cannot be measured here.

    Examples
    --------
    >>> from mlperf.rivals.peers import installed, missing
    >>> set(missing()) & set(installed())
    set()
    """
    return [name for name in PEERS if name not in installed()]
