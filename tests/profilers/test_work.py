import re
from itertools import pairwise

import pytest
import torch
from torch import nn

from mlperf.profilers.work import counted_flops, n_parameters, step_bytes, step_flops


def _step(sizes, n_rows):
    layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
    module = nn.Sequential(*layers)
    X, y = torch.rand(n_rows, sizes[0]), torch.rand(n_rows, sizes[-1])
    return lambda: nn.functional.mse_loss(module(X), y).backward()


@pytest.mark.parametrize("sizes", [[5, 1], [5, 32, 1], [5, 128, 64, 32, 16, 1], [3, 7, 2]])
@pytest.mark.parametrize("n_rows", [1, 24, 64])
def test_closed_form_equals_what_torch_counts(sizes, n_rows):
    assert step_flops(sizes, n_rows) == counted_flops(_step(sizes, n_rows))


def test_product_counts_two_operations_for_each_multiplied_pair():
    assert counted_flops(lambda: torch.rand(3, 5) @ torch.rand(5, 7)) == 2 * 3 * 5 * 7


@pytest.mark.parametrize("sizes", [[5], [5, 0, 1]])
@pytest.mark.parametrize("count", [n_parameters, lambda sizes: step_flops(sizes, 64)], ids=["parameters", "flops"])
def test_network_without_layers_is_refused(sizes, count):
    message = f"must be at least two ints of at least 1. Got {sizes} instead."
    with pytest.raises(ValueError, match=f"{re.escape(message)}$"):
        count(sizes)


@pytest.mark.parametrize("sizes", [[5, 1], [5, 128, 64, 32, 16, 1]])
def test_parameters_are_those_of_a_network_of_torch(sizes):
    assert n_parameters(sizes) == sum(p.numel() for a, b in pairwise(sizes) for p in nn.Linear(a, b).parameters())


def test_empty_batch_is_refused():
    message = "The 'n_rows' parameter of step_flops must be an int of at least 1. Got 0 instead."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        step_flops([5, 1], 0)


def test_bytes_of_a_step_count_parameters_ten_times_and_activations_four_times():
    assert step_bytes([5, 32, 1], 64) == 4 * (10 * 225 + 4 * 64 * 33)
