import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from mlperf.model import MLPRegressor
from mlperf.profilers.measure import measure
from mlperf.profilers.memory import CATEGORIES, heap_peak, live_tensors, predicted_bytes, process_peak
from mlperf.profilers.operators import operators
from mlperf.training.eager import by_autograd
from mlperf.training.engines import available

MEGABYTE = 1_000_000


X, Y = torch.rand(192, 5), torch.rand(192, 1)


def _fit(fused=False):
    module = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    optimiser = torch.optim.Adam(module.parameters(), fused=fused)
    training = by_autograd(module, X, Y, optimiser, batch_size=64, generator=torch.Generator())
    next(training), next(training)


def test_prediction_counts_every_number_once():
    assert predicted_bytes([5, 32, 1], 600, batch_size=64) == {
        "data": 600 * (8 + 4 * 6),
        "parameters": 4 * (5 * 32 + 32 + 32 + 1),
        "activations": 4 * 64 * 33,
        "gradients": 4 * (225 + 2 * 64 * 32),
        "optimiser": 8 * 225,
    }


def test_prediction_takes_a_batch_that_is_larger_than_the_data_as_the_data():
    assert predicted_bytes([5, 1], 10, batch_size=64)["activations"] == 4 * 10


def test_tensor_of_known_size_is_seen_to_the_byte():
    frame = live_tensors(lambda: torch.ones(1_000) + torch.ones(1_000))
    assert frame["live_bytes"].max() == 3 * 4_000
    assert frame["live_bytes"].iloc[-1] == 0


def test_peak_of_tensors_that_follow_each_other_is_that_of_one():
    def call():
        for _ in range(10):
            torch.ones(1_000)

    frame = live_tensors(call)
    assert frame["live_bytes"].max() == 4_000
    assert frame.loc[frame["bytes"] > 0, "bytes"].sum() == 40_000


def test_memory_taken_before_the_call_is_not_counted_when_it_is_given_back():
    with torch.profiler.profile(profile_memory=True):
        before = [torch.ones(1_000)]
    frame = live_tensors(lambda: (before.clear(), torch.ones(10)))
    assert frame["live_bytes"].max() == 40
    assert frame["live_bytes"].min() >= 0


@pytest.mark.parametrize("fused", [False, True])
def test_categories_of_a_fit_hold_at_least_what_shapes_predict(fused):
    frame = live_tensors(lambda: _fit(fused))
    held = frame.groupby("category")["bytes"].cumsum().groupby(frame["category"]).max()
    predicted = predicted_bytes([5, 32, 1], 192, batch_size=64)
    assert set(held.index) == set(CATEGORIES)
    for category in CATEGORIES:
        # The widest layer's gradients are given back before the last of the parameters' are there.
        least = 0.95 if category == "gradients" else 1
        assert held[category] >= least * predicted[category], category
    assert held["optimiser"] < 2 * predicted["optimiser"]
    assert held["parameters"] < 2 * predicted["parameters"]


def test_bytes_by_operator_are_the_memory_column_of_the_profiler():
    _fit()
    frame = live_tensors(_fit)
    profiled = operators(_fit)["self_cpu_bytes"]
    traced = frame.groupby("operator")["bytes"].sum()
    for operator in ("aten::mm", "aten::addmm", "aten::threshold_backward"):
        assert traced[operator] == profiled[operator] > 0


def test_heap_peak_is_that_of_an_array_of_known_size():
    pytest.importorskip("memray")
    assert 8 * MEGABYTE <= heap_peak(lambda: np.ones(MEGABYTE)) < 9 * MEGABYTE


def test_heap_peak_is_none_without_memray(monkeypatch):
    monkeypatch.setitem(sys.modules, "memray", None)
    assert heap_peak(lambda: np.ones(MEGABYTE)) is None


def test_process_peak_is_at_least_an_array_of_known_size():
    # In a process of its own: in a used one the array may find room that was left.
    code = (
        "import numpy as np\n"
        "from mlperf.profilers.memory import process_peak\n"
        "print(process_peak(lambda: np.ones(8_000_000)), process_peak(lambda: None))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    peak, nothing = map(int, printed.split())
    assert 60 * MEGABYTE < peak < 90 * MEGABYTE
    assert nothing < 10 * MEGABYTE


def test_fit_of_a_million_samples_takes_at_most_four_times_their_size_in_float32():
    def run(engine):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((MEGABYTE, 5)), rng.standard_normal(MEGABYTE)

        def fit(rows):
            return MLPRegressor((4,), max_iter=2, batch_size=256, engine=engine).fit(X[:rows], y[:rows])

        fit(300)  # what is loaded only once, and the step compiled
        return {"bytes": process_peak(lambda: fit(MEGABYTE)), "data_bytes": 4 * (X.size + y.size)}

    runs = measure(run, processes=1, warmup=False, fresh=True, engine=available()).frame
    assert (runs["bytes"] <= 4 * runs["data_bytes"]).all()


def test_shuffled_data_are_held_once_however_many_epochs_follow():
    frame = live_tensors(_fit)
    held = frame.loc[frame["category"] == "data", "bytes"].cumsum().max()
    assert held <= 1.2 * predicted_bytes([5, 32, 1], 192, batch_size=64)["data"]
