"""The graph of an epoch: what is launched again does what was recorded, and nothing of a step is left to Python."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mlperf.training.cuda_graph import cuda_graph, replayed
from mlperf.training.fused import fused
from mlperf.training.network import network

SIZES = (5, 16, 8, 1)


class Graph:
    """Stands in for a CUDA graph: a record of operators and of the tensors that they read and write."""

    made = 0

    def __init__(self):
        Graph.made += 1
        self.calls = []

    def replay(self):
        for operator, arguments, options, outputs in self.calls:
            results = operator(*arguments, **options)
            # What is written in place, or a view, is up to date already.
            if all(returned.alias_info is None for returned in operator._schema.returns) and outputs is not None:
                for output, result in zip(listed(outputs), listed(results), strict=True):
                    output.copy_(result)


def listed(results):
    return list(results) if isinstance(results, (tuple, list)) else [results]


class Recording(TorchDispatchMode):
    """Records what is called inside; afterwards it is as if nothing had been."""

    def __init__(self, graph, **_):
        super().__init__()
        self.graph, self.before = graph, []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert operator is not torch.ops.aten._local_scalar_dense.default, "a number of the device was read"
        for place, argument in enumerate(operator._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                given = args[place] if place < len(args) else kwargs.get(argument.name)
                self.before += [(tensor, tensor.clone()) for tensor in listed(given) if tensor is not None]
        results = operator(*args, **kwargs)
        self.graph.calls.append((operator, args, kwargs, results))
        return results

    def __exit__(self, *error):
        super().__exit__(*error)
        for tensor, before in reversed(self.before):
            tensor.copy_(before)


@pytest.fixture(autouse=True)
def graphs(monkeypatch):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", Recording)
    monkeypatch.setattr(Graph, "made", 0)
    return Graph


def trained(n_samples, n_epochs, **settings):
    generator = torch.Generator().manual_seed(0)
    module = network(SIZES, generator)
    X = torch.randn(n_samples, SIZES[0], generator=generator)
    epochs = fused(module, X, X[:, :1].sin(), learning_rate=0.01, batch_size=16, generator=generator, **settings)
    losses = list(islice(epochs, n_epochs))
    return losses, [parameter.detach().numpy().copy() for parameter in module.parameters()]


def assert_same(one, other):
    assert one[0] == other[0]
    for parameter, same in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(parameter, same)


@pytest.mark.parametrize("n_epochs", [1, 2, 5])
def test_graph_of_an_epoch_trains_as_its_steps_do_one_by_one(n_epochs, graphs):
    assert_same(trained(70, n_epochs, recorded=replayed), trained(70, n_epochs))
    assert graphs.made == (n_epochs > 1)


def test_long_epochs_are_launches_of_a_shorter_graph(graphs, monkeypatch):
    monkeypatch.setattr("mlperf.training.epochs.GATHERED_STEPS", 2)
    assert_same(trained(150, 4, recorded=replayed), trained(150, 4))
    assert graphs.made == 2  # one for two steps, one for what is left at the end


def test_work_is_done_twice_in_python_and_then_launched():
    done = []

    def work(rows):
        done.append(len(rows))
        return rows * 2

    launch = replayed(work)
    results = [launch(torch.full((3,), number)) for number in range(4)]
    assert done == [3, 3]
    assert [result.tolist() for result in results] == [[2 * number] * 3 for number in range(4)]


def test_data_that_are_not_on_cuda_are_refused():
    module = network(SIZES, torch.Generator())
    with pytest.raises(
        ValueError, match=r"'module', 'X' and 'y' parameters of the engine 'cuda_graph' must be on a CUDA"
    ):
        cuda_graph(module, torch.ones(3, 5), torch.ones(3, 1))
