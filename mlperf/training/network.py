"""A network with its initial weights, and steps of its training without an estimator around them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from mlperf.protocol import LEARNING_RATE


@contextmanager
def usual_torch() -> Iterator[None]:
    """Undo what a caller may have set: that torch records no gradients, or makes tensors on another device.

    Examples
    --------
    >>> import torch
    >>> from mlperf.training.network import usual_torch
    >>> with torch.device("meta"), usual_torch():
    ...     torch.zeros(1).device
    device(type='cpu')
    """
    with torch.inference_mode(False), torch.enable_grad():
        if torch.get_default_device().type == "cpu":
            yield
        else:  # this context slows down every call of torch
            with torch.device("cpu"):
                yield


def network(layer_sizes: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Make a network, initialised as by `torch.nn.Linear` but from a given generator.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs, with ReLU between them.
    generator : torch.Generator
        Draws weights and biases; torch's global generator is left as it was.

    Returns
    -------
    nn.Sequential of nn.Linear and nn.ReLU
        On the CPU, in float32, whatever torch's defaults are.

    Examples
    --------
    >>> import torch
    >>> from mlperf.training.network import network
    >>> network([5, 32, 1], torch.Generator().manual_seed(0))
    Sequential(
      (0): Linear(in_features=5, out_features=32, bias=True)
      (1): ReLU()
      (2): Linear(in_features=32, out_features=1, bias=True)
    )
    """
    layers: list[nn.Module] = []
    for n_inputs, n_outputs in pairwise(layer_sizes):
        with torch.random.fork_rng(devices=[]):  # nn.Linear's own draws are not used, and must leave no trace
            linear = nn.Linear(n_inputs, n_outputs, device="cpu", dtype=torch.float32)
        for parameter in (linear.weight, linear.bias):
            nn.init.uniform_(parameter, -(n_inputs**-0.5), n_inputs**-0.5, generator=generator)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def training_steps(
    engine: Callable[..., Iterator[float]],
    layer_sizes: Sequence[int],
    n_rows: int,
    n_steps: int,
    *,
    device: str = "cpu",
) -> Callable[[], float]:
    """Return a callable that trains a network on random data for an epoch, to be timed, counted or profiled.

    Parameters
    ----------
    engine : callable
        One of `mlperf.training.engines.ENGINES`, or a function like them. Its first epoch, in which it compiles and
        makes the optimiser's state, is carried out here.
    layer_sizes : sequence of int
        As for `network`.
    n_rows : int
        Rows in the mini-batch.
    n_steps : int
        Training steps of an epoch, which each call carries out.
    device : str, default="cpu"
        Where the network and the data lie.

    Returns
    -------
    callable
        Without arguments; returns the mean loss of its epoch.

    Examples
    --------
    >>> from mlperf.training.engines import eager
    >>> from mlperf.profilers.work import counted_flops
    >>> from mlperf.training.network import training_steps
    >>> counted_flops(training_steps(eager, [5, 32, 1], n_rows=64, n_steps=2))  # twice what `step_flops` says
    106496
    """
    generator = torch.Generator().manual_seed(0)
    columns = (layer_sizes[0], layer_sizes[-1])
    drawn = (torch.randn(n_steps * n_rows, n, generator=generator, dtype=torch.float32) for n in columns)
    X, y = (data.to(device) for data in drawn)
    module = network(layer_sizes, generator).to(device)
    epochs = engine(module, X, y, learning_rate=LEARNING_RATE, batch_size=n_rows, generator=generator)
    next(epochs)
    return partial(next, epochs)
