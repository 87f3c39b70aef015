"""What the machine allows at most: products, copies, and what it takes to dispatch an operator."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from mlperf.machine import cache_bytes
from mlperf.profilers.timing import seconds_per_call


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
    >>> from mlperf.profilers.ceilings import product_rate
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
        Seconds, summed over the products that `mlperf.profilers.work.step_flops` counts.

    Examples
    --------
    >>> from mlperf.profilers.ceilings import product_seconds
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
    >>> from mlperf.profilers.ceilings import copy_rate
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
    >>> from mlperf.profilers.ceilings import roofs
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
    >>> from mlperf.profilers.ceilings import dispatch_seconds
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
