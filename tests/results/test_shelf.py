"""The shelf finds what is published, and says what is not."""

import re

import pandas as pd
import pytest

from mlperf import protocol
from mlperf.quantities.claims import claim
from mlperf.quantities.quantity import Quantity
from mlperf.results.folder import LeftOutError, ResultError
from mlperf.results.publishing import publish
from mlperf.results.shelf import Shelf
from mlperf.results.shown import claim_rows

FIT = Quantity.from_estimates({"Small": (0.5, 0.4, 0.6), "Large": (1.0, 0.9, 1.1)}, by="model", unit="seconds")


@pytest.fixture
def folder(results):
    """Publish two results into a folder of the test's own."""
    runs = pd.DataFrame({"process": [0, 1], "seconds": [1.0, 2.0]})
    publish("fits", runs=runs, fit=FIT, who="torch", fast=claim("It is fast.", FIT < 3))
    publish("memory", peak=3_000)
    return results


@pytest.fixture
def script(tmp_path):
    """Write a script."""

    def written(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return written


@pytest.mark.parametrize(
    ("kind", "reference", "nearest"),
    [
        ("values", "fits.fti", "fits.fit"),
        ("values", "memmory.peak[x]", "memory.peak"),
        ("values", "fast.peak", "memory.peak"),
        ("claims", "fits.fit", "fits.fast"),
        ("figures", "fits.bars", None),
        ("tables", "fits.run", "fits.runs"),
    ],
)
def test_unknown_reference_suggests_the_nearest(folder, kind, reference, nearest):
    name = reference.partition("[")[0]
    hint = f"The nearest name is {nearest!r}." if nearest else f"There are none in {folder}."
    message = f"Nothing named {name!r} is published among the {kind}. {hint}"
    with pytest.raises(ResultError, match=f"^{re.escape(message)}$"):
        Shelf(folder).find(kind, reference)


def test_cells_of_what_has_none_are_refused(folder):
    with pytest.raises(ResultError, match=r"^'fits.who' has no cells to choose from"):
        Shelf(folder).find("values", "fits.who[Large]")


def test_empty_folder_is_named(tmp_path):
    with pytest.raises(ResultError, match=re.escape(f"There are none in {tmp_path}.")):
        Shelf(tmp_path).find("values", "fits.large")
    assert Shelf(tmp_path / "nothing").names == []


def test_missing_result_names_the_script_that_publishes_it(folder, script):
    shelf = Shelf(folder, [script("plot_scaling.py", 'import mlperf\nmlperf.publish("scaling", exponent=1)')])
    assert shelf.names == ["scaling", "fits", "memory"]
    with pytest.raises(
        ResultError, match=r"^The result 'scaling' is missing: .* It is published by plot_scaling.py\.$"
    ):
        shelf.find("values", "scaling.exponent")


def test_result_that_only_full_builds_measure_is_left_out_of_others(folder, script, monkeypatch):
    scripts = [
        script("plot_long.py", '# mlperf: only in a full build\nimport mlperf\nmlperf.publish("long", exponent=1)'),
        script("plot_fits.py", 'publish("fits")'),
    ]
    monkeypatch.setattr(protocol, "MODE", "published")
    shelf = Shelf(folder, scripts)
    with pytest.raises(LeftOutError, match=r"^'long' was not measured: only a full build measures it"):
        shelf.find("values", "long.exponent")
    assert {row.result for row in claim_rows(shelf, ["*"])} == {"fits"}
    monkeypatch.setattr(protocol, "FULL", True)
    with pytest.raises(ResultError, match=r"^The result 'long' is missing: .* It is published by plot_long.py\.$"):
        Shelf(folder, scripts).find("values", "long.exponent")


def test_scripts_that_cannot_be_used_are_told_and_break_nothing_else(folder, script):
    right = script("plot_fits.py", 'publish("fits")')
    again = script("plot_fits_again.py", 'publish("fits")')
    torn = script("plot_torn.py", "def f(:")
    shelf = Shelf(folder, [torn, right, again])
    assert shelf.scripts == {"fits": right}
    assert shelf.problems == [
        "plot_torn.py cannot be read as Python: invalid syntax (line 1).",
        "plot_fits_again.py and plot_fits.py both publish 'fits': each replaces what the other published.",
    ]


def test_state_changes_with_the_result_and_with_nothing_else(folder):
    fits, everything = Shelf(folder).state("fits"), Shelf(folder).state("*")
    assert Shelf(folder).state("fits") == fits
    publish("memory", peak=4)
    assert Shelf(folder).state("fits") == fits
    assert Shelf(folder).state("*") != everything
    publish("fits", large=2)
    assert Shelf(folder).state("fits") != fits


@pytest.mark.parametrize("content", [None, "{"])
def test_other_results_that_are_none_are_told(folder, tmp_path, content):
    other = tmp_path / "other"
    other.mkdir()
    if content:
        (other / "fits.json").write_text(content)
    with pytest.raises(ResultError, match=r"There are no results to compare with in|The result 'fits' is corrupt"):
        Shelf(folder, other=other)


def test_result_that_no_script_publishes_any_more_is_out_of_date_and_no_claim_of_the_report(folder, script):
    assert Shelf(folder).moved("fits") == [], "without scripts nothing is known of them"
    shelf = Shelf(folder, [script("plot_memory.py", 'publish("memory")')])
    assert shelf.moved("fits") == ["no script publishes it any more"]
    with pytest.raises(ResultError, match="There are no claims"):
        claim_rows(shelf, ["*"])
    assert {row.result for row in claim_rows(shelf, ["fits"])} == {"fits"}
