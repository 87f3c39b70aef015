import gzip
import json
from itertools import pairwise

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from mlperf.data import generate_samples
from mlperf.model import MLPRegressor
from mlperf.profilers.operators import callers, operators

SAMPLES = generate_samples(1_000)
HIDDEN = (64, 32, 16)
EPOCHS = 5
FLOAT32 = 4


def fit():
    return MLPRegressor(HIDDEN, max_iter=EPOCHS, engine="eager", random_state=0).fit(SAMPLES.Xtr, SAMPLES.ytr)


@pytest.fixture(scope="module")
def training():
    fit()
    return operators(fit).set_index("operator")


def layers():
    sizes = [5, *HIDDEN, 1]
    return list(pairwise(sizes))


def test_the_table_holds_what_key_averages_holds(training):
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        fit()
    events = {event.key: event for event in profiler.key_averages()}
    # What memory the allocator could hand out again differs between two runs, and with it this pseudo-operator.
    assert set(training.index) - {"[memory]"} == set(events) - {"[memory]"}
    for name, event in events.items():
        if name.startswith("aten::") and event.self_cpu_memory_usage > 0:
            assert training.calls[name] == event.count
            assert training.self_cpu_bytes[name] == event.self_cpu_memory_usage


def test_the_self_times_of_all_operators_add_up_to_the_totals_of_the_outermost():
    weight = torch.ones(64, 64)
    table = operators(lambda: torch.nn.functional.linear(weight, weight, torch.ones(64))).set_index("operator")
    inside = table.loc[table.index.str.startswith("aten::")]
    outermost = table.cpu_seconds["aten::linear"] + table.cpu_seconds["aten::ones"]
    assert inside.self_cpu_seconds.sum() == pytest.approx(outermost, rel=1e-6)


def test_memory_of_the_matrix_products_is_that_of_layer_sizes_and_batches(training):
    samples, batches = len(SAMPLES.Xtr), -(-len(SAMPLES.Xtr) // 64)
    forward = samples * sum(after for _, after in layers())
    # Backward: the gradient of every weight once a batch, that of every activation but the data's once a sample.
    backward = batches * sum(a * b for a, b in layers()) + samples * sum(before for before, _ in layers()[1:])
    assert training.self_cpu_bytes["aten::addmm"] == EPOCHS * forward * FLOAT32
    assert training.self_cpu_bytes["aten::mm"] == EPOCHS * backward * FLOAT32


def test_matrix_products_are_called_as_often_as_layers_and_batches_say(training):
    batches = EPOCHS * -(-len(SAMPLES.Xtr) // 64)
    assert training.calls["aten::addmm"] == batches * len(layers())
    assert training.calls["aten::mm"] == batches * (2 * len(layers()) - 1)


def test_prediction_is_profiled_alike():
    fitted = fit()
    table = operators(lambda: fitted.predict(SAMPLES.Xte)).set_index("operator")
    assert table.calls["aten::addmm"] == len(layers())
    assert table.self_cpu_bytes["aten::addmm"] == len(SAMPLES.Xte) * sum(after for _, after in layers()) * FLOAT32


def test_most_self_cpu_time_comes_first(training):
    assert training.self_cpu_seconds.is_monotonic_decreasing


def test_without_memory_the_bytes_are_nought():
    assert operators(lambda: torch.ones(10) + 1, memory=False).self_cpu_bytes.eq(0).all()


@pytest.mark.parametrize(("name", "opened"), [("trace.json", open), ("trace.json.gz", gzip.open)])
def test_the_trace_can_be_opened_and_nothing_else_is_left(name, opened, tmp_path):
    operators(lambda: torch.ones(8, 8) @ torch.ones(8, 8), trace=tmp_path / name)
    with opened(tmp_path / name, "rt") as file:
        named = {event.get("name") for event in json.load(file)["traceEvents"]}
    assert "aten::mm" in named
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_trace_of_another_kind_is_refused_before_the_call():
    called = []
    with pytest.raises(
        ValueError, match=r"'trace' parameter of operators must be a path ending in \.json or \.json\.gz"
    ):
        operators(lambda: called.append(1), trace="trace.txt")
    assert not called


def make_ones():
    return torch.ones(3)


def make_zeros_and_ones():
    return make_ones(), make_ones(), torch.zeros(3)


def test_callers_are_the_functions_and_the_operators_that_they_call():
    table = callers(make_zeros_and_ones, "aten::empty")
    assert table.operator.tolist() == ["aten::ones", "aten::zeros"]
    assert table.calls.tolist() == [2, 1]
    for caller, function in zip(table.function, [make_ones, make_zeros_and_ones], strict=True):
        assert caller.endswith(f"test_operators.py({function.__code__.co_firstlineno}): {function.__name__}")


def test_operator_that_python_calls_itself_is_its_own_caller():
    (row,) = callers(lambda: torch.empty(3), "aten::empty").itertuples(index=False)
    assert (row.operator, row.calls) == ("aten::empty", 1)
    assert row.function.endswith("<lambda>")


def test_every_call_has_one_caller(training):
    assert callers(fit, "aten::empty_strided").calls.sum() == training.calls["aten::empty_strided"]


def test_operator_that_is_not_called_has_no_callers():
    assert callers(make_ones, "aten::mm").columns.tolist() == ["function", "operator", "calls"]
