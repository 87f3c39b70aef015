"""Changes over builds: a new level is found, noise and single builds are none."""

import math

import numpy as np
import pytest

from mlperf import Quantity
from mlperf.sphinxext.changes import FEWEST, LEAST, changes


def of(values, *, half=None):
    """Return quantities of one cell, with intervals that are so wide to either side, as a fraction."""
    ends = [
        (value, value * (1 - half), value * (1 + half)) if half else (value, math.nan, math.nan) for value in values
    ]
    return [Quantity.from_estimates({(): end}, by=(), unit="seconds", name="seconds") for end in ends]


def noise(rng, n, *, scale=0.02):
    return np.exp(rng.normal(scale=scale, size=n))


@pytest.mark.parametrize("n", [FEWEST, 12, 30])
def test_series_without_a_change_are_hardly_ever_marked(n):
    """The page on the method says: fewer than one in ten."""
    rng = np.random.default_rng(0)
    marked = sum(bool(changes(of(noise(rng, n)))) for _ in range(100))
    assert marked < 10


def test_a_new_level_is_found_where_it_begins():
    rng = np.random.default_rng(0)
    found = [changes(of(np.r_[noise(rng, 10), 0.8 * noise(rng, 6)])) for _ in range(40)]
    assert sum(places == [10] for places in found) >= 36


def test_several_levels_are_found():
    rng = np.random.default_rng(1)
    values = np.r_[noise(rng, 8), 1.5 * noise(rng, 8), 1.1 * noise(rng, 8)]
    assert changes(of(values)) == [8, 16]


def test_a_build_that_is_out_of_line_is_no_change():
    values = np.ones(20)
    values[7] = 1.4
    assert changes(of(values * noise(np.random.default_rng(0), 20))) == []


def test_few_builds_show_no_change():
    assert changes(of([1.0] * (FEWEST - 4) + [2.0] * LEAST)) == []


def test_what_lies_within_the_intervals_is_no_change():
    values = [1.0] * 6 + [1.05] * 6
    assert changes(of(values)) == [6]
    assert changes(of(values, half=0.1)) == []


def test_exact_values_change_by_more_than_a_thousandth_or_not():
    assert changes(of([1_000.0] * 6 + [1_000.5] * 6)) == []
    assert changes(of([1_000.0] * 6 + [1_100.0] * 6)) == [6]


def test_values_that_are_not_positive_change_too():
    assert changes(of([-1.0, -1.1, -0.9, -1.0, -1.0, 1.0, 1.1, 0.9, 1.0])) == [5]
