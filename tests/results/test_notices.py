"""A page says when and on what its results were measured, and warns of what a reader has to know."""

import re

import pandas as pd
import pytest

from mlperf import protocol
from mlperf.quantities.quantity import exact
from mlperf.results import provenance, publishing
from mlperf.results.notices import notices
from mlperf.results.publishing import publish
from mlperf.results.shelf import Shelf

RUNS = pd.DataFrame({"process": [0, 1, 1], "repeat": [0, 0, 1], "seconds": [1.0, 2.0, 3.0]})


@pytest.fixture
def folder(results, monkeypatch):
    """Publish two results into a folder of the test's own."""
    monkeypatch.setattr(protocol, "MODE", "published")
    publish("fits", runs=RUNS, steps=exact(3))
    publish("memory", peak=3_000)
    return results


def titled(title, shelf, names):
    """Return the only notice with this title."""
    (found,) = [notice for notice in notices(shelf, names) if notice.title == title]
    return found


def test_page_says_once_when_and_on_what_all_was_measured(folder):
    kinds = [notice.kind for notice in notices(Shelf(folder), ["fits", "memory", None])]
    assert kinds.count("measured") == 1
    (line,) = notices(Shelf(folder), ["fits"])[0].lines
    assert re.fullmatch(
        r"Measured 20\S+ \S+ UTC on .+ cores, .+\), 1 thread, torch \S+, 2 processes, 2 repeats\.", line
    )
    assert notices(Shelf(folder), [None]) == notices(Shelf(folder), ["nothing"]) == []


def test_page_says_with_which_device_its_numbers_were_measured(folder, monkeypatch):
    monkeypatch.setattr(protocol, "DEVICE", "cuda")
    publish("memory", peak=4)
    (line,) = notices(Shelf(folder), ["memory"])[0].lines
    assert "), the CPU alone, 1 thread" in line, "it was not asked for"
    inputs = publishing.inputs
    there = {"device": "cuda", "accelerator": "NVIDIA H100, driver 550"}
    monkeypatch.setattr(publishing, "inputs", lambda *given, **options: {**inputs(*given, **options), **there})
    publish("memory", peak=5)
    (line,) = notices(Shelf(folder), ["memory"])[0].lines
    assert "), with NVIDIA H100, driver 550, 1 thread" in line
    note = titled("Devices", Shelf(folder), ["fits", "memory"])
    assert note.lines == ["Measured on the device: memory. All other results here: on the CPU alone."]


def test_preview_and_different_machines_are_told(folder, monkeypatch):
    assert [notice.title for notice in notices(Shelf(folder), ["*"])] == [""]
    monkeypatch.setattr(protocol, "MODE", "quick")
    here = provenance.fingerprint()
    monkeypatch.setattr(provenance, "fingerprint", lambda: {**here, "processor": "Another CPU"})
    publish("memory", peak=4)
    titles = [notice.title for notice in notices(Shelf(folder), ["*"])]
    assert titles == ["", "Preview numbers", "Different machines"]


def test_page_says_what_it_compares_with(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "other"))
    publish("fits", steps=exact(4))
    shelf = Shelf(folder, other=tmp_path / "other")
    assert titled("Comparison", shelf, ["fits"]).lines[0].startswith("The other results: Measured ")
    assert titled("Comparison", shelf, ["memory"]).lines == ["The other results contain none of these."]


def test_result_that_no_script_publishes_any_more_is_out_of_date(folder, tmp_path):
    script = tmp_path / "plot_memory.py"
    script.write_text('publish("memory")')
    warning = titled("Out of date", Shelf(folder, [script]), ["fits"])
    assert warning.lines == ["Since fits was measured, this has changed: no script publishes it any more."]


def test_many_results_that_are_out_of_date_are_told_in_one_sentence(folder, tmp_path, monkeypatch):
    """A change of the package filled the first screen of the chapter with the names of files."""
    script = tmp_path / "plot_fits.py"
    script.write_text('publish("fits")')
    shelf = Shelf(folder, [script])
    names = ["fits", *(f"fits_{number}" for number in range(4))]
    for name in names[1:]:
        publish(name, steps=exact(4))
    monkeypatch.setattr(Shelf, "moved", lambda _, name: [f"helper_of_{name}.py"])
    warning = titled("Out of date", shelf, names)
    (line,) = warning.lines
    assert line.startswith("5 of the results on this page are older than something that they depend on.")
