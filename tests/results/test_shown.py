"""What pages show of published things, in words and in tables."""

import pandas as pd
import pytest

from mlperf.quantities.claims import claim
from mlperf.quantities.quantity import Quantity, exact
from mlperf.quantities.tables import columns
from mlperf.results.folder import ResultError
from mlperf.results.publishing import publish
from mlperf.results.shelf import Shelf
from mlperf.results.shown import claim_rows, ratios_to_other, table_of, value_text, verdict_text

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


@pytest.mark.parametrize(
    ("reference", "form", "said"),
    [
        ("fits.fit[Large, last]", "", "2.0\u00a0s (1.9 to 2.1)"),
        ("fits.fit[Large, last]", "short", "2.0\u00a0s"),
        ("fits.fit[Large]", "short", "1.0\u00a0s to 2.0\u00a0s"),
        ("fits.fit", "", "500\u00a0ms (Small, 250 samples) to 2.0\u00a0s (Large, 1,000 samples)"),
        ("fits.who", "", "torch"),
        ("memory.peak", "", "3,000"),
        ("memory.much", "", "yes"),
    ],
)
def test_values_are_said_in_words(folder, reference, form, said):
    result, text = value_text(Shelf(folder), reference, form)
    assert (result.name, text) == (reference.partition(".")[0], said)


def test_a_verdict_is_said_with_its_symbol(folder):
    result, text = verdict_text(Shelf(folder), "fits.fast")
    assert (result.name, text) == ("fits", "✓ holds")


def test_quantity_is_a_table_too(folder):
    shelf = Shelf(folder)
    laid = columns(table_of(shelf, "fits.fit"))
    assert [column.header for column in laid] == ["Model", "Samples", "Time (s)"]
    assert laid[2].texts == ["0.5 (0.4 to 0.6)", "1.0 (0.9 to 1.1)", "2.0 (1.9 to 2.1)"]
    assert [column.header for column in columns(table_of(shelf, "fits.runs"))][-1] == "Time (s)"


def test_quantity_whose_name_says_no_unit_has_it_in_the_header(results):
    publish("fits", growth=Quantity.from_estimates({"a": (2.0, 1.0, 3.0)}, by="m", unit="ratio", name="growth"))
    (column,) = columns(table_of(Shelf(results), "fits.growth"))[1:]
    assert (column.header, column.texts) == ("Growth ratio (×)", ["2 (1 to 3)"])


def test_other_results_stand_beside(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "other"))
    other = claim("It is fast.", FIT < 1, otherwise="It is slow.")
    publish("fits", fit=FIT * 2, who="jax", fast=other, slow=claim("It is slow.", FIT > 3))
    shelf = Shelf(folder, other=tmp_path / "other")
    assert value_text(shelf, "fits.who")[1] == "torch [other results: jax]"
    said = "1.0\u00a0s [other results: 2.0\u00a0s, ratio 0.50× (0.43 to 0.58)]"
    assert value_text(shelf, "fits.fit[Large, 250]", "short")[1] == said
    assert value_text(shelf, "memory.peak")[1] == "3,000", "the other results have none"
    assert verdict_text(shelf, "fits.fast")[1] == "✓ holds [other results: ✗ does not hold]"
    rows = table_of(shelf, "fits.fit")
    assert ratios_to_other(shelf, "fits.fit", rows).numbers == [0.5, 0.5, 0.5]
    assert ratios_to_other(shelf, "fits.fit", pd.concat([rows] * 2)) is None, "two rows are the same"
    assert ratios_to_other(Shelf(folder), "fits.fit", rows) is None, "there are no other results"
    assert [row.other for row in claim_rows(shelf, ["fits"])] == ["✗ does not hold", "✗ does not hold"]


def test_a_value_whose_unit_has_changed_has_no_ratio(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "other"))
    publish("fits", fit=exact({("Large", 250): 3}, by=["model", "n_samples"], unit="bytes"))
    shelf = Shelf(folder, other=tmp_path / "other")
    assert value_text(shelf, "fits.fit[Large, 250]", "short")[1] == "1.0\u00a0s [other results: 3\u00a0B]"


def test_claims_are_rows_with_what_was_measured(folder):
    rows = claim_rows(Shelf(folder), ["*"])
    assert [(row.result, row.key, row.claim.mark) for row in rows] == [
        ("fits", "fast", "✓ holds"),
        ("fits", "slow", "✗ does not hold"),
    ]
    assert rows[0].measured.endswith("expected: less than 3\u00a0s. And 2 more comparisons.")
    assert rows[1].measured == "It is not slow at all."
    assert [row.key for row in claim_rows(Shelf(folder), ["fits"], original=True)] == ["fast"]
    with pytest.raises(ResultError, match="There are no claims"):
        claim_rows(Shelf(folder), ["memory"])


def test_what_was_measured_does_not_repeat_the_statement(results):
    many = exact({n: n for n in range(2, 12)}, by="n")
    publish(
        "fits",
        plain=claim("All are above one.", many > 1),
        seen=claim("All are above one.", many > 1, seen="the least is two"),
        refuted=claim("All are below one.", many < 1),
        none=claim("So.", reason="memray is not installed"),
    )
    assert [row.measured for row in claim_rows(Shelf(results), ["*"])] == [
        "N 2: 2; expected: more than 1. And 9 more comparisons.",
        "The least is two.",
        "N 2: 2; expected: less than 1. And 9 more comparisons.",
        "Not measured: memray is not installed.",
    ]


def test_what_was_measured_says_what_would_decide_an_open_claim(results):
    fit = Quantity.from_estimates({"Large": (2.0, 1.0, 3.5)}, by="model", unit="seconds")
    publish("fits", quick=claim("It is quick.", fit < 3, undecided="It may be quick."))
    (row,) = claim_rows(Shelf(results), ["*"])
    assert row.measured == "It may be quick. More data would be needed to decide it."
