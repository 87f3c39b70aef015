"""Numbers become text with their unit and the digits that their interval supports."""

import math

import pytest

from mlperf.quantities.units import UNITS, digits, product, quotient, unit_of, written


@pytest.mark.parametrize(
    ("ends", "unit", "text"),
    [
        ((1.234, 1.204, 1.271), "seconds", "1.23\u00a0s (1.20 to 1.27)"),
        ((0.00125, 0.00125, 0.00125), "seconds", "1.25\u00a0ms"),
        ((1_500_000, 1_500_000, 1_500_000), "bytes", "1.5\u00a0MB"),
        ((4.98, 4.9, 5.05), "ratio", "4.98× (4.90 to 5.05)"),
        ((0.12, 0.12, 0.12), "fraction", "12\u00a0%"),
        ((1234, 1234, 1234), "number", "1,234"),
        ((0.0, 0.0, 0.0), "seconds", "0\u00a0s"),
        ((-0.5, -0.6, -0.4), "seconds", "\u2212500\u00a0ms (\u2212600 to \u2212400)"),
        ((1.234, math.nan, math.nan), "seconds", "1.2\u00a0s"),
        ((0.9996, 0.9996, 0.9996), "seconds", "1\u00a0s"),
    ],
)
def test_a_number_is_written_with_unit_interval_and_supported_digits(ends, unit, text):
    assert written(*ends, unit) == text


def test_an_infinite_end_is_written_as_such():
    assert written(2.0, 1.0, math.inf, "ratio").endswith("to ∞)")


def test_no_minus_stands_before_a_zero():
    assert digits(-0.001, 1) == "0.0"


def test_the_unit_of_a_column_is_what_its_name_ends_in():
    assert unit_of("self_cpu_seconds") == "seconds"
    assert unit_of("flop_per_second") == "flop_per_second"
    assert unit_of("accuracy_fraction") == "fraction"
    assert unit_of("n_samples") == "number"


@pytest.mark.parametrize("unit", UNITS)
def test_a_plain_number_changes_no_unit(unit):
    assert product(unit, "number") == product("number", unit) == unit
    assert quotient(unit, "number") == (unit if unit != "number" else "ratio")
