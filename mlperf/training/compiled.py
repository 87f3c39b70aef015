"""The engine ``compiled``: a program generated for the network, which trains for an epoch in one call."""

import ctypes
import mmap as mmap_module
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from functools import cache
from itertools import pairwise
from mmap import mmap

import numpy as np
import torch
from numpy.typing import ArrayLike
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

from mlperf.training.kernel import MANY_PARAMETERS, source
from mlperf.training.library import load
from mlperf.training.parameters import layer_sizes, separate

FLOP_PER_THREAD, FLOP_PER_PARAMETER, FLOP_PER_ROW = 1_500_000, 190, 1_200
"""Operations that a step must have for each of its threads to pay off: so many, and so many more for each parameter.

Threads wait for each other, which takes microseconds. They also exchange gradients and parameters: on a machine of two
cores one number in about 0.2 ns while the cores share a cache, and in 1 ns while they do not. The second was taken, so
that two threads are not slower than one on either. Of large networks (`MANY_PARAMETERS`) only the parameters are
exchanged, and their data would not stay in the cache of one core either: their threads are counted as exchanging half
as many numbers, which pays off only where the cores share a cache if mini-batches are small.
A row that goes through a layer counts as so many operations more: that is what the time of narrow networks comes to.
"""


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

    The first fit with given layer sizes compiles the program, which takes about a second, and keeps it on disk for any
    number of samples and any mini-batch. Large steps use several threads, up to ``torch.get_num_threads()``.

    Parameters
    ----------
    shuffled : bool, default=True
        Whether each epoch takes the rows in a new random order. Otherwise they are taken as they lie: for experiments.
    **choices : int
        Further parameters of `mlperf.training.kernel.source`, for experiments.

    Raises
    ------
    RuntimeError
        If it has to be compiled and no C++ compiler works. Raised before any training.
    ValueError
        If module and data do not fit together, or are not float32 on the CPU.

    Examples
    --------
    >>> from mlperf.data import generate_samples
    >>> from mlperf.model import MLPRegressor
    >>> samples = generate_samples(1_000)
    >>> model = MLPRegressor((32,), engine="compiled")
    >>> model.fit(samples.Xtr, samples.ytr)  # doctest: +SKIP
    MLPRegressor(engine='compiled', hidden_layer_sizes=(32,))
    """
    training = Training([module], X[None], y[None], learning_rate=learning_rate, batch_size=batch_size, **choices)
    while True:
        if shuffled:
            training.shuffle(0, generator, len(X))
        yield float(training.epoch(len(X))[0])


ROWS = 7
"""Index of the number of rows among the program's arguments."""

MOST_ALONE = 32_768
"""Length of the arrays that torch fills in one thread; longer ones it shares out."""


class Training:
    """The training of one or many networks of the same layer sizes, an epoch in one call of the compiled program.

    Parameters
    ----------
    modules : sequence of nn.Sequential
        The networks; their parameters are updated in place, epoch by epoch.
    X, y : Tensor of shape (n_networks, n_samples, n_features) and (n_networks, n_samples, n_outputs), float32
        The data of each.
    learning_rate : float or sequence of float
        Step size of Adam, one for all or one for each.
    batch_size : int
        Rows in a mini-batch; the last one keeps what is left.
    **choices : int
        Further parameters of `mlperf.training.kernel.source`.

    Attributes
    ----------
    order : Tensor of shape (n_networks, n_samples), int64
        The order in which the next epoch takes the rows of each network: at first, as they lie.
    learning_rates : ndarray of shape (n_networks,)
        Step sizes of the next epoch.

    Raises
    ------
    RuntimeError
        If the program has to be compiled and no C++ compiler works.
    ValueError
        If networks and data do not fit together, or are not float32 on the CPU.

    Examples
    --------
    >>> from mlperf.training.compiled import Training
    >>> training = Training(modules, X, y, learning_rate=[0.01, 0.001], batch_size=64)  # doctest: +SKIP
    >>> training.epoch().shape  # doctest: +SKIP
    (2,)
    """

    def __init__(
        self,
        modules: Sequence[nn.Sequential],
        X: Tensor,
        y: Tensor,
        *,
        learning_rate: float | ArrayLike,
        batch_size: int,
        **choices: int,
    ) -> None:
        n_networks, n_samples, _ = X.shape
        sizes = layer_sizes(modules[0])
        for module, of_X, of_y in zip(modules, X, y, strict=True):
            _check(module, of_X, of_y, sizes)
        functions = load(source(sizes, **choices)).functions
        # Everything whose address the program is given is referenced here, so that it stays in place.
        for module in modules:
            separate(module)
        self._tensors = [parameter.detach() for module in modules for parameter in module.parameters()]
        self._X, self._y = X.contiguous(), y.contiguous()
        self.order = torch.arange(n_samples, device=X.device).repeat(n_networks, 1)
        self.learning_rates = np.full(n_networks, learning_rate, dtype=np.float64)
        self._powers, self._losses = np.ones((n_networks, 2)), np.empty(n_networks)
        self._n_threads = threads_for(sizes, min(batch_size, n_samples) if n_networks == 1 else n_networks * n_samples)
        functions.mlperf_memory.restype = ctypes.c_int64
        self._memory = _zeros(functions.mlperf_memory(n_networks, self._n_threads))
        self._arguments = [
            ctypes.byref(ctypes.c_char.from_buffer(self._memory)),
            ctypes.c_int(n_networks),
            ctypes.c_int(self._n_threads),
            (ctypes.c_void_p * len(self._tensors))(*(tensor.data_ptr() for tensor in self._tensors)),
            *(_address(data) for data in (self._X, self._y, self.order)),
            ctypes.c_int64(n_samples),
            ctypes.c_int64(batch_size),
            *(ctypes.c_void_p(data.ctypes.data) for data in (self.learning_rates, self._powers, self._losses)),
        ]
        self._train = functions.mlperf_epoch

    def shuffle(self, network: int, generator: torch.Generator, n_samples: int | None = None) -> None:
        """Draw the order in which the next epoch takes the rows of a network, by ``torch.randperm``.

        Parameters
        ----------
        network : int
            Its number.
        generator : torch.Generator
            Draws the order.
        n_samples : int, optional
            Shuffle the first so many rows; by default all.
        """
        order = self.order[network, :n_samples]
        # torch shares long arrays out among threads, which then wait for more in a busy loop: with GCC's OpenMP for
        # some milliseconds, in which they would take the processors from the program's threads.
        busy = self._n_threads > 1 and len(order) > MOST_ALONE
        with _openmp().limit(limits=1) if busy else nullcontext():
            torch.randperm(len(order), generator=generator, out=order, device=order.device)

    def epoch(self, n_samples: int | None = None) -> np.ndarray:
        """Train for an epoch, in the order of `order`.

        Parameters
        ----------
        n_samples : int, optional
            Take the first so many rows of a single network's order; by default all.

        Returns
        -------
        ndarray of shape (n_networks,)
            Mean squared error over the epoch, each mini-batch taken before its own step.
        """
        if n_samples is not None:
            self._arguments[ROWS] = ctypes.c_int64(n_samples)
        self._train(*self._arguments)
        return self._losses.copy()


