"""What `measure` promises: which runs there are, in which processes, what may be returned, what goes wrong and how."""

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from measuring_processes import children

from mlperf.profilers import rounds
from mlperf.profilers.child import PAUSED, _Run, _stolen_fraction
from mlperf.profilers.measure import measure
from mlperf.profilers.rounds import MeasurementError
from mlperf.quantities.runs import Runs
from mlperf.results import journal

ONCE = {"processes": 1, "warmup": False}
# Runs a command with 4 KiB of shared memory, where the system allows it.
SHRUNK = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=4k tmpfs /dev/shm && exec "$@"', "sh"]
CAN_SHRINK = shutil.which("unshare") and subprocess.call([*SHRUNK, "true"], stderr=subprocess.DEVNULL) == 0


@pytest.fixture(autouse=True)
def _leaves_no_process():
    yield
    assert not children()


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def identity(**cell):
    return {"pid": os.getpid(), **{f"got_{name}": value for name, value in cell.items()}}


# Which runs there are.


def test_every_run_of_every_cell_is_one_row():
    runs = measure(identity, processes=2, repeats=3, warmup=False, a=[1, 2], b=["x"])
    assert isinstance(runs, Runs)
    assert runs.by == ("a", "b")
    said = ["a", "b", "process", "repeat", "order", "load", "steal_fraction", "frequency_ghz", "machine"]
    assert list(runs.frame.columns) == [*said, "pid", "got_a", "got_b"]
    assert runs.frame.groupby(["a", "b", "process"])["repeat"].apply(list).tolist() == [[0, 1, 2]] * 4
    assert (runs.frame["a"] == runs.frame["got_a"]).all()


def test_each_process_of_each_cell_is_fresh():
    runs = measure(identity, processes=2, repeats=4, warmup=False, a=[1, 2]).frame
    assert runs.groupby(["a", "process"])["pid"].nunique().tolist() == [1, 1, 1, 1]
    assert runs["pid"].nunique() == 4
    assert os.getpid() not in set(runs["pid"])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_round_can_have_one_fresh_process_for_all_its_cells(n_jobs):
    runs = measure(identity, processes=2, repeats=2, n_jobs=n_jobs, fresh="round", a=[1, 2, 3]).frame
    assert runs.groupby("process")["pid"].nunique().tolist() == [1, 1]
    assert runs["pid"].nunique() == 2
    assert (runs["a"] == runs["got_a"]).all()
    for _, of_round in runs[runs["repeat"] == 0].groupby("process"):
        assert sorted(of_round["order"]) == [0, 1, 2]


def sleep(seconds):
    time.sleep(seconds)
    return {"at": time.monotonic(), "pid": os.getpid()}


@pytest.mark.parametrize("fresh", [True, "round"])
def test_short_cells_are_run_until_their_runs_have_taken_long_enough(fresh):
    options = {"processes": 2, "repeats": 2, "min_run_time": 0.2, "fresh": fresh, "warmup": False}
    runs = measure(sleep, **options, seconds=[0.01, 0.3]).frame
    for (seconds, _), of_cell in runs.groupby(["seconds", "process"]):
        assert of_cell["repeat"].tolist() == list(range(len(of_cell)))
        if seconds == 0.3:
            assert len(of_cell) == 2
        else:
            assert 2 < len(of_cell) <= 21


def test_cells_of_a_round_take_turns_run_by_run_in_an_order_that_is_drawn_anew():
    options = {"processes": 1, "repeats": 10, "fresh": "round", "warmup": False}
    runs = measure(lambda a: {"at": time.monotonic()}, **options, a=range(5)).frame  # noqa: ARG005
    in_time = runs.sort_values("at")
    assert in_time["repeat"].is_monotonic_increasing
    assert in_time["order"].tolist() == [0, 1, 2, 3, 4] * 10
    orders = {tuple(sweep["a"]) for _, sweep in in_time.groupby("repeat")}
    assert len(orders) > 1


def test_short_runs_last_for_as_many_sweeps_as_long_ones():
    options = {"processes": 1, "min_run_time": 1, "fresh": "round", "warmup": False}
    runs = measure(sleep, **options, seconds=[0.01, 0.12]).frame.sort_values("at")
    turns = (runs["seconds"] != runs["seconds"].shift()).cumsum()
    of_short = runs[runs["seconds"] == 0.01].groupby(turns).size()
    assert len(of_short) >= 4  # turns, of several runs each
    assert of_short.median() >= 2


