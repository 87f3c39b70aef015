import re

import pytest
import torch

from mlperf.profilers.ceilings import copy_rate, libraries, product_rate, product_seconds, roofs
from mlperf.profilers.work import step_flops


@pytest.mark.parametrize("library", libraries())
def test_rates_are_work_over_time(library, monkeypatch):
    monkeypatch.setattr("mlperf.profilers.ceilings.seconds_per_call", lambda call: (call(), 0.5)[1])
    assert product_rate(2, 3, 4, library=library) == 2 * 2 * 3 * 4 / 0.5
    assert copy_rate(8_000) == 8_000 / 0.5


def test_rates_are_those_of_float32_on_the_processor_whatever_the_defaults_of_torch(monkeypatch):
    """Tried: the caller's default dtype was float64, or the default device another."""
    used = []
    monkeypatch.setattr("mlperf.profilers.ceilings.seconds_per_call", lambda call: (used.append(call()), 1.0)[1])
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            product_rate(2, 3, 4)
            copy_rate(8_000)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {(one.dtype, one.device.type) for one in used} == {(torch.float32, "cpu")}


def test_library_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr("mlperf.profilers.libxsmm.is_installed", lambda: False)
    message = "The 'library' parameter of product_rate must be one of ['torch.mm'] here. Got 'oneDNN' instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        product_rate(2, 2, 2, library="oneDNN")


def test_roofs_are_products_and_copies_that_fill_half_of_each_cache_but_the_first(monkeypatch):
    monkeypatch.setattr("mlperf.profilers.ceilings.cache_bytes", lambda: {"L1d": 10, "L2": 200, "L3": 3_000})
    monkeypatch.setattr("mlperf.profilers.ceilings.libraries", lambda: ["torch.mm", "oneDNN", "libxsmm"])
    monkeypatch.setattr(
        "mlperf.profilers.ceilings.product_rate", lambda *shape, library: sum(shape) * len(library.split("."))
    )
    monkeypatch.setattr("mlperf.profilers.ceilings.copy_rate", lambda n_bytes: n_bytes)
    assert roofs((1, 2, 3), 40_000) == {
        "product_flop_per_second": 12,
        "onednn_product_flop_per_second": 6,
        "L2_bytes_per_second": 100,
        "L3_bytes_per_second": 1_500,
        "memory_bytes_per_second": 40_000,
    }


def test_products_of_a_step_take_its_work_over_their_rate(monkeypatch):
    rates = {"torch.mm": 1e9, "libxsmm": 2e9}
    monkeypatch.setattr("mlperf.profilers.ceilings.product_rate", lambda *_shape, library: rates[library])
    sizes = [5, 64, 32, 1]
    assert product_seconds(sizes, 64) == pytest.approx(step_flops(sizes, 64) / 1e9)
    assert product_seconds(sizes, 64, library="libxsmm") == pytest.approx(step_flops(sizes, 64) / 2e9)
