"""Checks: comparisons of measured quantities with expectations, with three outcomes instead of two."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import inf, isnan
from typing import NamedTuple, NoReturn

from mlperf.quantities.cells import Cell
from mlperf.quantities.intervals import LEVEL
from mlperf.quantities.units import UNITS, written

HOLDS = "holds"
"""The whole interval lies in the expected range."""
FAILS = "does not hold"
"""The whole interval lies outside the expected range."""
UNDECIDED = "undecided"
"""The threshold lies within the interval, or there is no interval."""
UNMEASURED = "not measured"
"""There is no measurement that could decide it."""

OPPOSITE = {HOLDS: FAILS, FAILS: HOLDS, UNDECIDED: UNDECIDED}
"""The verdict on the opposite."""


class Evidence(NamedTuple):
    """One comparison, in words.

    Parameters
    ----------
    label : str
        What was compared, such as "Large over Small, 10,000 samples".
    measured, expected : str
        The number and its expected range, such as "9.2× (8.9 to 10.2)" and "more than 1×".
    verdict : str
        The verdict of this comparison alone.
    sentence : str
        The whole comparison as a sentence.
    """

    label: str
    measured: str
    expected: str
    verdict: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """One number and its expected range.

    Parameters
    ----------
    cell : Cell
        The number.
    lower, upper : float
        Ends of the range, in the base unit; infinite if it is open on that side.
    closed : bool
        Whether the ends belong to the range.
    unit, label, phrase : str
        The unit, a label, and a clause with "{}" in place of the number, for display.
    """

    cell: Cell
    lower: float
    upper: float
    closed: bool
    unit: str
    label: str
    phrase: str

    def decide(self, level_to_hold: float, level_to_fail: float) -> str:
        """Return the verdict, with separate confidence levels for "holds" and for "does not hold"."""
        low, high = self.cell.interval(level_to_hold)
        above = low >= self.lower if self.closed else low > self.lower
        below = high <= self.upper if self.closed else high < self.upper
        # A ratio to zero is infinite, and above any limit.
        if (above and below) or (low == inf and self.upper == inf):
            return HOLDS
        low, high = self.cell.interval(level_to_fail)
        # An exact number at the threshold is known not to exceed it; a number whose interval ends there may.
        on_it = not self.closed and low == high and low in (self.lower, self.upper)
        return FAILS if high < self.lower or low > self.upper or on_it else UNDECIDED

    @property
    def measured(self) -> str:
        return written(self.cell.value, *self.cell.interval(), self.unit)

    @property
    def expected(self) -> str:
        if self.closed:
            ends = [written(end, end, end, self.unit) for end in (self.lower, self.upper)]
            return f"{ends[0]} to {ends[1]}"
        limit = self.lower if self.upper == inf else self.upper
        return f"{'more' if self.upper == inf else 'less'} than {written(limit, limit, limit, self.unit)}"

    def evidence(self, verdict: str, *, negated: bool = False) -> Evidence:
        """Return the comparison in words."""
        expected = f"not {self.expected}" if negated else self.expected
        said = self.phrase.format(self.measured.replace("×", " times"))
        sentence = f"{said[0].upper()}{said[1:]}; expected: {expected}.{on_several(self.cell.machines)}"
        return Evidence(self.label, self.measured, expected, verdict, sentence)

    def processes_needed(self) -> float:
        """Return roughly how many processes would decide it; NaN if that cannot be estimated."""
        low, high = self.cell.interval()
        if isnan(low) or not self.cell.n_processes:
            return float("nan")
        ends = [end for end in (self.lower, self.upper) if abs(end) != inf]
        limit = min(ends, key=lambda end: abs(end - self.cell.value))
        distance = abs(limit - self.cell.value)
        width = self.cell.value - low if limit < self.cell.value else high - self.cell.value
        # The width of an interval falls with the square root of the number of processes.
        return self.cell.n_processes * (width / distance) ** 2 if distance else inf

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True, eq=False)
class Fact:
    """A statement about counts or other exact facts: it is either true or false."""

    label: str
    truth: bool

    def decide(self, *_: float) -> str:
        return HOLDS if self.truth else FAILS

    def evidence(self, verdict: str, *, negated: bool = False) -> Evidence:  # noqa: ARG002
        return Evidence(self.label, "", "", verdict, f"{self.label}.")

    def processes_needed(self) -> float:
        return float("nan")

    def __len__(self) -> int:
        return 1


class Check:
    """Comparisons that must all hold, made by comparing a `Quantity` with a number or with another quantity.

    Join checks with ``&``, and negate them with ``~``.

    Since its numbers are uncertain, a check is not simply true or false, and ``bool(check)`` raises a TypeError. Give
    it to `claim`, which has a text for each outcome.

    Parameters
    ----------
    *parts : Comparison, Fact or Check
        What must hold.
    negated : bool, default=False
        Whether the opposite is expected.

    Examples
    --------
    >>> from mlperf import Quantity
    >>> fit = Quantity.from_estimates({"Small": (1.0, 0.9, 1.1), "Large": (3.0, 2.8, 3.2)}, by="model", unit="seconds")
    >>> (fit < 2).verdict
    'does not hold'
    >>> (fit["Large"] > fit["Small"]).verdict
    'holds'
    """

    def __init__(self, *parts: Comparison | Fact | Check, negated: bool = False) -> None:
        self.parts = parts
        self.negated = negated

    def decide(self, level_to_hold: float, level_to_fail: float) -> str:
        """Return the verdict, with separate confidence levels for "holds" and for "does not hold"."""
        levels = (level_to_fail, level_to_hold) if self.negated else (level_to_hold, level_to_fail)
        verdicts = [part.decide(*levels) for part in self.parts]
        verdict = next((one for one in (FAILS, UNDECIDED) if one in verdicts), HOLDS)
        return OPPOSITE[verdict] if self.negated else verdict

    @property
    def levels(self) -> tuple[float, float]:
        """The confidence levels for "holds" and for "does not hold".

        "Holds" requires all comparisons, each at 95 %, and needs no correction for their number (an intersection-union
        test: R. L. Berger, Technometrics 24(4), 1982). "Does not hold" requires only one of them, so the error rate is
        divided by their number (Bonferroni).
        """
        return LEVEL, 1 - (1 - LEVEL) / max(1, len(self))

    @property
    def verdict(self) -> str:
        """One of "holds", "does not hold" and "undecided"."""
        return self.decide(*self.levels)

    def evidence(self) -> list[Evidence]:
        """Return every comparison in words."""
        return [part.evidence(part.decide(*self.levels), negated=negated) for part, negated in self.leaves()]

    def comparisons(self) -> Iterator[Comparison | Fact]:
        """Yield every comparison."""
        for part, _ in self.leaves():
            yield part

    def leaves(self, negated: bool = False) -> Iterator[tuple[Comparison | Fact, bool]]:
        """Yield every comparison, and whether its opposite is expected."""
        for part in self.parts:
            if isinstance(part, Check):
                yield from part.leaves(negated != self.negated)
            else:
                yield part, negated != self.negated

    def __and__(self, other: Check) -> Check:
        return Check(self, other)

    def __invert__(self) -> Check:
        return Check(*self.parts, negated=not self.negated)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "A check is not simply true or false: it holds, does not hold, or is undecided. Give it to claim(), join "
            "checks with & instead of 'and', write q.within(a, b) instead of a < q < b, or look at its .verdict."
        )

    def __repr__(self) -> str:
        lines = [f"{self.verdict}:", *(f"  {one.verdict}: {one.sentence}" for one in self.evidence())]
        return "\n".join(lines)


def fact(label: str, truth: bool) -> Check:
    """Return a check of a statement about counts or other facts that are not measured and have no uncertainty.

    Parameters
    ----------
    label : str
        The statement, such as "with tensors in place of numbers there are no calls".
    truth : bool
        Whether it is true.

    Returns
    -------
    Check

    Examples
    --------
    >>> from mlperf import fact
    >>> fact("torch counts 53,248 operations, as the layers' sizes say", True).verdict
    'holds'
    """
    return Check(Fact(label, bool(truth)))


def on_several(machines: Collection[str]) -> str:
    """Return a sentence that names the machines, to be appended to a text; empty if there are not several.

    Examples
    --------
    >>> from mlperf.quantities.checks import on_several
    >>> on_several({"Xeon (1f0c)", "EPYC (77ab)"})
    ' Measured on 2 machines: EPYC (77ab); Xeon (1f0c).'
    """
    return f" Measured on {len(machines)} machines: {'; '.join(sorted(machines))}." if len(machines) > 1 else ""


def check_threshold(threshold: float, unit: str, owner: str) -> float:
    """Return a threshold as a float; raise an error if it is invalid or probably a slip."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        try:
            threshold = float(threshold)
        except (TypeError, ValueError):
            raise TypeError(
                f"The threshold of {owner} must be a number or a quantity of the same unit. Got {threshold!r} instead."
            ) from None
    if isnan(threshold):
        raise ValueError(f"The threshold of {owner} must not be NaN.")
    if UNITS[unit].scale == 100 and abs(threshold) > 1.5:
        raise ValueError(
            f"The threshold of {owner} must be a fraction, as the quantity is: 0.95 stands for 95 %. Got {threshold:g} "
            f"instead, which is {100 * threshold:,.0f} %; did you mean {threshold / 100:g}?"
        )
    return float(threshold)
