"""What the engines have in common: their interface, and the loop over mini-batches.

An engine is a generator function. Each ``next`` carries out one epoch, leaves the module's parameters updated and
yields the mean training loss of that epoch. Between epochs, the data may be replaced in place by as many rows or fewer:
so `mlperf.training.streamed` hands over one chunk after the other.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mlperf.training.distributed import Workers

Engine = Callable[..., Iterator[float]]
Work = Callable[[Tensor], Tensor]

# Steps whose mini-batches are gathered at a time, so that a large data set is not copied whole.
GATHERED_STEPS = 1_024


def epochs(
    step: Callable[[Tensor, Tensor], Tensor],
    X: Tensor,
    y: Tensor,
    batch_size: int,
    generator: torch.Generator,
    workers: Workers | None = None,
    recorded: Callable[[Work], Work] | None = None,
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
    workers : Workers, optional
        The processes that share each mini-batch; the step gets the rows of this one.
    recorded : callable, optional
        Called with the function that takes the steps on given rows; returns one that does the same, such as
        `mlperf.training.cuda_graph.replayed`.

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
    gathered = min(len(X), batch_size * GATHERED_STEPS)
    X_rows, y_rows = X.new_empty((gathered, X.shape[1])), y.new_empty((gathered, y.shape[1]))
    # Drawn on the CPU, so that it is the same order on every device.
    whole = X.new_empty(len(X), dtype=torch.int64, device="cpu")

    def steps(rows: Tensor) -> Tensor:
        own, shares = (rows, batch_size) if workers is None else workers.share(rows, batch_size)
        shuffled = [_gather(data, own, out) for data, out in ((X, X_rows), (y, y_rows))]
        # Losses stay tensors: reading their values here would cost a call for each step.
        losses = [step(*batch) for batch in zip(*(data.split(shares) for data in shuffled), strict=True)]
        return torch.stack(losses)

    take = steps if recorded is None else recorded(steps)
    while True:
        n_samples = len(X)
        sizes = [min(batch_size, n_samples - start) for start in range(0, n_samples, batch_size)]
        order = torch.randperm(n_samples, generator=generator, out=whole[:n_samples])
        losses = torch.cat([take(rows) for rows in order.to(X.device).split(gathered)]).cpu()
        yield float(losses.double() @ torch.tensor(sizes, dtype=torch.float64) / n_samples)


def _gather(data: Tensor, rows: Tensor, out: Tensor) -> Tensor:
    """Copy rows to the beginning of `out`, which is used again and again, and return that part of it."""
    return torch.index_select(data, 0, rows, out=out[: len(rows)])