@cache
def _openmp() -> ThreadpoolController:
    """Return what limits the threads of OpenMP that the calling thread may use; other threads keep theirs."""
    return ThreadpoolController().select(user_api="openmp")


def _zeros(n_bytes: int) -> mmap:
    """Return zeroed memory, in huge pages where the system has them: a processor caches the addresses of few pages."""
    memory = mmap(-1, n_bytes)
    if hasattr(mmap_module, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a system without them
            memory.madvise(mmap_module.MADV_HUGEPAGE)
    return memory


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def threads_for(sizes: Sequence[int], n_rows: int) -> int:
    """Return how many threads share a step over so many rows.

    Parameters
    ----------
    sizes : sequence of int
        Features, units of each hidden layer, outputs.
    n_rows : int
        Rows of the mini-batch.

    Returns
    -------
    int
        From 1 to ``torch.get_num_threads()``.

    Examples
    --------
    >>> from mlperf.training.compiled import threads_for
    >>> threads_for((5, 32, 1), n_rows=64)
    1
    """
    layers = list(pairwise(sizes))
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in layers)
    work = n_rows * (6 * n_parameters + FLOP_PER_ROW * len(layers))
    exchanged = min(n_parameters, MANY_PARAMETERS // 2)
    worthwhile = work // (FLOP_PER_THREAD + FLOP_PER_PARAMETER * exchanged)
    return max(1, min(torch.get_num_threads(), n_rows, worthwhile))


def compile_seconds(sizes: Sequence[int], **choices: int) -> float:
    """Return the seconds that compiling the program took; it is compiled now if it has not been before.

    Parameters
    ----------
    sizes : sequence of int
        Features, units of each hidden layer, outputs.
    **choices : int
        As for `compiled`.

    Returns
    -------
    float
        Seconds, as they were measured when the program was compiled.

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


def _check(module: nn.Sequential, X: Tensor, y: Tensor, sizes: tuple[int, ...]) -> None:
    # The program trusts the sizes it is given: with tensors of other sizes it would read and write beyond their ends.
    shapes = [shape for n_in, n_out in pairwise(sizes) for shape in ((n_out, n_in), (n_out,))]
    got = [tuple(parameter.shape) for parameter in module.parameters()]
    if got != shapes:
        raise ValueError(
            f"The networks of the compiled engine must have linear layers with a bias, all the same sizes: {shapes}. "
            f"Got {got} instead."
        )
    for name, data, n_columns in (("X", X, sizes[0]), ("y", y, sizes[-1])):
        if data.shape != (len(X), n_columns):
            raise ValueError(
                f"The {name!r} parameter of the compiled engine must be of shape ({len(X)}, {n_columns}), as the "
                f"network is. Got {tuple(data.shape)} instead."
            )
    for tensor in (X, y, *module.parameters()):
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(
                "The 'module', 'X' and 'y' parameters of the compiled engine must be of float32 and on the CPU. "
                f"Got {tensor.dtype} on {tensor.device} instead."
            )
