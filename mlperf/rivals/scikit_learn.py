"""The ``MLPRegressor`` of scikit-learn: the same network in NumPy, without a framework.

Penalty, early stopping and the check for convergence are off (``alpha=0``, ``tol=0``, ``n_iter_no_change=max_iter``),
so that it takes as many steps as the others. The data are given as float32, so that it computes in float32, as all
others do. Its BLAS uses the threads that a measurement allows.
"""

import warnings
from collections.abc import Sequence
from typing import Self

import numpy as np

from mlperf.protocol import BATCH_SIZE, LEARNING_RATE
from mlperf.rivals import Regressor

NAME = "scikit-learn"
REQUIRES = ("sklearn",)


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return scikit-learn's regressor; parameters as in `mlperf.rivals.dataloader`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    class ScikitLearn(MLPRegressor):
        n_steps_: int

        def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
            with warnings.catch_warnings():  # the epochs are fixed, converged or not
                warnings.simplefilter("ignore", ConvergenceWarning)
                super().fit(X.astype(np.float32), y.astype(np.float32))
            self.n_steps_ = self.n_iter_ * -(-len(X) // batch_size)
            return self

    return ScikitLearn(
        hidden_layer_sizes=tuple(hidden_layer_sizes),
        learning_rate_init=LEARNING_RATE,
        batch_size=batch_size,
        max_iter=max_iter,
        n_iter_no_change=max_iter,
        tol=0,
        alpha=0,
        random_state=0,
    )
