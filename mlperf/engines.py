"""How one fit is carried out: the same mini-batches and the same mathematics, three ways.

An engine is a generator function. Each ``next`` carries out one epoch, leaves the module's parameters updated and
yields the mean training loss of that epoch.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from mlperf.compiled import BETAS, layers, load

Engine = Callable[..., Iterator[float]]

# Steps whose mini-batches the compiled engine gathers at a time, so that a large data set is not copied whole.
GATHERED_STEPS = 1_024


def eager(
    module: nn.Sequential,
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[float]:
    """Train with torch's plain Adam, one parameter after the other.

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
    """
    optimiser = torch.optim.Adam(module.parameters(), lr=learning_rate, foreach=False, fused=False)
    yield from _step_by_step(module, X, y, optimiser, batch_size, generator)


def fused(
    module: nn.Sequential,
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[float]:
    """Train with torch's fused Adam, one call for all parameters. Arguments as for `eager`."""
    optimiser = torch.optim.Adam(module.parameters(), lr=learning_rate, fused=True)
    yield from _step_by_step(module, X, y, optimiser, batch_size, generator)


def _step_by_step(
    module: nn.Sequential,
    X: Tensor,
    y: Tensor,
    optimiser: torch.optim.Optimizer,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[float]:
    n_samples = len(X)
    sizes = [min(batch_size, n_samples - start) for start in range(0, n_samples, batch_size)]
    shares = torch.tensor(sizes, dtype=torch.float64) / n_samples
    while True:
        order = torch.randperm(n_samples, generator=generator)
        losses = []
        for X_batch, y_batch in zip(X[order].split(batch_size), y[order].split(batch_size), strict=True):
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(module(X_batch), y_batch)
            loss.backward()
            optimiser.step()
            # Kept as a tensor: reading its number here would cost a call per step.
            losses.append(loss.detach())
        yield float(torch.stack(losses).double() @ shares)


def compiled(
    module: nn.Sequential,
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[float]:
    """Train with forward, backward and Adam in one compiled function. Arguments as for `eager`.

    The first fit of some layer sizes and batch size compiles it, which takes seconds, and keeps it on disk.

    Raises
    ------
    RuntimeError
        If it has to be compiled and no C++ compiler works; before any work.
    """
    n_samples, n_outputs = y.shape
    batch_size = min(batch_size, n_samples)
    linear = [layer for layer in module if isinstance(layer, nn.Linear)]
    sizes = (X.shape[1], *(layer.out_features for layer in linear))
    step = load(sizes, batch_size)
    # The module's parameters become views of the flat ones: they are up to date after every step.
    flat = torch.cat([part.detach().reshape(-1) for layer in linear for part in (layer.weight.t(), layer.bias)])
    for layer, (W, b) in zip(linear, layers(flat, sizes), strict=True):
        layer.weight.data, layer.bias.data = W.t(), b
    mean, square = torch.zeros_like(flat), torch.zeros_like(flat)

    n_steps = -(-n_samples // batch_size)
    n_last = n_samples - (n_steps - 1) * batch_size
    weight = torch.full((batch_size, 1), 1 / (batch_size * n_outputs), dtype=torch.float32)
    last_weight = torch.zeros_like(weight)
    last_weight[:n_last] = 1 / (n_last * n_outputs)
    shares = torch.full((n_steps,), batch_size / n_samples, dtype=torch.float64)
    shares[-1] = n_last / n_samples

    # Mini-batches are gathered in the same place again and again, so the arguments of the steps stay the same.
    gathered = min(n_steps, GATHERED_STEPS)
    X_rows, y_rows = X.new_zeros((gathered * batch_size, sizes[0])), y.new_zeros((gathered * batch_size, n_outputs))
    rates = torch.zeros((gathered, 2), dtype=torch.float32)
    losses = torch.zeros(n_steps, dtype=torch.float32)
    gathered_losses = torch.zeros(gathered, dtype=torch.float32)
    batches = zip(X_rows.split(batch_size), y_rows.split(batch_size), rates, gathered_losses, strict=True)
    arguments = [[flat, mean, square, X_batch, y_batch, weight, rate, loss] for X_batch, y_batch, rate, loss in batches]
    steps_done = 0
    while True:
        order = torch.randperm(n_samples, generator=generator)
        for first in range(0, n_steps, gathered):
            rows = order[first * batch_size : (first + gathered) * batch_size]
            torch.index_select(X, 0, rows, out=X_rows[: len(rows)])
            torch.index_select(y, 0, rows, out=y_rows[: len(rows)])
            count = min(gathered, n_steps - first)
            powers = np.arange(steps_done + 1, steps_done + count + 1)
            rates.numpy()[:count, 0] = learning_rate / (1 - BETAS[0] ** powers)
            rates.numpy()[:count, 1] = 1 / np.sqrt(1 - BETAS[1] ** powers)
            full = count - (first + count == n_steps)
            for argument in arguments[:full]:
                step(argument)
            if full < count:
                X_batch, y_batch, _, rate, loss = arguments[full][3:]
                step([flat, mean, square, X_batch, y_batch, last_weight, rate, loss])
            losses[first : first + count] = gathered_losses[:count]
            steps_done += count
        yield float(losses.double() @ shares)


ENGINES: dict[str, Engine] = {"eager": eager, "fused": fused, "compiled": compiled}
