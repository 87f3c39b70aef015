"""Lay tables out for people: rows chosen, units in the headers, estimates in one cell, ratios to other results."""

from __future__ import annotations

import shlex
from math import isnan
from typing import Any, NamedTuple

import pandas as pd

from mlperf.quantities.intervals import Estimate, ratio_of_estimates
from mlperf.quantities.units import UNITS, decimals, digits, factor, prefix_of

_WORDS = {"cpu": "CPU", "mse": "MSE", "r2": "R²", "n": "runs"}


def choose(
    frame: pd.DataFrame, *, where: str = "", sort: str = "", show: str = "", limit: int | None = None
) -> pd.DataFrame:
    """Choose rows and columns by options that are typed in a text.

    Parameters
    ----------
    frame : DataFrame
        The table.
    where : str, default=""
        Conditions that rows must meet: "model=Large, n_samples=10000"; levels with spaces are quoted.
    sort : str, default=""
        The column to sort by, with a minus for the largest first.
    show : str, default=""
        The columns to keep, in this order; all by default.
    limit : int, default=None
        The most rows to keep.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If there is no such column, or no row is left.
    """
    for condition in shlex.split(where.replace(",", " ")):
        column, _, level = condition.partition("=")
        frame = frame[_column(frame, column).astype(str) == level]
    if frame.empty:
        raise ValueError(f"No row of the table fits {where!r}.")
    if sort:
        column = str(_column(frame, sort.lstrip("-")).name)
        frame = frame.sort_values(column, ascending=not sort.startswith("-"), kind="stable")
    names = [str(_column(frame, name).name) for name in show.replace(",", " ").split()]
    return frame[names or list(frame.columns)].head(len(frame) if limit is None else limit)


def levels(frame: pd.DataFrame, by: str) -> dict[str, str]:
    """Return what tells the parts of a table apart.

    Parameters
    ----------
    frame : DataFrame
        The table.
    by : str
        The columns that name a part: "model, n_samples".

    Returns
    -------
    dict of str
        A label for each part, "Large, 10,000 samples", and the condition that `choose` picks it by; in the
        order of the rows.
    """
    found = {}
    parts = choose(frame, show=by).drop_duplicates()
    for part in parts.itertuples(index=False):
        pairs = list(zip(parts.columns, part, strict=True))
        said = [f"{x:,} {name.removeprefix('n_')}" if isinstance(x, int) else str(x) for name, x in pairs]
        found[", ".join(said)] = " ".join(shlex.quote(f"{name}={x}") for name, x in pairs)
    return found


def ratios(frame: pd.DataFrame, other: pd.DataFrame) -> Column | None:
    """Return a column with the ratio of each row's first estimate to that of the same row of another table.

    Rows are the same where all columns in front of the estimate are; None if the tables have no such column.
    """
    names = [str(name) for name in frame.columns]
    at = next((i for i in range(len(names)) if _is_estimate(names, i)), None)
    if at is None or not set(names[: at + 3]) <= set(other.columns):
        return None
    found = [_by_key(table[names[: at + 3]], at) for table in (frame, other)]
    pairs = [(mine, found[1].get(key)) for key, mine in found[0].items()]
    made = [ratio_of_estimates(mine, theirs) if theirs else None for mine, theirs in pairs]
    texts = [str(factor(ratio)) if ratio else "" for ratio in made]
    return Column("Ratio to the other results", texts, [ratio.value if ratio else 0.0 for ratio in made])


def _by_key(frame: pd.DataFrame, at: int) -> dict[tuple[str, ...], Estimate]:
    return {tuple(map(str, row[:at])): Estimate(*row[at:]) for row in frame.itertuples(index=False, name=None)}


def _is_estimate(names: list[str], at: int) -> bool:
    return names[at + 1 : at + 3] in (["low", "high"], [f"{names[at]}_low", f"{names[at]}_high"])


def _column(frame: pd.DataFrame, name: str) -> Any:
    if name not in frame.columns:
        raise ValueError(f"There is no column {name!r} in the table, only {', '.join(map(str, frame.columns))}.")
    return frame[name]


def unit_of(column: str, unit: str | None = None) -> str:
    """Return the unit that a column's name ends in ("peak_bytes" -> "bytes"), else `unit`, else "number"."""
    ends = [name for name in UNITS if column == name or column.endswith(f"_{name}")]
    return max(ends, key=len) if ends else unit or "number"


class Column(NamedTuple):
    """One column of a table for people: its header with unit, its texts, and the numbers to sort them by."""

    header: str
    texts: list[str]
    numbers: list[float] | None


def columns(frame: pd.DataFrame, unit: str | None = None) -> list[Column]:
    """Lay a table out: units in the headers, one prefix a column, estimates in one cell.

    Parameters
    ----------
    frame : DataFrame
        A column whose name ends in a unit ("peak_bytes") is shown in it. Three neighbours ``x``, ``low`` and
        ``high`` (or ``x``, ``x_low`` and ``x_high``) are one estimate. A column "mean" is shown with as many
        digits as the interval of that estimate supports.
    unit : str, default=None
        The unit of estimates whose name says none ("median").

    Returns
    -------
    list of Column
    """
    laid: list[Column] = []
    names = [str(name) for name in frame.columns]
    taken: set[str] = set()
    for i, name in enumerate(names):
        if name in taken:
            continue
        series = frame.iloc[:, i]
        if _is_estimate(names, i):
            low, high = names[i + 1 : i + 3]
            taken |= {low, high}
            laid.append(_numeric(name, unit_of(name, unit), series, frame[low], frame[high]))
        elif name == "mean" and {"low", "high"} <= taken:
            laid.append(_numeric(name, unit_of(name, unit), series, frame["low"], frame["high"], ends=False))
        elif pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
            laid.append(_numeric(name, unit_of(name), series, series, series))
        else:
            laid.append(Column(_header(name), ["" if pd.isna(x) else str(x) for x in series], None))
    return laid


def _numeric(name: str, unit: str, *estimate: Any, ends: bool = True) -> Column:
    cells = [Estimate(*map(float, cell)) for cell in zip(*estimate, strict=True)]
    sizes = sorted(abs(cell.value) for cell in cells if cell.value and not isnan(cell.value))
    prefix, scale = prefix_of(unit, sizes[len(sizes) // 2] if sizes else 0.0)
    texts = []
    for cell in cells:
        if isnan(cell.value):
            texts.append("")
            continue
        places = decimals(cell, scale)
        text = digits(cell.value / scale, places)
        if ends and cell.low < cell.high:
            text += f" ({digits(cell.low / scale, places)} to {digits(cell.high / scale, places)})"
        texts.append(text)
    symbol = prefix + UNITS[unit].symbol
    stem = name.removesuffix(unit).rstrip("_")
    # "peak_bytes" is read as "Peak memory (MB)".
    header = _header(name if stem == name else f"{stem}_{UNITS[unit].noun}".lstrip("_"))
    return Column(header + (f" ({symbol})" if symbol else ""), texts, [cell.value for cell in cells])


def _header(name: str) -> str:
    words = [_WORDS.get(word, word) for word in name.removeprefix("n_").split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]
