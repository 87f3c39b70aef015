"""The engine ``compiled``: a program written for the network, which trains for an epoch in one call."""

import ctypes
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlperf.training.kernel import source
from mlperf.training.library import load
from mlperf.training.parameters import layer_sizes, separate

FLOP_PER_THREAD = 5_000_000
"""A step is shared out among threads from so many operations for each on, about 25 µs: they wait for each other."""


def compiled(
    module: nn.Sequential,
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    generator: torch.Generator,
    shuffled: bool = True,
    **choices: int,
) -> Iterator[float]:
    """Train with forward, backward and Adam in one compiled function. Other arguments as for `eager`.

    The first fit of some layer sizes compiles it, which takes about a second, and keeps it on disk; it does for any
    number of samples and any mini-batch. Large steps use as many threads as ``torch.get_num_threads()`` says.

    Parameters
    ----------
    shuffled : bool, default=True
        Whether each epoch takes the rows in a new order; without it, as they lie, which is for experiments.
    **choices : int
        Choices of `mlperf.training.kernel.source`, for experiments.

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
    sizes, n_samples = layer_sizes(module), len(X)
    _check(module, X, y, sizes)
    functions = load(source(sizes, **choices)).functions
    separate(module)
    n_threads = threads_for(sizes, min(batch_size, n_samples))
    functions.mlperf_memory.restype = ctypes.c_int64
    memory = torch.zeros(functions.mlperf_memory(n_threads), dtype=torch.uint8)
    # All that the program is given the address of is held here, so that it stays where it is.
    X, y, order, powers = X.contiguous(), y.contiguous(), torch.arange(n_samples), np.ones(2)
    tensors = [parameter.detach() for parameter in module.parameters()]
    addresses = (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
    arguments: list[Any] = [
        ctypes.c_void_p(memory.data_ptr()),
        addresses,
        *(ctypes.c_void_p(data.data_ptr()) for data in (X, y, order)),
        ctypes.c_int64(n_samples),
        ctypes.c_int64(batch_size),
        ctypes.c_double(learning_rate),
        ctypes.c_void_p(powers.ctypes.data),
        ctypes.c_int(n_threads),
    ]
    train = functions.mlperf_epoch
    train.restype = ctypes.c_double
    while True:
        if shuffled:
            torch.randperm(n_samples, generator=generator, out=order)
        yield train(*arguments)


def threads_for(sizes: Sequence[int], n_rows: int) -> int:
    """Return among how many threads a step of so many rows is shared out.

    Examples
    --------
    >>> from mlperf.training.compiled import threads_for
    >>> threads_for((5, 32, 1), n_rows=64)
    1
    """
    flop = 6 * n_rows * sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    return max(1, min(torch.get_num_threads(), n_rows, flop // FLOP_PER_THREAD))


def compile_seconds(sizes: Sequence[int], **choices: int) -> float:
    """Return how long it took to compile the program when that was done; it is done now, if it was not.

    Parameters
    ----------
    sizes : sequence of int
        Features, units of each hidden layer, outputs.
    **choices : int
        As for `compiled`.

    Raises
    ------
    RuntimeError
        If it has to be compiled and no C++ compiler works.

    Examples
    --------
    >>> from mlperf.training.compiled import compile_seconds
    >>> compile_seconds((5, 32, 1))  # doctest: +SKIP
    0.4
    """
    return load(source(sizes, **choices)).compile_seconds


def _check(module: nn.Sequential, X: Tensor, y: Tensor, sizes: Sequence[int]) -> None:
    # The program reads memory as it is told to: what does not fit would be read beyond its end.
    for name, data, n_columns in (("X", X, sizes[0]), ("y", y, sizes[-1])):
        if data.shape != (len(X), n_columns):
            raise ValueError(
                f"The {name!r} parameter of compiled must be of shape ({len(X)}, {n_columns}), as the network is. "
                f"Got {tuple(data.shape)} instead."
            )
    for tensor in (X, y, *module.parameters()):
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(
                "The 'module', 'X' and 'y' parameters of compiled must be of float32 and on the CPU. "
                f"Got {tensor.dtype} on {tensor.device} instead."
            )
