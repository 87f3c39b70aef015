"""Intervals cover what they say, whatever the noise, and agree with what is known about their samples."""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from mlperf.quantities.intervals import Estimates, combine, interval

N_SIMULATED = 20_000
SIZES = range(6, 21)
LEVELS = [0.0, 0.1, 0.5, 0.8, 0.95, 0.97, 0.99, 0.995, 0.999, 0.9999]


@dataclass(frozen=True)
class Interval:
    """An estimate whose interval is the same at each level."""

    value: float
    low: float
    high: float

    def interval(self, level):  # noqa: ARG002
        return self.low, self.high


def one_mode(rng, shape):
    return rng.normal(10, 1, shape)


def two_modes(rng, shape):
    """Half of the values around 17, half around 23."""
    return rng.normal(20 + 3 * rng.choice([-1, 1], shape), 1)


def two_unequal_modes(rng, shape):
    """Seven of ten values around 17, three around 23."""
    return rng.normal(20 + 3 * rng.choice([-1, 1], shape, p=[0.7, 0.3]), 1)


def skewed(sigma):
    return lambda rng, shape: rng.lognormal(0, sigma, shape)


# The noise, its true median (that of the unequal modes worked out by bisection) and its true mean.
NOISES = {
    "normal": (one_mode, 10.0, 10.0),
    "lognormal 0.1": (skewed(0.1), 1.0, np.exp(0.1**2 / 2)),
    "lognormal 0.3": (skewed(0.3), 1.0, np.exp(0.3**2 / 2)),
    "lognormal 0.5": (skewed(0.5), 1.0, np.exp(0.5**2 / 2)),
    "two modes": (two_modes, 20.0, 20.0),
    "two unequal modes": (two_unequal_modes, 17.565949, 18.8),
}
MEDIANS = [("median", noise) for noise in NOISES]
MEANS = [("mean", noise) for noise in NOISES if noise != "two unequal modes"]


def coverage(low, high, truth):
    return np.mean((low <= truth) & (truth <= high))


def simulated(statistic, noise, size, seed=0, n=N_SIMULATED):
    draw, median, mean = NOISES[noise]
    samples = Estimates(draw(np.random.default_rng([seed, size]), (n, size)), statistic)
    return samples, {"median": median, "mean": mean}[statistic]


# 20,000 simulated data sets leave 0.2 % of chance: a bar that is met exactly is not missed by it.
LEAST, MOST = 0.93 - 0.002, 0.98 + 0.002


@pytest.mark.parametrize(("statistic", "noise"), MEDIANS + MEANS)
def test_interval_covers_the_truth_as_often_as_it_says(statistic, noise):
    for size in SIZES:
        samples, truth = simulated(statistic, noise, size)
        assert LEAST <= coverage(*samples.interval(), truth) <= MOST, size


@pytest.mark.parametrize(("statistic", "noise"), MEDIANS + MEANS)
@pytest.mark.parametrize(("function", "truth"), [(np.divide, 1), (np.subtract, 0)])
def test_ratios_and_differences_of_what_does_not_pair_cover_the_truth_too(statistic, noise, function, truth):
    for size in (6, 7, 10, 20):
        one, _ = simulated(statistic, noise, size, seed=1)
        other, _ = simulated(statistic, noise, size, seed=2)
        _, low, high = combine(function, [one, other])
        assert LEAST <= coverage(low, high, truth) <= MOST, size


@pytest.mark.parametrize("function", [np.divide, np.subtract])
def test_samples_of_different_size_and_place_are_combined_with_the_same_coverage(function):
    one, median = simulated("median", "lognormal 0.3", 6)
    other, other_median = simulated("median", "two unequal modes", 15)
    _, low, high = combine(function, [one, other])
    assert LEAST <= coverage(low, high, function(median, other_median)) <= MOST


def test_what_a_round_does_to_both_runs_of_a_pair_does_not_widen_the_interval_of_their_ratio():
    rng = np.random.default_rng(0)
    disturbance = rng.lognormal(0, 0.5, (N_SIMULATED, 10))
    slow, fast = (disturbance * rng.lognormal(0, 0.1, disturbance.shape) for _ in range(2))
    low, high = Estimates(slow / fast).interval()
    assert LEAST <= coverage(low, high, 1) <= MOST
    assert np.median(high - low) < 0.3


