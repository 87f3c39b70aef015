"""The engine ``cuda_graph``: all steps of an epoch as one CUDA graph, launched in one call."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mlperf.training.fused import fused


def cuda_graph(module: nn.Sequential, X: Tensor, y: Tensor, **settings: Any) -> Iterator[float]:
    """Train as the engine ``fused`` does, but launch an epoch in one call. Arguments as for `eager`.

    With a small network, a GPU mostly waits for Python to launch the next operator. In a graph, operators follow each
    other without Python. The first epoch is carried out operator by operator. In the second one they are recorded as a
    graph, which is launched then and in each epoch that follows: only the new order of the rows and the losses pass
    between the devices. Epochs of more than `mlperf.training.epochs.GATHERED_STEPS` steps are several launches of a
    shorter graph.

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
    """Return a function that does what another one does, from its second call on by launching a CUDA graph.

    Parameters
    ----------
    work : callable
        Called with a tensor on a CUDA device, returns one. All else that it reads and changes must lie in tensors on
        that device whose addresses do not change. There is one graph for each length of its argument.

    Returns
    -------
    callable
        The first call with an argument of some length is carried out operator by operator, since what libraries set up
        at their first use cannot be recorded. The second one records the graph and launches it; all others launch it.

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
    """Record what a function launches, without running it; the tensors are the graph's argument and result."""
    graph, given = torch.cuda.CUDAGraph(), argument.clone()
    # Other threads may use the device meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work(given)
    return graph, given, result
