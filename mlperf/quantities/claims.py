"""A claim: a sentence that can be true or false, the checks that decide it, and what to say for every verdict."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import isnan

from mlperf.quantities.checks import FAILS, HOLDS, UNDECIDED, UNMEASURED, Check, Comparison, Evidence, on_several

SYMBOLS = {HOLDS: "✓", FAILS: "✗", UNDECIDED: "≈", UNMEASURED: "–"}
"""What a verdict is marked with, so that it can be read without its colour."""

# Above so many times the processes that were measured, more of them is no advice.
MOST_TIMES_MORE = 50


@dataclass(frozen=True)
class Claim:
    """What was claimed, what was measured, and what follows. Made by `claim`.

    Attributes
    ----------
    statement : str
        The sentence that was put to the test.
    verdict : {"holds", "does not hold", "undecided", "not measured"}
    texts : dict of str
        What to say for each verdict.
    evidence : tuple of Evidence
        Every comparison, in words.
    advice : str
        Of an undecided claim: what would decide it.
    original : str
        What the original report saw or said; empty for claims that are not from there.
    """

    statement: str
    verdict: str
    texts: dict[str, str]
    evidence: tuple[Evidence, ...] = ()
    advice: str = ""
    original: str = ""

    @property
    def text(self) -> str:
        """What is said for its verdict."""
        return self.texts[self.verdict]

    @property
    def mark(self) -> str:
        """The verdict with a symbol: "✓ holds"."""
        return f"{SYMBOLS[self.verdict]} {self.verdict}"

    @property
    def deciding(self) -> list[Evidence]:
        """The comparisons that led to the verdict."""
        return [one for one in self.evidence if one.verdict == self.verdict] or list(self.evidence)

    def __repr__(self) -> str:
        said = [f"{self.mark}: {self.text}", *(f"  {one.sentence}" for one in self.deciding)]
        return "\n".join([*said, f"  {self.advice}"] if self.advice else said)

    def _repr_html_(self) -> str:
        notes = [*(one.sentence for one in self.deciding), *([self.advice] if self.advice else [])]
        said = escape(self.text) + "".join(f"<br><small>{escape(note)}</small>" for note in notes)
        left = 'style="text-align: left'
        heads = f'<th {left}">Verdict</th><th {left}">What the measurements say</th>'
        row = f'<td {left}; white-space: nowrap">{escape(self.mark)}</td><td {left}">{said}</td>'
        return f'<table class="dataframe claims"><thead><tr>{heads}</tr></thead><tbody><tr>{row}</tr></tbody></table>'


def claim(
    statement: str,
    *checks: Check,
    holds: str = "",
    otherwise: str = "",
    undecided: str = "",
    unmeasured: str = "",
    seen: object = "",
    original: str = "",
    reason: str = "",
) -> Claim:
    r"""Put a statement to the test.

    Parameters
    ----------
    statement : str
        One sentence that can be true or false, whatever was measured.
    *checks : Check
        From comparing quantities, such as ``growth > 1``. The claim holds if all of them hold, each at 95 %; it does
        not hold if one of them does not, at a level that is divided by their number; else it is undecided. What was
        measured on several machines says so after the statement.
    holds, otherwise, undecided, unmeasured : str, default=""
        What is said where it holds, where it does not, where it is undecided and where nothing was measured. By default
        it is the statement, or the statement in quotes and its verdict.
    seen : str or Quantity, default=""
        The numbers that carry it, which follow after a colon whatever the verdict: a quantity, or a clause such as
        ``f"ten times the samples take {growth} as long"``.
    original : str, default=""
        What the report that is put to the test saw or said.
    reason : str, default=""
        Why nothing could be measured: "memray is not installed". Then there are no checks.

    Returns
    -------
    Claim

    Raises
    ------
    TypeError
        If something other than a check is given.
    ValueError
        If the statement is empty, or there are neither checks nor a reason.

    Examples
    --------
    >>> from mlperf import Quantity, claim
    >>> fit = Quantity.from_estimates({"Large": (7.4, 7.1, 7.7)}, by="model", unit="seconds")["Large"]
    >>> claim("Large is trained in less than a minute.", fit < 60).mark
    '✓ holds'
    >>> quick = claim(
    ...     "Large is quick.", fit < 1, otherwise="Large is not quick.", seen=f"it takes {fit:short}"
    ... )
    >>> quick.text
    'Large is not quick: it takes 7.4\xa0s.'
    """
    if not isinstance(statement, str) or not statement.strip():
        raise ValueError(f"The 'statement' parameter of claim must be a sentence. Got {statement!r} instead.")
    for number, given in enumerate(checks, 1):
        if not isinstance(given, Check):
            slip = "; join several checks by commas or &, not in a list" if isinstance(given, list | tuple) else ""
            if isinstance(given, bool):
                slip = "; for what was counted, not measured, there is fact(label, truth)"
            raise TypeError(
                f"Check {number} of the claim {statement!r} must come from comparing a quantity, as in fit > 1{slip}. "
                f"Got {f'a {type(given).__name__}' if isinstance(given, list | tuple) else repr(given)} instead."
            )
    if not checks and not reason:
        raise ValueError(
            f"The claim {statement!r} must have a check, or a reason why nothing was measured. Got none instead."
        )
    statement = statement.strip()
    joined = Check(*checks)
    verdict = UNMEASURED if reason else joined.verdict
    compared = [one for one in joined.comparisons() if isinstance(one, Comparison)]
    where = on_several(frozenset().union(*(one.cell.machines for one in compared)))
    quoted = f"“{statement.removesuffix('.')}”"
    texts = {
        HOLDS: _with_clause(holds or statement, seen) + where,
        FAILS: _with_clause(otherwise or f"The claim {quoted} does not hold here.", seen) + where,
        UNDECIDED: _with_clause(undecided or f"These measurements do not decide the claim {quoted}.", seen) + where,
        UNMEASURED: unmeasured or f"The claim {quoted} was not put to the test here{f': {reason}' if reason else ''}.",
    }
    evidence = () if reason else tuple(joined.evidence())
    advice = _advice(joined) if verdict == UNDECIDED else ""
    return Claim(statement, verdict, texts, evidence, advice or (reason and f"Not measured: {reason}."), original)


def _with_clause(sentence: str, seen: object) -> str:
    clause = str(seen).removesuffix(".")
    return f"{sentence.removesuffix('.')}: {clause}." if clause else sentence


def _advice(check: Check) -> str:
    """Say what would decide a claim: about how many processes, if any number of them would."""
    open_ones = [one for one in check.comparisons() if one.decide(*check.levels) == UNDECIDED]
    measured_once = [isinstance(one, Comparison) and isnan(one.cell.interval()[0]) for one in open_ones]
    if any(measured_once):
        return "One process decides nothing: more of them are needed."
    needed = [one.processes_needed() for one in open_ones]
    if any(isnan(number) for number in needed):
        return "More data would be needed to decide it."
    most = max(needed)
    measured = min(one.cell.n_processes for one in open_ones)  # type: ignore[union-attr]
    if most > MOST_TIMES_MORE * measured:
        return "The value lies at the threshold: no reasonable number of runs would decide it."
    more = max(1, round(most - measured))
    return f"About {more:,} more process{'es' * (more > 1)} would decide it."
