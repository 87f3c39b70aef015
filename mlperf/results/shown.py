"""What pages show of published things: values and verdicts in words, tables, and rows of the table of claims.

If there are other results to compare with, theirs is shown beside each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from mlperf.quantities.checks import UNMEASURED
from mlperf.quantities.claims import Claim
from mlperf.quantities.quantity import Quantity, exact
from mlperf.quantities.tables import Column
from mlperf.quantities.units import unit_of
from mlperf.results.folder import LeftOutError, ResultError
from mlperf.results.reading import Result
from mlperf.results.shelf import Shelf
from mlperf.results.tables import ratio_of, ratios


def value_text(shelf: Shelf, reference: str, form: str = "") -> tuple[Result, str]:
    """Return the result of a value, and the value in words.

    Parameters
    ----------
    shelf : Shelf
        The results.
    reference : str
        See `mlperf.results.references.parse`.
    form : {"", "short"}, default=""
        "short" leaves out the interval.

    Returns
    -------
    tuple of Result and str

    Raises
    ------
    ResultError
        If there is no such value, or its result is missing or broken.

    Examples
    --------
    >>> from mlperf import exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.shelf import Shelf
    >>> from mlperf.results.shown import value_text
    >>> publish("my_fits", steps=exact({"Small": 100, "Large": 2_000}, by="model"))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> value_text(Shelf(results_folder()), "my_fits.steps[Large]")[1]
    '2,000'
    """
    result, _, thing = shelf.find("values", reference)
    said = _written(thing, form)
    other = shelf.compared("values", reference)
    if other is None:
        return result, said
    beside = f"other results: {_written(other, form)}"
    if isinstance(thing, Quantity) and isinstance(other, Quantity) and len(thing) == len(other) == 1:
        ratio = ratio_of(thing, other)
        beside += f", ratio {ratio}" if ratio else ""
    return result, f"{said} [{beside}]"


def verdict_text(shelf: Shelf, reference: str) -> tuple[Result, str]:
    """Return the result of a claim, and the claim's verdict with its symbol.

    Parameters
    ----------
    shelf : Shelf
        The results.
    reference : str
        See `mlperf.results.references.parse`.

    Returns
    -------
    tuple of Result and str

    Raises
    ------
    ResultError
        If there is no such claim, or its result is missing or broken.

    Examples
    --------
    >>> from mlperf import claim, exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.shelf import Shelf
    >>> from mlperf.results.shown import verdict_text
    >>> publish("my_fits", few=claim("There are few steps.", exact(100) < 1_000))  # doctest: +ELLIPSIS
    ✓ holds: There are few steps.
    Published my_fits in ...results.
    >>> verdict_text(Shelf(results_folder()), "my_fits.few")[1]
    '✓ holds'
    """
    result, _, claim = shelf.find("claims", reference)
    other = shelf.compared("claims", reference)
    return result, f"{claim.mark} [other results: {other.mark}]" if other else claim.mark


def table_of(shelf: Shelf, reference: str) -> pd.DataFrame:
    """Return a table; a quantity becomes a table whose column names end in the unit.

    Parameters
    ----------
    shelf : Shelf
        The results.
    reference : str
        See `mlperf.results.references.parse`.

    Returns
    -------
    DataFrame

    Raises
    ------
    ResultError
        If there is no such table or quantity, or its result is missing or broken.

    Examples
    --------
    >>> from mlperf import exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.shelf import Shelf
    >>> from mlperf.results.shown import table_of
    >>> publish("my_fits", steps=exact({"Small": 100, "Large": 2_000}, by="model"))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> table_of(Shelf(results_folder()), "my_fits.steps")["number"].tolist()
    [100.0, 2000.0]
    """
    return _framed(shelf.find("tables", reference)[2])


def ratios_to_other(shelf: Shelf, reference: str, rows: pd.DataFrame) -> Column | None:
    """Return a column with the ratios of some rows of a table to the same rows of the other results.

    Parameters
    ----------
    shelf : Shelf
        The results.
    reference : str
        The table, as for `table_of`.
    rows : DataFrame
        The chosen rows.

    Returns
    -------
    Column or None
        None if there are no other results, or nothing in them to compare with.

    Examples
    --------
    >>> from mlperf import exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.shelf import Shelf
    >>> from mlperf.results.shown import ratios_to_other, table_of
    >>> publish("my_fits", steps=exact({"Small": 100, "Large": 2_000}, by="model"))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> shelf = Shelf(results_folder())
    >>> ratios_to_other(shelf, "my_fits.steps", table_of(shelf, "my_fits.steps")) is None
    True
    """
    other = shelf.compared("tables", reference)
    return None if other is None else ratios(rows, _framed(other))


class ClaimRow(NamedTuple):
    """A row of the table of claims.

    Attributes
    ----------
    result, key : str
        The result, and the name of the claim in it.
    claim : Claim
        The claim.
    measured : str
        What was measured, in words.
    other : str
        The verdict of the other results with its symbol; empty if they lack the claim or there are none.
    """

    result: str
    key: str
    claim: Claim
    measured: str
    other: str


def claim_rows(shelf: Shelf, names: Sequence[str], *, original: bool = False) -> list[ClaimRow]:
    """Return the rows of the table of claims, without the results that only full builds measure where there are none.

    Parameters
    ----------
    shelf : Shelf
        The results.
    names : sequence of str
        The names of the results whose claims are shown; "*" stands for all.
    original : bool, default=False
        Whether to leave out claims that the original report did not make.

    Returns
    -------
    list of ClaimRow

    Raises
    ------
    ResultError
        If there are no claims, or a result is missing or broken.

    Examples
    --------
    >>> from mlperf import claim, exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.shelf import Shelf
    >>> from mlperf.results.shown import claim_rows
    >>> publish("my_fits", few=claim("There are few steps.", exact(100) < 1_000))  # doctest: +ELLIPSIS
    ✓ holds: There are few steps.
    Published my_fits in ...results.
    >>> [row.claim.mark for row in claim_rows(Shelf(results_folder()), ["*"])]
    ['✓ holds']
    """
    rows = []
    for name in shelf.named(names):
        try:
            result = shelf.get(name)
        except LeftOutError:
            continue
        for key in result.keys("claim"):
            claim: Claim = result[key]
            if original and not claim.original:
                continue
            other = shelf.compared("claims", f"{name}.{key}")
            rows.append(ClaimRow(name, key, claim, _measured(claim), other.mark if other else ""))
    if not rows:
        raise ResultError(f"There are no claims in {shelf.folder}.")
    return rows


def _measured(claim: Claim) -> str:
    """Return what was measured, in words or by the first deciding comparison, for the column beside the statement."""
    if claim.verdict == UNMEASURED or not claim.evidence:
        return claim.advice or claim.text
    statement = claim.statement.removesuffix(".")
    said = claim.text.removeprefix(f"{statement}: ")
    if statement in said:  # the text only repeats the statement
        first, *further = claim.deciding
        said = first.sentence
        if further:
            said += f" And {len(further)} more comparison{'s' * (len(further) > 1)}."
    said = f"{said[0].upper()}{said[1:]}"
    return f"{said} {claim.advice}" if claim.advice else said


def _framed(thing: pd.DataFrame | Quantity) -> pd.DataFrame:
    if not isinstance(thing, Quantity):
        return thing
    frame = thing.frame()
    if unit_of(thing.name) == thing.unit:
        return frame
    return frame.rename(
        columns={f"{thing.name}{end}": f"{thing.name}_{thing.unit}{end}" for end in ("", "_low", "_high")}
    )


def _written(thing: Any, form: str) -> str:
    if isinstance(thing, bool):
        return "yes" if thing else "no"
    if isinstance(thing, int | float):
        thing = exact(thing)
    return format(thing, form) if isinstance(thing, Quantity) else str(thing)