@pytest.mark.parametrize("statistic", ["median", "mean"])
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_few_processes_are_covered_where_the_noise_is_lognormal(statistic, size):
    samples, truth = simulated(statistic, "lognormal 0.3", size)
    assert LEAST <= coverage(*samples.interval(), truth) <= MOST


@pytest.mark.parametrize("level", [0.5, 0.8, 0.99, 0.999])
def test_other_levels_are_covered_as_well(level):
    for size in (6, 8, 10, 15):
        samples, truth = simulated("median", "lognormal 0.5", size)
        missed = 1 - coverage(*samples.interval(level), truth)
        assert 0.3 * (1 - level) <= missed <= 1.3 * (1 - level), size


@pytest.mark.parametrize("statistic", ["median", "mean"])
@pytest.mark.parametrize("size", [2, 3, 5, 6, 7, 10, 11, 40])
def test_higher_level_never_narrows_the_interval(statistic, size):
    x = np.random.default_rng(size).lognormal(size=size)
    for negative in (0.0, 5.0):
        ends = [interval(x - negative, statistic=statistic, level=level) for level in LEVELS]
        for (value, low, high), (_, lower, higher) in pairwise(ends):
            assert lower <= low <= value <= high <= higher


def test_level_beyond_the_extreme_values_moves_out_of_them():
    x = np.random.default_rng(0).lognormal(size=6)
    _, low, high = interval(x, level=0.999)
    assert low < x.min()
    assert high > x.max()
    assert interval(x, level=0.95)[1] >= x.min()


def test_median_and_mean_are_those_of_numpy():
    x = np.random.default_rng(1).lognormal(size=11)
    assert interval(x)[0] == np.median(x)
    assert interval(x, statistic="mean")[0] == pytest.approx(np.mean(x))


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_process_counts_as_one_observation_however_often_it_repeats(statistic):
    reduce = {"median": np.median, "mean": np.mean}[statistic]
    rng = np.random.default_rng(2)
    processes = rng.permutation(np.repeat(list("abcdefgh"), [1, 2, 2, 3, 5, 5, 5, 9]))
    values = rng.lognormal(size=len(processes))
    by_process = [reduce(values[processes == process]) for process in "abcdefgh"]
    expected = interval(by_process, statistic=statistic)
    assert interval(values, processes, statistic=statistic) == pytest.approx(expected)


def test_row_of_many_samples_has_the_interval_that_it_has_alone():
    rng = np.random.default_rng(3)
    for size in (2, 5, 6, 9):
        rows = np.concatenate([rng.lognormal(size=(3, size)), rng.normal(size=(3, size))])
        levels = np.array([0.5, 0.95, 0.999] * 2)
        for statistic in ("median", "mean"):
            samples = Estimates(rows, statistic)
            low, high = samples.interval(levels)
            for i, row in enumerate(rows):
                alone = interval(row, statistic=statistic, level=levels[i])
                assert (samples.value[i], low[i], high[i]) == pytest.approx(alone)


def test_interval_of_times_scales_with_their_unit():
    x = np.random.default_rng(4).lognormal(size=9)
    for statistic in ("median", "mean"):
        for size in (3, 9):
            seconds = np.array(interval(x[:size], statistic=statistic))
            milliseconds = interval(1e3 * x[:size], statistic=statistic)
            assert 1e3 * seconds == pytest.approx(milliseconds)


@pytest.mark.parametrize("statistic", ["median", "mean"])
@pytest.mark.parametrize("value", [7.0, 0.1, 0.0, -3.0, 1e300])
@pytest.mark.parametrize("size", [2, 3, 6, 7, 10])
def test_equal_values_have_an_interval_without_width(statistic, value, size):
    for level in (0.95, 0.9999):
        assert interval([value] * size, statistic=statistic, level=level) == (value, value, value)


