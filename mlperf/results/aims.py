"""Aim at a verdict of a claim: look for runs that bring the numbers that it compares to where the verdict is reached.

A claim compares numbers that a script computes from its runs. How they depend on the runs is found by trying: one knob
after the other is turned a little. Then all are turned by Newton's method.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlperf.quantities.checks import FAILS, HOLDS, OPPOSITE, UNDECIDED, Comparison
from mlperf.quantities.claims import Claim
from mlperf.quantities.units import UNITS
from mlperf.results.knobs import Knob, turned
from mlperf.results.stored import Change

# By how much a knob is turned to see what it does, and how far at most in one step, as logarithms of factors.
LITTLE = 0.05
FAR = 4.0
MOST_STEPS = 4
MOST_KNOBS = 40


def aimed(verdict: str, knobs: Collection[Knob], claim_in: Callable[[Change], Claim | None]) -> bool:
    """Look for runs from which a claim gets a verdict, and return whether some were found.

    Parameters
    ----------
    verdict : {"holds", "does not hold", "undecided"}
        The verdict.
    knobs : collection of Knob
        The knobs of the published runs.
    claim_in : callable
        Called with a change of the runs; returns the claim that then follows, or None if none does.

    Returns
    -------
    bool
    """
    # Where the search begins: with all cells equal, or with the published ones.
    return any(_is_reached(verdict, knobs, claim_in, equal=equal) for equal in (True, False))


def _is_reached(
    verdict: str, knobs: Collection[Knob], claim_in: Callable[[Change], Claim | None], *, equal: bool
) -> bool:
    def claim_at(logs: Mapping[Knob, float]) -> Claim | None:
        return claim_in(lambda frame, by: turned(frame, by, logs, equal=equal))

    claim = claim_at({})
    if claim is None:
        return False
    goals = _goals(claim, verdict)
    chosen = _few(knobs, claim)
    if not goals or not chosen:
        return False
    missed = _missed(claim, goals)
    if not np.isfinite(missed).all():
        return False
    moved = [_missed(claim_at({knob: LITTLE}), goals) for knob in chosen]
    # Where the script fails with a knob turned, that knob stays.
    slopes = np.nan_to_num((np.array(moved) - missed) / LITTLE, posinf=0, neginf=0)
    # Directions that hardly matter are left out.
    solve = np.linalg.pinv(slopes.T, rcond=0.01)
    logs = np.zeros(len(chosen))
    for _ in range(MOST_STEPS):
        step = solve @ missed
        longest = np.abs(step).max()
        logs -= step * FAR / longest if longest > FAR else step
        claim = claim_at(dict(zip(chosen, logs, strict=True)))
        if claim is not None and claim.verdict == verdict:
            return True
        missed = _missed(claim, goals)
        if not np.isfinite(missed).all():
            return False
    return False


def _few(knobs: Collection[Knob], claim: Claim) -> list[Knob]:
    """Return all knobs, or if they are too many, those whose labels the comparisons of a claim name."""
    if len(knobs) <= MOST_KNOBS:
        return list(knobs)
    said = " ".join(f"{one.label} {one.sentence}" for one in claim.evidence)
    return [knob for knob in knobs if knob.label in said][:MOST_KNOBS]


def _compared(claim: Claim | None) -> list[tuple[Comparison, bool]]:
    """Return the comparisons of a claim, each with whether its opposite is expected."""
    if claim is None or claim.check is None:
        return []
    return [(one, negated) for one, negated in claim.check.leaves() if isinstance(one, Comparison)]


class _Goal(NamedTuple):
    """Where a number should be, and the scale on which knobs move it most evenly."""

    number: float
    scale: Callable[[float], float]


def _goals(claim: Claim, verdict: str) -> list[_Goal]:
    """Return a goal for each number that a claim compares."""
    goals = []
    for one, negated in _compared(claim):
        number = _number(one, OPPOSITE[verdict] if negated else verdict)
        goals.append(_Goal(number, _scale(one, number)))
    return goals


def _missed(claim: Claim | None, goals: Sequence[_Goal]) -> NDArray[np.float64]:
    """Return by how much each number that a claim compares is above its goal; NaN if there are not as many."""
    values = [one.cell.value for one, _ in _compared(claim)]
    if len(values) != len(goals):
        return np.full(len(goals), np.nan)
    with np.errstate(all="ignore"):
        above = [goal.scale(value) - goal.scale(goal.number) for value, goal in zip(values, goals, strict=True)]
    return np.array(above)


def _scale(one: Comparison, goal: float) -> Callable[[float], float]:
    value, (low, _) = one.cell.value, one.cell.interval()
    # Of shares and scores near 1, knobs multiply what they lack of 1.
    if one.unit in ("fraction", "number") and min(value, goal) > 0.5 and max(value, goal) < 1:
        return lambda number: -float(np.log(1 - number))
    # A difference may be about zero, and of either sign.
    is_positive = goal > 0 and value > 0 and not low <= 0
    return lambda number: float(np.log(number) if is_positive else number / (abs(goal) or 1))


def _number(one: Comparison, verdict: str) -> float:
    """Return a number with which a comparison has a verdict; the threshold for "undecided"."""
    low, high = one.lower, one.upper
    if isfinite(low) and isfinite(high):
        return {HOLDS: (low + high) / 2, FAILS: 2 * high - low, UNDECIDED: low}[verdict]
    limit = low if isfinite(low) else high
    if verdict == UNDECIDED:
        return limit
    is_above = isfinite(low) == (verdict == HOLDS)
    if not is_above:
        return limit - (abs(limit) or 1) / 2
    is_share = UNITS[one.unit].scale == 100
    return (limit + 1) / 2 if is_share else limit + (abs(limit) or 1)
