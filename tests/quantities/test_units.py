"""Numbers become text with the digits that their interval supports, and no more."""

import re

import pytest

from mlperf.quantities.intervals import Estimate
from mlperf.quantities.units import Quantity, duration, factor, memory, number, percent, quantity, rate

NAN = float("nan")


def said(shown):
    return str(shown).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (duration(Estimate(1.2345, 1.20, 1.27)), "1.23 s (1.20 to 1.27)"),
        (duration(Estimate(0.0123456, 0.0121, 0.0126)), "12.3 ms (12.1 to 12.6)"),
        (duration(Estimate(3.21e-6, 3.1e-6, 3.3e-6)), "3.2 µs (3.1 to 3.3)"),
        (duration(Estimate(1234, 1200, 1270)), "1,230 s (1,200 to 1,270)"),
        (duration(Estimate(0.0, -3, 5)), "0 s (−3 to 5)"),
        (duration(Estimate(-0.3, -0.5, -0.1)), "−300 ms (−500 to −100)"),
        (duration(Estimate(1.234, NAN, NAN)), "1.2 s (measured once)"),
        (duration(0), "0 s"),
        (duration(6), "6 s"),
        (memory(1_500_000), "1.5 MB"),
        (memory(Estimate(5, 5, 5)), "5 B"),
        (memory(-2048), "−2.048 kB"),
        (factor(Estimate(4.9812, 4.9, 5.05)), "4.98× (4.90 to 5.05)"),
        (percent(Estimate(0.12, 0.10, 0.15)), "12 % (10 to 15)"),
        (rate(Estimate(1.52e9, 1.4e9, 1.6e9)), "1.5 GFLOP/s (1.4 to 1.6)"),
        (number(12345), "12,345"),
        (number(Estimate(0.99991, 0.99990, 0.99992)), "0.99991 (0.99990 to 0.99992)"),
        (number(Estimate(123.456789, 123.4567889, 123.4567891)), "123.457"),
        (number(2 / 3), "0.6667"),
        (number(1.2e-7), "1.20e−07"),
    ],
)
def test_quantity_is_shown_with_unit_interval_and_supported_digits(shown, text):
    assert said(shown) == text


def test_short_form_leaves_the_interval_out_but_keeps_its_digits():
    assert f"{duration(Estimate(1.2345, 1.20, 1.27)):short}" == "1.23\u00a0s"


def test_no_line_breaks_between_number_and_unit():
    assert "\u00a0" in str(duration(6))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantity(NAN, "seconds"), "The 'x' parameter of quantity must be finite. Got nan instead."),
        (lambda: format(duration(1), "long"), "The format of a quantity must be '' or 'short'. Got 'long' instead."),
    ],
)
def test_what_cannot_be_shown_is_refused(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_unknown_unit_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"^The 'unit' parameter of quantity must be one of \['seconds', "):
        quantity(1, "fortnights")


def test_quantity_is_a_plain_pair():
    assert duration(6) == Quantity(Estimate(6.0, 6.0, 6.0), "seconds")
