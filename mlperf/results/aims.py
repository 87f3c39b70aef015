"""Aim at a verdict of a claim: bring the numbers that it compares to where the verdict is reached.

A claim compares numbers that a script computes from its runs. How they depend on the runs is found by trying: one after
the other, knobs are turned a little, each of which multiplies the rows with a label. Then all are turned by Newton's
method.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlperf.quantities.cells import Cell
from mlperf.quantities.checks import FAILS, HOLDS, OPPOSITE, UNDECIDED, Comparison
from mlperf.quantities.claims import Claim
from mlperf.quantities.units import UNITS
from mlperf.results.altered import Knob, turned

Change = Callable[[pd.DataFrame, list[str]], pd.DataFrame]

# By how much a knob is turned to see what it does, and how far at most, as logarithms of factors.
LITTLE = 0.05
FAR = 4.0
TURNS = 4
MOST_KNOBS = 40


def aimed(verdict: str, knobs: Collection[Knob], claim_in: Callable[[Change], Claim | None]) -> bool:
    """Look for a world in which a claim has a verdict, and return whether there is one.

    Parameters
    ----------
    verdict : {"holds", "does not hold", "undecided"}
        The verdict.
    knobs : collection of Knob
        The rows of the runs that can be multiplied.
    claim_in : callable
        Called with a change of the runs; returns the claim that then follows, or None if none does.

    Returns
    -------
    bool
    """
    return any(_aimed_from(equal, verdict, knobs, claim_in) for equal in (True, False))


def _aimed_from(equal: bool, verdict: str, knobs: Collection[Knob], claim_in: Callable[[Change], Claim | None]) -> bool:
    """Aim from a world in which all cells are equal, or from the published one."""

    def turn(chosen: Sequence[Knob], logs: NDArray[np.float64]) -> Claim | None:
        by_knob = dict(zip(chosen, logs, strict=True))
        return claim_in(lambda frame, by: turned(frame, by, by_knob, equal=equal))

    claim = turn([], np.zeros(0))
    goals = _goals(claim, verdict)
    chosen = _named_by(claim, knobs)
    if not goals or not chosen:
        return False
    logs = np.zeros(len(chosen))
    missed = _missed(claim, goals)
    # Where the script fails with a knob turned, that knob stays.
    moved = [_missed(turn(chosen, LITTLE * row), goals) for row in np.eye(len(chosen))]
    slopes = np.nan_to_num((np.array(moved) - missed) / LITTLE, posinf=0, neginf=0)
    for _ in range(TURNS):
        # Directions that hardly matter are left out.
        step = np.linalg.pinv(slopes.T, rcond=0.01) @ missed
        logs -= step * min(1, FAR / max(np.abs(step).max(), LITTLE))
        claim = turn(chosen, logs)
        missed = _missed(claim, goals)
        if claim is None or claim.verdict == verdict or not np.isfinite(missed).all():
            break
    return claim is not None and claim.verdict == verdict


def _named_by(claim: Claim | None, knobs: Collection[Knob]) -> list[Knob]:
    """Return all knobs, or if they are too many, those whose labels the comparisons of a claim name."""
    if len(knobs) <= MOST_KNOBS:
        return list(knobs)
    said = " ".join(f"{one.label} {one.sentence}" for one in claim.evidence) if claim else ""
    return [knob for knob in knobs if knob.label in said][:MOST_KNOBS]


class _Goal(NamedTuple):
    """Where a number should be, and the scale on which knobs move it most evenly."""

    number: float
    scale: Callable[[float], float]


def _goals(claim: Claim | None, verdict: str) -> list[_Goal]:
    """Return a goal for each number that a claim compares."""
    goals = []
    for one, negated in claim.check.leaves() if claim and claim.check is not None else ():
        if isinstance(one, Comparison):
            number = _number(one, OPPOSITE[verdict] if negated else verdict)
            goals.append(_Goal(number, _scale(one.cell, number, one.unit)))
    return goals


def _missed(claim: Claim | None, goals: Sequence[_Goal]) -> NDArray[np.float64]:
    """Return by how much each number that a claim compares is above its goal; NaN if there are not as many."""
    compared = list(claim.check.comparisons()) if claim and claim.check is not None else []
    values = [one.cell.value for one in compared if isinstance(one, Comparison)]
    if len(values) != len(goals):
        return np.full(len(goals), np.nan)
    with np.errstate(all="ignore"):
        return np.array(
            [goal.scale(value) - goal.scale(goal.number) for value, goal in zip(values, goals, strict=True)]
        )


def _scale(cell: Cell, goal: float, unit: str) -> Callable[[float], float]:
    if unit in ("fraction", "number") and min(cell.value, goal) > 0.5 and max(cell.value, goal) < 1:
        return lambda number: -float(np.log(1 - number))
    # A difference may be about zero, and of either sign.
    if goal > 0 and cell.value > 0 and not cell.interval()[0] <= 0:
        return lambda number: float(np.log(number))
    return lambda number: number / (abs(goal) or 1)


def _number(one: Comparison, verdict: str) -> float:
    """Return a number that gives a comparison a verdict; the threshold for "undecided"."""
    low, high = one.lower, one.upper
    if verdict == HOLDS and high - low < inf:
        return (low + high) / 2
    if verdict == FAILS and high - low < inf:
        return 2 * high - low
    limit = high if low == -inf else low
    if verdict == UNDECIDED:
        return limit
    if (low > -inf) != (verdict == HOLDS):
        return limit - (abs(limit) or 1) / 2
    # A share is at most 1.
    return (limit + 1) / 2 if UNITS[one.unit].scale == 100 else limit + (abs(limit) or 1)
