"""A result is published whole or not at all, and what is read back is what was published."""

import datetime
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal

from mlperf import protocol
from mlperf.quantities.cells import Given
from mlperf.quantities.checks import fact
from mlperf.quantities.claims import claim
from mlperf.quantities.quantity import Quantity, exact
from mlperf.quantities.runs import Runs
from mlperf.results import atomic, reading
from mlperf.results.folder import ResultError
from mlperf.results.provenance import inputs
from mlperf.results.publishing import finish, publish
from mlperf.results.reading import read

NAN, INF = float("nan"), float("inf")
FRAME = pd.DataFrame({"model": ["Small", "Large"] * 2, "process": [0, 0, 1, 1], "seconds": [1.0, 2.0, 1 / 3, 3.0]})


@pytest.fixture
def folder(results):
    """Where a test publishes."""
    return results


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def figure(title):
    made = Figure()
    made.subplots().set_title(title)
    return made


def estimates(quantity):
    cells = quantity.cells.items()
    # As it is kept: `interval` computes it anew.
    ends = {key: (cell.low, cell.high) if isinstance(cell, Given) else cell.interval() for key, cell in cells}
    return {key: (cell.value, *ends[key], cell.n_runs, cell.n_processes) for key, cell in cells}


def test_what_is_read_is_what_was_published(folder):
    fit = Runs(FRAME, by="model")["seconds"]
    quick = claim("It is quick.", fit < 5, otherwise="It is not quick.", original="It was quick.")
    publish("fits", runs=Runs(FRAME, by="model"), frame=FRAME, fit=fit, quick=quick, bars=figure("Time\nrises"), n=3)
    result = read("fits")
    assert list(result) == ["runs", "frame", "fit", "quick", "bars", "n"]
    assert [result.kind(key) for key in result] == ["table", "table", "quantity", "claim", "figure", "value"]
    assert_frame_equal(result["frame"], FRAME)
    assert set(result["runs"]) == {"model", "process", "repeat", "seconds"}
    assert (result["fit"].by, result["fit"].unit, result["fit"].name) == (fit.by, fit.unit, fit.name)
    assert estimates(result["fit"]) == estimates(fit)
    assert result["quick"] == quick
    assert result["bars"].alt == "Time rises"
    assert 100 < result["bars"].width < 1_000 > result["bars"].height > 100
    assert result["bars"].svg.startswith(b"<?xml")
    assert (result.most("process"), result.most("repeat")) == (2, 1)
    listed = ["bars.pdf", "bars.svg", "fit.csv", "frame.csv", "json", "runs.csv"]
    assert sorted(files(folder)) == [f"fits.{end}" for end in listed]
    assert result.paths("bars") == {"svg": folder / "fits.bars.svg", "pdf": folder / "fits.bars.pdf"}


def test_changing_what_was_read_changes_nothing_else():
    publish("fits", frame=FRAME)
    result = read("fits")
    taken = result["frame"]
    taken["seconds"] = 0
    assert_frame_equal(result["frame"], FRAME)


@pytest.mark.parametrize(
    "quantity",
    [
        exact(2.5),
        exact({"Small": 0.1 + 0.2, "Large": 1e308}, by="model", unit="bytes", name="peak_bytes"),
        exact({("Small", 1_000): 1, ("Large", 10_000): 2}, by=["model", "n_samples"]),
        exact({((64, 32), 0.5, True): 1}, by=["layers", "rate", "shuffled"]),
        exact({(None, pd.Timestamp("2020-01-02 03:04"), np.int64(3)): 1}, by=["a", "b", "c"]),
        Quantity.from_estimates({"a": (1.0, 0.9, 1.2), "b": (1.0, NAN, NAN), "c": (1.0, -INF, INF)}, by="x"),
        Runs(FRAME, by="model").quantity("seconds", statistic="mean"),
    ],
)
def test_quantity_is_read_back_to_the_bit(quantity):
    publish("fits", q=quantity)
    found = read("fits")["q"]
    assert (found.by, found.unit, found.name) == (quantity.by, quantity.unit, quantity.name)
    assert repr(estimates(found)) == repr(estimates(quantity)).replace("np.int64(3)", "3")
    assert str(found) == str(quantity)


