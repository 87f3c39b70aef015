"""Choose rows and columns of a table by options that are typed in a page, and compare it with other results."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import pandas as pd

from mlperf.quantities.quantity import Quantity
from mlperf.quantities.tables import Column, is_estimate, label_text
from mlperf.results.folder import ResultError
from mlperf.results.references import Label, label_of


def choose(frame: pd.DataFrame, *, where: str = "", sort: str = "", columns: str = "") -> pd.DataFrame:
    """Choose rows and columns of a table by options that are typed in a page.

    Parameters
    ----------
    frame : DataFrame
        The table.
    where : str, default=""
        Conditions that rows must meet: "model=Large, n_samples=last". A condition with spaces, commas or quotes in it
        must be quoted: "'model=Large, wide'". ``first`` and ``last`` stand for the smallest and the largest label.
    sort : str, default=""
        The columns to sort by; with a minus sign, the largest value comes first.
    columns : str, default=""
        The columns to keep, in this order; by default all.

    Returns
    -------
    DataFrame

    Raises
    ------
    ResultError
        If there is no such column or label, or the rows cannot be sorted.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.results.tables import choose
    >>> choose(pd.DataFrame({"model": ["Small", "Large"], "n": [1, 2]}), where="model=Large")
       model  n
    1  Large  2
    """
    for condition in typed_words(where):
        column, label = _condition(frame, condition)
        known = list(dict.fromkeys(frame[column]))
        chosen = label_of(Label(label), known, f"The column {column!r} has no")
        # Compared as texts: a missing value equals nothing, and a tuple would be compared element by element.
        frame = frame[[type(one) is type(chosen) and str(one) == str(chosen) for one in frame[column]]]
    if order := _order(frame, sort):
        try:
            frame = frame.sort_values(list(order), ascending=list(order.values()), kind="stable")
        except TypeError:
            raise ResultError(f"The table cannot be sorted by {sort}: values of these types have no order.") from None
    names = [_column(frame, name) for name in typed_words(columns)]
    return frame[names] if names else frame


def parts(frame: pd.DataFrame, by: Sequence[str]) -> dict[tuple[str, ...], pd.DataFrame]:
    """Split a table by the labels in some of its columns, which are left out, in the order of its rows.

    Parameters
    ----------
    frame : DataFrame
        The table.
    by : sequence of str
        The columns to split by.

    Returns
    -------
    dict of DataFrame
        The parts, by a tuple with one label for each column, as displayed: ("Large", "10,000 samples").

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.results.tables import parts
    >>> list(parts(pd.DataFrame({"model": ["Small", "Large"], "n_samples": [1_000, 1_000], "n": [1, 2]}), ["model"]))
    [('Small',), ('Large',)]
    """
    columns = [_column(frame, name) for name in by]
    rest = frame.drop(columns=columns)
    return {
        tuple(label_text(name, label) for name, label in zip(columns, key, strict=True)): rest.loc[rows.index]
        for key, rows in frame.groupby(columns, sort=False, dropna=False)
    }


def ratios(frame: pd.DataFrame, other: pd.DataFrame) -> Column | None:
    """Return a column with the ratio of the first estimate in each row to that in the same row of another table.

    Rows are the same if all columns before the estimate are equal. None if the tables have no such estimate, or several
    rows are the same.
    """
    names = [str(name) for name in frame.columns]
    place = next((i for i in range(len(names)) if is_estimate(names, i)), None)
    if place is None or not set(names[: place + 3]) <= set(other.columns):
        return None
    mine, theirs = (_estimates(table[names[: place + 3]], place) for table in (frame, other))
    if len(mine) < len(frame):
        return None
    found = [ratio_of(estimate, theirs.get(key)) for key, estimate in mine.items()]
    texts = [str(ratio) if ratio else "" for ratio in found]
    return Column("Ratio to the other results", texts, [ratio.value if ratio else 0.0 for ratio in found])


def ratio_of(mine: Quantity, theirs: Quantity | None) -> Quantity | None:
    """Return the ratio of two quantities with one cell each; None if the second is missing or zero, or units differ."""
    if theirs is None or not theirs.value or mine.unit != theirs.unit:
        return None
    return mine / theirs


def typed_words(text: str) -> list[str]:
    """Return the words of an option, separated by commas or spaces; quoted words may contain these.

    Parameters
    ----------
    text : str
        The option as it was typed.

    Returns
    -------
    list of str

    Raises
    ------
    ResultError
        If a quote is not closed.

    Examples
    --------
    >>> from mlperf.results.tables import typed_words
    >>> typed_words("model, 'n samples'")
    ['model', 'n samples']
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = ", \t\r\n", True, ""
    try:
        return list(lexer)
    except ValueError:
        raise ResultError(f"A quote is not closed in {text!r}.") from None


def _estimates(frame: pd.DataFrame, place: int) -> dict[tuple[str, ...], Quantity]:
    return {
        tuple(map(str, row[:place])): Quantity.from_estimates({(): row[place:]})
        for row in frame.itertuples(index=False, name=None)
    }


def _condition(frame: pd.DataFrame, condition: str) -> tuple[Any, str]:
    for column in frame.columns:
        if condition.startswith(f"{column}="):
            return column, condition[len(f"{column}=") :]
    return _column(frame, condition.partition("=")[0]), ""


def _order(frame: pd.DataFrame, sort: str) -> dict[Any, bool]:
    """Return the columns to sort by, and whether each is sorted in ascending order."""
    known = set(map(str, frame.columns))
    found = {}
    for word in typed_words(sort):
        largest_first = word.startswith("-") and word not in known
        found[_column(frame, word[1:] if largest_first else word)] = not largest_first
    return found


def _column(frame: pd.DataFrame, name: str) -> Any:
    """Return the label of a column, which may be something other than text."""
    known = {str(column): column for column in frame.columns}
    if name not in known:
        raise ResultError(f"There is no column {name!r} in the table, only {', '.join(known)}.")
    return known[name]
