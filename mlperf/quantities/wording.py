"""How sentences call the cells of a quantity: by the labels that were chosen, and by those that were compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

# How a contrast reads in a sentence, by its operator and the unit of the operands.
VERBS = {
    ("over", "seconds"): "takes {} as long as",
    ("over", "bytes"): "takes {} the memory of",
    ("minus", "seconds"): "takes {} longer than",
    ("minus", "bytes"): "takes {} more than",
}


class Contrast(NamedTuple):
    """How two combined quantities differ at one level: Large over Small.

    Attributes
    ----------
    first, operator, second : str
        The labels, with the operator as a word: "over", "minus", "plus" or "times".
    verb : str
        A verb between the two, with "{}" for the number: "takes {} as long as"; empty if none fits.
    """

    first: str
    operator: str
    second: str
    verb: str

    def __str__(self) -> str:
        return f"{self.first} {self.operator} {self.second}"


Removed = Mapping[str, str | Contrast]
"""Levels that a quantity has no more, each with the label that was chosen or the two that were combined."""


def combined(mine: Removed, theirs: Removed, *, kept: Sequence[str], operator: str, unit: str) -> Removed:
    """Return the removed levels of a combination; a level at which the two differ becomes "Large over Small".

    Parameters
    ----------
    mine, theirs : Removed
        The removed levels of the operands.
    kept : sequence of str
        The levels that the first operand still has.
    operator : str
        As in `Contrast`.
    unit : str
        The unit of the first operand.

    Returns
    -------
    Removed

    Examples
    --------
    >>> from mlperf.quantities.wording import combined
    >>> str(combined({"model": "Large"}, {"model": "Small"}, kept=(), operator="over", unit="seconds")["model"])
    'Large over Small'
    """
    removed = dict(mine)
    for level, label in theirs.items():
        # All labels of a level that is still there were combined with one label of the other operand.
        if level in kept:
            continue
        if level not in mine:
            removed[level] = label
        elif str(mine[level]) != str(label):
            verb = VERBS.get((operator, unit), "")
            removed[level] = Contrast(str(mine[level]), operator, str(label), verb)
    return removed


def scaled(removed: Removed) -> Removed:
    """Return the removed levels of a multiple: a verb such as "takes {} longer than" is no longer true of it."""
    return {level: part._replace(verb="") if isinstance(part, Contrast) else part for level, part in removed.items()}


def common(several: Sequence[Removed]) -> Removed:
    """Return the removed levels that are the same in all of several quantities."""
    first, *others = several
    shared = dict(first)
    for removed in others:
        shared = {level: part for level, part in shared.items() if level in removed and removed[level] == part}
    return shared


def label(removed: Removed, place: str, name: str) -> str:
    """Return what a cell is called.

    Parameters
    ----------
    removed : Removed
        The removed levels of its quantity.
    place : str
        Its own labels, as displayed; empty if there are none.
    name : str
        The name of the quantity, which is taken if there are no labels at all.

    Returns
    -------
    str

    Examples
    --------
    >>> from mlperf.quantities.wording import label
    >>> label({"model": "Large"}, "10,000 samples", "fit_seconds"), label({}, "", "fit_seconds")
    ('Large, 10,000 samples', 'fit seconds')
    """
    return _joined([*removed.values(), place]) or name.replace("_", " ")


def phrase(removed: Removed, place: str, name: str) -> str:
    """Return a clause about a cell with "{}" for its number.

    Parameters
    ----------
    removed : mapping
        The removed levels of its quantity.
    place, name : str
        As for `label`.

    Returns
    -------
    str

    Examples
    --------
    >>> from mlperf.quantities.wording import Contrast, phrase
    >>> phrase({"model": Contrast("Large", "minus", "Small", "takes {} longer than")}, "10,000 samples", "fit_seconds")
    'Large takes {} longer than Small (10,000 samples)'
    """
    contrasts = [part for part in removed.values() if isinstance(part, Contrast)]
    if len(contrasts) != 1:
        return f"{_escaped(label(removed, place, name))}: {{}}"
    contrast = contrasts[0]
    # "Large takes", but "10,000 samples take".
    verb = contrast.verb.replace("takes", "take") if contrast.first[:1].isdigit() else contrast.verb
    first, second = _escaped(contrast.first), _escaped(contrast.second)
    clause = f"{first} {verb} {second}" if verb else f"{_escaped(str(contrast))} is {{}}"
    where = _escaped(_joined([*(part for part in removed.values() if part is not contrast), place]))
    return f"{clause} ({where})" if where else clause


def _joined(parts: Iterable[str | Contrast]) -> str:
    return ", ".join(str(part) for part in parts if str(part))


def _escaped(text: str) -> str:
    """Return a text that `str.format` leaves as it is."""
    return text.replace("{", "{{").replace("}", "}}")
