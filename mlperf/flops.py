"""Floating-point work of a network, and the ceilings that the machine sets: products, copies, dispatch."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import perf_counter

import torch
from torch.utils.flop_counter import FlopCounterMode

# A timed interval shorter than this is mostly the clock's own resolution and the interpreter's jitter.
SHORTEST = 0.005


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


def seconds_per_call(call: Callable[[], object], *, at_least: float = SHORTEST) -> float:
    """Time a call that is too short for one interval of its own.

    Parameters
    ----------
    call : callable
        Called without arguments: once uncounted, then in runs that double until one is long enough.
    at_least : float, default=0.005
        Shortest interval, in seconds, that counts.

    Returns
    -------
    float
        Seconds of the last run divided by its calls; the loop around them is a part of it.
    """
    call()
    n_calls = 1
    while True:
        start = perf_counter()
        for _ in range(n_calls):
            call()
        elapsed = perf_counter() - start
        if elapsed >= at_least:
            return elapsed / n_calls
        # Aim a little beyond, so that noise does not ask for one more round each time.
        n_calls = max(2 * n_calls, int(1.2 * n_calls * at_least / elapsed))


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
    """
    source = torch.rand(max(1, n_bytes // 8))
    target = torch.empty_like(source)
    return 8 * len(source) / seconds_per_call(lambda: target.copy_(source))


def dispatch_seconds() -> dict[str, float]:
    """Measure what an operator costs that has nothing to do: on tensors of shape (1, 1).

    Returns
    -------
    dict of float
        Seconds per call of a few operators that a training step is made of, each with the tensor it makes.
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
