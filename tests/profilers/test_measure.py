import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest

from mlperf.profilers.measure import MeasurementError, measure


def measuring_children():
    """Loky's workers: its tracker stays as long as this process, and so may the browser of other tests."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and "loky.backend.popen" in " ".join(child.cmdline())
    ]


def identity(**cell):
    return {"pid": os.getpid(), **{f"got_{name}": value for name, value in cell.items()}}


def test_every_repeat_of_every_cell_is_one_row():
    runs = measure(identity, repeats=3, processes=2, warmup=False, a=[1, 2], b=["x"])
    assert list(runs.columns) == ["a", "b", "process", "repeat", "pid", "got_a", "got_b"]
    assert runs.groupby(["a", "b"]).repeat.apply(sorted).tolist() == [[0, 1, 2]] * 2
    assert (runs.a == runs.got_a).all()


def test_each_process_of_each_cell_is_fresh():
    runs = measure(identity, repeats=4, processes=2, warmup=False, a=[1, 2])
    assert runs.groupby(["a", "process"]).pid.nunique().tolist() == [1, 1, 1, 1]
    assert runs.pid.nunique() == 4
    assert os.getpid() not in set(runs.pid)


def test_rounds_visit_every_cell_before_any_comes_again():
    runs = measure(lambda a: {"at": time.monotonic()}, repeats=2, processes=2, warmup=False, a=[1, 2])  # noqa: ARG005
    assert runs.sort_values("at").process.tolist() == [0, 0, 1, 1]


def test_a_mapping_labels_the_rows_and_passes_its_values():
    runs = measure(identity, repeats=1, warmup=False, model={"Small": 32, "Large": 128})
    assert dict(zip(runs.model, runs.got_model, strict=True)) == {"Small": 32, "Large": 128}


def test_a_data_frame_becomes_rows_of_the_same_repeat():
    runs = measure(lambda: pd.DataFrame({"operator": ["mm", "add"], "calls": [1, 2]}), repeats=2, warmup=False)
    assert runs[["repeat", "operator", "calls"]].to_numpy().tolist() == [
        [0, "mm", 1],
        [0, "add", 2],
        [1, "mm", 1],
        [1, "add", 2],
    ]


def test_a_child_uses_as_many_threads_as_asked():
    def run():
        import torch

        return {"threads": torch.get_num_threads()}

    assert measure(run, repeats=1, threads=1, warmup=False).threads.item() == 1
    assert measure(run, repeats=1, threads=2, warmup=False).threads.item() == 2


def test_the_warm_up_is_run_once_in_each_process_and_not_counted(tmp_path):
    log = tmp_path / "log"

    def run(epochs):
        with log.open("a") as file:
            file.write(f"{epochs} ")
        return {}

    measure(run, repeats=2, epochs=[9])
    assert log.read_text() == "9 9 9 "
    log.unlink()
    runs = measure(run, repeats=2, processes=2, warmup={"epochs": 1}, epochs=[9])
    assert sorted(log.read_text().split()) == ["1", "1", "9", "9"]
    assert len(runs) == 2
    log.unlink()
    measure(run, repeats=1, warmup=False, epochs=[9])
    assert log.read_text() == "9 "


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failing_run_names_its_cell_and_leaves_no_child(n_jobs):
    def run(model, n_samples):  # noqa: ARG001
        if model == "Large":
            raise ValueError("too large")
        time.sleep(60 if n_jobs == 2 else 0)
        return {}

    start = time.monotonic()
    message = "The measured run failed in the cell model=Large, n_samples=5: ValueError: too large"
    with pytest.raises(MeasurementError, match=re.escape(message)):
        measure(run, repeats=1, warmup=False, n_jobs=n_jobs, model=["Small", "Large"], n_samples=[5])
    assert time.monotonic() - start < 50  # it did not wait for the run beside it
    assert not measuring_children()


def test_a_run_whose_process_dies_names_its_cell():
    def run(n):  # noqa: ARG001
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(MeasurementError, match="failed in the cell n=1: TerminatedWorkerError"):
        measure(run, repeats=1, warmup=False, n=[1])
    assert not measuring_children()


def test_what_is_done_and_left_is_shown(capfd):
    measure(identity, repeats=2, warmup=False, model=["Small"])
    shown = capfd.readouterr().err
    assert "Measuring" in shown
    assert "2/2" in shown
    assert "model=Small" in shown


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_a_parent_however_it_ends(end, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from mlperf.profilers.measure import measure\n"
        "def run(folder):\n"
        "    open(os.path.join(folder, str(os.getpid())), 'w').close()\n"
        "    time.sleep(300)\n"
        f"measure(run, repeats=1, warmup=False, n_jobs=2, folder=[{str(tmp_path)!r}, {str(tmp_path) + '/'!r}])\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(pids := [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    parent.send_signal(end)
    parent.wait(timeout=60)
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < deadline + 60
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repeats": 0}, "The 'repeats' parameter of measure must be an int of at least 1. Got 0 instead."),
        ({"repeats": 1, "threads": 1.0}, "The 'threads' parameter of measure must be an int of at least 1. Got 1.0"),
        ({"repeats": 1, "processes": 2}, "The 'processes' parameter of measure must be at most repeats (1). Got 2"),
        ({"repeats": 1, "n": []}, "The 'n' parameter of measure must have at least one level. Got [] instead."),
        ({"repeats": 1, "repeat": [1]}, "The grid of measure must not have a parameter 'repeat'"),
    ],
)
def test_a_bad_setting_is_named_with_its_owner_requirement_and_value(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        measure(identity, **settings)