def test_one_process_has_a_value_but_no_interval():
    assert interval([7.0])[0] == 7.0
    assert np.isnan(interval([7.0])[1:]).all()
    value, *ends = interval([1.0, 2.0, 3.0, 6.0], processes=[0, 0, 0, 0])
    assert value == 2.5
    assert np.isnan(ends).all()


def test_two_processes_at_a_high_level_may_have_no_upper_bound():
    value, low, high = interval([1.0, 10.0], level=0.9999)
    assert (low, high) == (0.0, np.inf)
    assert value == 5.5


def test_many_values_are_estimated_without_resampling_them():
    # The standard error of this median is 1.25 / sqrt(n).
    x = np.random.default_rng(5).normal(size=80_000)
    value, low, high = interval(x, np.arange(len(x)))
    assert value == np.median(x)
    assert high - low == pytest.approx(2 * 1.96 * 1.2533 / np.sqrt(len(x)), rel=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: interval([]),
            "The 'values' parameter of interval must be one-dimensional, not empty and finite (is a run missing?). "
            "Got [] instead.",
        ),
        (
            lambda: interval([1.0, np.nan]),
            "The 'values' parameter of interval must be one-dimensional, not empty and finite (is a run missing?). "
            "Got [ 1. nan] instead.",
        ),
        (
            lambda: interval([1.0, 2.0], processes=[1]),
            "The 'processes' parameter of interval must name a process for each of the 2 values. "
            "Got shape (1,) instead.",
        ),
        (
            lambda: interval([1.0, 2.0], statistic="mode"),
            "The 'statistic' parameter of interval must be one of ['median', 'mean']. Got 'mode' instead.",
        ),
        (
            lambda: interval([1.0, 2.0], level=95),
            "The 'level' parameter of interval must be a number from 0 to below 1. Got 95 instead. "
            "(Did you mean 0.95?)",
        ),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_function_of_one_uncertain_estimate_keeps_its_interval():
    measured, exact = Interval(10.0, 8.0, 13.0), Interval(2.0, 2.0, 2.0)
    assert combine(lambda a, b: a / b, [measured, exact]) == (5.0, 4.0, 6.5)
    assert combine(lambda b, a: b - a, [exact, measured]) == (-8.0, -11.0, -6.0)
    assert combine(lambda a, b: a * b, [exact, exact]) == (4.0, 4.0, 4.0)


def test_sum_of_normal_means_has_the_interval_of_the_textbook():
    rng = np.random.default_rng(6)
    one, other = (Estimates(rng.normal(0, scale, (1, 5_000)), "mean") for scale in (1, 2))
    _, (low,), (high,) = combine(np.add, [one, other])
    error = np.sqrt(one.values.var() / 5_000 + other.values.var() / 5_000)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=1e-3)


def test_largest_of_several_is_uncertain_where_another_may_be_larger():
    clearly, nearly = Interval(1.0, 0.5, 1.5), Interval(9.5, 8.5, 10.5)
    _, low, high = combine(max, [Interval(10.0, 9.9, 10.1), clearly])
    assert (low, high) == (9.9, 10.1)
    assert combine(max, [Interval(10.0, 9.9, 10.1), nearly])[2] == 10.5


def test_estimate_without_an_interval_leaves_the_function_without_one():
    value, *ends = combine(lambda a, b: a + b, [Interval(1.0, np.nan, np.nan), Interval(2.0, 1.0, 3.0)])
    assert value == 3.0
    assert np.isnan(ends).all()


@pytest.mark.parametrize("denominator", [Interval(0.5, -0.1, 1.0), Interval(0.5, 0.0, 1.0)])
def test_ratio_to_what_may_be_zero_has_no_upper_bound(denominator):
    value, _, high = combine(lambda a, b: a / b, [Interval(1.0, 0.9, 1.1), denominator])
    assert value == 2.0
    assert high == np.inf


def test_function_that_turns_within_an_interval_is_unbounded():
    _, low, high = combine(lambda a: (a - 1) ** 2, [Interval(1.1, 0.0, 2.0)])
    assert (low, high) == (-np.inf, np.inf)
