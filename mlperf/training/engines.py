"""How one fit is carried out: the same mini-batches and the same mathematics, three ways.

An engine is a generator function. Each ``next`` carries out one epoch, leaves the module's parameters updated and
yields the mean training loss of that epoch.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from mlperf.training.compiled import BETAS, EPSILON, check_compiler, load
from mlperf.training.parameters import flatten, layers

Engine = Callable[..., Iterator[float]]

# Steps whose mini-batches are gathered at a time, so that a large data set is not copied whole.
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
    >>> from mlperf.training.engines import eager
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
    >>> from mlperf.training.engines import by_autograd
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

    return _epochs(step, X, y, batch_size, generator)


def fused(
    module: nn.Sequential,
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[float]:
    """Train with the gradient written out, and torch's fused Adam in one call for all parameters.

    No graph is recorded and no compiler needed. Arguments as for `eager`.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlperf.training.engines import fused
    >>> X, module = torch.randn(128, 5), nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> fit = fused(module, X, X[:, :1], learning_rate=0.01, batch_size=64, generator=torch.Generator().manual_seed(0))
    >>> first, second = next(fit), next(fit)
    >>> second < first
    True
    """
    flat, sizes = flatten(module)
    gradient = torch.empty_like(flat)
    parameters, gradients = layers(flat, sizes), layers(gradient, sizes)
    # The optimiser's functional form: the class would import torch's compiler stack, and check more in each step.
    mean, square, steps = torch.zeros_like(flat), torch.zeros_like(flat), torch.zeros(())
    settings: dict[str, Any] = {"lr": learning_rate, "beta1": BETAS[0], "beta2": BETAS[1], "eps": EPSILON}
    settings |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False, "foreach": False, "fused": True}

    @torch.no_grad()
    def step(X_batch: Tensor, y_batch: Tensor) -> Tensor:
        outputs = [X_batch]
        for W, b in parameters[:-1]:
            outputs.append(torch.addmm(b, outputs[-1], W).relu_())
        W, b = parameters[-1]
        prediction = torch.addmm(b, outputs[-1], W)
        loss = nn.functional.mse_loss(prediction, y_batch)
        delta = prediction.sub_(y_batch).mul_(2 / y_batch.numel())
        for i in reversed(range(len(parameters))):
            of_W, of_b = gradients[i]
            torch.mm(outputs[i].t(), delta, out=of_W)
            torch.sum(delta, 0, out=of_b)
            if i:
                delta = torch.mm(delta, parameters[i][0].t()).mul_(outputs[i] > 0)
        adam([flat], [gradient], [mean], [square], [], [steps], **settings)
        return loss

    return _epochs(step, X, y, batch_size, generator)


def _epochs(
    step: Callable[[Tensor, Tensor], Tensor], X: Tensor, y: Tensor, batch_size: int, generator: torch.Generator
) -> Iterator[float]:
    """Take one step for each mini-batch, and yield the mean of the losses that the steps return, epoch by epoch."""
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

    Examples
    --------
    >>> from mlperf.data import generate_samples
    >>> from mlperf.model import MLPRegressor
    >>> samples = generate_samples(1_000)
    >>> model = MLPRegressor((32,), engine="compiled")
    >>> model.fit(samples.Xtr, samples.ytr)  # doctest: +SKIP
    MLPRegressor(engine='compiled', hidden_layer_sizes=(32,))
    """
    n_samples, n_outputs = y.shape
    batch_size = min(batch_size, n_samples)
    sizes = (X.shape[1], *(layer.out_features for layer in module if isinstance(layer, nn.Linear)))
    step = load(sizes, batch_size)
    flat, _ = flatten(module)
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
    order = torch.empty(n_samples, dtype=torch.int64)
    steps_done = 0
    while True:
        torch.randperm(n_samples, generator=generator, out=order)
        for first in range(0, n_steps, gathered):
            rows = order[first * batch_size : (first + gathered) * batch_size]
            _gather(X, rows, X_rows), _gather(y, rows, y_rows)
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
"""The engines by name."""


def available() -> list[str]:
    """Return the names of the engines that can train here; the compiled one needs a C++ compiler.

    Examples
    --------
    >>> from mlperf.training.engines import available
    >>> available()[:2]
    ['eager', 'fused']
    """
    try:
        check_compiler()
    except RuntimeError:
        return [name for name in ENGINES if name != "compiled"]
    return list(ENGINES)
