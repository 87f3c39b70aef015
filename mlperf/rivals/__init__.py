"""What a user would train with instead: one file a library, each set up as its own experts would.

Every file offers ``NAME``, the name for people; ``REQUIRES``, the modules that must be installed; and
``regressor(hidden_layer_sizes, max_iter, *, batch_size)``. A file that needs more than modules says whether it is there
by a function ``available()``. A new file takes part as soon as it lies here.

All train the same network (ReLU, one linear output) in float32 on mini-batches of the same size, with the same Adam,
for the same number of steps. Each process should train with one of them: what one library sets or starts may slow
another. What they compile they keep in the package's folder of caches.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Protocol, Self

import numpy as np

from mlperf.machine import answer
from mlperf.protocol import BATCH_SIZE


class Regressor(Protocol):
    """What every rival trains.

    Attributes
    ----------
    n_steps_ : int
        Steps that the optimiser took in `fit`, as the library counts them: nobody is fast by training less.
    """

    n_steps_: int

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train from scratch, compiling what is not compiled yet.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Standardised features.
        y : ndarray of shape (n_samples,)
            Standardised target.

        Returns
        -------
        Regressor
            Itself.
        """
        ...

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the standardised target.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Standardised features.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions.
        """
        ...


class Rival(Protocol):
    """What every file offers: a function that returns a regressor that is not trained yet."""

    def __call__(self, hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
        """Load the library: a timed `fit` is training, and compiling, alone.

        Parameters
        ----------
        hidden_layer_sizes : sequence of int
            Units of each hidden layer.
        max_iter : int
            Epochs.
        batch_size : int, default=64
            Samples of one mini-batch; the last one keeps what is left.

        Returns
        -------
        Regressor
            For standardised data.
        """
        ...


def installed() -> dict[str, Rival]:
    """Return the rivals that can be trained here, without loading their libraries.

    Returns
    -------
    dict of callable
        From the rival's name to its function `regressor`.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.rivals import installed
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> scikit_learn = installed()["scikit-learn"]
    >>> scikit_learn((8,), 2).fit(X, X[:, 0]).predict(X).shape
    (100,)
    """
    there = _installed()
    return {module.NAME: module.regressor for module in _modules() if module.NAME in there}


def missing() -> list[str]:
    """Return the names of the rivals that cannot be trained here.

    Returns
    -------
    list of str
        Names, in the order of their files.

    Examples
    --------
    >>> from mlperf.rivals import installed, missing
    >>> set(missing()) & set(installed())
    set()
    """
    there = _installed()
    return [module.NAME for module in _modules() if module.NAME not in there]


def _installed() -> list[str]:
    return list(answer("rivals", lambda: [module.NAME for module in _modules() if _is_installed(module)]))


def _modules() -> list[ModuleType]:
    names = [found.name for found in iter_modules(__path__) if not found.name.startswith("_")]
    return [import_module(f"{__name__}.{name}") for name in names]


def _is_installed(module: ModuleType) -> bool:
    if not all(find_spec(name) for name in module.REQUIRES):
        return False
    return bool(module.available()) if hasattr(module, "available") else True
