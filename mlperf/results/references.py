"""References in pages: how to name a published thing, or some cells of it, in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Real
from typing import Any, NamedTuple

from mlperf.quantities.quantity import Quantity
from mlperf.results.folder import ResultError

_REFERENCE = re.compile(r"\s*([^.\[\]\s]+)\.([^.\[\]\s]+?)\s*(?:\[(.*)\])?\s*", re.DOTALL)
_LABEL = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^,"']+?))\s*(?:,|$)""", re.DOTALL)


class Label(NamedTuple):
    """A label as it was typed; in quotes, it is never a keyword such as "first"."""

    text: str
    quoted: bool = False


class Reference(NamedTuple):
    """A parsed reference, such as "training_time.fit[Large, last]"."""

    result: str
    key: str
    labels: tuple[Label, ...] = ()

    @property
    def name(self) -> str:
        """The reference without labels."""
        return f"{self.result}.{self.key}"


def parse(text: str) -> Reference:
    """Parse the text of a reference.

    Parameters
    ----------
    text : str
        The name of the result, a dot, and the name of a thing in it. To choose cells of a quantity, labels follow in
        brackets, one for each level, in order. A label with a comma, a bracket, or spaces at its ends must be quoted.
        ``first`` and ``last`` stand for the smallest and the largest label of a level (for the first and the last one
        if they are not numbers), and a colon for all labels.

    Returns
    -------
    Reference

    Raises
    ------
    ResultError
        If the text is not a reference.

    Examples
    --------
    >>> from mlperf.results.references import parse
    >>> parse('training_time.fit[Large, last]').labels
    (Label(text='Large', quoted=False), Label(text='last', quoted=False))
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ResultError(f"A reference has the form result.name or result.name[label, label]. Got {text!r} instead.")
    return Reference(match[1], match[2], _labels(match[3], text) if match[3] is not None else ())


def _labels(typed: str, text: str) -> tuple[Label, ...]:
    labels: list[Label] = []
    place = 0
    while place < len(typed) or not labels:
        match = _LABEL.match(typed, place)
        if match is None:
            raise ResultError(
                f"The labels of a reference are separated by commas, and quoted if they contain one. Got {text!r}."
            )
        quoted = match[3] is None
        content = re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2]) if quoted else match[3]
        labels.append(Label(content, quoted))
        place = match.end()
    return tuple(labels)


def cells(quantity: Quantity, labels: Sequence[Label], name: str) -> Quantity:
    """Return the cells of a quantity with the given labels.

    Parameters
    ----------
    quantity : Quantity
        The quantity.
    labels : sequence of Label
        One label for each level, in order, or for the first few levels.
    name : str
        The name of the quantity, for messages.

    Returns
    -------
    Quantity

    Raises
    ------
    ResultError
        If there is no such cell; the message says the nearest label.

    Examples
    --------
    >>> from mlperf import exact
    >>> from mlperf.results.references import cells, parse
    >>> print(cells(exact({"Small": 1, "Large": 2}, by="model"), parse("fits.n[last]").labels, "fits.n"))
    2
    """
    if len(labels) > len(quantity.by):
        levels = ", ".join(quantity.by) or "none"
        raise ResultError(f"{name!r} has the levels {levels}. Got {len(labels)} labels.")
    chosen = {
        level: label_of(label, quantity.labels(level), f"{name!r} has no {level}")
        for level, label in zip(quantity.by, labels, strict=False)
        if label != Label(":")
    }
    try:
        return quantity.at(**chosen) if chosen else quantity
    except KeyError as error:
        raise ResultError(str(error.args[0])) from None


def label_of(typed: Label, known: Sequence[Any], problem: str) -> Any:
    """Return the label of a level that was typed as text.

    Raises
    ------
    ResultError
        If there is none; the message consists of `problem`, the text, and the existing labels.
    """
    texts = {str(label): label for label in reversed(known)}
    if typed.text in texts:
        return texts[typed.text]
    if not typed.quoted and typed.text in ("first", "last") and known:
        numbers = all(isinstance(label, Real) and not isinstance(label, bool) for label in known)
        return (sorted(known) if numbers else list(known))[0 if typed.text == "first" else -1]
    near = get_close_matches(typed.text, list(texts), n=1)
    hint = f" The nearest is {near[0]!r}." if near else ""
    raise ResultError(f"{problem} {typed.text!r}, only {', '.join(map(str, known))}.{hint}")
