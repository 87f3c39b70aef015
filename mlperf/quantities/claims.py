"""Claims: statements that can be true or false, the checks that decide them, and a text for each verdict."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from math import isnan

from mlperf.quantities.checks import FAILS, HOLDS, UNDECIDED, UNMEASURED, Check, Comparison, Evidence, on_several

SYMBOLS = {HOLDS: "✓", FAILS: "✗", UNDECIDED: "≈", UNMEASURED: "–"}
"""The symbol of each verdict, so that it can be told without colour."""

# A sentence that begins with one of these opens with a phrase that a comma ends: "In training, ...".
OPENERS = "After At By For From If In On Once Over To Under Up When Where With Without".split()  # noqa: SIM905 - a text

# If a decision would need more than this many times the measured processes, "measure more" is no useful advice.
MOST_TIMES_MORE = 50


@dataclass(frozen=True)
class Claim:
    """A statement, its verdict, and the evidence for it. Made by `claim`.

    Attributes
    ----------
    statement : str
        The statement that was tested.
    verdict : {"holds", "does not hold", "undecided", "not measured"}
        The outcome of the checks.
    texts : dict of str
        The text for each verdict.
    evidence : tuple of Evidence
        Every comparison, in words.
    advice : str
        What would decide an undecided claim, or why a claim was not measured; otherwise empty.
    original : str
        What the original report said; empty for claims that it did not make.
    check : Check or None
        What decided it; None if it was not measured, or was read from a published result.
    """

    statement: str
    verdict: str
    texts: dict[str, str]
    evidence: tuple[Evidence, ...] = ()
    advice: str = ""
    original: str = ""
    check: Check | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The text for its verdict."""
        return self.texts[self.verdict]

    @property
    def text_within(self) -> str:
        """The same as it is written within another sentence: it begins in lower case unless it begins with a name."""
        return lowered(self.text, self.evidence)

    @property
    def mark(self) -> str:
        """The verdict with a symbol: "✓ holds"."""
        return f"{SYMBOLS[self.verdict]} {self.verdict}"

    @property
    def deciding(self) -> list[Evidence]:
        """The comparisons that led to the verdict; all of them if none has this verdict by itself."""
        return [one for one in self.evidence if one.verdict == self.verdict] or list(self.evidence)

    def __repr__(self) -> str:
        said = [f"{self.mark}: {self.text}", *(f"  {one.sentence}" for one in self.deciding)]
        return "\n".join([*said, f"  {self.advice}"] if self.advice else said)

    def _repr_html_(self) -> str:
        notes = [*(one.sentence for one in self.deciding), *([self.advice] if self.advice else [])]
        said = escape(self.text) + "".join(f"<br/><small>{escape(note)}</small>" for note in notes)
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
    r"""Test a statement by checks, and give it a text for each verdict.

    Parameters
    ----------
    statement : str
        One sentence that can be true or false, whatever was measured.
    *checks : Check
        Comparisons of quantities, such as ``growth > 1``. The claim holds if every comparison holds at 95 %. It does
        not hold if at least one fails, with the error rate divided by the number of comparisons. Otherwise it is
        undecided.
    holds, otherwise, undecided, unmeasured : str, default=""
        The texts for the four verdicts: holds, does not hold, undecided, not measured. By default, the statement itself
        if it holds; "It is open whether ..." with the text of `holds`, or with the statement if `holds` tells the
        numbers, if it is undecided; and otherwise the statement in quotes with its verdict. If the numbers come from
        several machines, a sentence that names them is appended.
    seen : str or Quantity, default=""
        The measured numbers, appended after a colon to each text that does not tell them itself, but for that of "not
        measured": a quantity, or a clause such as ``f"ten times the samples take {growth} as long"``.
    original : str, default=""
        What the original report, whose claims are tested, said.
    reason : str, default=""
        Why nothing could be measured, such as "memray is not installed". The claim is then not measured, whatever the
        checks.

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
    >>> quick.texts["undecided"]
    'It is open whether Large is quick: it takes 7.4\xa0s.'
    """
    if not isinstance(statement, str) or not statement.strip():
        raise ValueError(f"The 'statement' parameter of claim must be a sentence. Got {statement!r} instead.")
    for number, given in enumerate(checks, 1):
        if not isinstance(given, Check):
            slip = "; separate several checks by commas, not in a list" if isinstance(given, list | tuple) else ""
            if isinstance(given, bool):
                slip = "; for counts and other facts, use fact(label, truth)"
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
    evidence = () if reason else tuple(joined.evidence())
    quoted = f"“{statement.removesuffix('.')}”"
    doubted = statement if not holds or _says(holds, seen) else holds
    texts = {
        HOLDS: _with_clause(holds or statement, seen) + where,
        FAILS: _with_clause(otherwise or f"The claim {quoted} does not hold here.", seen) + where,
        UNDECIDED: _with_clause(undecided or _in_doubt(doubted, evidence), seen) + where,
        UNMEASURED: unmeasured or f"The claim {quoted} was not put to the test here{f': {reason}' if reason else ''}.",
    }
    advice = _advice(joined) if verdict == UNDECIDED else ""
    advice = advice or (reason and f"Not measured: {reason}.")
    return Claim(statement, verdict, texts, evidence, advice, original, None if reason else joined)


