"""What a page shows of a table is chosen by options that are typed in a text."""

import re

import pandas as pd
import pytest

from mlperf.results.folder import ResultError
from mlperf.results.tables import choose, parts, ratios, typed_words

FRAME = pd.DataFrame(
    {
        "model": ["Small", "Large", "Large"],
        "n_samples": [1000, 1000, 10000],
        "seconds": [0.5, 1.5, 2.0],
        "seconds_low": [0.4, 1.4, 1.8],
        "seconds_high": [0.6, 1.6, 2.2],
    }
)
ODD = pd.DataFrame({"a name": ["x, y", "it's", 'a "b"', "two\nlines", "k=v"], "n": range(5), 7: range(5)})


def test_rows_and_columns_are_chosen_by_typed_options():
    chosen = choose(FRAME, where="model=Large, n_samples=10000", columns="n_samples, seconds")
    assert chosen.to_numpy().tolist() == [[10000, 2.0]]
    assert list(choose(FRAME, sort="-seconds")["seconds"])[:2] == [2.0, 1.5]
    assert list(choose(FRAME, where="n_samples=last")["seconds"]) == [2.0]


@pytest.mark.parametrize("row", range(5))
def test_labels_with_commas_quotes_newlines_and_blanks_are_quoted(row):
    label = ODD["a name"][row].replace("\\", "\\\\").replace('"', '\\"')
    assert choose(ODD, where=f'"a name={label}"')["n"].tolist() == [row]
    assert choose(ODD, where=f'"a name"="{label}", n={row}')["n"].tolist() == [row]


@pytest.mark.parametrize(("typed", "row"), [("None", 0), ("nan", 1), ("<NA>", 2), ("'(1, 2)'", 3), ("1", 4)])
def test_labels_that_are_missing_or_several_in_one_are_chosen(typed, row):
    frame = pd.DataFrame({"o": pd.Series([None, float("nan"), pd.NA, (1, 2), 1], dtype=object), "n": range(5)})
    assert choose(frame, where=f"o={typed}")["n"].tolist() == [row]


def test_columns_whose_names_are_odd_are_chosen():
    assert list(choose(ODD, columns="'a name' 7", sort="7")) == ["a name", 7]


@pytest.mark.parametrize(
    ("sort", "rows"), [("'a name'", [2, 1, 4, 3, 0]), ("-'a name'", [0, 3, 4, 1, 2]), ("pair, -n", [3, 1, 4, 2, 0])]
)
def test_rows_are_sorted_by_columns_in_quotes_or_by_several(sort, rows):
    assert list(choose(ODD.assign(pair=[1, 0, 1, 0, 1]), sort=sort)["n"]) == rows


def test_column_whose_name_begins_with_a_minus_sorts_either_way():
    frame = pd.DataFrame({"-x": [2, 1, 3]})
    assert [list(choose(frame, sort=sort)["-x"]) for sort in ("-x", "--x")] == [[1, 2, 3], [3, 2, 1]]


def test_what_has_no_order_is_not_sorted():
    with pytest.raises(ResultError, match=r"^The table cannot be sorted by o: values of these types"):
        choose(pd.DataFrame({"o": pd.Series([1, "x"], dtype=object)}), sort="o")


def test_parts_of_a_table_have_labels_for_people():
    found = parts(FRAME, ["model", "n_samples"])
    assert list(found) == [("Small", "1,000 samples"), ("Large", "1,000 samples"), ("Large", "10,000 samples")]
    assert list(found["Large", "10,000 samples"]["seconds"]) == [2.0]
    assert list(found["Large", "10,000 samples"]) == ["seconds", "seconds_low", "seconds_high"]


def test_ratios_match_rows_by_the_columns_in_front_of_the_estimate():
    other = FRAME.iloc[::-1].assign(seconds=4.0, seconds_low=4.0, seconds_high=4.0).iloc[:2]
    column = ratios(FRAME, other)
    assert column.texts == ["", "0.38× (0.35 to 0.40)", "0.50× (0.45 to 0.55)"]
    assert column.numbers == [0.0, 0.375, 0.5]


def test_ratio_to_nothing_is_empty():
    other = FRAME.assign(seconds=0.0, seconds_low=0.0, seconds_high=0.0)
    assert ratios(FRAME, other).texts == ["", "", ""]


def test_tables_without_an_estimate_have_no_ratios():
    assert ratios(FRAME[["model"]], FRAME[["model"]]) is None
    assert ratios(FRAME, FRAME[["model", "seconds"]]) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": "model=Lrge"}, "The column 'model' has no 'Lrge', only Small, Large. The nearest is 'Large'."),
        ({"where": "modle=Large"}, "There is no column 'modle' in the table, only model."),
        ({"where": "Large"}, "There is no column 'Large' in the table, only model."),
        ({"where": "'model=Large"}, 'A quote is not closed in "\'model=Large".'),
        ({"sort": "-x"}, "There is no column 'x' in the table, only model."),
        ({"columns": "y"}, "There is no column 'y' in the table, only model."),
    ],
)
def test_what_cannot_be_chosen_is_refused(options, message):
    with pytest.raises(ResultError, match=f"^{re.escape(message)}$"):
        choose(FRAME[["model"]], **options)


def test_words_are_set_apart_by_commas_or_blanks():
    assert typed_words(" a,b  c ,\n'd, e' #f") == ["a", "b", "c", "d, e", "#f"]
