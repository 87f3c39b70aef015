"""Quantities compute as their runs do, keep their units, and pair what was measured in the same rounds."""

import math
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlperf import Quantity, Runs, claim, exact, stack
from mlperf.quantities.scaling import exponent
from mlperf.quantities.units import UNITS

POSITIVE = st.floats(1e-3, 1e3)


def runs(cells, *, unit="seconds", by="model", repeats=1):
    """Return runs of some cells: a list of values by label, one a process (and repeat)."""
    rows = [
        {by: label, "process": number // repeats, "repeat": number % repeats, unit: value}
        for label, values in cells.items()
        for number, value in enumerate(values)
    ]
    return Runs(pd.DataFrame(rows), by=[by])


def fits(n_processes=8, seed=0):
    """Return fits of two models on two sizes, with drift that rounds share."""
    rng = np.random.default_rng(seed)
    rows = []
    for process in range(n_processes):
        drift = rng.lognormal(0, 0.3)
        for model, base in {"Small": 1.0, "Large": 2.0}.items():
            for n in (1_000, 10_000):
                noise = rng.lognormal(0, 0.01)
                rows.append((model, n, process, 0, base * n / 1_000 * drift * noise))
    frame = pd.DataFrame(rows, columns=["model", "n_samples", "process", "repeat", "seconds"])
    return Runs(frame, by=["model", "n_samples"])["seconds"]


def test_a_quantity_has_the_median_of_its_runs_as_its_value_and_its_unit_from_the_column():
    fit = runs({"Small": [1.0, 3.0, 2.0]})["seconds"]
    assert fit["Small"].value == 2.0
    assert fit.unit == "seconds"
    assert runs({"Small": [1.0]}, unit="peak_bytes")["peak_bytes"].unit == "bytes"


def test_runs_of_the_same_rounds_are_paired_so_that_shared_drift_cancels():
    fit = fits()
    ratio = fit["Large", 1_000] / fit["Small", 1_000]
    assert ratio.high - ratio.low < 0.1
    assert len(ratio.runs) == 8
    by_round = fit["Large", 1_000].runs / fit["Small", 1_000].runs
    assert ratio.value == pytest.approx(np.median(by_round))


def test_cells_with_more_repeats_are_paired_with_others_process_by_process():
    rng = np.random.default_rng(0)
    rows = []
    for process in range(8):
        drift = rng.lognormal(0, 0.3)
        rows += [("short", process, repeat, drift * rng.lognormal(0, 0.01)) for repeat in range(1 + process % 3)]
        rows.append(("long", process, 0, 2 * drift))
    frame = pd.DataFrame(rows, columns=["model", "process", "repeat", "seconds"])
    fit = Runs(frame, by=["model"])["seconds"]
    ratio = fit["long"] / fit["short"]
    short = frame[frame["model"] == "short"].groupby("process")["seconds"].median()
    assert ratio.runs == pytest.approx(fit["long"].runs / short.to_numpy())
    assert ratio.high - ratio.low < 0.1


def test_sums_add_no_runs_of_cells_that_were_repeated_more_often():
    rows = [("short", part, process, repeat, 1.0) for part in "ab" for process in range(6) for repeat in range(3)]
    rows += [("long", part, process, 0, 10.0) for part in "ab" for process in range(6)]
    frame = pd.DataFrame(rows, columns=["model", "part", "process", "repeat", "seconds"])
    fit = Runs(frame, by=["model", "part"])["seconds"]
    assert fit.sum("part")["long"].runs == pytest.approx([20.0] * 6)
    assert fit.sum("part")["short"].runs == pytest.approx([2.0] * 18)
    assert fit.sum("model")["a"].runs == pytest.approx([11.0] * 6)


def test_runs_of_two_measurements_are_independent_and_their_ratio_is_that_of_the_medians():
    one, other = fits(seed=0)["Large", 1_000], fits(seed=1)["Small", 1_000]
    ratio = one / other
    assert len(ratio.runs) == 0
    assert ratio.value == pytest.approx(one.value / other.value)
    assert ratio.low < ratio.value < ratio.high
    assert ratio.high - ratio.low > 0.2


def test_one_process_has_no_interval_however_many_repeats_it_has():
    fit = runs({"Small": [1.0, 1.1, 1.2, 1.3]}, repeats=4)["seconds"]["Small"]
    assert fit.n_processes == 1
    assert math.isnan(fit.low)
    assert math.isnan(fit.high)
    assert (fit < 100).verdict == "undecided"


@given(st.lists(POSITIVE, min_size=1, max_size=12), POSITIVE)
@settings(max_examples=50, deadline=None)
def test_arithmetic_agrees_with_numpy_on_paired_runs(values, factor):
    fit = runs({"a": values, "b": [factor * value + 1 for value in values]})["seconds"]
    a, b = np.array(values), factor * np.array(values) + 1
    assert (fit["b"] - fit["a"]).value == pytest.approx(np.median(b - a))
    assert (fit["b"] + fit["a"]).value == pytest.approx(np.median(b + a))
    assert (fit["b"] / fit["a"]).value == pytest.approx(np.median(b / a))
    assert (fit["a"] * factor).value == pytest.approx(factor * np.median(a))


@pytest.mark.parametrize(
    "two",
    [np.float64(2), np.float32(2), np.int8(2), np.array(2), np.array(2.0), Fraction(2), Decimal(2), pd.Series([2])[0]],
)
def test_numbers_of_any_type_stand_on_either_side(two):
    """Tried: NumPy's numbers on the left of an operator raised an error of NumPy's."""
    four = exact(4)
    found = [two * four, four * two, two / four, four / two, two + four, four + two, two - four, four - two]
    assert [each.value for each in found] == [8, 8, 0.5, 2, 6, 6, -2, 2]
    assert claim("It is more.", two < four).verdict == claim("It is more.", four > two).verdict == "holds"


@given(st.lists(POSITIVE, min_size=6, max_size=10), st.lists(POSITIVE, min_size=6, max_size=10))
@settings(max_examples=50, deadline=None)
def test_a_ratio_times_its_inverse_is_one_whether_paired_or_not(first, second):
    a, b = runs({"x": first})["seconds"]["x"], runs({"x": second})["seconds"]["x"]
    once = (a / b) * (b / a)
    assert once.value == pytest.approx(1)
    assert (once.low, once.high) == pytest.approx((1, 1))
    paired = runs({"a": first, "b": first[::-1]})["seconds"]
    assert ((paired["a"] / paired["b"]) * (paired["b"] / paired["a"])).value == pytest.approx(1)


@given(st.sampled_from(list(UNITS)), st.sampled_from(list(UNITS)))
@settings(max_examples=81, deadline=None)
def test_a_quotient_times_its_divisor_has_the_unit_that_it_started_from(one, other):
    a, b = exact(6.0, unit=one), exact(2.0, unit=other)
    dimension = [x - y for x, y in zip(UNITS[one].dimension, UNITS[other].dimension, strict=True)]
    if not any(list(unit.dimension) == dimension for unit in UNITS.values()):
        with pytest.raises(ValueError, match="There is no unit for"):
            a / b
        return
    quotient = a / b
    back = quotient * b
    assert UNITS[back.unit].dimension == UNITS[one].dimension
    assert back.value == pytest.approx(6)


def test_units_combine_to_those_of_physics_and_refuse_what_has_no_name():
    seconds, flop, size = exact(2.0, unit="seconds"), exact(8.0, unit="flop"), exact(4.0, unit="bytes")
    assert (flop / seconds).unit == "flop_per_second"
    assert (size / seconds).unit == "bytes_per_second"
    assert (flop / size).unit == "flop_per_byte"
    assert (seconds / seconds).unit == "ratio"
    assert (flop / (flop / seconds)).unit == "seconds"
    with pytest.raises(ValueError, match=re.escape("There is no unit for seconds times seconds")):
        seconds * seconds
    with pytest.raises(ValueError, match=re.escape("must have the same unit. Got seconds and bytes instead")):
        seconds + size


def test_levels_are_aligned_by_name_and_missing_ones_are_the_same_for_all():
    fit = fits()
    ratio = fit / fit["Small"]
    assert ratio.by == ("model", "n_samples")
    assert ratio["Small", 1_000].value == pytest.approx(1)
    assert ratio["Large", 10_000].value == pytest.approx(2, rel=0.05)
    swapped = exact({(10_000, "Large"): 4.0, (1_000, "Large"): 2.0}, by=["n_samples", "model"])
    assert (fit[["Large"]] / swapped)["Large", 10_000].value == pytest.approx(fit["Large", 10_000].value / 4)


def test_labels_that_only_one_of_two_quantities_has_are_named():
    with pytest.raises(
        ValueError, match=re.escape("must have the same labels of 'n_samples'. Only one of them has 10000")
    ):
        fits() / fits()[:, [1_000]]


def test_a_mean_of_times_is_geometric_and_one_of_plain_numbers_is_arithmetic():
    assert exact({"a": 1.0, "b": 4.0}, by="x", unit="seconds").mean("x").value == pytest.approx(2)
    assert exact({"a": 1.0, "b": 4.0}, by="x").mean("x").value == pytest.approx(2.5)


@pytest.mark.parametrize("handling", ["warn", "raise"])
@pytest.mark.parametrize("seconds", [0.0, 5e-324, 1e-300, 1e300])
def test_numbers_of_any_size_are_computed_with_whatever_numpy_is_told_to_do(seconds, handling):
    """Tried: warnings were errors, or NumPy was set to raise, and a clock had not advanced during a run."""
    with np.errstate(all=handling):
        fit = runs({"Small": [seconds] * 7, "Large": [1.0, 1.1, 1.2, 1.0, 1.1, 1.2, 1.3]})["seconds"]
        assert [fit["Small"].low, fit["Small"].value, fit["Small"].high] == pytest.approx([seconds] * 3)
        assert (fit["Small"] / fit["Large"]).value == pytest.approx(seconds / 1.1)
        assert fit.mean().value == pytest.approx(math.sqrt(seconds * 1.1))
        assert fit.max().value == max(seconds, 1.1)


def test_sums_over_a_level_are_taken_run_by_run_and_what_a_run_lacks_adds_nothing():
    frame = pd.DataFrame(
        {"operator": ["mm", "mm", "add"], "process": [0, 1, 1], "repeat": 0, "seconds": [1.0, 2.0, 10.0]}
    )
    total = Runs(frame, by=["operator"])["seconds"].sum("operator")
    assert total.runs.tolist() == [1.0, 12.0]


def test_a_function_of_a_curve_is_taken_process_by_process():
    rows = [
        (n, p, 0, factor * n**power) for p, (factor, power) in enumerate([(1, 1), (3, 2), (2, 3)]) for n in (1, 10, 100)
    ]
    epoch = Runs(pd.DataFrame(rows, columns=["n", "process", "repeat", "seconds"]), by=["n"])["seconds"]
    power = epoch.along("n", exponent)
    assert sorted(power.runs.round(6)) == [1, 2, 3]
    assert power.value == pytest.approx(2)
    assert power.unit == "number"


def test_what_is_exact_has_no_interval_and_decides_on_the_threshold_itself():
    count = exact(3, unit="number")
    assert count.is_exact
    assert (count.low, count.high) == (3, 3)
    assert str(count) == "3"
    assert (count > 3).verdict == "does not hold"
    assert (count > 2).verdict == "holds"


def test_runs_that_agree_can_be_called_exact_and_others_are_refused_with_their_cell():
    calls = runs({"mm": [4, 4, 4], "add": [4, 5, 4]}, unit="calls", by="operator")["calls"]
    assert calls["mm"].exact().is_exact
    with pytest.raises(ValueError, match=re.escape("'calls' is not exact: its runs at add differ, from 4 to 5")):
        calls.exact()


def test_an_estimate_of_each_run_keeps_its_interval():
    frame = pd.DataFrame({"split": ["test"], "mse": [2.0], "mse_low": [1.5], "mse_high": [2.5]})
    mse = Runs(frame, by=["split"])["mse"]["test"]
    assert (mse.value, mse.low, mse.high) == (2.0, 1.5, 2.5)


def test_a_frame_without_processes_counts_each_row_as_one():
    frame = pd.DataFrame({"model": ["a"] * 8, "seconds": np.linspace(1, 2, 8)})
    fit = Runs(frame, by="model")["seconds"]["a"]
    assert fit.n_processes == 8
    assert fit.low < fit.value < fit.high


def test_leading_labels_are_compared_with_the_largest_of_the_others_in_every_cell():
    share = exact(
        {
            ("S", "addmm"): 5.0,
            ("S", "mm"): 3.0,
            ("S", "add"): 4.0,
            ("L", "addmm"): 9.0,
            ("L", "mm"): 8.0,
            ("L", "add"): 1.0,
        },
        by=["model", "operator"],
    )
    check = share.leads("addmm", "mm", over="operator")
    assert check.verdict == "does not hold"
    assert [one.label for one in check.evidence()] == ["S: mm over add", "L: mm over add"]
    assert share.leads("addmm", over="operator").verdict == "holds"


def test_a_label_leads_where_the_others_have_nothing_at_all():
    memory = exact({("S", "addmm"): 26.0, ("S", "copy_"): 0.0}, by=["model", "operator"], unit="bytes")
    check = memory.leads("addmm", over="operator")
    assert check.verdict == "holds"
    assert check.evidence()[0].sentence == "S: nothing else has any memory; expected: more than 1×."
    assert memory.leads("copy_", over="operator").verdict == "does not hold"


def test_the_largest_the_smallest_and_the_leading_labels_are_found():
    fit = fits()
    assert fit.idxmax() == ("Large", 10_000)
    assert fit["Small"].idxmin() == 1_000
    assert fit.nlargest(1, "model").labels("model") == ["Large"]


def test_stacked_quantities_have_a_new_level():
    parts = stack({"forward": exact(1.0, unit="seconds"), "backward": exact(3.0, unit="seconds")}, "part")
    assert parts.by == ("part",)
    assert parts.sum("part").value == 4
    with pytest.raises(ValueError, match=re.escape("must have the same unit and levels, seconds by")):
        stack({"a": exact(1.0, unit="seconds"), "b": exact(1.0)}, "x")


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda fit: fit["Smal"], KeyError, "has no model 'Smal', only 'Small', 'Large'. Did you mean 'Small'?"),
        (lambda fit: fit.at(modell="Small"), KeyError, "has the levels ['model', 'n_samples']. Got 'modell' instead."),
        (lambda fit: fit["Small", 1_000, 3], KeyError, "has 2 levels (model, n_samples)"),
        (lambda fit: fit.value, ValueError, "has 4 cells, by model and n_samples: choose one first"),
        (lambda fit: fit + "1 s", TypeError, "arithmetic with 'seconds' got '1 s' instead"),
        (lambda fit: fit * math.nan, ValueError, "must be finite. Got nan instead"),
        (lambda fit: fit / (fit * 0), ValueError, "the result is not finite. Is a divisor zero?"),
        (lambda fit: (-fit).mean(), ValueError, "Times, sizes, rates and ratios have a mean where none is negative."),
        (lambda fit: fit.to("bytes"), ValueError, "can be shown as seconds. Got 'bytes' instead"),
        (lambda fit: fit.within(2, 1), ValueError, "must be in order. Got 2 and 1 instead"),
        (lambda fit: (fit / fit).to("fraction") > 95, ValueError, "0.95 stands for 95 %. Got 95 instead"),
        (lambda fit: f"{fit:long}", ValueError, "must be empty or 'short'. Got 'long' instead"),
    ],
)
def test_a_slip_is_answered_by_a_sentence_that_names_it(use, error, message):
    with pytest.raises(error) as caught:
        use(fits())
    assert message in str(caught.value)