def test_quantity_lies_in_the_json_and_in_a_csv_for_any_reader(folder):
    publish("fits", fit=Runs(FRAME, by="model")["seconds"])
    record = json.loads((folder / "fits.json").read_text(), parse_constant=pytest.fail)
    entry = record["things"]["fit"]
    assert (entry["unit"], entry["by"], entry["statistic"]) == ("seconds", ["model"], "median")
    assert entry["cells"][1].keys() == {"labels", "value", "low", "high", "runs", "processes"}
    assert [entry["cells"][1][key] for key in ("labels", "value", "runs", "processes")] == [["Large"], 2.5, 2, 2]
    assert (folder / "fits.fit.csv").read_text().startswith("model,seconds,seconds_low,seconds_high,runs\nSmall,")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("torch", "torch"),
        (3, 3),
        (2**70, 2**70),
        (0.1, 0.1),
        (True, True),
        (np.int32(3), 3),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.array(4), 4),
        (Fraction(1, 4), 0.25),
        (Decimal("0.5"), 0.5),
    ],
)
def test_text_and_numbers_of_any_type_are_kept_as_they_are(given, kept):
    """Tried: NumPy's scalars, arrays of no dimension, Fractions and Decimals."""
    publish("fits", x=given)
    found = read("fits")["x"]
    assert (type(found), found) == (type(kept), kept)


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ([Fraction(1, 3), Fraction(-1, 2), Fraction(2)], None),
        ([Decimal("0.10"), Decimal("1E+400")], None),
        ([(32, 16), (np.int64(8), None, True, ("a", 0.5))], None),
        ([None, "a", 1], None),
        ([pd.Timedelta("1s"), pd.Timestamp("2020-01-01"), datetime.date(2020, 1, 1)], None),
        ([frozenset({1}), 1j, b"a"], ["frozenset({1})", "1j", "b'a'"]),
        ([pd.Interval(0, 1), Path("x")], ["(0, 1]", "x"]),
        ([(Fraction(1, 3), 1), 2], None),
    ],
)
def test_anything_hashable_that_labels_a_level_can_be_published(labels, kept):
    """Tried: levels that `measure` takes, such as Fractions, could not be published."""
    frame = pd.DataFrame({"level": pd.Series(labels, dtype=object), "n": range(len(labels)), "x": 1.0})
    runs = Runs(frame, by=["level"])
    quantity = runs["n"]
    publish("fits", runs=runs, quantity=quantity)
    result = read("fits")
    assert [label for (label,) in result["quantity"].cells] == (kept or labels)
    in_table = [str(label) if isinstance(label, tuple) and Fraction(1, 3) in label else label for label in labels]
    assert result["runs"]["level"].tolist() == (kept or in_table)


def test_unmeasured_claim_is_read_back():
    made = claim("The heap holds less.", reason="memray is not installed")
    publish("fits", heap=made)
    assert read("fits")["heap"] == made


@pytest.mark.parametrize("of", ["figure", "axes", "array of axes", "list of axes", "one axes in an array"])
def test_axes_stand_for_their_figure(of):
    drawn, axes = plt.subplots(2)
    axes[1].set_title("Below")
    thing = {
        "figure": drawn,
        "axes": axes[0],
        "array of axes": axes,
        "list of axes": list(axes),
        "one axes in an array": np.array(axes[0], dtype=object),
    }[of]
    publish("fits", panels=thing)
    plt.close(drawn)
    assert read("fits")["panels"].alt == "Below"


def test_same_figure_makes_the_same_files(folder):
    publish("fits", bars=figure("Time"))
    before = files(folder)
    publish("fits", bars=figure("Time"))
    assert {name: content for name, content in files(folder).items() if name != "fits.json"} == {
        name: content for name, content in before.items() if name != "fits.json"
    }


def test_keys_are_made_into_names():
    publish("fits", **{"scikit-learn": 1, "Large, 10K": 2, "naïve": 3})
    assert list(read("fits")) == ["scikit_learn", "large_10k", "naive"]


