"""What the engines share: the kind of function that they are, and the loop over mini-batches.

An engine is a generator function. Each ``next`` carries out one epoch, leaves the module's parameters updated and
yields the mean training loss of that epoch.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Engine = Callable[..., Iterator[float]]

# Steps whose mini-batches are gathered at a time, so that a large data set is not copied whole.
GATHERED_STEPS = 1_024


def epochs(
    step: Callable[[Tensor, Tensor], Tensor], X: Tensor, y: Tensor, batch_size: int, generator: torch.Generator
) -> Iterator[float]:
    """Take one step for each mini-batch, and yield the mean of the losses that the steps return, epoch by epoch.

    Parameters
    ----------
    step : callable
        Called with the features and the targets of a mini-batch; returns its loss, of shape ().
    X : Tensor of shape (n_samples, n_features)
        Features.
    y : Tensor of shape (n_samples, n_outputs)
        Targets.
    batch_size : int
        Rows in a mini-batch; the last one keeps what is left.
    generator : torch.Generator
        Draws the order of the rows, one ``torch.randperm`` an epoch.

    Yields
    ------
    float
        Mean loss of the epoch's mini-batches, each weighted by its rows.

    Examples
    --------
    >>> import torch
    >>> from mlperf.training.epochs import epochs
    >>> X, y = torch.zeros(5, 3), torch.ones(5, 1)
    >>> next(epochs(lambda X_batch, y_batch: y_batch.mean(), X, y, batch_size=2, generator=torch.Generator()))
    1.0
    """
    n_samples = len(X)
    sizes = [min(batch_size, n_samples - start) for start in range(0, n_samples, batch_size)]
    shares = torch.tensor(sizes, dtype=torch.float64) / n_samples
    gathered = min(n_samples, batch_size * GATHERED_STEPS)
    X_rows, y_rows = X.new_empty((gathered, X.shape[1])), y.new_empty((gathered, y.shape[1]))
    order = X.new_empty(n_samples, dtype=torch.int64)
    while True:
        losses = []  # of tensors: reading their numbers here would cost a call per step
        for rows in torch.randperm(n_samples, generator=generator, out=order).split(gathered):
            shuffled = [_gather(data, rows, out) for data, out in ((X, X_rows), (y, y_rows))]
            losses += [step(*batch) for batch in zip(*(data.split(batch_size) for data in shuffled), strict=True)]
        yield float(torch.stack(losses).double() @ shares)


def _gather(data: Tensor, rows: Tensor, out: Tensor) -> Tensor:
    """Copy rows to the beginning of `out`, which is used again and again, and return that part of it."""
    return torch.index_select(data, 0, rows, out=out[: len(rows)])
