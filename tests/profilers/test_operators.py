import gzip
import json
import subprocess
import sys
from contextlib import nullcontext
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import EventList, FunctionEvent
from torch.profiler import ProfilerActivity, profile

from mlperf.data import generate_samples
from mlperf.model import MLPRegressor
from mlperf.profilers.operators import callers, operators
from mlperf.profilers.profiled import profiled
from mlperf.profilers.timing import seconds

SAMPLES = generate_samples(1_000)
HIDDEN = (64, 32, 16)
EPOCHS = 2
FLOAT32 = 4


CUDA_IS_IN_USE = torch.cuda.is_initialized


@pytest.fixture(scope="module", autouse=True)
def cuda_is_not_in_use():
    """What other tests of this process did on a device adds no rows to the tables here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.cuda, "is_initialized", lambda: False)
        yield


def fit():
    return MLPRegressor(HIDDEN, max_iter=EPOCHS, engine="eager", random_state=0).fit(SAMPLES.Xtr, SAMPLES.ytr)


@pytest.fixture(scope="module")
def training():
    fit()
    return operators(fit)


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
    table = operators(lambda: torch.nn.functional.linear(weight, weight, torch.ones(64)))
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
    table = operators(lambda: fitted.predict(SAMPLES.Xte))
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
    assert table.index.names == ["function", "operator"]
    assert table.index.get_level_values("operator").tolist() == ["aten::ones", "aten::zeros"]
    assert table.calls.tolist() == [2, 1]
    for caller, function in zip(
        table.index.get_level_values("function"), [make_ones, make_zeros_and_ones], strict=True
    ):
        assert caller.endswith(f"test_operators.py({function.__code__.co_firstlineno}): {function.__name__}")


def test_operator_that_python_calls_itself_is_its_own_caller():
    table = callers(lambda: torch.empty(3), "aten::empty")
    ((function, operator),) = table.index
    assert (operator, table.calls.item()) == ("aten::empty", 1)
    assert function.endswith("<lambda>")


def test_every_call_has_one_caller(training):
    assert callers(fit, "aten::empty_strided").calls.sum() == training.calls["aten::empty_strided"]


def test_operator_that_is_not_called_has_no_callers():
    table = callers(make_ones, "aten::mm")
    assert len(table) == 0
    assert table.index.names == ["function", "operator"]
    assert table.columns.tolist() == ["calls"]


def test_call_that_ran_no_operator_has_an_empty_table():
    """Tried: a call that ran no operator, as a sleep."""
    table = operators(lambda: None)
    assert len(table) == 0
    assert table.index.name == "operator"
    assert table.columns.tolist() == ["calls", "self_cpu_seconds", "cpu_seconds", "self_cpu_bytes", "cpu_bytes"]


def test_folder_of_the_trace_is_looked_for_before_the_call(tmp_path):
    """Tried: a long call was made, and its trace could not be written."""
    called = []
    with pytest.raises(FileNotFoundError, match=r"in an existing folder\. There is no .*missing\.$"):
        operators(lambda: called.append(1), trace=tmp_path / "missing" / "trace.json")
    assert not called


def test_nothing_that_the_profiler_prints_reaches_the_terminal():
    """Its library printed two lines that begin with USDT; memray printed two with Debian's Python 3.14."""
    code = "import torch\nfrom mlperf.profilers import memory, operators\ndef call(): torch.ones(3)\n"
    code += "memory.live_tensors(call)\nmemory.heap_peak(call)\n"
    code += "operators.operators(call)\noperators.callers(call, 'aten::ones')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def on_device(*events):
    """Return a profile with events of a device, as torch's profiler makes it of them."""
    made = EventList(list(events), use_device="cuda")
    made._build_tree()
    return SimpleNamespace(events=lambda: made, key_averages=made.key_averages)


def event(name, start, end, **settings):
    return FunctionEvent(0, name, thread=0, start_us=start, end_us=end, stack=[], use_device="cuda", **settings)


def kernel(name, start, end, launched_by=None, **settings):
    if launched_by is not None:
        launched_by.append_kernel(name, 0, end - start)
    return event(name, start, end, device_type=DeviceType.CUDA, **settings)


def test_time_of_the_device_is_told_once_at_the_operator_that_launched_it(monkeypatch):
    linear, product = event("aten::linear", 0, 30), event("aten::addmm", 5, 25, device_memory_usage=512)
    first, second = kernel("gemm", 10, 50, product), kernel("gemm", 60, 80, product)
    monkeypatch.setattr(
        "mlperf.profilers.operators.profiled", lambda *_, **__: on_device(linear, product, first, second)
    )
    table = operators(lambda: None)
    assert sorted(table.index) == ["aten::addmm", "aten::linear"]
    assert table.self_device_seconds.to_dict() == pytest.approx({"aten::addmm": 60e-6, "aten::linear": 0})
    assert table.device_seconds.to_dict() == pytest.approx({"aten::addmm": 60e-6, "aten::linear": 60e-6})
    assert table.self_device_bytes["aten::addmm"] == 512


def test_kernels_that_no_operator_launched_are_rows_of_their_own(monkeypatch):
    """Those of a CUDA graph would vanish, or be counted twice beside an operator's own."""
    product = event("aten::mm", 0, 20)
    events = [product, kernel("gemm", 0, 40, product), kernel("gemm", 50, 53), kernel("gemm", 60, 64)]
    monkeypatch.setattr("mlperf.profilers.operators.profiled", lambda *_, **__: on_device(*events))
    table = operators(lambda: None)
    assert table.calls.to_dict() == {"aten::mm": 1, "gemm": 2}
    assert table.self_device_seconds.to_dict() == pytest.approx({"aten::mm": 40e-6, "gemm": 7e-6})
    assert table.self_cpu_seconds["gemm"] == 0


def test_named_range_is_no_time_of_the_device(monkeypatch):
    step, product = event("Optimizer.step#Adam", 0, 90, is_user_annotation=True), event("aten::mul_", 5, 20)
    events = [step, product, kernel("multiply", 10, 15, product)]
    events.append(kernel("Optimizer.step#Adam", 10, 80, step, is_user_annotation=True))
    monkeypatch.setattr("mlperf.profilers.operators.profiled", lambda *_, **__: on_device(*events))
    table = operators(lambda: None)
    assert table.self_device_seconds.sum() == pytest.approx(5e-6)
    assert table.device_seconds["Optimizer.step#Adam"] == pytest.approx(5e-6)


def test_cuda_is_watched_only_where_it_is_in_use(monkeypatch):
    watched = []

    def watch(activities, **_):
        watched.append(activities)
        return nullcontext()

    monkeypatch.setattr("mlperf.profilers.profiled.profile", watch)
    monkeypatch.setattr("mlperf.profilers.profiled.wait", lambda: None)
    profiled(lambda: None)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    profiled(lambda: None)
    assert watched == [[ProfilerActivity.CPU], [ProfilerActivity.CPU, ProfilerActivity.CUDA]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("engine", ["eager", "fused", "cuda_graph"])
def test_table_of_a_fit_on_cuda_has_its_time_there(engine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", CUDA_IS_IN_USE)

    def fit_there():
        MLPRegressor(HIDDEN, max_iter=6, engine=engine, device="cuda", random_state=0).fit(SAMPLES.Xtr, SAMPLES.ytr)

    fit_there()
    took = seconds(fit_there)
    table = operators(fit_there)
    assert 0 < table.self_device_seconds.sum() < 10 * took
    assert (table.self_device_seconds > -1e-9).all()
