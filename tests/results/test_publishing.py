"""A result is published whole or not at all, and what is read back is what was published."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from mlperf.results import provenance, results
from mlperf.quantities.claims import check, judge
from mlperf.results.provenance import inputs, moved, published_names
from mlperf.results.publishing import ResultError, publish, read
from mlperf.quantities.intervals import Estimate
from mlperf.quantities.units import duration, number

RUNS = pd.DataFrame({"process": [0, 0, 1], "repeat": [0, 1, 2], "seconds": [1.0, 2.0, 1 / 3]})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Publish into a folder of the test's own."""
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_read_is_what_was_published(folder):
    figure = Figure()
    figure.subplots().set_title("Time\nrises")
    finding = judge("It is quick.", check("Large", duration(1.0), below=2))
    path = publish(
        "fits",
        tables={"runs": RUNS},
        values={
            "large": duration(Estimate(1.0, 0.9, 1.2)),
            "once": duration(Estimate(1.0, float("nan"), float("nan"))),
        },
        findings={"quick": finding},
        figures={"bars": figure},
    )
    assert path == folder / "fits.json"
    result = read("fits")
    assert result.values["large"] == duration(Estimate(1.0, 0.9, 1.2))
    assert str(result.values["once"]) == "1.0\u00a0s (measured once)"
    assert result.findings == {"quick": finding}
    pd.testing.assert_frame_equal(result.table("runs"), RUNS)
    assert result.figures["bars"]["alt"] == "Time rises"
    assert all(100 < int(result.figures["bars"]["size"][side]) < 1000 for side in ("width", "height"))
    assert (folder / "fits.bars.svg").read_bytes().startswith(b"<?xml")
    assert result.tables["runs"]["process"] == 2
    assert result.tables["runs"]["repeat"] == 3
    assert sorted(files(folder)) == ["fits.bars.svg", "fits.json", "fits.runs.csv"]


def test_numbers_and_strings_may_be_published_without_a_unit():
    publish("fits", values={"n": 3, "who": "torch"})
    assert read("fits").values == {"n": number(3), "who": "torch"}


def test_named_index_is_kept_as_columns():
    publish("fits", tables={"t": RUNS.set_index("process")})
    assert list(read("fits").table("t").columns) == ["process", "repeat", "seconds"]


def test_result_says_where_it_comes_from():
    publish("fits")
    result = read("fits")
    about = result.provenance
    assert about["script"] == "test_results.py"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", about["time"])
    assert {"processor", "cores", "torch"} <= set(about["machine"])
    assert about["protocol"]["MODE"] in ("published", "quick")
    assert {"commit"} <= set(about)
    assert result.inputs == inputs(__file__)


def test_script_without_a_results_folder_leaves_its_results_beside_itself(tmp_path, monkeypatch):
    monkeypatch.delenv("MLPERF_RESULTS")
    monkeypatch.chdir(tmp_path)
    assert publish("fits") == tmp_path / "results/fits.json"