def parts(n_parts, path):
    """Pause between parts, and log each."""
    for part in range(n_parts):
        if part:
            yield
        with path.open("a") as file:
            file.write(f"{n_parts}.{part} ")
    return {"n_parts_done": part + 1, "pid": os.getpid()}


@pytest.mark.parametrize("on_worker", [False, True])
def test_runs_that_pause_take_turns_part_by_part(tmp_path, on_worker):
    with ThreadPoolExecutor(1) as executor:
        options = {"processes": 1, "fresh": "round", "warmup": False, "executor": executor if on_worker else None}
        n_parts = {"one": 1, "three": 3, "as many": 3, "two": 2}
        runs = measure(partial(parts, path=tmp_path / "log"), **options, n_parts=n_parts).frame
    assert dict(zip(runs["n_parts"], runs["n_parts_done"], strict=True)) == n_parts
    assert len(set(runs["pid"])) == 1
    done = [part.rpartition(".")[2] for part in (tmp_path / "log").read_text().split()]
    assert done == ["0"] * 4 + ["1"] * 3 + ["2"] * 2


def test_runs_that_pause_are_carried_out_to_their_ends_in_processes_of_their_own(tmp_path):
    options = {"processes": 2, "fresh": True, "repeats": 2, "warmup": {"n_parts": 5}}
    runs = measure(partial(parts, path=tmp_path / "log"), **options, n_parts=[1, 3]).frame
    assert (runs["n_parts_done"] == runs["n_parts"]).all()
    assert runs["pid"].nunique() == 4
    assert (tmp_path / "log").read_text().split().count("5.4") == 4


def test_what_a_run_does_in_its_pauses_is_not_part_of_its_state(monkeypatch):
    ticks = iter([[0, 10], [5, 10], [100, 200], [101, 204]])
    monkeypatch.setattr("mlperf.profilers.child._ticks", lambda: next(ticks))

    def run():
        yield
        return {"x": 1}

    under_way = _Run(run, {})
    assert under_way.go_on() is PAUSED
    assert under_way.go_on() == {"x": 1}
    assert under_way.ticks == [6, 4]


def test_an_error_after_a_pause_names_the_cell_and_ends_the_measurement():
    def run(n):
        yield
        if n == 2:
            raise ValueError("no more")
        return {"x": n}

    with pytest.raises(MeasurementError, match="in the cell n=2: ValueError: no more"):
        measure(run, processes=1, warmup=False, fresh="round", n=[1, 2, 3])


def test_timeout_holds_for_each_part_of_a_run_that_pauses():
    def run(n):
        for part in range(10):
            time.sleep(20 if n == part else 0.35)
            yield
        return {"x": n}

    options = {"processes": 1, "warmup": False, "fresh": "round"}
    assert len(measure(run, **options, timeout=3, n=[10]).frame) == 1
    with pytest.raises(MeasurementError, match=r"in the cell n=2: it took longer than its timeout of 3 s"):
        measure(run, **options, timeout=3, n=[10, 2])


def test_jobs_without_fresh_processes_keep_theirs_from_cell_to_cell():
    try:
        runs = measure(sleep, processes=1, n_jobs=2, fresh=False, warmup=False, seconds=[0.3, 0.31, 0.32, 0.33])
    finally:
        rounds._end_shared()
    assert runs.frame["pid"].nunique() == 2


def test_runs_that_pause_clear_up_when_another_fails(tmp_path):
    def run(n):
        try:
            yield
            if n == 2:
                raise ValueError("no more")
            yield
        finally:
            (tmp_path / str(n)).write_text("cleared up")
        return {"x": n}

    with pytest.raises(MeasurementError, match="in the cell n=2: ValueError: no more"):
        measure(run, processes=1, warmup=False, fresh="round", n=[1, 2, 3])
    assert {path.name for path in tmp_path.iterdir()} == {"1", "2", "3"}


def test_folder_search_path_and_warnings_are_restored_in_every_pause():
    def run(n):
        before = str(Path.cwd()), list(sys.path), len(warnings.filters)
        os.chdir("/")
        sys.path.append(str(n))
        warnings.filterwarnings("ignore")
        yield
        return {"same": before == (str(Path.cwd()), list(sys.path), len(warnings.filters))}

    runs = measure(run, processes=1, warmup=False, fresh="round", n=[1, 2]).frame
    assert runs["same"].all()


