import pytest

from mlperf.profilers.ceilings import copy_rate, dispatch_seconds, product_rate, product_seconds, roofs
from mlperf.profilers.work import step_flops


def test_rates_are_work_over_time(monkeypatch):
    monkeypatch.setattr("mlperf.profilers.ceilings.seconds_per_call", lambda call: call() is None or 0.5)
    assert product_rate(2, 3, 4) == 2 * 2 * 3 * 4 / 0.5
    assert copy_rate(8_000) == 8_000 / 0.5


def test_roofs_are_a_product_and_copies_that_fill_half_of_each_cache_but_the_first(monkeypatch):
    monkeypatch.setattr("mlperf.profilers.ceilings.cache_bytes", lambda: {"L1d": 10, "L2": 200, "L3": 3_000})
    monkeypatch.setattr("mlperf.profilers.ceilings.product_rate", lambda *shape: sum(shape))
    monkeypatch.setattr("mlperf.profilers.ceilings.copy_rate", lambda n_bytes: n_bytes)
    assert roofs((1, 2, 3), 40_000) == {"product": 6, "L2": 100, "L3": 1_500, "memory": 40_000}


def test_products_of_a_step_take_its_work_over_their_rate(monkeypatch):
    monkeypatch.setattr("mlperf.profilers.ceilings.product_rate", lambda *_shape: 1e9)
    sizes = [5, 64, 32, 1]
    assert product_seconds(sizes, 64) == pytest.approx(step_flops(sizes, 64) / 1e9)


def test_dispatch_floor_covers_the_operators_that_it_names():
    floors = dispatch_seconds()
    assert {"aten::mm", "aten::addmm"} <= set(floors)
    assert all(floor > 0 for floor in floors.values())
