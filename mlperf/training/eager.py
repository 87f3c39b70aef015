"""The engine ``eager``: autograd and an optimiser of torch, as torch's users write the loop."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mlperf.training.epochs import epochs


def eager(
    module: nn.Sequential,
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[float]:
    """Train with autograd and torch's plain Adam, one parameter after the other.

    Parameters
    ----------
    module : nn.Sequential of nn.Linear and nn.ReLU
        Its parameters are updated in place.
    X : Tensor of shape (n_samples, n_features), float32
        Standardised features.
    y : Tensor of shape (n_samples, n_outputs), float32
        Standardised targets.
    learning_rate : float
        Step size of Adam.
    batch_size : int
        Rows in a mini-batch; the last one keeps what is left.
    generator : torch.Generator
        Draws the order of the rows, one ``torch.randperm`` an epoch.

    Yields
    ------
    float
        Mean squared error over the epoch, each mini-batch taken before its own step.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlperf.training.eager import eager
    >>> X, module = torch.randn(128, 5), nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> fit = eager(module, X, X[:, :1], learning_rate=0.01, batch_size=64, generator=torch.Generator().manual_seed(0))
    >>> first, second = next(fit), next(fit)
    >>> second < first
    True
    """
    optimiser = torch.optim.Adam(module.parameters(), lr=learning_rate, foreach=False, fused=False)
    return by_autograd(module, X, y, optimiser, batch_size=batch_size, generator=generator)


def by_autograd(
    module: nn.Module,
    X: Tensor,
    y: Tensor,
    optimiser: torch.optim.Optimizer,
    *,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[float]:
    """Train any module with any optimiser of torch, in the loop that torch's users write. Arguments as for `eager`.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlperf.training.eager import by_autograd
    >>> X, module = torch.randn(128, 5), nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> descent = torch.optim.SGD(module.parameters(), lr=0.1)
    >>> fit = by_autograd(module, X, X[:, :1], descent, batch_size=64, generator=torch.Generator().manual_seed(0))
    >>> first, second = next(fit), next(fit)
    >>> second < first
    True
    """

    def step(X_batch: Tensor, y_batch: Tensor) -> Tensor:
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(module(X_batch), y_batch)
        loss.backward()
        optimiser.step()
        return loss.detach()

    return epochs(step, X, y, batch_size, generator)
