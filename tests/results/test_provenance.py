"""A result is out of date when something that its numbers depend on has moved, and only then."""

import os
import subprocess
import sys

import pytest

from mlperf.results import provenance
from mlperf.results.provenance import inputs, moved
from mlperf.results.reading import read


@pytest.fixture
def script(tmp_path):
    """Return the path of a script that may be written."""
    return tmp_path / "script.py"


def test_inputs_name_sources_and_versions_also_of_what_is_imported_indirectly(script, tmp_path):
    script.write_text("from mlperf import measure\nimport helper\ndef f():\n    import bs4, no_such_thing\n")
    (tmp_path / "helper.py").write_text("import json\n")
    known = inputs(script)
    assert {"script.py", "helper.py", "mlperf/profilers/measure.py", "mlperf/protocol.py", "pandas"} <= set(known)
    assert {"beautifulsoup4", "processor", "threads", "protocol", "python", "torch"} <= set(known)
    assert known["no_such_thing"] == "not installed"
    assert not {"mlperf/model.py", "json", "helper", "mlperf", "mlperf-report"} & set(known)


def test_comment_in_a_script_or_in_a_module_is_no_input(script, tmp_path):
    """Tried: a comment in a script measured anew, one in the package did not."""
    script.write_text("import helper\n")
    (tmp_path / "helper.py").write_text("x = 1\n")
    before = inputs(script)
    script.write_text('"""What it does."""\nimport helper  # a comment\n')
    (tmp_path / "helper.py").write_text("x = 1  # one\n")
    assert moved(before, inputs(script)) == []
    (tmp_path / "helper.py").write_text("x = 2  # one\n")
    assert moved(before, inputs(script)) == ["helper.py"]


def test_declared_data_files_are_inputs(script, tmp_path):
    script.write_text("import helper\n# mlperf: depends on rows.csv\n")
    (tmp_path / "rows.csv").write_text("1")
    (tmp_path / "other.csv").write_text("1")
    (tmp_path / "helper.py").write_text("#mlperf: depends on data/more rows.csv\n")
    before = inputs(script)
    assert before["data/more rows.csv"] == provenance.MISSING
    (tmp_path / "other.csv").write_text("2")
    assert moved(before, inputs(script)) == []
    (tmp_path / "rows.csv").write_text("2")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/more rows.csv").write_bytes(b"\xff\x00")
    assert moved(before, inputs(script)) == ["rows.csv", "data/more rows.csv"]


def test_moved_versions_machine_and_protocol_are_said_with_both_values(script, monkeypatch):
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


@pytest.mark.parametrize("edited", ["helper.py", "rows.csv"])
@pytest.mark.parametrize("happens", [True, False])
def test_result_of_what_was_edited_meanwhile_is_out_of_date_from_the_start(script, tmp_path, edited, happens):
    (tmp_path / "helper.py").write_text("x = 1\n# mlperf: depends on rows.csv\n")
    (tmp_path / "rows.csv").write_text("x = 1\n# mlperf: depends on rows.csv\n")
    edit = f"from pathlib import Path\nfile = Path({str(tmp_path / edited)!r})\nfile.write_bytes(file.read_bytes())\n"
    script.write_text(f"import helper\nfrom mlperf import publish\n{edit * happens}publish('x')\n")
    subprocess.run([sys.executable, script], check=True, capture_output=True)
    assert moved(read("x").inputs, inputs(script)) == [edited] * happens


def test_file_dated_in_the_future_is_not_out_of_date_for_ever(script, tmp_path):
    (tmp_path / "helper.py").write_text("x = 1\n")
    script.write_text("import helper\nfrom mlperf import publish\npublish('x')\n")
    for path in (script, tmp_path / "helper.py"):
        os.utime(path, ns=(2**62, 2**62))
    subprocess.run([sys.executable, script], check=True, capture_output=True)
    assert moved(read("x").inputs, inputs(script)) == []


def test_module_that_cannot_be_read_costs_no_result(script, tmp_path):
    (tmp_path / "helper.py").write_text("def f(:\n")
    script.write_text(
        "try:\n    import helper\nexcept SyntaxError:\n    pass\nfrom mlperf import publish\npublish('x')\n"
    )
    subprocess.run([sys.executable, script], check=True, capture_output=True)
    assert moved(read("x").inputs, inputs(script)) == []


def test_commit_is_none_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.provenance(tmp_path / "script.py")["commit"] is None


def test_without_a_script_inputs_are_those_of_the_machine():
    assert set(inputs("<stdin>")) >= {"processor", "protocol"}
    assert not [name for name in inputs("<stdin>") if "/" in name]
    assert provenance.provenance("<stdin>")["script"] is None


def test_a_full_build_measures_again_what_a_plain_one_left_out_and_not_the_other_way(tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("from mlperf.protocol import FULL\n")
    other = tmp_path / "other.py"
    other.write_text("x = 1\n")
    plain = inputs(script)
    monkeypatch.setattr(provenance.protocol, "FULL", True)
    assert moved(plain, inputs(script)) == ["full build none → yes"]
    assert "full build" not in inputs(other)
    full = inputs(script)
    monkeypatch.setattr(provenance.protocol, "FULL", False)
    assert moved(full, inputs(script)) == []


def test_a_script_depends_on_the_device_that_it_asks_for_and_no_other_does(tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("from mlperf.protocol import DEVICE\n")
    other = tmp_path / "other.py"
    other.write_text("x = 1\n")
    plain, of_other = inputs(script), inputs(other)
    monkeypatch.setattr(provenance.protocol, "DEVICE", "cuda")
    monkeypatch.setattr(provenance, "accelerator", lambda: "NVIDIA H100, driver 550")
    assert moved(plain, inputs(script)) == ["device none → cuda", "accelerator none → NVIDIA H100, driver 550"]
    assert moved(of_other, inputs(other)) == []


def test_a_script_that_asks_which_devices_there_are_depends_on_the_answer(tmp_path, monkeypatch):
    """A GPU was added to a machine, and the page went on saying that there is none."""
    script = tmp_path / "script.py"
    script.write_text("from mlperf.machine import devices\n")
    monkeypatch.setattr(provenance, "accelerator", lambda: "")
    without = inputs(script)
    monkeypatch.setattr(provenance, "accelerator", lambda: "NVIDIA H100, driver 550")
    assert moved(without, inputs(script)) == ["accelerator none → NVIDIA H100, driver 550"]
