"""Floating-point work of a network, and the ceilings that the machine sets: products, copies, dispatch."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlperf.machine import cache_bytes
from mlperf.protocol import LEARNING_RATE
from mlperf.timing import seconds_per_call


def step_flops(layer_sizes: Sequence[int], n_rows: int) -> int:
    """Return the floating-point operations in the matrix products of one training step.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs, at least two.
    n_rows : int
        Rows in the mini-batch.

    Returns
    -------
    int
        A product of (m, k) and (k, n) counts as 2 m k n. Forward there is one a layer; backward one for the
        gradient of the weights, and from the second layer on one for the gradient of what the layer got:
        nobody asks for the gradient of the data.

    Raises
    ------
    ValueError
        If there are fewer than two layers or a number is below 1.

    Examples
    --------
    >>> from mlperf.flops import step_flops
    >>> step_flops([5, 32, 1], 64)  # twice for the first layer, three times for the second
    53248
    """
    if len(layer_sizes) < 2 or min(layer_sizes) < 1:
        raise ValueError(
            "The 'layer_sizes' parameter of step_flops must be at least two ints of at least 1. "
            f"Got {layer_sizes!r} instead."
        )
    if n_rows < 1:
        raise ValueError(f"The 'n_rows' parameter of step_flops must be an int of at least 1. Got {n_rows!r} instead.")
    weights = [n_inputs * n_outputs for n_inputs, n_outputs in pairwise(layer_sizes)]
    return 2 * n_rows * (3 * sum(weights) - weights[0])


def step_bytes(layer_sizes: Sequence[int], n_rows: int) -> int:
    """Return the bytes that one training step with Adam cannot avoid to move, in float32.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs.
    n_rows : int
        Rows in the mini-batch.

    Returns
    -------
    int
        Each parameter is read forward and backward and its gradient written; Adam reads the parameter, its
        gradient and two moments, and writes all but the gradient. Each layer's output is written and read, and
        so is its gradient.

    Examples
    --------
    >>> from mlperf.flops import step_bytes
    >>> step_bytes([5, 32, 1], 64) > step_bytes([5, 32, 1], 32)
    True
    """
    parameters = sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in pairwise(layer_sizes))
    return 4 * (10 * parameters + 4 * n_rows * sum(layer_sizes[1:]))


def counted_flops(call: Callable[[], object]) -> int:
    """Count the floating-point operations of the products that a call hands to torch.

    Parameters
    ----------
    call : callable
        Called once without arguments under :class:`torch.utils.flop_counter.FlopCounterMode`, which knows
        products, convolutions and attention, not operations on single elements.

    Returns
    -------
    int

    Examples
    --------
    >>> import torch
    >>> from mlperf.flops import counted_flops
    >>> counted_flops(lambda: torch.ones(4, 8) @ torch.ones(8, 2))
    128
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def training_steps(
    engine: Callable[..., Iterator[float]], layer_sizes: Sequence[int], n_rows: int, n_steps: int
) -> Callable[[], float]:
    """Return a call that trains a network on random data, ready to be timed, counted or profiled.

    Parameters
    ----------
    engine : callable
        One of `mlperf.engines.ENGINES`. Its first epoch, which compiles what has to be and makes the optimiser's
        state, is carried out here.
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs, with ReLU between them.
    n_rows : int
        Rows in the mini-batch.
    n_steps : int
        Training steps that a call carries out: an epoch.

    Returns
    -------
    callable
        Without arguments; returns the mean loss of its epoch.

    Examples
    --------
    >>> from mlperf.engines import eager
    >>> from mlperf.flops import counted_flops, training_steps
    >>> counted_flops(training_steps(eager, [5, 32, 1], n_rows=64, n_steps=2))  # twice what `step_flops` says
    106496
    """
    layers = [layer for pair in pairwise(layer_sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    X, y = (torch.randn(n_steps * n_rows, columns) for columns in (layer_sizes[0], layer_sizes[-1]))
    settings = {"learning_rate": LEARNING_RATE, "batch_size": n_rows, "generator": torch.Generator()}
    epochs = engine(nn.Sequential(*layers[:-1]), X, y, **settings)
    next(epochs)
    return partial(next, epochs)


def product_rate(n_rows: int, n_inner: int, n_columns: int) -> float:
    """Measure the rate at which torch multiplies two float32 matrices that fit.

    Parameters
    ----------
    n_rows, n_inner, n_columns : int
        The product is of shapes (n_rows, n_inner) and (n_inner, n_columns), into a matrix that is there already.

    Returns
    -------
    float
        Floating-point operations per second, with the threads that torch has now.

    Examples
    --------
    >>> from mlperf.flops import product_rate
    >>> product_rate(64, 64, 64) > product_rate(1, 1, 1)
    True
    """
    left, right = torch.rand(n_rows, n_inner), torch.rand(n_inner, n_columns)
    out = torch.empty(n_rows, n_columns)
    return 2 * n_rows * n_inner * n_columns / seconds_per_call(lambda: torch.mm(left, right, out=out))


def product_seconds(layer_sizes: Sequence[int], n_rows: int) -> float:
    """Measure what the matrix products of one training step take if each is run by itself, again and again.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs.
    n_rows : int
        Rows in the mini-batch.

    Returns
    -------
    float
        Seconds, summed over the products that `step_flops` counts.

    Examples
    --------
    >>> from mlperf.flops import product_seconds
    >>> product_seconds([5, 32, 1], 64) > 0
    True
    """
    total = 0.0
    for layer, (n_inputs, n_outputs) in enumerate(pairwise(layer_sizes)):
        forward, of_weights = (n_rows, n_inputs, n_outputs), (n_outputs, n_rows, n_inputs)
        of_inputs = (n_rows, n_outputs, n_inputs)
        for shape in (forward, of_weights, of_inputs) if layer else (forward, of_weights):
            total += 2 * math.prod(shape) / product_rate(*shape)
    return total


def copy_rate(n_bytes: int) -> float:
    """Measure the rate at which torch moves memory: a copy of one float32 tensor into another.

    Parameters
    ----------
    n_bytes : int
        Read and written together, so that this is what has to fit into a cache.

    Returns
    -------
    float
        Bytes per second, those read and those written.

    Examples
    --------
    >>> from mlperf.flops import copy_rate
    >>> copy_rate(1_000_000) > 0
    True
    """
    source = torch.rand(max(1, n_bytes // 8))
    target = torch.empty_like(source)
    return 8 * len(source) / seconds_per_call(lambda: target.copy_(source))


def roofs(product: tuple[int, int, int], n_bytes: int) -> dict[str, float]:
    """Measure what no work can exceed on this machine: the roofs of a roofline.

    Parameters
    ----------
    product : tuple of three int
        Shape of a matrix product that is large enough to run at full rate, as for `product_rate`.
    n_bytes : int
        What a copy moves that fits into no cache.

    Returns
    -------
    dict of float
        ``"product"``, in floating-point operations per second; then, in bytes per second, ``"L2"`` and ``"L3"`` as
        far as they are known, by copies that fill half of one, and ``"memory"``. A copy within the first level is
        over before its own dispatch is, so it would tell nothing of that cache.

    References
    ----------
    S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance model for multicore
    architectures", Communications of the ACM 52(4), 2009.

    Examples
    --------
    >>> from mlperf.flops import roofs
    >>> {"product", "memory"} <= set(roofs((256, 256, 256), 10_000_000))
    True
    """
    copies = {level: size // 2 for level, size in cache_bytes().items() if level != "L1d"}
    copies["memory"] = n_bytes
    return {"product": product_rate(*product), **{place: copy_rate(size) for place, size in copies.items()}}


def dispatch_seconds() -> dict[str, float]:
    """Measure what an operator costs that has nothing to do: on tensors of shape (1, 1).

    Returns
    -------
    dict of float
        Seconds per call of a few operators that a training step is made of, each with the tensor it makes.

    Examples
    --------
    >>> from mlperf.flops import dispatch_seconds
    >>> all(seconds > 0 for seconds in dispatch_seconds().values())
    True
    """
    one = torch.rand(1, 1)
    calls = {
        "aten::mm": lambda: torch.mm(one, one),
        "aten::addmm": lambda: torch.addmm(one, one, one),
        "aten::add": lambda: torch.add(one, one),
        "aten::relu": lambda: torch.relu(one),
        "aten::sum": lambda: torch.sum(one, 0),
        "aten::t": lambda: one.t(),
    }
    with torch.no_grad():
        return {name: seconds_per_call(call) for name, call in calls.items()}
