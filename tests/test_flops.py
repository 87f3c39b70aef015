import re
from itertools import pairwise

import pytest
import torch
from torch import nn

from mlperf.engines import eager
from mlperf.flops import (
    copy_rate,
    counted_flops,
    dispatch_seconds,
    product_rate,
    product_seconds,
    roofs,
    step_bytes,
    step_flops,
    training_steps,
)


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


@pytest.mark.parametrize(("sizes", "shown"), [([5], "[5]"), ([5, 0, 1], "[5, 0, 1]")])
def test_network_without_layers_is_refused(sizes, shown):
    message = f"The 'layer_sizes' parameter of step_flops must be at least two ints of at least 1. Got {shown} instead."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        step_flops(sizes, 64)


def test_empty_batch_is_refused():
    message = "The 'n_rows' parameter of step_flops must be an int of at least 1. Got 0 instead."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        step_flops([5, 1], 0)


def test_rates_are_work_over_time(monkeypatch):
    monkeypatch.setattr("mlperf.flops.seconds_per_call", lambda call: call() is None or 0.5)
    assert product_rate(2, 3, 4) == 2 * 2 * 3 * 4 / 0.5
    assert copy_rate(8_000) == 8_000 / 0.5


def test_roofs_are_a_product_and_copies_that_fill_half_of_each_cache_but_the_first(monkeypatch):
    monkeypatch.setattr("mlperf.flops.cache_bytes", lambda: {"L1d": 10, "L2": 200, "L3": 3_000})
    monkeypatch.setattr("mlperf.flops.product_rate", lambda *shape: sum(shape))
    monkeypatch.setattr("mlperf.flops.copy_rate", lambda n_bytes: n_bytes)
    assert roofs((1, 2, 3), 40_000) == {"product": 6, "L2": 100, "L3": 1_500, "memory": 40_000}


def test_products_of_a_step_take_its_work_over_their_rate(monkeypatch):
    monkeypatch.setattr("mlperf.flops.product_rate", lambda *_shape: 1e9)
    sizes = [5, 64, 32, 1]
    assert product_seconds(sizes, 64) == pytest.approx(step_flops(sizes, 64) / 1e9)


def test_bytes_of_a_step_count_parameters_ten_times_and_activations_four_times():
    assert step_bytes([5, 32, 1], 64) == 4 * (10 * 225 + 4 * 64 * 33)


def test_dispatch_floor_covers_the_operators_that_it_names():
    floors = dispatch_seconds()
    assert {"aten::mm", "aten::addmm"} <= set(floors)
    assert all(floor > 0 for floor in floors.values())


def test_training_steps_are_an_epoch_of_the_engine_after_its_first():
    epochs = []

    def engine(module, X, y, *, batch_size, **_settings):
        while True:
            epochs.append((len(X) / batch_size, [tuple(part.shape) for part in module.parameters()], X.shape, y.shape))
            yield float(len(epochs))

    steps = training_steps(engine, [5, 32, 2], n_rows=64, n_steps=3)
    assert epochs == [(3, [(32, 5), (32,), (2, 32), (2,)], (192, 5), (192, 2))]
    assert (steps(), steps()) == (2.0, 3.0)


def test_training_steps_do_the_work_that_the_layers_say():
    sizes = [5, 64, 32, 1]
    assert counted_flops(training_steps(eager, sizes, n_rows=24, n_steps=3)) == 3 * step_flops(sizes, 24)
