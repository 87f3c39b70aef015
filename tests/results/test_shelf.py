"""The shelf finds what is published, and says what is not."""

import re

import pandas as pd
import pytest

from mlperf.quantities.claims import claim
from mlperf.quantities.quantity import Quantity, exact
from mlperf.quantities.tables import columns
from mlperf.results.folder import ResultError
from mlperf.results.publishing import publish
from mlperf.results.shelf import Shelf

FIT = Quantity.from_estimates(
    {("Small", 250): (0.5, 0.4, 0.6), ("Large", 250): (1.0, 0.9, 1.1), ("Large", 1_000): (2.0, 1.9, 2.1)},
    by=["model", "n_samples"],
    unit="seconds",
)
RUNS = pd.DataFrame({"process": [0, 1, 1], "repeat": [0, 0, 1], "seconds": [1.0, 2.0, 3.0]})


@pytest.fixture
def folder(results):
    """Publish two results into a folder of the test's own."""
    fast = claim("It is fast.", FIT < 3, original="It was fast.")
    slow = claim("It is slow.", FIT > 3, otherwise="It is not slow at all.")
    publish("fits", runs=RUNS, fit=FIT, who="torch", fast=fast, slow=slow)
    publish("memory", peak=3_000, much=True)
    return results


@pytest.fixture
def script(tmp_path):
    """Write a script."""

    def written(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return written


@pytest.mark.parametrize(
    ("kind", "reference", "form", "said"),
    [
        ("values", "fits.fit[Large, last]", "", "2.0\u00a0s (1.9 to 2.1)"),
        ("values", "fits.fit[Large, last]", "short", "2.0\u00a0s"),
        ("values", "fits.fit[Large]", "short", "1.0\u00a0s to 2.0\u00a0s"),
        ("values", "fits.fit", "", "500\u00a0ms (Small, 250 samples) to 2.0\u00a0s (Large, 1,000 samples)"),
        ("values", "fits.who", "", "torch"),
        ("values", "memory.peak", "", "3,000"),
        ("values", "memory.much", "", "yes"),
        ("claims", "fits.fast", "", "✓ holds"),
        ("claims", "fits.slow", "text", "It is not slow at all."),
    ],
)
def test_references_are_said_in_words(folder, kind, reference, form, said):
    result, text = Shelf(folder).say(kind, reference, form)
    assert (result.name, text) == (reference.partition(".")[0], said)


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


def test_quantity_is_a_table_too(folder):
    shelf = Shelf(folder)
    laid = columns(shelf.frame("fits.fit"))
    assert [column.header for column in laid] == ["Model", "Samples", "Time (s)"]
    assert laid[2].texts == ["0.5 (0.4 to 0.6)", "1.0 (0.9 to 1.1)", "2.0 (1.9 to 2.1)"]
    assert [column.header for column in columns(shelf.frame("fits.runs"))][-1] == "Time (s)"


def test_quantity_whose_name_says_no_unit_has_it_in_the_header(results):
    publish("fits", growth=Quantity.from_estimates({"a": (2.0, 1.0, 3.0)}, by="m", unit="ratio", name="growth"))
    (column,) = columns(Shelf(results).frame("fits.growth"))[1:]
    assert (column.header, column.texts) == ("Growth ratio (×)", ["2 (1 to 3)"])


def test_other_results_stand_beside(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "other"))
    other = claim("It is fast.", FIT < 1, otherwise="It is slow.")
    publish("fits", fit=FIT * 2, who="jax", fast=other, slow=claim("It is slow.", FIT > 3))
    shelf = Shelf(folder, other=tmp_path / "other")
    assert shelf.say("values", "fits.who")[1] == "torch [other results: jax]"
    said = "1.0\u00a0s [other results: 2.0\u00a0s, ratio 0.50× (0.43 to 0.58)]"
    assert shelf.say("values", "fits.fit[Large, 250]", "short")[1] == said
    assert shelf.say("values", "memory.peak")[1] == "3,000", "the other results have none"
    assert shelf.say("claims", "fits.fast")[1] == "✓ holds [other results: ✗ does not hold]"
    assert shelf.say("claims", "fits.fast", "text")[1] == "It is fast. [other results: ✗ does not hold]"
    assert shelf.say("claims", "fits.slow", "text")[1] == "It is not slow at all."
    assert shelf.ratio("fits.fit", shelf.frame("fits.fit")).numbers == [0.5, 0.5, 0.5]
    assert shelf.ratio("fits.fit", pd.concat([shelf.frame("fits.fit")] * 2)) is None, "two rows are the same"
    assert Shelf(folder).ratio("fits.fit", shelf.frame("fits.fit")) is None, "there are no other results"
    assert [row.other for row in shelf.claims(["fits"])] == ["✗ does not hold", "✗ does not hold"]


@pytest.mark.parametrize("content", [None, "{"])
def test_other_results_that_are_none_are_told(folder, tmp_path, content):
    other = tmp_path / "other"
    other.mkdir()
    if content:
        (other / "fits.json").write_text(content)
    with pytest.raises(ResultError, match=r"There are no results to compare with in|The result 'fits' is corrupt"):
        Shelf(folder, other=other)


def test_claims_are_rows_with_what_was_measured(folder):
    rows = Shelf(folder).claims(["*"])
    assert [(row.statement, row.original, row.verdict) for row in rows] == [
        ("It is fast.", "It was fast.", "✓ holds"),
        ("It is slow.", "", "✗ does not hold"),
    ]
    assert rows[0].measured.endswith("expected: less than 3\u00a0s. And 2 more comparisons.")
    assert rows[1].measured == "It is not slow at all."
    assert (rows[0].result, rows[0].key, rows[0].script) == ("fits", "fast", "test_shelf.py")
    assert [row.key for row in Shelf(folder).claims(["fits"], original=True)] == ["fast"]
    with pytest.raises(ResultError, match="There are no claims"):
        Shelf(folder).claims(["memory"])


def test_what_was_measured_does_not_repeat_the_statement(results):
    many = exact({n: n for n in range(2, 12)}, by="n")
    publish(
        "fits",
        plain=claim("All are above one.", many > 1),
        seen=claim("All are above one.", many > 1, seen="the least is two"),
        refuted=claim("All are below one.", many < 1),
        none=claim("So.", reason="memray is not installed"),
    )
    assert [row.measured for row in Shelf(results).claims(["*"])] == [
        "N 2: 2; expected: more than 1. And 9 more comparisons.",
        "The least is two.",
        "N 2: 2; expected: less than 1. And 9 more comparisons.",
        "Not measured: memray is not installed.",
    ]


def test_what_was_measured_says_what_would_decide_an_open_claim(results):
    fit = Quantity.from_estimates({"Large": (2.0, 1.0, 3.5)}, by="model", unit="seconds")
    publish("fits", quick=claim("It is quick.", fit < 3, undecided="It may be quick."))
    (row,) = Shelf(results).claims(["*"])
    assert row.measured == "It may be quick. More data would be needed to decide it."


def test_result_that_no_script_publishes_any_more_is_out_of_date_and_no_claim_of_the_report(folder, script):
    assert Shelf(folder).moved("fits") == [], "without scripts nothing is known of them"
    shelf = Shelf(folder, [script("plot_memory.py", 'publish("memory")')])
    assert shelf.moved("fits") == ["no script publishes it any more"]
    with pytest.raises(ResultError, match="There are no claims"):
        shelf.claims(["*"])
    assert {row.result for row in shelf.claims(["fits"])} == {"fits"}
