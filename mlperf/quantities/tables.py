"""Tables for display: units in the headers, estimates in one cell, and only the digits that the noise supports."""

from __future__ import annotations

from html import escape
from math import isnan, nan
from numbers import Integral, Real
from typing import Any, NamedTuple

import pandas as pd

from mlperf.quantities.units import UNITS, decimals, digits, prefix_of, unit_of

WORDS = {"cpu": "CPU", "mse": "MSE", "ghz": "(GHz)", "r2": "R²", "median": "Median"}
"""Words in names of columns that are written differently in headers."""


class Column(NamedTuple):
    """One column of a table for display.

    Parameters
    ----------
    header : str
        The header with the unit: "Fit time (s)".
    texts : list of str
        The text of each row.
    numbers : list of float or None
        The numbers by which rows are sorted; None for a column of texts.
    """

    header: str
    texts: list[str]
    numbers: list[float] | None


def columns(frame: pd.DataFrame, unit: str | None = None) -> list[Column]:
    """Lay out a data frame for display: units in the headers, one prefix for each column, estimates in one cell.

    Parameters
    ----------
    frame : DataFrame
        A column whose name ends in a unit, such as "peak_bytes", is shown in this unit. Three adjacent columns ``x``,
        ``x_low`` and ``x_high`` form one estimate.
    unit : str, default=None
        The unit of numeric columns whose name does not end in one.

    Returns
    -------
    list of Column

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.quantities.tables import columns
    >>> (column,) = columns(pd.DataFrame({"seconds": [0.5], "seconds_low": [0.4], "seconds_high": [0.6]}))
    >>> column.header, column.texts
    ('Time (ms)', ['500 (400 to 600)'])
    """
    laid: list[Column] = []
    names = [str(name) for name in frame.columns]
    taken: set[str] = set()
    for place, name in enumerate(names):
        if name in taken:
            continue
        series = frame.iloc[:, place]
        if is_estimate(names, place):
            ends = names[place + 1 : place + 3]
            taken |= set(ends)
            laid.append(_numeric(name, unit, series, frame[ends[0]], frame[ends[1]]))
        elif pd.api.types.is_float_dtype(series):
            unknown = pd.Series([nan] * len(series))
            laid.append(_numeric(name, unit, series, unknown, unknown))
        elif pd.api.types.is_integer_dtype(series):
            laid.append(_numeric(name, unit, series, series, series))
        else:
            laid.append(Column(header(name), ["" if pd.isna(x) else str(x) for x in series], None))
    return laid


def is_estimate(names: list[str], place: int) -> bool:
    """Return whether the column at this position is followed by the ends of its interval."""
    return names[place + 1 : place + 3] == [f"{names[place]}_low", f"{names[place]}_high"]


def _numeric(name: str, unit: str | None, *estimate: Any) -> Column:
    known = unit_of(name)
    unit = unit if unit and known == "number" else known
    cells = [(_number(value), _number(low), _number(high)) for value, low, high in zip(*estimate, strict=True)]
    sizes = sorted(abs(value) for value, _, _ in cells if value and not isnan(value))
    prefix, scale = prefix_of(unit, sizes[len(sizes) // 2] if sizes else 0.0)
    texts = [_cell(value, low, high, scale) for value, low, high in cells]
    symbol = prefix + UNITS[unit].symbol
    stem = name.removesuffix(unit).rstrip("_")
    # "peak_bytes" is read as "Peak memory (MB)".
    title = header(name if stem == name else f"{stem}_{UNITS[unit].noun}".lstrip("_"))
    return Column(title + (f" ({symbol})" if symbol else ""), texts, [float(value) for value, _, _ in cells])


def _number(value: Any) -> float:
    """Return a plain Python number; NaN for a missing value of any type."""
    if pd.isna(value):
        return nan
    return int(value) if isinstance(value, Integral) else float(value)


def _cell(value: float, low: float, high: float, scale: float) -> str:
    if isnan(value):
        return ""
    if isinstance(value, int) and low == value == high and scale == 1:
        return f"{value:,}".replace("-", "\u2212")  # as a float, it would lose digits beyond 2**53
    places = decimals(value, low, high, scale)
    text = digits(value / scale, places)
    if isnan(low) or low == high:
        return text
    return f"{text} ({digits(low / scale, places)} to {digits(high / scale, places)})"


def header(name: str) -> str:
    """Return the name of a column as a header: "n_samples" becomes "Samples".

    Parameters
    ----------
    name : str
        Name of a column.

    Returns
    -------
    str

    Examples
    --------
    >>> from mlperf.quantities.tables import header
    >>> header("self_cpu_time"), header("n_samples")
    ('Self CPU time', 'Samples')
    """
    words = [WORDS.get(word, word) for word in name.removeprefix("n_").split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def label_text(level: str, label: Any) -> str:
    """Return a label as it is displayed: 10000 of the level "n_samples" becomes "10,000 samples".

    Examples
    --------
    >>> from mlperf.quantities.tables import label_text
    >>> label_text("n_samples", 10_000), label_text("model", "Large")
    ('10,000 samples', 'Large')
    """
    if isinstance(label, Real) and not isinstance(label, bool):
        number = int(label) if isinstance(label, Integral) else float(label)
        text = f"{int(number):,}" if float(number).is_integer() else f"{number:g}"
        what = level.removeprefix("n_").replace("_", " ")
        if level.startswith("n_") and label == 1:
            what = what.removesuffix("s")
        return f"{text} {what}" if level.startswith("n_") else f"{what} {text}"
    return str(label)


def html_of(laid: list[Column], *, classes: str = "quantity") -> str:
    """Return a table in HTML, for a notebook or a gallery page; all text in it is escaped."""
    heads = "".join(f"<th{_align(column)}>{escape(column.header)}</th>" for column in laid)
    rows = [
        "".join(f"<td{_align(column)}>{escape(column.texts[row])}</td>" for column in laid)
        for row in range(len(laid[0].texts) if laid else 0)
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="dataframe {classes}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'


def _align(column: Column) -> str:
    return ' style="text-align: right"' if column.numbers is not None else ' style="text-align: left"'


def text_of(laid: list[Column]) -> str:
    """Return a table as text, for a terminal.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.quantities.tables import columns, text_of
    >>> print(text_of(columns(pd.DataFrame({"model": ["Small"], "calls": [12]}))))
    Model  Calls
    Small     12
    """
    blocks = []
    for column in laid:
        cells = [column.header, *column.texts]
        width = max(len(cell) for cell in cells)
        blocks.append([cell.ljust(width) if column.numbers is None else cell.rjust(width) for cell in cells])
    return "\n".join("  ".join(row).rstrip() for row in zip(*blocks, strict=True))


class Table:
    """A data frame for display: units in the headers, only significant digits, no row numbers.

    Parameters
    ----------
    frame : DataFrame
        As for `columns`. All rows are shown; of a long frame, pass its ``head()``.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf import Table
    >>> Table(pd.DataFrame({"operator": ["aten::mm"], "cpu_seconds": [0.000123456]}))
    Operator  CPU time (µs)
    aten::mm            120
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def __repr__(self) -> str:
        return text_of(columns(self.frame))

    def _repr_html_(self) -> str:
        return html_of(columns(self.frame))
