"""A statement, the evidence, and the verdict that follows from the data and its uncertainty."""

from __future__ import annotations

from typing import NamedTuple

from mlperf.quantities.units import Quantity, quantity

HOLDS = "holds"
"""Verdict: the whole interval is on the right side of the threshold."""
FAILS = "does not hold"
"""Verdict: the whole interval is on the wrong side of the threshold."""
UNCLEAR = "not distinguishable"
"""Verdict: the interval spans the threshold."""
SYMBOLS = {HOLDS: "✓", FAILS: "✗", UNCLEAR: "≈"}

# Evidence names at most this many comparisons; the published tables hold the others.
MOST_SHOWN = 3


class Finding(NamedTuple):
    """What was claimed, what was seen, and whether the one follows from the other.

    Parameters
    ----------
    statement : str
        One sentence that can be true or false.
    verdict : {"holds", "does not hold", "not distinguishable"}
        Not distinguishable: the interval of what was measured spans the threshold.
    evidence : str
        What was measured, with its uncertainty.

    Examples
    --------
    >>> from mlperf.quantities.claims import Finding
    >>> Finding("Large takes longest.", "holds", "4.1 times the shortest fit").mark
    '✓ holds'
    """

    statement: str
    verdict: str
    evidence: str

    @property
    def mark(self) -> str:
        """The verdict with a symbol, read without its colour: "✓ holds"."""
        return f"{SYMBOLS[self.verdict]} {self.verdict}"


class Check(NamedTuple):
    """One comparison: its verdict, its evidence, and its margin to the threshold in widths of its interval.

    Examples
    --------
    >>> from mlperf.quantities.claims import check
    >>> from mlperf.quantities.intervals import Estimate
    >>> from mlperf.quantities.units import factor
    >>> check("Large over Small", factor(Estimate(4.1, 3.9, 4.3)), above=1).verdict
    'holds'
    """

    verdict: str
    evidence: str
    margin: float = 0.0


def check(
    label: str,
    measured: Quantity,
    *,
    above: float | None = None,
    below: float | None = None,
    within: tuple[float, float] | None = None,
) -> Check:
    """Compare a measured quantity with a threshold.

    Parameters
    ----------
    label : str
        What was measured: "Large, 10,000 samples".
    measured : Quantity
        From `mlperf.quantities.units`: ``duration(median(...))``. A plain number counts as exact, a number measured once
        decides nothing.
    above, below : float, default=None
        The threshold, in the base unit of `measured`; a value on it is neither above nor below.
    within : pair of float, default=None
        The lowest and the highest value allowed. Exactly one of the three is given.

    Returns
    -------
    Check
        Holds if the whole interval is on the asked side, does not hold if it is wholly on the other, and is
        not distinguishable if it spans the threshold.

    Raises
    ------
    TypeError
        If `measured` has no unit.
    ValueError
        If not exactly one threshold is given, or `within` is not in order.

    Examples
    --------
    >>> from mlperf.quantities.intervals import Estimate
    >>> from mlperf.quantities.units import factor
    >>> check("Large", factor(Estimate(4.98, 4.9, 5.05)), above=1).verdict
    'holds'
    """
    if not isinstance(measured, Quantity):
        raise TypeError(
            "The 'measured' parameter of check must be a quantity, such as duration(median(x)). "
            f"Got {measured!r} instead."
        )
    given = sum(limit is not None for limit in (above, below, within))
    if given != 1:
        raise ValueError(f"check must get one of 'above', 'below' and 'within'. Got {given} instead.")
    if within is not None and not within[0] < within[1]:
        raise ValueError(f"The 'within' parameter of check must be a pair in order. Got {within} instead.")

    value, low, high = measured.estimate
    if within is not None:
        inside = (low - within[0], within[1] - high)
        outside = (within[0] - high, low - within[1])
        asked = f"{_plain(within[0], measured)} to {_plain(within[1], measured)}"
        verdict = HOLDS if min(inside) >= 0 else FAILS if max(outside) > 0 else UNCLEAR
        distance = min(abs(value - limit) for limit in within)
    else:
        sign, limit = (1.0, above) if above is not None else (-1.0, below)
        assert limit is not None
        lower, upper = (low, high) if sign > 0 else (-high, -low)
        asked = f"{'above' if sign > 0 else 'below'} {_plain(limit, measured)}"
        # An exact value on the threshold is known not to be above it; an interval that ends there is not.
        fails = upper < sign * limit or lower == upper == sign * limit
        verdict = HOLDS if lower > sign * limit else FAILS if fails else UNCLEAR
        distance = abs(value - limit)
    margin = distance / (high - low) if high > low else float("inf")
    return Check(verdict, f"{label}: {measured}, asked {asked}", margin)


def fact(evidence: str, truth: bool) -> Check:
    """Return a comparison of things that were counted, not measured: it holds or it does not.

    Parameters
    ----------
    evidence : str
        What was counted: "called most often: aten::empty_strided".
    truth : bool
        Whether this is what the statement says.

    Examples
    --------
    >>> from mlperf.quantities.claims import fact, judge
    >>> judge("The optimiser calls most.", fact("called most often: Optimizer.step", True)).verdict
    'holds'
    """
    return Check(HOLDS if truth else FAILS, evidence, float("inf"))


def judge(statement: str, *checks: Check) -> Finding:
    """Judge a statement by all its comparisons.

    Parameters
    ----------
    statement : str
        One sentence that can be true or false.
    *checks : Check
        From `check` and `fact`. The statement holds if all of them hold, does not hold if one of them does
        not, and is not distinguishable otherwise.

    Returns
    -------
    Finding
        Its evidence names the comparisons that decided, those nearest to their threshold first.

    Raises
    ------
    ValueError
        If the statement is empty or nothing is compared.

    Examples
    --------
    >>> from mlperf.quantities.units import duration
    >>> judge("A fit takes less than a minute.", check("One fit", duration(12.5), below=60)).verdict
    'holds'
    """
    if not statement.strip():
        raise ValueError("The 'statement' parameter of judge must not be empty.")
    if not checks:
        raise ValueError(f"judge must get at least one check for the statement {statement!r}. Got none instead.")
    verdicts = [item.verdict for item in checks]
    verdict = next((v for v in (FAILS, UNCLEAR) if v in verdicts), HOLDS)
    deciding = sorted((item for item in checks if item.verdict == verdict), key=lambda item: item.margin)
    evidence = "; ".join(item.evidence for item in deciding[:MOST_SHOWN])
    if len(checks) > 1:
        evidence = f"{verdict} in {len(deciding)} of {len(checks)} comparisons: {evidence}"
        evidence = evidence[0].upper() + evidence[1:]
    if len(deciding) > MOST_SHOWN:
        evidence += f"; and {len(deciding) - MOST_SHOWN} more"
    return Finding(statement.strip(), verdict, evidence + ".")


def unmeasured(statement: str, reason: str) -> Finding:
    """Return a statement that cannot be judged here, with the reason in place of evidence.

    Examples
    --------
    >>> unmeasured("The heap holds less.", "memray is not installed").evidence
    'Not measured here: memray is not installed.'
    """
    return Finding(statement, UNCLEAR, f"Not measured here: {reason.removesuffix('.')}.")


def _plain(limit: float, like: Quantity) -> str:
    return format(quantity(limit, like.unit), "short")
