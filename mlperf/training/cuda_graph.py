"""The engine ``cuda_graph``: all steps of an epoch as one graph of CUDA, launched in one call."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mlperf.training.fused import fused


def cuda_graph(module: nn.Sequential, X: Tensor, y: Tensor, **settings: Any) -> Iterator[float]:
    """Train as the engine ``fused`` does, but launch an epoch in one call. Arguments as for `eager`.

    For small networks a graphics processor waits for Python to launch the next operator. In a graph they follow each
    other without Python. The first epoch is carried out as it is, the second one is recorded, and from then on the
    record is launched: a new order of the rows and the mean loss are all that passes between the devices in an epoch.
    Epochs of more than `mlperf.training.epochs.GATHERED_STEPS` steps are several launches of a shorter graph.

    Raises
    ------
    ValueError
        If module and data do not lie on a CUDA device.

    Examples
    --------
    >>> from mlperf.data import generate_samples
    >>> from mlperf.model import MLPRegressor
    >>> samples = generate_samples(1_000)
    >>> model = MLPRegressor((32,), device="cuda", engine="cuda_graph")
    >>> model.fit(samples.Xtr, samples.ytr)  # doctest: +SKIP
    MLPRegressor(device='cuda', engine='cuda_graph', hidden_layer_sizes=(32,))
    """
    for tensor in (X, y, *module.parameters()):
        if tensor.device.type != "cuda":
            raise ValueError(
                "The 'module', 'X' and 'y' parameters of the engine 'cuda_graph' must be on a CUDA device. "
                f"Got one on {str(tensor.device)!r} instead."
            )
    return fused(module, X, y, **settings, recorded=replayed)


def replayed(work: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a function that does what another one does, from its third call on by launching a graph.

    Parameters
    ----------
    work : callable
        Called with a tensor on a CUDA device, returns one. All else that it reads and changes lies in tensors there
        that stay where they are. There is one graph for each length of its argument.

    Returns
    -------
    callable
        The first call with an argument of some length is carried out as it is: what libraries set up at their first
        use cannot be recorded. The second one is recorded and launched, the others are launched.

    Examples
    --------
    >>> import torch
    >>> from mlperf.training.cuda_graph import replayed
    >>> double = replayed(lambda numbers: 2 * numbers)
    >>> double(torch.ones(3))  # the first call needs no device
    tensor([2., 2., 2.])
    """
    graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, Tensor] | None] = {}

    def launch(argument: Tensor) -> Tensor:
        length = len(argument)
        if length not in graphs:
            graphs[length] = None
            return work(argument)
        recorded = graphs[length]
        if recorded is None:
            recorded = graphs[length] = _recorded(work, argument)
        graph, given, result = recorded
        given.copy_(argument)
        graph.replay()
        return result.clone()  # the next launch writes over it

    return launch


def _recorded(work: Callable[[Tensor], Tensor], argument: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
    """Record what some work launches, without doing it, for an argument that will lie where the returned one does."""
    graph, given = torch.cuda.CUDAGraph(), argument.clone()
    # Other threads may use the device meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work(given)
    return graph, given, result
