"""Tables are laid out for people: rows chosen, units in headers, estimates in one cell."""

import re

import pandas as pd
import pytest

from mlperf.results.tables import choose, columns, levels, ratios

NAN = float("nan")

FRAME = pd.DataFrame(
    {
        "model": ["Small", "Large", "Large"],
        "n_samples": [1000, 1000, 10000],
        "self_cpu_seconds": [0.001, 0.002, 0.0505],
        "peak_bytes": [1e6, 0.0, 2.5e6],
        "median": [0.5, 1.5, 2.0],
        "low": [0.4, 1.4, 1.8],
        "high": [0.6, 1.6, 2.2],
        "mean": [0.512345, 1.5, 2.0],
        "n": [10, 10, 10],
    }
)


def test_columns_have_one_prefix_each_and_say_it_in_their_header():
    laid = {column.header: column.texts for column in columns(FRAME, "seconds")}
    assert laid == {
        "Model": ["Small", "Large", "Large"],
        "Samples": ["1,000", "1,000", "10,000"],
        "Self CPU time (ms)": ["1", "2", "50.5"],
        "Peak memory (MB)": ["1", "0", "2.5"],
        "Median (s)": ["0.5 (0.4 to 0.6)", "1.5 (1.4 to 1.6)", "2.0 (1.8 to 2.2)"],
        "Mean (s)": ["0.5", "1.5", "2.0"],
        "Runs": ["10", "10", "10"],
    }


def test_columns_keep_the_numbers_to_sort_by_in_base_units():
    laid = columns(FRAME[["model", "self_cpu_seconds"]])
    assert [column.numbers for column in laid] == [None, [0.001, 0.002, 0.0505]]


def test_estimate_in_named_columns_is_one_column():
    frame = pd.DataFrame({"time_ratio": [4.98], "time_ratio_low": [4.9], "time_ratio_high": [5.05]})
    (column,) = columns(frame)
    assert (column.header, column.texts) == ("Time ratio (×)", ["4.98 (4.90 to 5.05)"])


def test_missing_number_is_an_empty_cell():
    assert columns(pd.DataFrame({"seconds": [1.0, NAN], "who": ["a", None]}))[0].texts == ["1", ""]
    assert columns(pd.DataFrame({"seconds": [1.0, NAN], "who": ["a", None]}))[1].texts == ["a", ""]


def test_rows_and_columns_are_chosen_by_typed_options():
    chosen = choose(FRAME, where="model=Large, n_samples=10000", show="n_samples, median")
    assert chosen.to_numpy().tolist() == [[10000, 2.0]]
    assert list(choose(FRAME, sort="-median", limit=2)["median"]) == [2.0, 1.5]


def test_level_with_spaces_is_quoted():
    frame = pd.DataFrame({"model": ["a b", "c"], "x": [1, 2]})
    assert list(choose(frame, where='"model=a b"')["x"]) == [1]


def test_levels_label_the_parts_of_a_table_and_pick_them():
    found = levels(FRAME, "model, n_samples")
    assert list(found) == ["Small, 1,000 samples", "Large, 1,000 samples", "Large, 10,000 samples"]
    assert list(choose(FRAME, where=found["Large, 10,000 samples"])["median"]) == [2.0]


def test_ratios_match_rows_by_the_columns_in_front_of_the_estimate():
    frame = FRAME[["model", "n_samples", "median", "low", "high"]]
    other = frame.iloc[::-1].assign(median=4.0, low=4.0, high=4.0).iloc[:2]
    column = ratios(frame, other)
    assert column.texts == ["", "0.38× (0.35 to 0.40)", "0.50× (0.45 to 0.55)"]


def test_tables_without_an_estimate_have_no_ratios():
    assert ratios(FRAME[["model"]], FRAME[["model"]]) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": "model=Huge"}, "No row of the table fits 'model=Huge'."),
        ({"sort": "-x"}, "There is no column 'x' in the table, only model."),
        ({"show": "y"}, "There is no column 'y' in the table, only model."),
    ],
)
def test_what_cannot_be_chosen_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        choose(FRAME[["model"]], **options)
