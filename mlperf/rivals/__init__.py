"""Libraries that a user might train with instead: one file each, set up as their own experts would.

Every file offers ``NAME``, the name for people; ``REQUIRES``, the modules that must be installed; and
``regressor(hidden_layer_sizes, max_iter, *, batch_size)``. A file that needs more than modules, such as a compiler,
says by a function ``available()`` whether it is there. A new file in this folder takes part at once.

All train the same network (ReLU, one linear output) in float32 on mini-batches of the same size, with the same Adam,
for the same number of steps. A process should train with only one of them: what one library sets or starts may slow
down another. They keep what they compile in the package's cache folder.
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
    """The interface of every rival's regressor.

    Attributes
    ----------
    n_steps_ : int
        Steps that the optimiser took in `fit`, as the library counts them, so that none is fast by training less.
    """

    n_steps_: int

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train from scratch, and compile what has not been compiled yet.

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
    """The interface of the function that every file offers: it returns an untrained regressor."""

    def __call__(self, hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
        """Load the library, so that a timed `fit` contains only training and compiling.

        Parameters
        ----------
        hidden_layer_sizes : sequence of int
            Units of each hidden layer.
        max_iter : int
            Epochs.
        batch_size : int, default=64
            Samples of one mini-batch; the last one of an epoch may be smaller.

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
        The function `regressor` of each rival, by the rival's name.

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
