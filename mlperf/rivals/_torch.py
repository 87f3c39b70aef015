"""The torch module that skorch, Lightning, torch.compile and a plain loop train."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch import nn

Train = Callable[[nn.Module, torch.Tensor, torch.Tensor], int]
"""Trains the module on features (n_samples, n_features) and targets (n_samples, 1); returns the steps taken."""


class TorchRegressor:
    """A multi-layer perceptron in torch that a given function trains.

    Parameters
    ----------
    train : callable
        Called with the module, the features of shape (n_samples, n_features) and the targets of shape (n_samples, 1);
        returns how many steps the optimiser took.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.

    Attributes
    ----------
    module_ : torch.nn.Sequential
        The trained network.
    n_steps_ : int
        Steps that the optimiser took.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.rivals._torch import TorchRegressor
    >>> untrained = TorchRegressor(lambda module, X, y: 0, (8,))
    >>> untrained.fit(np.zeros((3, 2)), np.zeros(3)).predict(np.zeros((4, 2))).shape
    (4,)
    """

    module_: nn.Module
    n_steps_: int

    def __init__(self, train: Train, hidden_layer_sizes: Sequence[int]) -> None:
        self.train = train
        self.hidden_layer_sizes = hidden_layer_sizes

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train a new network; shapes as in `mlperf.rivals.Regressor`."""
        self.module_ = network(X.shape[1], self.hidden_layer_sizes)
        features = torch.as_tensor(X, dtype=torch.float32)
        targets = torch.as_tensor(y, dtype=torch.float32)[:, None]
        self.n_steps_ = self.train(self.module_, features, targets)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the standardised target; shapes as in `mlperf.rivals.Regressor`."""
        with torch.inference_mode():
            return self.module_(torch.as_tensor(X, dtype=torch.float32))[:, 0].numpy()


def network(n_features: int, hidden_layer_sizes: Sequence[int]) -> nn.Sequential:
    """Return the network that all rivals train, initialised as torch does.

    Parameters
    ----------
    n_features : int
        Features of a sample.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.

    Returns
    -------
    torch.nn.Sequential
        Linear layers with ReLU in between, and one linear output.

    Examples
    --------
    >>> from mlperf.rivals._torch import network
    >>> len(network(5, (64, 32)))
    5
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([n_features, *hidden_layer_sizes, 1]):
        layers += [nn.Linear(n_in, n_out, dtype=torch.float32), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def steps_taken(optimizer: torch.optim.Optimizer) -> int:
    """Return how many steps an optimiser counted.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        One that keeps the count, as Adam does.

    Returns
    -------
    int
        Steps.

    Examples
    --------
    >>> import torch
    >>> from mlperf.rivals._torch import steps_taken
    >>> weight = torch.zeros(1, requires_grad=True)
    >>> weight.grad = torch.ones(1)
    >>> optimizer = torch.optim.Adam([weight])
    >>> optimizer.step()
    >>> steps_taken(optimizer)
    1
    """
    return int(next(iter(optimizer.state.values()))["step"])