def test_a_number_that_is_not_finite_is_named_with_its_cell_and_run():
    with pytest.raises(ValueError, match=re.escape("must be finite. Got nan in model=Large, process 1, repeat 0")):
        runs({"Small": [1.0, 1.0], "Large": [1.0, math.nan]})["seconds"]


def test_an_unknown_column_is_answered_by_the_nearest():
    with pytest.raises(KeyError, match=re.escape("Did you mean 'seconds'")):
        runs({"Small": [1.0]})["second"]


def test_text_has_unit_interval_and_no_more_digits_than_the_interval_supports():
    fit = Quantity.from_estimates({"a": (1.23456, 1.2, 1.27), "b": (7.4, 7.1, 7.7)}, by="model", unit="seconds")
    assert str(fit["a"]) == "1.23\u00a0s (1.20 to 1.27)"
    assert f"{fit['a']:short}" == "1.23\u00a0s"
    assert str(fit) == "1.23\u00a0s (a) to 7.4\u00a0s (b)"
    assert f"{fit:short}" == "1.23\u00a0s to 7.4\u00a0s"


def test_it_shows_itself_as_a_table_with_units_and_without_raw_numbers():
    fit = fits()
    html = fit._repr_html_()
    assert "Time (s)" in html
    assert "10,000" in html
    assert not re.search(r"\d\.\d{6}", html)
    assert re.search(r"Large +10,000 +2\d", repr(fit))
    assert "16 rows" not in html


def test_html_of_labels_is_escaped():
    assert "<script>" not in exact({"<script>": 1.0}, by="x")._repr_html_()


def test_numbers_rise_from_each_label_to_the_next_along_every_named_level():
    cells = {(model, n): size for model, n, size in [("S", 10, 1.0), ("S", 20, 2.0), ("L", 10, 3.0), ("L", 20, 2.5)]}
    amount = exact(cells, by=("model", "n_samples"), unit="bytes")
    assert amount.rises("model").verdict == "holds"
    assert amount.rises("n_samples").verdict == "does not hold"
    assert len(amount.rises("model", "n_samples")) == 4


def test_medians_are_one_row_a_cell_of_what_was_measured_in_numbers():
    frame = pd.DataFrame(
        {
            "model": ["b", "b", "a"],
            "process": [0, 1, 0],
            "seconds": [1.0, 3.0, 5.0],
            "note": ["x", "y", "z"],
            "load": 0.1,
        }
    )
    assert Runs(frame, by=["model"]).medians().to_dict("records") == [
        {"model": "b", "seconds": 2.0},
        {"model": "a", "seconds": 5.0},
    ]
    assert Runs(frame.drop(columns="model"), by=[]).medians().to_dict("records") == [{"seconds": 3.0}]