def test_stop_iteration_is_an_error_like_any_other():
    with pytest.raises(MeasurementError, match="StopIteration"):
        measure(lambda: {"x": next(iter([]))}, **ONCE)


def test_a_sweep_that_was_interrupted_goes_on_with_the_cells_that_have_not_ended(tmp_path):
    log, again = tmp_path / "log", tmp_path / "again"

    def note(what):
        with log.open("a") as file:
            file.write(f"{what} ")

    def run(n):
        note(f"{n}.begun")
        yield
        if n == 3 and not again.exists():
            raise ValueError("interrupted")
        note(f"{n}.ended")
        return {"x": n}

    def noted(what):
        return {int(word[0]) for word in log.read_text().split() if word.endswith(what)}

    options = {"processes": 1, "warmup": False, "fresh": "round", "n": [1, 2, 3]}
    with pytest.raises(MeasurementError, match="interrupted"):
        measure(run, **options)
    ended = noted("ended")
    log.write_text("")
    again.touch()
    journal._calls.clear()  # as in a second start
    assert measure(run, **options).frame["x"].tolist() == [1, 2, 3]
    assert noted("begun") == {1, 2, 3} - ended


def test_a_hidden_progress_bar_changes_nothing(monkeypatch):
    monkeypatch.setattr(rounds, "Bar", partial(rounds.Bar, disable=True))
    runs = measure(identity, processes=1, repeats=2, fresh="round", warmup=False, a=[1, 2]).frame
    assert sorted(runs["a"]) == [1, 1, 2, 2]


def test_six_processes_measure_a_cell_by_default():
    assert len(set(measure(identity, warmup=False).frame["pid"])) == 6


def test_rounds_visit_every_cell_before_any_comes_again():
    runs = measure(lambda a: {"at": time.monotonic()}, processes=3, warmup=False, a=[1, 2])  # noqa: ARG005
    assert runs.frame.sort_values("at")["process"].tolist() == [0, 0, 1, 1, 2, 2]


def test_cells_of_a_round_are_measured_in_the_recorded_order():
    runs = measure(lambda a: {"at": time.monotonic()}, processes=3, warmup=False, a=range(4)).frame  # noqa: ARG005
    for _, of_round in runs.groupby("process"):
        assert of_round.sort_values("at")["order"].tolist() == [0, 1, 2, 3]


def test_order_of_the_cells_is_drawn_anew_in_every_round(monkeypatch):
    drawn = iter([[2, 0, 1], [1, 2, 0]])

    def shuffle(_, items):
        items[:] = [items[place] for place in next(drawn)]

    monkeypatch.setattr("random.SystemRandom.shuffle", shuffle)
    runs = measure(identity, processes=2, warmup=False, a=[10, 20, 30]).frame
    assert runs[runs["process"] == 0].sort_values("order")["a"].tolist() == [30, 10, 20]
    assert runs[runs["process"] == 1].sort_values("order")["a"].tolist() == [20, 30, 10]


def test_load_of_the_machine_is_recorded_with_each_run():
    runs = measure(lambda: time.sleep(0.1) or {"x": 1}, **ONCE).frame
    assert runs["load"].item() >= 0
    assert not runs["steal_fraction"].item() < 0


def test_stolen_time_is_that_of_the_other_machines_over_all():
    assert _stolen_fraction([10, 0, 10, 20, 0, 0, 0, 10]) == pytest.approx(10 / 50)
    assert np.isnan(_stolen_fraction([0] * 8))
    assert np.isnan(_stolen_fraction([]))


def test_frequency_of_the_core_is_recorded_with_each_run_where_it_can_be_read():
    frequency = measure(lambda: {"x": 1}, **ONCE).frame["frequency_ghz"].item()
    assert np.isnan(frequency) or 0.1 < frequency < 20


