"""The estimates agree with what is known about the samples that they come from."""

import re

import numpy as np
import pandas as pd
import pytest

from mlperf.quantities import intervals
from mlperf.quantities.intervals import Estimate, difference, mean, median, ratio, ratio_of_estimates, summarise


def two_level(rng, *, between, within, processes, repeats, centre=10.0):
    values = centre + rng.normal(0, between, (processes, 1)) + rng.normal(0, within, (processes, repeats))
    return values.ravel(), np.repeat(np.arange(processes), repeats)


def test_median_and_mean_are_those_of_numpy():
    x = [3.0, 1.0, 2.0, 10.0]
    assert median(x).value == 2.5
    assert mean(x).value == 4.0
    assert median([1.0, 2.0, 7.0], groups=[0, 0, 1]).value == 2.0
    assert mean([1.0, 2.0, 6.0], groups=[0, 0, 1]).value == 3.0


def test_same_sample_gives_the_same_interval_every_time():
    x = np.random.default_rng(3).normal(size=12)
    assert median(x) == median(x)
    assert mean(x, groups=np.arange(12) // 3) == mean(x, groups=np.arange(12) // 3)


@pytest.mark.parametrize("statistic", [median, mean])
@pytest.mark.parametrize(("between", "within"), [(0.0, 1.0), (1.0, 1.0), (1.0, 0.3)])
def test_interval_covers_the_truth_as_often_as_it_says(monkeypatch, statistic, between, within):
    monkeypatch.setattr(stats, "N_RESAMPLES", 500)
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        x, groups = two_level(rng, between=between, within=within, processes=5, repeats=2)
        estimate = statistic(x, groups)
        hits += estimate.low <= 10 <= estimate.high
    assert hits >= 0.93 * 200


def test_mean_interval_is_about_as_wide_as_students():
    x = np.random.default_rng(1).normal(size=60)
    low, high = mean(x)[1:]
    students = 2 * 2.001 * x.std(ddof=1) / np.sqrt(60)
    assert high - low == pytest.approx(students, rel=0.1)


def test_interval_is_wider_when_processes_differ_than_when_their_rows_are_taken_as_independent():
    x, groups = two_level(np.random.default_rng(2), between=1.0, within=0.01, processes=6, repeats=10)
    known, ignored = median(x, groups), median(x)
    assert known.high - known.low > 1.5 * (ignored.high - ignored.low)


def test_more_processes_narrow_the_interval():
    rng = np.random.default_rng(4)
    few = mean(*two_level(rng, between=1, within=1, processes=6, repeats=2))
    many = mean(*two_level(rng, between=1, within=1, processes=60, repeats=2))
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_equal_numbers_have_an_interval_without_width():
    assert median([7.0, 7.0, 7.0]) == Estimate(7.0, 7.0, 7.0)


def test_one_number_has_no_interval():
    estimate = median([7.0])
    assert estimate.value == 7.0
    assert np.isnan([estimate.low, estimate.high]).all()


def test_one_process_falls_back_on_the_spread_of_its_repeats():
    estimate = median([1.0, 2.0, 3.0, 4.0], groups=[0, 0, 0, 0])
    assert estimate.low < 2.5 < estimate.high


def test_groups_of_different_size_and_any_label_are_taken():
    estimate = median([1.0, 2.0, 3.0, 50.0, 51.0], groups=["a", "a", "a", "b", "b"])
    assert estimate.value == 3.0
    assert estimate.low < 3.0 < estimate.high


def test_order_of_the_rows_does_not_change_the_value():
    x, groups = two_level(np.random.default_rng(5), between=1, within=1, processes=4, repeats=3)
    order = np.random.default_rng(6).permutation(x.size)
    assert median(x[order], groups[order]).value == median(x, groups).value


def test_ratio_of_a_sample_to_itself_spans_one():
    x = np.random.default_rng(7).lognormal(size=20)
    estimate = ratio(x, x)
    assert estimate.value == 1.0
    assert estimate.low < 1.0 < estimate.high
    assert estimate.high - estimate.low > 0.1, "resampled in step, the two would always be equal"


def test_difference_of_a_sample_from_itself_spans_zero():
    x = np.random.default_rng(8).normal(size=20)
    estimate = difference(x, x)
    assert estimate.value == 0.0
    assert estimate.low < 0.0 < estimate.high


def test_ratio_and_difference_of_exact_numbers_are_exact():
    assert ratio([10.0] * 4, [2.0] * 4) == Estimate(5.0, 5.0, 5.0)
    assert difference([10.0] * 4, [2.0] * 4) == Estimate(8.0, 8.0, 8.0)
    assert ratio([1.0, 2.0, 6.0], [1.0, 1.0, 1.0], statistic="mean").value == 3.0


def test_ratio_with_processes_covers_the_truth(monkeypatch):
    monkeypatch.setattr(stats, "N_RESAMPLES", 500)
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(100):
        x, groups = two_level(rng, between=1, within=0.5, processes=5, repeats=2, centre=40)
        y, _ = two_level(rng, between=1, within=0.5, processes=5, repeats=2, centre=20)
        estimate = ratio(x, y, (groups, groups))
        hits += estimate.low <= 2 <= estimate.high
    assert hits >= 93


def test_ratio_to_what_may_be_zero_is_refused():
    message = (
        "The 'denominator' parameter of ratio must be away from zero by more than its uncertainty. "
        "Got a median of 0 instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ratio([1.0, 2.0], [-1.0, 1.0])


def test_long_samples_are_resampled_in_blocks(monkeypatch):
    x = np.random.default_rng(10).normal(size=50)
    monkeypatch.setattr(stats, "BLOCK", 1000)
    estimate = median(x)
    assert estimate.low < estimate.value < estimate.high


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: median([]),
            "The 'x' parameter of median must be one-dimensional, not empty, and finite. Got [] instead.",
        ),
        (
            lambda: mean([1.0, np.nan]),
            "The 'x' parameter of mean must be one-dimensional, not empty, and finite. Got [ 1. nan] instead.",
        ),
        (
            lambda: median([1.0, 2.0], groups=[1]),
            "The 'groups' parameter of median must be as long as 'x', 2. Got 1 instead.",
        ),
        (
            lambda: ratio([1.0], [1.0], groups=[[0]]),
            "The 'groups' parameter of ratio must be a pair, one for each sample. Got 1 instead.",
        ),
        (
            lambda: summarise(pd.DataFrame({"a": [1]}), by=["a"]),
            "The 'frame' parameter of summarise must have the columns ['a', 'seconds']. Got ['a'] instead.",
        ),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_summary_has_one_row_a_cell_in_order_of_appearance():
    frame = pd.DataFrame(
        {
            "model": ["b"] * 4 + ["a"] * 4,
            "n_samples": [10] * 8,
            "process": [0, 0, 1, 1] * 2,
            "seconds": [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0],
        }
    )
    table = summarise(frame, by=["model", "n_samples"])
    assert list(table.columns) == ["model", "n_samples", "median", "low", "high", "mean", "n"]
    assert list(table["model"]) == ["b", "a"]
    assert list(table["median"]) == [2.5, 5.0]
    assert list(table["n"]) == [4, 4]
    by_process = median(frame["seconds"][:4], frame["process"][:4])
    assert tuple(table.loc[0, ["low", "high"]]) == by_process[1:]


def test_summary_by_one_column_keeps_its_name():
    frame = pd.DataFrame({"model": ["a", "a"], "peak_bytes": [1.0, 3.0]})
    table = summarise(frame, by=["model"], value="peak_bytes")
    assert table.loc[0, "median"] == 2.0


def test_ratio_of_estimates_is_close_to_the_ratio_of_their_raw_numbers():
    rng = np.random.default_rng(11)
    x, y = rng.normal(20, 1, 30), rng.normal(10, 1, 30)
    from_raw, from_estimates = ratio(x, y), ratio_of_estimates(median(x), median(y))
    assert from_estimates == pytest.approx(from_raw, rel=0.05)


def test_ratio_of_estimates_covers_the_truth(monkeypatch):
    monkeypatch.setattr(stats, "N_RESAMPLES", 500)
    rng = np.random.default_rng(12)
    hits = 0
    for _ in range(100):
        low, _, high = sorted(ratio_of_estimates(median(rng.normal(20, 2, 10)), median(rng.normal(10, 1, 10))))
        hits += low <= 2 <= high
    assert hits >= 93


@pytest.mark.parametrize("other", [Estimate(0.0, -1.0, 1.0), Estimate(1.0, float("nan"), float("nan"))])
def test_ratio_of_estimates_needs_intervals_above_zero(other):
    assert ratio_of_estimates(Estimate(1.0, 0.9, 1.1), other) is None