@pytest.mark.parametrize(
    ("things", "message"),
    [
        ({"x": None}, "Got NoneType instead: there is nothing to publish."),
        (
            {"x": fact("it is so", True)},
            "The thing 'fits.x' of publish must be Runs, a DataFrame, a Quantity, a Claim, a Figure, Axes, text or a "
            "number. Got Check instead: make a claim of it: claim('A statement.', check).",
        ),
        (
            {"x": [claim("It is.", fact("so", True))]},
            "Got list instead: name each thing in it, or make it a DataFrame.",
        ),
        ({"x": ({"seconds": 1},)}, "Got tuple instead: name each thing in it, or make it a DataFrame."),
        (
            {"claims": {"grows": claim("It grows.", fact("so", True))}},
            "Got dict instead: to publish what is in a mapping, unpack it: publish(..., **claims).",
        ),
        ({"x": pd.Series([1])}, "Got Series instead: make it a table: series.to_frame()."),
        ({"x": np.ones(3)}, "Got ndarray instead."),
        ({"x": NAN}, "The number 'fits.x' of publish must be finite. Got nan instead."),
        ({"x": np.float32(INF)}, "The number 'fits.x' of publish must be finite. Got inf instead."),
        ({"bars": Figure()}, "The figure 'fits.bars' must have a title that says what it shows. Got none instead."),
        ({"bars": [Figure().subplots(), Figure().subplots()]}, "must be of one figure. Got those of 2 instead."),
        (
            {"t": pd.DataFrame({"x": [{}]})},
            "The table 'fits.t' cannot be kept: its column 'x' holds {}, a dict; make it a number, text or a date.",
        ),
        (
            {"q": exact({frozenset({1}): 1, "frozenset({1})": 2}, by="x")},
            "The quantity 'fits.q' cannot be kept: two labels of 'x' are written alike, 'frozenset({1})'.",
        ),
        (
            {"runs": Runs(pd.DataFrame({"x": [frozenset({1}), "frozenset({1})"], "n": 1}), by="x")},
            "The table 'fits.runs' cannot be kept: two labels of 'x' are written alike, 'frozenset({1})'.",
        ),
        ({"q": Quantity.from_estimates({(): (1, 3, 2)})}, "The result 'fits' could not be read back: "),
        ({"模型": 1}, "The names of things in publish must be Latin letters and digits. Got '模型' instead."),
        ({"a-b": 1, "a_b": 2}, "The names of things in publish must differ in letters and digits. Got 'a_b' twice."),
    ],
)
def test_what_cannot_be_published_is_refused_before_anything_is_written(folder, things, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)) as caught:
        publish("fits", before=1, **things)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Training time", " Did you mean 'training_time'?"), ("../fits", " Did you mean 'fits'?"), ("1", ""), (3, "")],
)
def test_name_that_files_cannot_have_is_refused(folder, name, hint):
    message = (
        "The 'name' parameter of publish must be lower case letters, digits and underscores, a letter first. Got "
        f"{name!r} instead.{hint}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        publish(name, n=1)
    assert not folder.exists()


def test_terminal_says_what_was_found_and_where_it_lies(folder, capsys, monkeypatch):
    monkeypatch.setattr(protocol, "MODE", "published")
    monkeypatch.chdir("/")  # from elsewhere the way there may be shorter
    steps = exact(100)
    claims = {"few": claim("There are few.", steps < 1_000), "more": claim("No.", steps > 200, otherwise="Only 100.")}
    publish("fits", steps=steps, **claims)
    assert capsys.readouterr().out == (
        f"✓ holds: There are few.\n✗ does not hold: Only 100.\nPublished fits in {os.path.relpath(folder)}.\n"
    )
    monkeypatch.setattr(protocol, "MODE", "quick")
    publish("fits")
    assert "A preview. Measured with the quick protocol" in capsys.readouterr().out


def test_script_without_a_results_folder_leaves_its_results_beside_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MLPERF_RESULTS")
    monkeypatch.chdir(tmp_path)
    publish("fits")
    assert (tmp_path / "results/fits.json").is_file()
    assert "Published fits in results.\n" in capsys.readouterr().out


def test_terminal_without_the_symbols_costs_no_result(tmp_path):
    code = "from mlperf import claim, exact, publish; publish('fits', few=claim('Few – or µ.', exact(1) < 2))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "MLPERF_RESULTS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("? holds: Few ? or ?.\n")


def test_result_says_where_it_comes_from():
    publish("fits")
    result = read("fits")
    about = result.provenance
    assert len(result) == 0
    assert about["script"] == "test_publishing.py"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", about["time"])
    assert {"processor", "cores", "torch"} <= set(about["machine"])
    assert about["protocol"]["MODE"] in ("published", "quick")
    assert {"commit"} <= set(about)
    assert set(result.inputs) == set(inputs(__file__))


def test_next_result_replaces_all_files_of_the_former_and_no_others(folder):
    publish("fits", runs=FRAME, old=FRAME)
    publish("fits_too", runs=FRAME)
    for name in ("fits.notes.txt", "fits.py", "fits", ".fits", "fits.old.csv.bak", "Fits.old.csv"):
        (folder / name).write_text("mine")
    publish("fits", runs=FRAME)
    ours = {name for name, content in files(folder).items() if content != b"mine"}
    assert ours == {"fits.json", "fits.runs.csv", "fits_too.json", "fits_too.runs.csv"}
    assert len(files(folder)) == len(ours) + 6


@pytest.mark.parametrize("call", ["_write", "os.fsync"])
@pytest.mark.parametrize("after", [0, 1])
def test_full_disk_leaves_the_former_result_and_no_other_file(folder, monkeypatch, call, after):
    """Tried: the disk was filled while a result was published."""
    publish("fits", runs=FRAME, x=1)
    before, calls = files(folder), []
    owner, name = (os, "fsync") if call == "os.fsync" else (atomic, call)
    original = getattr(owner, name)

    def full(*args):
        calls.append(args)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        with pytest.raises(OSError, match=r"The result 'fits' cannot be written to .*: No space left on") as caught:
            publish("fits", runs=FRAME.head(1), x=2)
    assert caught.value.errno == errno.ENOSPC
    assert files(folder) == before


@pytest.mark.parametrize("done", [0, 1, 2])
def test_interruption_while_files_take_their_places_costs_nothing(folder, monkeypatch, done):
    publish("fits", runs=FRAME, more=FRAME, x=1)
    original, calls = Path.replace, []

    def interrupted(self, target):
        calls.append(target)
        if len(calls) > 1 + done:  # the first is the arrival of the list
            raise KeyboardInterrupt
        return original(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish("fits", runs=FRAME.head(1), other=FRAME, x=2)
    left = files(folder)
    result = read("fits")
    assert (result["x"], len(result["runs"]), len(result["other"])) == (2, 1, 4), "all was staged: it counts"
    assert files(folder) == left, "reading writes nothing"
    finish()
    assert sorted(files(folder)) == ["fits.json", "fits.other.csv", "fits.runs.csv"]
    assert read("fits")["x"] == 2


def test_interruption_while_writing_leaves_the_former_result_and_no_other_file(folder, monkeypatch):
    publish("fits", runs=FRAME)
    before = files(folder)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish("fits", runs=FRAME.head(1))
    assert files(folder) == before


@pytest.mark.parametrize("torn", [b"", b"{", b'{"format": 2}'])
def test_torn_list_that_waits_does_not_count(folder, torn):
    """Reported: an empty one after a power loss failed every later build without naming a file."""
    publish("fits", x=1)
    (folder / ".fits.json.next").write_bytes(torn)
    (folder / ".fits.runs.csv.next").write_bytes(b"")
    assert read("fits")["x"] == 1
    finish()
    assert sorted(files(folder)) == ["fits.json"]
    (folder / ".fits.json.next").write_bytes(torn)
    publish("fits", x=2)
    assert read("fits")["x"] == 2
    assert sorted(files(folder)) == ["fits.json"]


def test_files_are_on_the_disk_before_they_count(folder, monkeypatch):
    """Reported: after a power loss, names had outlived what they stood for."""
    synced, order = os.fsync, []
    replaced = Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("sync"), synced(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append(self.suffix), replaced(self, to))[1])
    publish("fits", runs=FRAME)
    assert folder.is_dir()
    assert order == ["sync", "sync", ".tmp", "sync", ".next", ".next", "sync"]


def test_folder_that_cannot_be_made_is_named(folder):
    """Tried: a file where the folder of results should be."""
    folder.write_text("a file")
    with pytest.raises(FileExistsError, match=f"The result 'fits' cannot be written to {folder}: File exists"):
        publish("fits")


def test_read_only_folder_leaves_the_former_result(monkeypatch):
    """Tried: publishing into a folder that must not be written to."""
    publish("fits", x=1)

    def refused(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(atomic, "_write", refused)  # root may write anywhere
    with pytest.raises(PermissionError, match="Permission denied"):
        publish("fits", x=2)
    assert read("fits")["x"] == 1


def test_links_that_wait_in_a_folder_are_not_written_through(folder, tmp_path):
    """Tried: in a hostile folder, links among the files that wait led out of it."""
    publish("fits", runs=FRAME)
    outside = tmp_path / "outside"
    outside.write_text("mine")
    for name in (".fits.runs.csv.next", ".fits.json.tmp", ".fits.json.next", "fits.runs.csv"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside)
    publish("fits", runs=FRAME)
    assert outside.read_text() == "mine"
    assert_frame_equal(read("fits")["runs"], FRAME)


LOOP = """
import itertools, sys, pandas as pd
from mlperf.results import publishing
about = {"script": None, "commit": None, "time": "2026-01-01T00:00:00+00:00",
         "machine": dict.fromkeys(["processor", "cores", "system", "torch"], ""),
         "protocol": {"MODE": "published", "THREADS": 1}}
publishing.inputs, publishing.provenance = lambda script, **_: {}, lambda script: about
for i in itertools.count(1):
    frame = pd.DataFrame({"x": [i] * 500})
    publishing.publish("loop", a=frame, b=frame, c=frame, x=i)
"""


def numbers_in(result):
    return {int(result["x"]), *(int(x) for table in "abc" for x in result[table]["x"])}


def start_loop(folder):
    writer = subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    start = (folder / "loop.json").stat().st_mtime_ns if (folder / "loop.json").exists() else 0
    while not (folder / "loop.json").exists() or (folder / "loop.json").stat().st_mtime_ns == start:
        assert writer.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return writer


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_result_is_whole_wherever_its_writer_is_killed(folder, how):
    """Tried: scripts were killed at random moments."""
    for extra in range(4):
        writer = start_loop(folder)
        time.sleep(0.0023 * extra)
        writer.send_signal(how)
        assert writer.wait(timeout=30) != 0
        assert len(numbers_in(read("loop"))) == 1
    publish("loop", x=1)
    assert sorted(files(folder)) == ["loop.json"]


def test_reader_beside_a_writer_reads_a_whole_result_each_time(folder):
    """Reported: beside a writer that publishes in a tight loop a reader got torn results, and once left one corrupt."""
    writer = start_loop(folder)
    try:
        seen = [numbers_in(read("loop")) for _ in range(100)]
    finally:
        writer.kill()
        writer.wait(timeout=30)
    assert all(len(numbers) == 1 for numbers in seen)
    assert len({min(numbers) for numbers in seen}) > 5, "it was written meanwhile"


def test_two_writers_at_the_same_moment_leave_one_whole_result(folder):
    """Tried: two scripts published one result in a tight loop."""
    writers = [start_loop(folder), start_loop(folder)]
    time.sleep(0.5)
    for writer in writers:
        assert writer.poll() is None
        writer.terminate()
        writer.wait(timeout=30)
    assert len(numbers_in(read("loop"))) == 1
    finish()
    assert len(numbers_in(read("loop"))) == 1


def test_reading_and_publishing_results_does_not_load_torch():
    code = "import sys, mlperf.results.publishing, mlperf.results.shelf; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_format_of_another_version_is_refused(monkeypatch):
    publish("fits")
    monkeypatch.setattr(reading, "FORMAT", reading.FORMAT + 1)
    with pytest.raises(ResultError, match="is foreign"):
        read("fits")


def test_published_script_starts_without_its_journal(monkeypatch):
    cleared = []
    monkeypatch.setattr("mlperf.results.journal.clear", lambda script: cleared.append(str(script)))
    with pytest.raises(TypeError):
        publish("fits", x=None)
    assert cleared == []
    publish("fits")
    assert cleared == [__file__]
