"""A verdict follows from the data and its uncertainty."""

import re

import numpy as np
import pytest

from mlperf.quantities.claims import FAILS, HOLDS, UNCLEAR, Finding, check, fact, judge, unmeasured
from mlperf.quantities.intervals import Estimate, ratio
from mlperf.quantities.units import duration, factor

NAN = float("nan")


@pytest.mark.parametrize(
    ("interval", "threshold", "verdict"),
    [
        ((1.1, 1.3), {"above": 1}, HOLDS),
        ((0.7, 0.9), {"above": 1}, FAILS),
        ((0.9, 1.3), {"above": 1}, UNCLEAR),
        ((1.0, 1.3), {"above": 1}, UNCLEAR),
        ((1.0, 1.0), {"above": 1}, FAILS),
        ((NAN, NAN), {"above": 1}, UNCLEAR),
        ((0.7, 0.9), {"below": 1}, HOLDS),
        ((1.1, 1.3), {"below": 1}, FAILS),
        ((0.9, 1.3), {"below": 1}, UNCLEAR),
        ((1.0, 1.0), {"below": 1}, FAILS),
        ((NAN, NAN), {"below": 1}, UNCLEAR),
        ((4.9, 5.1), {"within": (4.5, 5.5)}, HOLDS),
        ((4.5, 5.5), {"within": (4.5, 5.5)}, HOLDS),
        ((5.6, 5.8), {"within": (4.5, 5.5)}, FAILS),
        ((4.0, 4.4), {"within": (4.5, 5.5)}, FAILS),
        ((4.4, 5.1), {"within": (4.5, 5.5)}, UNCLEAR),
        ((4.0, 6.0), {"within": (4.5, 5.5)}, UNCLEAR),
        ((NAN, NAN), {"within": (4.5, 5.5)}, UNCLEAR),
    ],
)
def test_verdict_depends_on_where_the_whole_interval_lies(interval, threshold, verdict):
    value = 1.0 if np.isnan(interval[0]) else sum(interval) / 2
    assert check("x", factor(Estimate(value, *interval)), **threshold).verdict == verdict


def test_verdict_turns_with_the_data():
    rng = np.random.default_rng(0)
    slow, fast = rng.normal(2, 0.1, 10), rng.normal(1, 0.1, 10)
    for a, b, verdict in [(slow, fast, HOLDS), (fast, slow, FAILS), (fast, rng.permutation(fast), UNCLEAR)]:
        assert judge("A is slower than B.", check("A over B", factor(ratio(a, b)), above=1)).verdict == verdict


def test_evidence_says_what_was_measured_and_what_was_asked():
    finding = judge("A fit is quick.", check("Large", duration(Estimate(12.5, 12.1, 12.8)), below=20))
    assert finding == Finding("A fit is quick.", "holds", "Large: 12.5\u00a0s (12.1 to 12.8), asked below 20\u00a0s.")
    asked = check("Large", factor(Estimate(5.0, 4.9, 5.1)), within=(4.5, 5.5)).evidence
    assert asked == "Large: 5.00× (4.90 to 5.10), asked 4.5× to 5.5×"


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, UNCLEAR], UNCLEAR),
        ([UNCLEAR, FAILS, HOLDS], FAILS),
    ],
)
def test_statement_holds_only_if_every_comparison_does(verdicts, verdict):
    intervals = {HOLDS: (2, 3), FAILS: (0.1, 0.5), UNCLEAR: (0.5, 2)}
    checks = [check("x", factor(Estimate(sum(intervals[v]) / 2, *intervals[v])), above=1) for v in verdicts]
    assert judge("It grows.", *checks).verdict == verdict


def test_evidence_names_the_deciding_comparisons_nearest_to_the_threshold_first():
    checks = [check(f"n={n}", factor(Estimate(n, n - 0.5, n + 0.5)), above=1) for n in (9, 2, 5, 7, 1)]
    finding = judge("It grows.", *checks[:4])
    assert finding.evidence == (
        "Holds in 4 of 4 comparisons: n=2: 2.0× (1.5 to 2.5), asked above 1×; n=5: 5.0× (4.5 to 5.5), asked above 1×; "
        "n=7: 7.0× (6.5 to 7.5), asked above 1×; and 1 more."
    )
    finding = judge("It grows.", *checks)
    assert finding.verdict == UNCLEAR
    assert finding.evidence == ("Not distinguishable in 1 of 5 comparisons: n=1: 1.0× (0.5 to 1.5), asked above 1×.")


def test_fact_holds_or_does_not():
    assert judge("It is called most.", fact("most calls: aten::mm", True)).verdict == HOLDS
    assert judge("It is called most.", fact("most calls: aten::add", False)) == Finding(
        "It is called most.", FAILS, "most calls: aten::add."
    )


def test_mark_is_read_without_its_colour():
    marks = [Finding("s", verdict, "e").mark for verdict in (HOLDS, FAILS, UNCLEAR)]
    assert marks == ["✓ holds", "✗ does not hold", "≈ not distinguishable"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judge(" "), "The 'statement' parameter of judge must not be empty."),
        (lambda: judge("It is."), "judge must get at least one check for the statement 'It is.'. Got none instead."),
        (lambda: check("x", factor(1)), "check must get one of 'above', 'below' and 'within'. Got 0 instead."),
        (
            lambda: check("x", factor(1), above=1, below=2),
            "check must get one of 'above', 'below' and 'within'. Got 2 instead.",
        ),
        (
            lambda: check("x", factor(1), within=(2, 1)),
            "The 'within' parameter of check must be a pair in order. Got (2, 1) instead.",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_number_without_unit_is_refused():
    with pytest.raises(TypeError, match=r"must be a quantity, such as duration\(median\(x\)\). Got 1.5 instead."):
        check("x", 1.5, above=1)


@pytest.mark.parametrize("reason", ["memray is not installed", "memray is not installed."])
def test_what_was_not_measured_is_not_distinguishable_and_says_why(reason):
    expected = Finding("The heap holds less.", UNCLEAR, "Not measured here: memray is not installed.")
    assert unmeasured("The heap holds less.", reason) == expected