def lowered(sentence: str, evidence: Iterable[Evidence] = ()) -> str:
    """Return a sentence as it is written within another one: it begins in lower case unless it begins with a name.

    Parameters
    ----------
    sentence : str
        The sentence.
    evidence : iterable of Evidence, default=()
        The comparisons that the sentence is about. What their labels write with a capital letter is a name.

    Returns
    -------
    str

    Examples
    --------
    >>> from mlperf import exact
    >>> from mlperf.quantities.claims import lowered
    >>> lowered("Training takes long.")
    'training takes long.'
    >>> lowered("Large takes long.", (exact({"Large": 9}, by="model") > 1).evidence())
    'Large takes long.'
    """
    first = re.match(r"[^\s,:]*", sentence)[0]  # type: ignore[index]  # it always matches
    # The evidence of a fact is a whole sentence, which begins with a capital letter, too.
    labels = [f"{one.label} {one.sentence[1:]}" for one in evidence if one.measured]
    known = set(re.findall(r"\w+", " ".join(labels)))
    is_name = first[1:] != first[1:].lower() or bool(re.search(r"\d", first)) or first in known
    return sentence if is_name else sentence[:1].lower() + sentence[1:]


def _in_doubt(sentence: str, evidence: Iterable[Evidence]) -> str:
    opens_with_phrase = sentence.split()[0] in OPENERS and ", " in sentence
    return f"It is open whether{',' * opens_with_phrase} {lowered(sentence, evidence)}"


def _with_clause(sentence: str, seen: object) -> str:
    clause = str(seen).removesuffix(".")
    return f"{sentence.removesuffix('.')}: {clause}." if clause and not _says(sentence, seen) else sentence


def _says(sentence: str, seen: object) -> bool:
    return bool(str(seen)) and str(seen) in sentence


def _advice(check: Check) -> str:
    """Return a sentence that says what would decide a claim: roughly how many more processes, if any number would."""
    open_ones = [one for one in check.comparisons() if one.decide(*check.levels) == UNDECIDED]
    measured_once = [isinstance(one, Comparison) and isnan(one.cell.interval()[0]) for one in open_ones]
    if any(measured_once):
        return "One process cannot decide it: measure several."
    needed = [one.processes_needed() for one in open_ones]
    if any(isnan(number) for number in needed):
        return "More data would be needed to decide it."
    most = max(needed)
    measured = min(one.cell.n_processes for one in open_ones)  # type: ignore[union-attr]
    if most > MOST_TIMES_MORE * measured:
        return "The value lies at the threshold: no reasonable number of runs would decide it."
    more = max(1, round(most - measured))
    return f"About {more:,} more process{'es' * (more > 1)} would decide it."
