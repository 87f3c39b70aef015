"""The engine ``fused``: operators of torch called one by one, without autograd, over flat parameters."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from mlperf.training.distributed import Workers
from mlperf.training.epochs import Work, epochs
from mlperf.training.kernel import BETAS, EPSILON
from mlperf.training.parameters import flatten, layers


def fused(
    module: nn.Sequential,
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    generator: torch.Generator,
    workers: Workers | None = None,
    recorded: Callable[[Work], Work] | None = None,
) -> Iterator[float]:
    """Train with the gradient written out, and torch's fused Adam in one call for all parameters.

    No graph is recorded and no compiler needed. Other arguments as for `eager`.

    Parameters
    ----------
    workers : Workers, optional
        The processes that share each mini-batch. They add up their gradients before each step of Adam.
    recorded : callable, optional
        As for `mlperf.training.epochs.epochs`.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlperf.training.fused import fused
    >>> X, module = torch.randn(128, 5), nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> fit = fused(module, X, X[:, :1], learning_rate=0.01, batch_size=64, generator=torch.Generator().manual_seed(0))
    >>> first, second = next(fit), next(fit)
    >>> second < first
    True
    """
    flat, sizes = flatten(module)
    sums = flat.new_empty(len(flat) + 2)  # room for the loss and the number of rows, which workers add up too
    gradient = sums[:-2]
    parameters, gradients = layers(flat, sizes), layers(gradient, sizes)
    # The optimiser's functional form: the class would import torch's compiler stack, and check more in each step.
    mean, square, steps = torch.zeros_like(flat), torch.zeros_like(flat), flat.new_zeros(())
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
        delta = prediction.sub_(y_batch).mul_(2 / max(1, y_batch.numel()))
        for i in reversed(range(len(parameters))):
            of_W, of_b = gradients[i]
            torch.mm(outputs[i].t(), delta, out=of_W)
            torch.sum(delta, 0, out=of_b)
            if i:
                delta = torch.mm(delta, parameters[i][0].t()).mul_(outputs[i] > 0)
        if workers is not None:
            loss = workers.average(sums, loss, len(X_batch))
        adam([flat], [gradient], [mean], [square], [], [steps], **settings)
        return loss

    return epochs(step, X, y, batch_size, generator, workers, recorded)