@pytest.mark.parametrize(
    ("files", "frequency"),
    [
        ({"/sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "2400000\n"}, 2.4),
        ({"/proc/cpuinfo": "\n\n".join(f"processor\t: {n}\ncpu MHz\t\t: {1000 + n}.5" for n in range(4))}, 1.0035),
        ({"/proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 50.00\n\n"}, np.nan),
        ({}, np.nan),
    ],
    ids=["of Linux's governor", "of the processor", "on a processor that does not tell", "on another system"],
)
def test_frequency_is_that_of_the_core_that_ran(files, frequency, tmp_path, monkeypatch):
    from mlperf.profilers import child

    stat = "7 (a (odd) name) " + " ".join(["R", *"0" * 35, "3", "0"])
    for name, content in {"/proc/self/stat": stat, **files}.items():
        (tmp_path / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name.lstrip("/")).write_text(content)
    monkeypatch.setattr(child, "Path", lambda name: tmp_path / name.lstrip("/"))
    assert child._frequency() == pytest.approx(frequency, nan_ok=True)


def test_machine_is_recorded_with_each_run_without_its_host():
    (machine,) = set(measure(identity, processes=1, a=[1, 2]).frame["machine"])
    assert re.fullmatch(r".+ \([0-9a-f]{8}\)", machine)
    assert platform.node() not in machine


def test_a_mapping_labels_the_rows_and_passes_its_values():
    runs = measure(identity, **ONCE, model={"Small": 32, "Large": 128}).frame
    assert dict(zip(runs["model"], runs["got_model"], strict=True)) == {"Small": 32, "Large": 128}


def test_anything_hashable_labels_a_row():
    """Tried: not all that can be a key could label a level of the grid."""
    labels = [(32, 16), None, 2.5, Fraction(1, 3), frozenset({1})]
    runs = measure(lambda a: {"x": 1.0}, **ONCE, a=labels)  # noqa: ARG005
    assert runs.frame["a"].tolist() == labels
    assert measure(identity, **ONCE, a=np.array([1, 2])).frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize("two", [np.int64(2), np.int8(2), np.array(2)])
def test_counts_of_any_type_are_counts(two):
    """Tried: an array of no dimension was refused."""
    assert len(measure(identity, processes=two, repeats=two, n_jobs=two, warmup=False).frame) == 4


@pytest.mark.parametrize("labels", [[None, 3], [None, "sqrt"], [None, 0.5, True]])
def test_none_is_a_label_as_any_other(labels):
    """Tried: a depth of None, as scikit-learn has it, became a missing number that chose no cell."""
    runs = measure(lambda a: {"x": 1.0}, **ONCE, a=labels)  # noqa: ARG005
    assert runs.frame["a"].tolist() == labels
    assert [runs["x"][label].value for label in labels] == [1.0] * len(labels)


def test_named_index_of_a_data_frame_is_a_level():
    def run(model):
        frame = pd.DataFrame({"operator": ["mm", "add"], "calls": [model, 2]})
        return frame.set_index("operator")

    runs = measure(run, **ONCE, model=[7])
    assert runs.by == ("model", "operator")
    assert runs.frame[["model", "operator", "calls"]].to_numpy().tolist() == [[7, "mm", 7], [7, "add", 2]]


def test_frame_without_rows_keeps_its_columns():
    runs = measure(lambda: pd.DataFrame({"calls": []}, index=pd.Index([], name="operator")), **ONCE)
    assert len(runs) == 0
    assert list(runs.frame.columns[-1:]) == ["calls"]
    assert runs.by == ("operator",)


@pytest.mark.parametrize(
    ("value", "measured"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(2.5), 2.5),
        (pd.NA, None),
        (pd.Timedelta("90s"), 90.0),
        (timedelta(minutes=2), 120.0),
        (np.timedelta64(1500, "ms"), 1.5),
        (pd.Timestamp("2024-05-01"), "2024-05-01T00:00:00"),
        (np.str_("text"), "text"),
        (Fraction(1, 4), 0.25),
        (Decimal("0.125"), 0.125),
        (np.longdouble(0.5), 0.5),
        (2**70, 2**70),
        (True, True),
        ("text", "text"),
    ],
)
def test_numbers_of_any_type_are_measured(value, measured):
    """Tried: NumPy's and pandas' scalars, arrays of no dimension and Fractions."""
    from mlperf.profilers.child import _plain

    plain = _plain("x", value)
    assert plain == measured
    assert type(plain) is type(measured)


def test_tensor_of_one_element_is_a_number():
    def run():
        import torch

        return {"loss": torch.tensor(0.5, requires_grad=True)}

    assert measure(run, **ONCE)["loss"].value == 0.5


def test_a_child_uses_as_many_threads_as_asked():
    def run():
        import torch

        return {"threads": torch.get_num_threads()}

    assert measure(run, **ONCE, threads=1)["threads"].value == 1
    assert measure(run, **ONCE, threads=2)["threads"].value == 2


def test_the_warm_up_is_run_once_in_each_process_and_not_counted(tmp_path):
    log = tmp_path / "log"

    def run(epochs):
        with log.open("a") as file:
            file.write(f"{epochs} ")
        return {}

    measure(run, processes=1, repeats=2, epochs=[9])
    assert log.read_text() == "9 9 9 "
    log.unlink()
    runs = measure(run, processes=2, warmup={"epochs": 1}, epochs=[9])
    assert sorted(log.read_text().split()) == ["1", "1", "9", "9"]
    assert len(runs) == 2
    log.unlink()
    measure(run, **ONCE, epochs=[9])
    assert log.read_text() == "9 "


def test_no_process_is_measured_while_another_one_works(tmp_path):
    def run(n):  # noqa: ARG001
        with (tmp_path / "times").open("a") as file:
            file.write(f"{os.getpid()} {time.monotonic()} ")
            time.sleep(0.05)
            file.write(f"{time.monotonic()}\n")
        return {}

    measure(run, processes=1, repeats=2, n=[1, 2])
    counted = {}
    for line in (tmp_path / "times").read_text().splitlines():
        pid, begin, end = line.split()
        counted.setdefault(pid, []).append((float(begin), float(end)))
    warm_ups = [runs.pop(0) for runs in counted.values()]
    spans = sorted(span for runs in counted.values() for span in runs)
    assert spans[0][0] > max(end for _, end in warm_ups)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_runs_share_a_process_where_fresh_ones_are_not_asked_for(tmp_path):
    def run(a):  # noqa: ARG001
        os.chdir(tmp_path)
        warnings.simplefilter("error")
        return {"pid": os.getpid(), "filters": len(warnings.filters)}

    try:
        first = measure(run, processes=2, warmup=False, fresh=False, a=[1, 2]).frame
        second = measure(lambda: {"pid": os.getpid(), "folder": str(Path.cwd())}, processes=1, fresh=False).frame
    finally:
        rounds._end_shared()
    assert {*first["pid"], *second["pid"]} == {first["pid"][0]}
    assert len(set(first["filters"])) == 1, "filters of one run reach no other one"
    assert second["folder"].item() == str(Path.cwd())


def test_settings_of_the_caller_change_nothing(monkeypatch, tmp_path):
    """Tried: started from a notebook, matplotlib looked for that notebook's module; PYTHONPATH had one of our name."""

    def run():
        import matplotlib.pyplot  # noqa: F401

        warnings.warn("look", DeprecationWarning, stacklevel=1)
        print("µs")
        return {"unit": "µs", "module": sys.modules["mlperf"].__file__}

    (tmp_path / "mlperf.py").write_text("raise ImportError('another one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("MPLBACKEND", "module://of_a_notebook")
    monkeypatch.setenv("LC_ALL", "C")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = measure(run, processes=1).frame
    assert measured["unit"].item() == "µs"
    assert measured["module"].item() == sys.modules["mlperf"].__file__


def test_a_clean_environment_lacks_what_changes_how_libraries_compute(monkeypatch):
    """OPENBLAS_CORETYPE halved the products of scikit-learn, in a comparison of libraries."""

    def run():
        return {name: os.environ.get(name, "not set") for name in names}

    names = [
        "OPENBLAS_CORETYPE",
        "XLA_FLAGS",
        "OMP_NUM_THREADS",
        "NUMBA_CACHE_DIR",
        "CUDA_VISIBLE_DEVICES",
        "JAX_PLATFORMS",
    ]
    for name in names:
        monkeypatch.setenv(name, "7")
    before = dict(os.environ)
    runs = {clean: measure(run, **ONCE, threads=2, clean_environment=clean).frame for clean in (True, False)}
    assert [runs[True][name].item() for name in names] == ["not set", "not set", "2", "7", "7", "7"]
    assert [runs[False][name].item() for name in names] == ["7", "7", "2", "7", "7", "7"]
    assert dict(os.environ) == before


def test_a_process_with_another_environment_is_not_shared(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    options = {**ONCE, "fresh": False}
    try:
        for clean, seen in ((True, "not set"), (False, "Haswell")):
            runs = measure(
                lambda: {"kernel": os.environ.get("OPENBLAS_CORETYPE", "not set")},
                **options,
                clean_environment=clean,
            )
            assert runs.frame["kernel"].item() == seen
    finally:
        rounds._end_shared()


# What is shown.


def test_what_is_done_and_left_is_shown(capfd):
    measure(identity, processes=2, warmup=False, model=["Small"])
    shown = capfd.readouterr().err
    assert "Measuring" in shown
    assert "2/2" in shown
    assert "model=Small" in shown


def test_progress_names_the_cell_from_the_start(capfd):
    def run(model):  # noqa: ARG001
        raise ValueError

    with pytest.raises(MeasurementError):
        measure(run, processes=1, model=["Large"])
    assert re.search(r"0/1 .*model=Large", capfd.readouterr().err)


def test_what_a_run_prints_reaches_the_terminal(capfd):
    measure(lambda: print("hello") or {}, **ONCE)
    assert "hello" in capfd.readouterr().err


# What goes wrong in a run.


def exits():
    sys.exit(0)


def exits_at_once():
    print("no licence", file=sys.stderr)
    sys.stderr.flush()
    os._exit(0)


class OwnError(Exception):
    def __init__(self, code, reason):
        super().__init__(f"{reason} ({code})")


def raises_its_own():
    raise OwnError(7, reason="broken")


def raises_what_cannot_be_said():
    class Silent(Exception):  # noqa: N818
        def __str__(self):
            raise RuntimeError

    raise Silent


def hangs():
    time.sleep(300)


def hangs_in_c():
    threading.Lock().acquire()
    import ctypes

    ctypes.PyDLL(None).sleep(300)  # and keeps all of Python's threads from running


def prints_without_end():
    while True:
        print("x" * 1000)


def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def turns_warnings_into_errors():
    warnings.simplefilter("error")
    warnings.warn("careful", UserWarning, stacklevel=1)


def forks():
    os.fork()
    return {}


def leaves_a_process_behind():
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    raise ValueError(f"left {left.pid}")


def interrupts_itself():
    raise KeyboardInterrupt


def returns(value):
    return lambda: value


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (exits, "SystemExit: 0"),
        (exits_at_once, "its process exited with status 0 before it returned; it last printed: no licence"),
        (raises_its_own, "OwnError: broken (7)"),
        (raises_what_cannot_be_said, "Silent"),
        (hangs, "it took longer than its timeout of 2 s"),
        (hangs_in_c, "it took longer than its timeout of 2 s"),
        (prints_without_end, "it printed more than 10,000,000 bytes"),
        (is_killed, "its process was ended by SIGKILL"),
        (turns_warnings_into_errors, "UserWarning: careful"),
        (forks, "it forked a process that returned from it"),
        (leaves_a_process_behind, "ValueError: left"),
        (interrupts_itself, "KeyboardInterrupt"),
        (returns(None), "TypeError: run must return a mapping, such as {'seconds': 1.5}, or a DataFrame. Got None. Is"),
        (returns(1.5), "TypeError: run must return a mapping, such as {'seconds': 1.5}, or a DataFrame. Got a float."),
        (returns([1]), "TypeError: run must return a mapping, such as {'seconds': 1.5}, or a DataFrame. Got a list."),
        (returns({"x": [1]}), "TypeError: What run returns must be numbers or strings. Got 'x', a list."),
        (returns({1: 2}), "TypeError: What run returns must be named by strings. Got 1, an int."),
        (returns({"load": 2}), "ValueError: run must not return 'load': the table of the runs has a column of that"),
        (
            returns(pd.DataFrame({"x": [1, 2]})),
            "ValueError: The rows of a DataFrame that run returns must be identified by an index with a name. "
            "Write `return frame.set_index(...)`",
        ),
        (
            returns(pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "a"], name="part"))),
            "ValueError: The index of the DataFrame that run returned must name each row once. Got 'a' twice.",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_a_measured_function_does_is_one_error_that_names_its_cell(run, message, capfd):
    """Each of these once ended the whole script in its own way; ``sys.exit(0)`` did so silently and with status 0."""

    def in_a_cell(model):  # noqa: ARG001
        return run()

    with pytest.raises(MeasurementError, match=re.escape(f"failed in the cell model=Large: {message}")) as caught:
        measure(in_a_cell, processes=2, repeats=3, timeout=2 if "hang" in run.__name__ else None, model=["Large"])
    if left := re.search(r"left (\d+)", str(caught.value)):
        # It was sent a signal; when it is gone is up to the system.
        deadline = time.monotonic() + 30
        while is_running(int(left[1])):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert len(capfd.readouterr().err) < 300_000


def test_one_job_is_one_process_however_many_cores_there_are(monkeypatch):
    """Tried: with ``n_jobs=1`` there was a process for each core, each with a model of its own in memory."""
    monkeypatch.setattr("joblib.cpu_count", lambda: 3)

    def run(a):  # noqa: ARG001
        siblings = psutil.Process().parent().children()
        return {"processes": sum("mlperf.profilers.child" in " ".join(one.cmdline()) for one in siblings)}

    assert set(measure(run, processes=2, n_jobs=1, a=[1, 2, 3]).frame["processes"]) == {1}
    assert max(measure(run, processes=1, a=[1, 2, 3]).frame["processes"]) == 3


def test_wrong_kind_is_refused_right_after_the_warm_up(tmp_path):
    def run():
        with (tmp_path / "log").open("a") as file:
            file.write(f"{os.getpid()} ")

    with pytest.raises(MeasurementError, match="Got None"):
        measure(run, processes=3, repeats=3)
    calls = (tmp_path / "log").read_text().split()
    assert 1 <= len(calls) == len(set(calls)), "several processes warm up at a time, each once"


def test_error_tells_where_in_the_function_it_arose():
    def run():
        return raises_its_own()

    with pytest.raises(MeasurementError) as caught:
        measure(run, processes=1)
    (told,) = caught.value.__notes__
    assert f'File "{__file__}", line {run.__code__.co_firstlineno + 1}, in run\n    return raises_its_own()' in told
    assert 'raise OwnError(7, reason="broken")' in told


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_failure_ends_what_runs_beside_it(n_jobs):
    def run(model):
        if model == "Large":
            raise ValueError("too large")
        time.sleep(60)
        return {}

    start = time.monotonic()
    with pytest.raises(MeasurementError, match="failed in the cell model=Large: ValueError: too large"):
        measure(run, processes=1, n_jobs=n_jobs, model=["Small", "Large"])
    assert time.monotonic() - start < 50  # it did not wait for the run beside it


def test_module_that_only_this_process_finds_is_named(tmp_path, monkeypatch):
    (tmp_path / "helper_of_mine.py").write_text("def run():\n    return {'x': 1}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import helper_of_mine

    assert measure(helper_of_mine.run, processes=1)["x"].value == 1
    (tmp_path / "helper_of_mine.py").unlink()
    with pytest.raises(MeasurementError, match="ModuleNotFoundError: No module named 'helper_of_mine'"):
        measure(helper_of_mine.run, processes=1)


SCRIPT = """
import os, time
from mlperf.profilers.measure import measure
def run(folder):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    time.sleep(300)
measure(run, processes=1, warmup=False, n_jobs={n_jobs}, folder={folders})
"""


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_a_parent_however_it_ends(end, n_jobs, tmp_path):
    """Tried: interrupted, terminated and killed while it measured."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(n_jobs=n_jobs, folders=[str(tmp_path), f"{tmp_path}/"][:n_jobs]))
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(pids := [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]) < n_jobs:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    parent.send_signal(end)
    said = parent.communicate(timeout=60)[1]
    assert parent.returncode != 0
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline + 60
        time.sleep(0.02)
    assert "leaked" not in said
    assert end != signal.SIGINT or "KeyboardInterrupt" in said


@pytest.mark.skipif(not CAN_SHRINK, reason="this system lets nobody mount a folder for one process alone")
def test_shared_memory_of_a_few_kilobytes_is_enough(tmp_path):
    """Tried: where a container had next to none, measuring ended with a traceback."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from mlperf import measure\n"
        "def run(n):\n    return {'bytes': os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize}\n"
        "print(*measure(run, processes=1, n_jobs=2, n=[1, 2]).frame['bytes'])\n"
    )
    done = subprocess.run([*SHRUNK, sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == "4096 4096\n", done.stderr


def test_helpers_of_multiprocessing_take_back_what_a_run_left(tmp_path, capfd):
    """On Python 3.13 and 3.14 every run that used a progress bar ended with "leaked semaphore objects"."""
    kept = []

    def run():
        import multiprocessing
        from multiprocessing import resource_tracker

        semaphore = multiprocessing.get_context("spawn").Semaphore()
        (tmp_path / "tracker").write_text(str(resource_tracker._resource_tracker._pid))
        kept.append(semaphore)
        return {"name": semaphore._semlock.name}

    name = measure(run, **ONCE).frame["name"].item()
    assert not Path("/dev/shm", f"sem.{name.lstrip('/')}").exists()
    assert not is_running(int((tmp_path / "tracker").read_text()))
    assert "leaked" not in capfd.readouterr().err


# What is wrong with the call.


def fit(model, max_iter=5):
    return {"x": len(model) * max_iter}


LOCK = threading.Lock()


def uses_a_lock():
    with LOCK:
        return {}


@pytest.mark.parametrize(
    ("run", "settings", "error", "message"),
    [
        (
            identity,
            {"repeats": 0},
            ValueError,
            "The 'repeats' parameter of measure must be an int of at least 1. Got 0",
        ),
        (identity, {"processes": 0}, ValueError, "The 'processes' parameter of measure must be an int of at least 1."),
        (identity, {"threads": 1.0}, TypeError, "The 'threads' parameter of measure must be an int of at least 1. Got"),
        (
            identity,
            {"n_jobs": True},
            TypeError,
            "The 'n_jobs' parameter of measure must be an int of at least 1. Got T",
        ),
        (
            identity,
            {"timeout": 0},
            ValueError,
            "The 'timeout' parameter of measure must be a number of seconds above 0",
        ),
        (
            identity,
            {"clean_environment": ["OPENBLAS_"]},
            TypeError,
            "The 'clean_environment' parameter of measure must be True or False: which variables are cleared is fixed",
        ),
        (
            identity,
            {"min_run_time": -1},
            ValueError,
            "The 'min_run_time' parameter of measure must be a number of seconds of at least 0. Got -1 instead.",
        ),
        (identity, {"min_run_time": "1"}, TypeError, "parameter of measure must be a number of seconds of at least 0."),
        (identity, {"fresh": "cell"}, ValueError, "must be True, False or 'round'. Got 'cell' instead."),
        (identity, {"timeout": "1"}, TypeError, "The 'timeout' parameter of measure must be a number of seconds above"),
        (identity, {"warmup": 1}, TypeError, "The 'warmup' parameter of measure must be True, False, or a mapping of"),
        (
            fit,
            {"model": "Small"},
            TypeError,
            "a list or a mapping of levels, such as model=['Small']. Got 'Small' instea",
        ),
        (
            identity,
            {"n": 1000},
            TypeError,
            "The 'n' parameter of measure must be a list or a mapping of levels, such as",
        ),
        (identity, {"n": []}, ValueError, "The 'n' parameter of measure must have at least one level. Got [] instead."),
        (identity, {"n": [1, 1]}, ValueError, "The 'n' parameter of measure must have each level once. Got 1 twice."),
        (
            identity,
            {"n": [[32]]},
            TypeError,
            "The 'n' parameter of measure has the level [32], which cannot label a row. "
            "Give a mapping of labels to levels, such as n={'first': [32]}.",
        ),
        (
            identity,
            {"repeat": [1]},
            ValueError,
            "parameter 'repeat': it is a column of the result. Did you mean 'repeats'",
        ),
        (identity, {"process": 2}, ValueError, "it is a column of the result. Did you mean 'processes'?"),
        (identity, {"n_job": 2}, TypeError, "Got 2 instead. Did you mean 'n_jobs'?"),
        (
            fit,
            {"model": ["a"], "warm_up": False},
            TypeError,
            "no parameter 'warm_up' that measure could vary. Did you mea",
        ),
        (
            fit,
            {"modle": ["a"]},
            TypeError,
            "fit() has no parameter 'modle' that measure could vary. Did you mean 'model'?",
        ),
        (fit, {}, TypeError, "fit() needs 'model': give measure its levels, such as model=[...]."),
        (
            fit,
            {"model": ["a"], "warmup": {"epochs": 1}},
            TypeError,
            "fit() has no parameter 'epochs' that the warm-up of",
        ),
        ("fit", {}, TypeError, "measure must be given a function to call. Got 'fit' instead."),
        (lambda: LOCK, {}, TypeError, "cannot be sent to a fresh process: it uses 'LOCK', of type lock, which cannot"),
        (
            identity,
            {"n": {"a": {"deep": [LOCK]}}},
            TypeError,
            "A level of 'n' cannot be sent to a fresh process: n['deep']",
        ),
    ],
)
def test_a_slip_in_the_call_is_named(run, settings, error, message):
    with pytest.raises(error, match=re.escape(message)):
        measure(run, **settings)
