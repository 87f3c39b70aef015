"""What the machine allows at most: the rates of products, by each library that is there, and of copies."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mlperf.machine import cache_bytes
from mlperf.profilers import libxsmm
from mlperf.profilers.timing import seconds_per_call


def product_rate(n_rows: int, n_inner: int, n_columns: int, *, library: str = "torch.mm") -> float:
    """Measure the rate at which two float32 matrices that fit are multiplied.

    Parameters
    ----------
    n_rows, n_inner, n_columns : int
        The product is of shapes (n_rows, n_inner) and (n_inner, n_columns).
    library : {"torch.mm", "oneDNN", "libxsmm"}, default="torch.mm"
        What multiplies: the BLAS that torch was built with, which is what a network gets and which here writes into
        a matrix that is there already; oneDNN, another library in torch, with both matrices in its own layout and a
        matrix made anew at each call; or `libxsmm`, where it is installed. On processors that the BLAS was not made
        for, oneDNN can be twice as fast at large products. It is slower at small ones, for which libxsmm was made.

    Returns
    -------
    float
        Floating-point operations per second, with the threads that torch has now; libxsmm has one.

    Raises
    ------
    ValueError
        If there is no such library here.

    Examples
    --------
    >>> from mlperf.profilers.ceilings import product_rate
    >>> product_rate(64, 64, 64) > product_rate(1, 1, 1)
    True
    """
    if library not in libraries():
        raise ValueError(
            f"The 'library' parameter of product_rate must be one of {libraries()} here. Got {library!r} instead."
        )
    left, right, out = _random(n_rows, n_inner), _random(n_inner, n_columns), _random(n_rows, n_columns)
    if library == "torch.mm":
        seconds = seconds_per_call(lambda: torch.mm(left, right, out=out))
    elif library == "libxsmm":
        seconds = seconds_per_call(libxsmm.product(left, right, out))
    else:
        theirs, weight = left.to_mkldnn(), right.t().contiguous().to_mkldnn()
        with torch.no_grad():
            seconds = seconds_per_call(lambda: torch.nn.functional.linear(theirs, weight))
    return 2 * n_rows * n_inner * n_columns / seconds


def libraries() -> list[str]:
    """Return the libraries that multiply matrices here: those of this torch, and libxsmm where it is installed.

    Examples
    --------
    >>> from mlperf.profilers.ceilings import libraries
    >>> libraries()[0]
    'torch.mm'
    """
    there = {"torch.mm": True, "oneDNN": torch.backends.mkldnn.is_available(), "libxsmm": libxsmm.is_installed()}
    return [name for name, is_there in there.items() if is_there]


def product_seconds(layer_sizes: Sequence[int], n_rows: int, *, library: str = "torch.mm") -> float:
    """Measure what the matrix products of one training step take if each is run by itself, again and again.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs.
    n_rows : int
        Rows in the mini-batch.
    library : {"torch.mm", "oneDNN", "libxsmm"}, default="torch.mm"
        As for `product_rate`.

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
            total += 2 * math.prod(shape) / product_rate(*shape, library=library)
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
    source = _random(max(1, n_bytes // 8))
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
        In floating-point operations per second, ``"product_flop_per_second"``, by :func:`torch.mm`, and
        ``"onednn_product_flop_per_second"`` where there is oneDNN: the larger one is the roof. In bytes per second,
        ``"L2_bytes_per_second"`` and ``"L3_bytes_per_second"`` as far as they are known, by copies that fill half of
        one, and ``"memory_bytes_per_second"``. A copy within the first level is over before its own dispatch is, so it
        would tell nothing of that cache.

    References
    ----------
    S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance model for multicore
    architectures", Communications of the ACM 52(4), 2009.

    Examples
    --------
    >>> from mlperf.profilers.ceilings import roofs
    >>> {"product_flop_per_second", "memory_bytes_per_second"} <= set(roofs((256, 256, 256), 10_000_000))
    True
    """
    names = {"torch.mm": "product", "oneDNN": "onednn_product"}
    there = [library for library in libraries() if library in names]
    products = {f"{names[library]}_flop_per_second": product_rate(*product, library=library) for library in there}
    copies = {level: size // 2 for level, size in cache_bytes().items() if level != "L1d"}
    copies["memory"] = n_bytes
    return products | {f"{place}_bytes_per_second": copy_rate(size) for place, size in copies.items()}


def _random(*shape: int) -> Tensor:
    """Return random numbers in float32 on the CPU, whatever torch's defaults are."""
    return torch.rand(shape, dtype=torch.float32, device="cpu")
