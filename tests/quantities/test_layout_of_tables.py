"""Tables for people hold what pandas has for numbers, and none of them ends a build."""

from fractions import Fraction

import pandas as pd

from mlperf.quantities.runs import Runs
from mlperf.quantities.tables import columns, label_text


def test_missing_numbers_of_nullable_types_are_empty_cells():
    """Tried: one missing integer ended the build with a traceback."""
    frame = pd.DataFrame({"n": pd.array([12_345, None], "Int64"), "seconds": pd.array([1.5, None], "Float64")})
    assert [column.texts for column in columns(frame)] == [["12,345", ""], ["1.5", ""]]


def test_integers_beyond_2_to_53_keep_their_digits():
    frame = pd.DataFrame({"i": [2**53 + 1, -(2**63)], "u": pd.array([2**64 - 1, 0], "UInt64")})
    assert [column.texts for column in columns(frame)] == [
        ["9,007,199,254,740,993", "−9,223,372,036,854,775,808"],
        ["18,446,744,073,709,551,615", "0"],
    ]


def test_medians_of_counts_are_whole_numbers_with_all_digits():
    """Reported: tables of operators showed two calls as 2.0, and 1,234 as 1,200."""
    frame = pd.DataFrame({"operator": ["mm", "mm", "add", "add"], "calls": [2, 2, 1_234, 1_234]})
    (_, calls) = columns(Runs(frame, by="operator").medians())
    assert calls.texts == ["2", "1,234"]


def test_integers_with_an_interval_show_it():
    (column,) = columns(pd.DataFrame({"n": [10], "n_low": [7], "n_high": [13]}))
    assert column.texts == ["10 (7 to 13)"]


def test_fraction_labels_a_level():
    assert [label_text("width", Fraction(n, 2)) for n in (1, 4)] == ["width 0.5", "width 2"]
