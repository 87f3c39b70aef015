"""The shelf finds what is published, and says what is not."""

import re

import pytest

from mlperf.quantities.claims import check, judge
from mlperf.results.publishing import ResultError, publish
from mlperf.results.shelf import Shelf
from mlperf.quantities.intervals import Estimate
from mlperf.quantities.units import duration, number


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Publish two results into a folder of the test's own."""
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "results"))
    fast = judge("It is fast.", check("Large", duration(1), below=2))
    publish("fits", values={"large": duration(Estimate(1.0, 0.9, 1.1)), "who": "torch"}, findings={"fast": fast})
    publish("memory", values={"peak": number(3)})
    return tmp_path / "results"


def test_references_find_values_and_findings(folder):
    result, key, value = Shelf(folder).find("values", "fits.large")
    assert (result.name, key, value) == ("fits", "large", duration(Estimate(1.0, 0.9, 1.1)))
    assert Shelf(folder).say("values", "fits.large", "short")[1] == "1.0\u00a0s"
    assert Shelf(folder).say("findings", "fits.fast")[1] == "✓ holds"


@pytest.mark.parametrize(
    ("kind", "reference", "nearest"),
    [
        ("values", "fits.lagre", "fits.large"),
        ("values", "memmory.peak", "memory.peak"),
        ("values", "peak", "memory.peak"),
        ("findings", "fits.large", "fits.fast"),
    ],
)
def test_unknown_reference_suggests_the_nearest(folder, kind, reference, nearest):
    message = f"Nothing named {reference!r} is published among the {kind}. The nearest name is {nearest!r}."
    with pytest.raises(ResultError, match=f"^{re.escape(message)}$"):
        Shelf(folder).find(kind, reference)


def test_empty_folder_is_named(tmp_path):
    with pytest.raises(ResultError, match=re.escape(f"There are no results in {tmp_path}.")):
        Shelf(tmp_path).find("values", "fits.large")


def test_missing_result_names_the_script_that_publishes_it(tmp_path, folder):
    script = tmp_path / "plot_scaling.py"
    script.write_text('publish("scaling", values={"exponent": 1})')
    shelf = Shelf(folder, [script])
    assert shelf.names == ["scaling", "fits", "memory"]
    with pytest.raises(
        ResultError, match=r"^The result 'scaling' is missing: .* It is published by plot_scaling.py\.$"
    ):
        shelf.find("values", "scaling.exponent")


def test_state_changes_with_the_result_and_with_nothing_else(folder):
    fits, everything = Shelf(folder).state("fits"), Shelf(folder).state("*")
    assert Shelf(folder).state("fits") == fits
    publish("memory", values={"peak": number(4)})
    assert Shelf(folder).state("fits") == fits
    assert Shelf(folder).state("*") != everything
    publish("fits", values={"large": 2})
    assert Shelf(folder).state("fits") != fits


def test_values_that_cannot_be_divided_stand_side_by_side(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "other"))
    publish("fits", values={"large": number(2), "who": "jax"})
    shelf = Shelf(folder, other=tmp_path / "other")
    assert shelf.say("values", "fits.who")[1] == "torch [other results: jax]"
    assert shelf.say("values", "fits.large", "short")[1] == "1.0\u00a0s [other results: 2]"
    assert shelf.say("values", "memory.peak")[1] == "3", "the other results have none"


def test_result_that_no_script_publishes_any_more_is_out_of_date_and_no_finding_of_the_report(tmp_path, folder):
    assert Shelf(folder).moved("fits") == [], "without scripts nothing is known of them"
    script = tmp_path / "plot_memory.py"
    script.write_text('publish("memory", values={})')
    shelf = Shelf(folder, [script])
    (warning,) = [lines for _, title, lines in shelf.notices(["fits"]) if title == "Out of date"]
    assert warning == ["Since fits was measured, this has changed: no script publishes it any more."]
    with pytest.raises(ResultError, match="There are no findings"):
        shelf.findings(["*"])
    assert shelf.findings(["fits"])[1] == [shelf.get("fits")]