def test_next_result_replaces_all_files_of_the_former(folder):
    publish("fits", tables={"runs": RUNS, "old": RUNS})
    publish("fits_too", tables={"runs": RUNS})
    publish("fits", tables={"runs": RUNS})
    assert sorted(files(folder)) == ["fits.json", "fits.runs.csv", "fits_too.json", "fits_too.runs.csv"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "fits.json").unlink(), "The result 'fits' is missing: there is no fits.json in {f}. "),
        (
            lambda f: (f / "fits.json").write_text('{"form'),
            "The result 'fits' is corrupt: {f}/fits.json cannot be read (",
        ),
        (lambda f: (f / "fits.json").write_text("[]"), "{f}/fits.json is foreign: it is not a result 'fits' of this "),
        (lambda f: (f / "fits.json").write_text('{"format": 1, "name": "x"}'), "{f}/fits.json is foreign: "),
        (
            lambda f: (f / "fits.json").write_text('{"format": 1, "name": "fits"}'),
            "The result 'fits' is corrupt: {f}/fits.json lacks 'tables'. ",
        ),
        (lambda f: (f / "fits.runs.csv").unlink(), "The result 'fits' is half-written: {f}/fits.runs.csv is missing. "),
        (
            lambda f: (f / "fits.runs.csv").write_text("x\n"),
            "The result 'fits' is corrupt: {f}/fits.runs.csv is not the file that fits.json names. ",
        ),
    ],
)
def test_broken_result_is_named_with_what_to_run(folder, spoil, message):
    publish("fits", tables={"runs": RUNS})
    spoil(folder)
    with pytest.raises(ResultError) as caught:
        read("fits")
    assert str(caught.value).startswith(message.replace("{f}", str(folder)))
    assert str(caught.value).endswith("Run the script that publishes it, or `make html`.")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"findings": [judge("x", check("x", number(1), above=0))]},
            "The 'findings' parameter of publish must be a mapping of names. Got list instead.",
        ),
        (
            {"values": {"Large 10K": 1}},
            "A name in the 'values' parameter of publish must be lower case letters, digits and underscores. "
            "Got 'Large 10K' instead.",
        ),
        ({"tables": {"runs": [1]}}, "The tables 'runs' of publish must be a DataFrame. Got list instead."),
        (
            {"values": {"x": None}},
            "The values 'x' of publish must be a Quantity, a number or a string. Got NoneType instead.",
        ),
        (
            {"figures": {"bars": Figure()}},
            "The figure 'fits.bars' must have a title that says what is seen. Got none instead.",
        ),
    ],
)
def test_what_cannot_be_published_is_refused_before_anything_is_written(folder, wrong, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        publish("fits", **wrong)
    assert not folder.exists()


@pytest.mark.parametrize("method", ["write_bytes", "replace"])
@pytest.mark.parametrize("after", [0, 1])
def test_full_disk_leaves_the_former_result_and_no_other_file(folder, monkeypatch, method, after):
    publish("fits", tables={"runs": RUNS}, values={"x": 1})
    before, original, calls = files(folder), getattr(Path, method), []

    def full(self, *args):
        calls.append(self)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, *args)

    monkeypatch.setattr(Path, method, full)
    with pytest.raises(OSError, match=r"The result 'fits' cannot be written to .*: No space left on device") as caught:
        publish("fits", tables={"runs": RUNS * 2}, values={"x": 2})
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(Path, method, original)
    if method == "replace" and after == 1:
        assert read("fits").values["x"] == number(2), "all was staged: the next reader finishes it"
        assert sorted(files(folder)) == ["fits.json", "fits.runs.csv"]
    else:
        assert files(folder) == before


def test_interruption_while_writing_leaves_the_former_result_and_no_other_file(folder, monkeypatch):
    publish("fits", tables={"runs": RUNS})
    before = files(folder)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish("fits", tables={"runs": RUNS * 2})
    assert files(folder) == before


def test_folder_that_cannot_be_made_is_named(folder):
    folder.write_text("a file")
    with pytest.raises(FileExistsError, match=f"The result 'fits' cannot be written to {folder}: File exists"):
        publish("fits")


def test_read_only_folder_leaves_the_former_result(monkeypatch):
    publish("fits", values={"x": 1})

    def refused(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "write_bytes", refused)  # root may write anywhere
    with pytest.raises(PermissionError, match="Permission denied"):
        publish("fits", values={"x": 2})
    assert read("fits").values["x"] == number(1)


