"""Join the texts of claims to sentences, and parse conditions on their verdicts, as authors type them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mlperf.quantities.checks import FAILS, HOLDS, UNDECIDED, UNMEASURED
from mlperf.quantities.claims import SYMBOLS, Claim
from mlperf.quantities.intervals import LEVEL
from mlperf.results import folder

NAME = rf"{folder.NAME.pattern}\.{folder.KEY.pattern}"
_CONDITION = re.compile(rf"(?P<name>{NAME})\s+(is\s+)?(?P<negated>not\s+(?!measured\b))?(?P<verdicts>.+)")


def parse_sentences(text: str) -> tuple[list[str], list[str], str]:
    """Parse claims that are joined to a sentence, such as ``a.x, but b.y``.

    Parameters
    ----------
    text : str
        References to claims, with words between them, and optionally "clause" or "open" at the end.

    Returns
    -------
    names : list of str
        The claims.
    joints : list of str
        The texts between them.
    form : {"", "clause", "open"}
        As for `join`.

    Raises
    ------
    ValueError
        If the text does not have this form.

    Examples
    --------
    >>> from mlperf.sphinxext.sentences import parse_sentences
    >>> parse_sentences("fits.grows, but fits.linear")
    (['fits.grows', 'fits.linear'], [', but '], '')
    """
    parts = re.split(rf"(?<![\w.])({NAME})(?![\w.])", text.strip())
    names, joints = parts[1::2], parts[2:-1:2]
    form = parts[-1].strip()
    if parts[0] or not names or form not in ("", "clause", "open"):
        raise ValueError(
            f"Claims have the form result.name; words may join several, and 'clause' or 'open' may follow, as in "
            f"'training_time.grows, but training_time.linear'. Got {text!r} instead."
        )
    return names, joints, form


def join(claims: Sequence[Claim], joints: Sequence[str], form: str = "") -> str:
    """Join the texts of claims to one sentence, with full stops and capital letters adapted.

    Parameters
    ----------
    claims : sequence of Claim
        The claims.
    joints : sequence of str
        The texts between theirs, such as ", but ". Texts that are only separated by a space stay separate sentences.
    form : {"", "clause", "open"}, default=""
        "open" leaves out the last full stop, for a sentence that goes on; "clause" also begins in lower case.

    Returns
    -------
    str

    Examples
    --------
    >>> from mlperf import claim, exact
    >>> from mlperf.sphinxext.sentences import join
    >>> join([claim("The time grows.", exact(2) > 1), claim("It is linear.", exact(2) > 1)], [", and "])
    'The time grows, and it is linear.'
    """
    text = claims[0].text_within if form == "clause" else claims[0].text
    for joint, claim in zip(joints, claims[1:], strict=True):
        text = f"{opened(text)}{joint}{claim.text_within}" if joint.strip() else f"{text} {claim.text}"
    return opened(text) if form else text


def opened(sentence: str) -> str:
    """Return a sentence without its full stop."""
    return sentence.rstrip().removesuffix(".")


class Condition(NamedTuple):
    """A claim, and the verdicts for which the condition is true."""

    name: str
    verdicts: frozenset[str]


def parse_conditions(text: str) -> list[Condition]:
    """Parse conditions on the verdicts of claims, joined by "and".

    Parameters
    ----------
    text : str
        Such as "fits.grows holds or is undecided and fits.linear is not undecided".

    Returns
    -------
    list of Condition

    Raises
    ------
    ValueError
        If the text does not have this form.

    Examples
    --------
    >>> from mlperf.sphinxext.sentences import parse_conditions
    >>> [(name, sorted(verdicts)) for name, verdicts in parse_conditions("fits.grows holds or is undecided")]
    [('fits.grows', ['holds', 'undecided'])]
    """
    found = []
    for part in re.split(rf"\s+and\s+(?={NAME}\s)", " ".join(text.split())):
        match = _CONDITION.fullmatch(part)
        words = re.split(r"(?:\s*,\s*(?:or\s+)?|\s+or\s+)(?:is\s+)?", match["verdicts"]) if match else []
        if match is None or not set(words) <= set(SYMBOLS):
            raise ValueError(
                f"A condition names a claim and verdicts out of {', '.join(SYMBOLS)}, as in 'training_time.grows holds "
                f"or is undecided'. Got {part!r} instead."
            )
        verdicts = frozenset(SYMBOLS) - set(words) if match["negated"] else frozenset(words)
        found.append(Condition(match["name"], verdicts))
    return found


COUNTED = {
    HOLDS: ("holds", "hold"),
    FAILS: ("does not hold", "do not hold"),
    UNDECIDED: ("is undecided", "are undecided"),
    UNMEASURED: ("was not measured", "were not measured"),
}
"""Each verdict in words, for one claim and for several."""


def tally(verdicts: Sequence[str]) -> str:
    """Return the number of claims with each verdict, in words.

    Examples
    --------
    >>> from mlperf.sphinxext.sentences import tally
    >>> tally(["holds", "does not hold", "holds"])
    '2 hold and 1 does not hold'
    """
    parts = []
    for verdict, (one, several) in COUNTED.items():
        count = list(verdicts).count(verdict)
        if count:
            parts.append(f"{count} {one if count == 1 else several}")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def errors(verdicts: Sequence[str]) -> str:
    """Return a sentence that says how many decided verdicts may be wrong by chance: at most about one in twenty.

    Examples
    --------
    >>> from mlperf.sphinxext.sentences import errors
    >>> errors(["holds"] * 40)
    'Of the 40 decided verdicts, at most about 2 may be wrong by chance.'
    """
    decided = sum(verdict in (HOLDS, FAILS) for verdict in verdicts)
    if not decided:
        return "No verdict was decided."
    wrong = max(1, round((1 - LEVEL) * decided))
    return f"Of the {decided} decided verdicts, at most about {wrong} may be wrong by chance."


def refuted(statements: Sequence[str]) -> str:
    """Return a sentence that quotes the statements of the original report that do not hold.

    Examples
    --------
    >>> from mlperf.sphinxext.sentences import refuted
    >>> refuted(["Fits are quick.", "Time grows."])
    'Refuted are “Fits are quick” and “Time grows”.'
    """
    if not statements:
        return "No statement is refuted."
    quoted = [f"“{statement.removesuffix('.')}”" for statement in statements]
    if len(quoted) == 1:
        return f"Refuted is {quoted[0]}."
    return f"Refuted are {', '.join(quoted[:-1])} and {quoted[-1]}."