LOOP = """
import itertools, pandas as pd
from mlperf.results import publishing
results.inputs = results.provenance = lambda script, **_: {}
for i in itertools.count(1):
    frame = pd.DataFrame({"x": [i] * 2000})
    results.publish("loop", tables={"a": frame, "b": frame, "c": frame}, values={"x": i})
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_result_is_whole_wherever_its_writer_is_killed(folder, how):
    for extra in range(4):
        writer = subprocess.Popen([sys.executable, "-c", LOOP], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        start = (folder / "loop.json").stat().st_mtime_ns if folder.exists() else 0
        while not (folder / "loop.json").exists() or (folder / "loop.json").stat().st_mtime_ns == start:
            assert writer.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(0.0023 * extra)
        writer.send_signal(how)
        assert writer.wait(timeout=30) != 0
        result = read("loop")
        levels = {int(x) for table in "abc" for x in result.table(table)["x"]}
        assert levels == {int(result.values["x"].estimate.value)}
    publish("loop", values={"x": 1})
    assert sorted(files(folder)) == ["loop.json"]


def test_inputs_name_the_modules_that_a_script_imports_also_indirectly(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from mlperf import measure\nimport helper\ndef f():\n    import bs4, no_such_thing\n")
    (tmp_path / "helper.py").write_text("import json\n")
    known = inputs(script)
    assert {"script.py", "helper.py", "mlperf/measure.py", "mlperf/protocol.py", "loky", "beautifulsoup4"} <= set(known)
    assert known["no_such_thing"] == "not installed"
    assert not {"mlperf/model.py", "json", "helper", "mlperf", "scikit-learn "} & set(known)


def test_inputs_name_the_style_sheet_that_a_script_uses(tmp_path, monkeypatch):
    package = tmp_path / "mlperf"
    package.mkdir()
    (package / "report.mplstyle").write_text("font.size: 9\n")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    script = tmp_path / "script.py"
    script.write_text('import matplotlib.pyplot as plt\nplt.style.use("mlperf.report")\n')
    before = inputs(script)
    (package / "report.mplstyle").write_text("font.size: 10\n")
    assert moved(before, inputs(script)) == ["mlperf/report.mplstyle"]


def test_comments_docstrings_and_layout_are_no_inputs_but_code_is(tmp_path):
    script = tmp_path / "script.py"
    script.write_text('"""Say."""\nx = 1\ndef f():\n    """Do."""\n    return "text"\n')
    before = inputs(script)
    script.write_text('"""Said."""\nx = (1)  # one\n\n\ndef f():\n    """Done."""\n    return "text"\n')
    assert moved(before, inputs(script)) == []
    script.write_text('"""Say."""\nx = 1\ndef f():\n    """Do."""\n    return "other"\n')
    assert moved(before, inputs(script)) == ["script.py"]


def test_moved_versions_machine_and_protocol_are_said_with_both_values(tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("import numpy\n")
    before = inputs(script)
    monkeypatch.setattr(provenance, "fingerprint", lambda: {"processor": "Another CPU", "torch": "9.9"})
    monkeypatch.setattr(provenance.protocol, "MODE", "another")
    monkeypatch.setattr(provenance.protocol, "THREADS", 64)
    said = moved({key: before[key] for key in ("processor", "torch", "threads", "protocol")}, inputs(script))
    assert f"torch {before['torch']} → 9.9" in said
    assert f"processor {before['processor']} → Another CPU" in said
    assert f"threads {before['threads']} → 64" in said
    assert f"protocol {before['protocol']} → another" in said


def test_result_of_a_module_that_was_edited_meanwhile_is_out_of_date_from_the_start(tmp_path):
    script, helper = tmp_path / "script.py", tmp_path / "helper.py"
    edit = f"import os\nopen({str(helper)!r}, 'w').write('x = 2')\nos.utime({str(helper)!r}, ns=(2**62, 2**62))\n"
    for body, expected in [("", []), (edit, ["helper.py"])]:
        helper.write_text("x = 1\n")
        script.write_text(f"import helper\nfrom mlperf.results.publishing import publish\n{body}publish('x')\n")
        subprocess.run([sys.executable, script], check=True)
        assert moved(read("x").inputs, inputs(script)) == expected


def test_names_of_results_are_read_from_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text('from mlperf.results.publishing import publish\npublish("fits", values={})\npublish(name)\n')
    assert published_names(script) == ["fits"]


def test_commit_is_none_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.provenance(tmp_path / "script.py")["commit"] is None


def test_reading_and_publishing_results_does_not_load_torch():
    code = "import sys, mlperf.results.publishing, mlperf.results.shelf, mlperf.results.tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_json_is_read_by_any_reader(folder):
    publish("fits", values={"once": duration(Estimate(1.0, float("nan"), float("nan")))})
    record = json.loads((folder / "fits.json").read_text(), parse_constant=pytest.fail)
    assert record["values"]["once"] == {
        "text": "1.0\u00a0s (measured once)",
        "estimate": [1.0, None, None],
        "unit": "seconds",
    }


def test_format_of_another_version_is_refused(monkeypatch):
    publish("fits")
    monkeypatch.setattr(results, "FORMAT", results.FORMAT + 1)
    with pytest.raises(ResultError, match="is foreign"):
        read("fits")
