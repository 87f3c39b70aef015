"""Data frames as CSV files, and a description of their types with which they are restored exactly.

The restored frame equals the original to the bit: index, columns and types, missing and infinite values, and integers
of any size beside other values. A frame that cannot be restored exactly is refused.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from pandas.testing import assert_frame_equal

Described = dict[str, Any]


def _fraction(text: str) -> Fraction:
    return Fraction(*map(int, text.split("/")))  # Fraction("1e999999999") would take all memory


def _tuple(text: str) -> tuple:
    return _as_tuple(json.loads(text))


def _as_tuple(parts: list) -> tuple:
    return tuple(_as_tuple(part) if isinstance(part, list) else part for part in parts)


# Cells of columns of objects: a letter for the type of a cell, and how to restore the cell from its text.
_CELLS: dict[str, Callable[[str], Any]] = {
    "s": str,
    "i": int,
    "f": float,
    "b": lambda text: {"True": True, "False": False}[text],
    "d": datetime.date.fromisoformat,
    "t": pd.Timestamp,
    "e": pd.Timedelta,
    "q": _fraction,
    "m": Decimal,
    "u": _tuple,
    "-": lambda _: None,
    "a": lambda _: pd.NA,
    "n": lambda _: pd.NaT,
}
_LETTERS: dict[type, str] = {str: "s", int: "i", float: "f", bool: "b", datetime.date: "d", pd.Timestamp: "t"}
_LETTERS |= {pd.Timedelta: "e", Fraction: "q", Decimal: "m", tuple: "u"}
_MASKED = {"i": pd.arrays.IntegerArray, "u": pd.arrays.IntegerArray, "f": pd.arrays.FloatingArray}
_NUMPY = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)")
_NULLABLE = re.compile(r"boolean|U?Int(8|16|32|64)|Float(32|64)")
_DATES = re.compile(r"datetime64\[(s|ms|us|ns)(, (?P<zone>[^]]+))?\]")
_TIMES = re.compile(r"timedelta64\[(s|ms|us|ns)\]")


def to_csv(frame: pd.DataFrame) -> tuple[bytes, Described]:
    r"""Return a data frame as CSV, and the description with which it is restored.

    Parameters
    ----------
    frame : DataFrame
        With any index and columns: named or not, of one or several levels. They may hold numbers, text, booleans,
        dates, categories, intervals, and missing values of any type.

    Returns
    -------
    content : bytes
        The CSV file.
    described : dict
        The types of index and columns, ready for JSON.

    Raises
    ------
    ValueError
        If something cannot be restored; the message says what and where.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.results.frames import from_csv, to_csv
    >>> content, described = to_csv(pd.DataFrame({"model": ["Small", "Large"], "seconds": [0.1, 0.5]}))
    >>> content
    b'model,seconds\nSmall,0.1\nLarge,0.5\n'
    >>> from_csv(content, described)
       model  seconds
    0  Small      0.1
    1  Large      0.5
    """
    index, rows_of_index = _describe_axis(frame.index)
    columns, labels = _describe_axis(frame.columns)
    parts = [_describe(frame.iloc[:, place], f"its column {frame.columns[place]!r}") for place in range(frame.shape[1])]
    described = {
        "rows": len(frame),
        "index": index,
        "columns": {**columns, "labels": labels},
        "types": [part for part, _ in parts],
    }
    heads = [" ".join(map(str, label)) if isinstance(label, tuple) else str(label) for label in frame.columns]
    names = [f"level_{i}" if name is None else str(name) for i, name in enumerate(frame.index.names)]
    texts = [*rows_of_index, *(texts for _, texts in parts)]
    rows = [[*names[: len(rows_of_index)], *heads], *(zip(*texts, strict=True) if texts else [[]] * len(frame))]
    try:
        content = _written(rows).encode()
        assert_frame_equal(frame, from_csv(content, described), check_exact=True, check_freq=False)
    except (ValueError, TypeError, KeyError, AssertionError) as error:
        raise ValueError(f"it would not be read back as it is ({' '.join(str(error).split())})") from None
    return content, described


def _written(rows: Sequence[Sequence[str]]) -> str:
    for end in ("\n", "\r\n"):
        file = io.StringIO(newline="")
        csv.writer(file, lineterminator=end).writerows(rows)
        if "\r" not in file.getvalue():
            break  # texts with a carriage return need quotes, which csv adds only if lines end with one
    return file.getvalue()


def from_csv(content: bytes, described: Described) -> pd.DataFrame:
    """Return the data frame that `to_csv` described.

    Raises
    ------
    ValueError, TypeError, KeyError, IndexError, OverflowError
        If content and description do not belong together.
    """
    before = csv.field_size_limit(max(len(content), 1))
    try:
        _, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    finally:
        csv.field_size_limit(before)
    n_levels = len(described["index"].get("levels", ()))
    n_columns = n_levels + len(described["types"])
    if len(rows) != described["rows"] or any(len(row) != n_columns for row in rows):
        raise ValueError(f"there must be {described['rows']} rows of {n_columns} columns")
    texts = list(zip(*rows, strict=True)) if rows else [()] * n_columns
    index = _axis(described["index"], texts[:n_levels], len(rows))
    columns = _axis(described["columns"], described["columns"]["labels"], len(described["types"]))
    arrays = [_values(kind, part) for kind, part in zip(described["types"], texts[n_levels:], strict=True)]
    # With its type: pandas would choose another one for a column of objects that holds only text.
    series = {place: pd.Series(array, index=index, dtype=array.dtype) for place, array in enumerate(arrays)}
    frame = pd.DataFrame(series, index)
    frame.columns = columns
    return frame


def _describe_axis(axis: pd.Index) -> tuple[Described, list[list[str]]]:
    """Describe an index, and return the texts of its levels; a range of numbers needs none."""
    names = [described_cell(name, "the name of a level") for name in axis.names]
    if isinstance(axis, pd.RangeIndex):
        return {"range": [axis.start, axis.stop, axis.step], "names": names}, []
    several = isinstance(axis, pd.MultiIndex)
    levels = [axis.get_level_values(place) for place in range(axis.nlevels)] if several else [axis]
    parts = [_describe(level, "its index or its columns") for level in levels]
    return {"levels": [part for part, _ in parts], "names": names, "several": several}, [texts for _, texts in parts]


def _axis(described: Described, texts: Sequence[Sequence[str]], size: int) -> pd.Index:
    names = [cell_of(letter, text) for letter, text in described["names"]]
    if "range" in described:
        axis = pd.RangeIndex(*map(int, described["range"]), name=names[0])
    elif described["several"]:
        levels = [_level(*level) for level in zip(described["levels"], texts, strict=True)]
        axis = pd.MultiIndex.from_arrays(levels, names=names)
    else:
        axis = _level(described["levels"][0], texts[0]).rename(names[0])
    if len(axis) != size:
        raise ValueError(f"an index must have {size} labels")
    return axis


def _level(described: Described, texts: Sequence[str]) -> pd.Index:
    array = _values(described, texts)
    return pd.Index(array, dtype=array.dtype)


def _describe(values: pd.Series | pd.Index, place: str) -> tuple[Described, list[str]]:
    """Describe the type of a column, and return the text of each of its values."""
    name = str(values.dtype)
    if _NUMPY.fullmatch(name):
        return {"type": name}, ["" if x != x else str(x) for x in values.tolist()]
    if _NULLABLE.fullmatch(name):
        return {"type": name}, ["" if x is pd.NA else str(x) for x in values.tolist()]
    if name in ("str", "string"):
        missing = values.isna()
        return {"type": name, **_missing(missing)}, ["" if no else x for x, no in zip(values, missing, strict=True)]
    if dates := _DATES.fullmatch(name):
        plain = pd.DatetimeIndex(values)
        plain = plain.tz_convert("UTC").tz_localize(None) if dates["zone"] else plain
        return {"type": name}, ["" if text == "NaT" else text for text in np.datetime_as_string(plain.to_numpy())]
    if _TIMES.fullmatch(name):
        numbers = pd.TimedeltaIndex(values).to_numpy().astype(np.int64).tolist()
        return {"type": name}, ["" if no else str(x) for x, no in zip(numbers, values.isna(), strict=True)]
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _describe_categories(pd.Categorical(values), place)
    if isinstance(values.dtype, pd.IntervalDtype):
        return _describe_intervals(pd.IntervalIndex(values), place)
    if name == "object":
        cells = [described_cell(x, place) for x in values]
        return {"type": name, "cells": "".join(letter for letter, _ in cells)}, [text for _, text in cells]
    raise ValueError(f"{place} is of the type {name}; make it numbers, text or dates")


def _describe_categories(values: pd.Categorical, place: str) -> tuple[Described, list[str]]:
    described, texts = _describe(values.categories, place)
    if len(set(texts)) < len(texts):
        raise ValueError(f"{place} has categories that are written alike")
    about = {"type": "category", "ordered": bool(values.ordered), "categories": described, "texts": texts}
    return {**about, **_missing(values.codes < 0)}, ["" if code < 0 else texts[code] for code in values.codes]


def _describe_intervals(values: pd.IntervalIndex, place: str) -> tuple[Described, list[str]]:
    """Describe intervals as `pandas.cut` makes them; their texts are in mathematical notation."""
    opening, closing = _brackets(values.closed)
    ends, lows = _describe(values.left, place)
    _, highs = _describe(values.right, place)
    texts = [f"{opening}{low}, {high}{closing}" if low else "" for low, high in zip(lows, highs, strict=True)]
    return {"type": "interval", "closed": values.closed, "ends": ends}, texts


def _brackets(closed: str) -> tuple[str, str]:
    opening = "[" if closed in ("left", "both") else "("
    closing = "]" if closed in ("right", "both") else ")"
    return opening, closing


def _missing(missing: Any) -> Described:
    return {"cells": "".join("-" if no else "s" for no in missing)} if missing.any() else {}


def described_cell(value: Any, place: str) -> list[str]:
    """Return the letter for the type of a value, and its text.

    Raises
    ------
    ValueError
        If its type is not supported; `place` says where the value is, for the message.
    """
    if value is None:
        return ["-", ""]
    if value is pd.NA or value is pd.NaT:
        return ["a" if value is pd.NA else "n", ""]
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        value = value.item()
    try:
        return [_LETTERS[type(value)], _text(value)]
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{place} holds {value!r}, a {type(value).__name__}; make it a number, text or a date"
        ) from None


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps(value, allow_nan=False, default=_item)
    return value.isoformat() if isinstance(value, pd.Timestamp | pd.Timedelta) else str(value)


def _item(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is not of a type that JSON has")


def keepable(label: Hashable) -> Hashable:
    """Return a label itself if its type can be restored, otherwise its text.

    Examples
    --------
    >>> from mlperf.results.frames import keepable
    >>> keepable((32, 16)), keepable(frozenset({1}))
    ((32, 16), 'frozenset({1})')
    """
    try:
        described_cell(label, "a label")
    except ValueError:
        return str(label)
    return label


def cell_of(letter: str, text: str) -> Any:
    """Return the value that `described_cell` described.

    Raises
    ------
    ValueError, TypeError, KeyError
        If letter and text are not those of a value.
    """
    try:
        return _CELLS[letter](text)
    except (ArithmeticError, RecursionError):
        raise ValueError(f"{text!r:.50} is not a value") from None


def _values(described: Described, texts: Sequence[str]) -> Any:
    """Return the array of a column."""
    name = described["type"]
    if _NUMPY.fullmatch(name):
        made = [_number(name, text) if text else np.nan for text in texts]
        return np.array(made, dtype=name)
    if _NULLABLE.fullmatch(name):
        missing = np.array([not text for text in texts], dtype=bool)
        plain = {"boolean": "bool"}.get(name, name.lower())
        values = np.array([_number(plain, text) if text else 0 for text in texts], dtype=plain)
        return _MASKED.get(values.dtype.kind, pd.arrays.BooleanArray)(values, missing)
    if dates := _DATES.fullmatch(name):
        times = pd.DatetimeIndex(np.array([text or "NaT" for text in texts], dtype=f"datetime64[{dates[1]}]"))
        return (times.tz_localize("UTC").tz_convert(dates["zone"]) if dates["zone"] else times).array
    if times := _TIMES.fullmatch(name):
        missing_number = np.iinfo(np.int64).min
        return np.array([int(text or missing_number) for text in texts], dtype=np.int64).view(
            f"timedelta64[{times[1]}]"
        )
    if name == "interval":
        pairs = [text[1:-1].split(", ") if text else ("", "") for text in texts]
        lows = _values(described["ends"], [low for low, _ in pairs])
        highs = _values(described["ends"], [high for _, high in pairs])
        return pd.arrays.IntervalArray.from_arrays(lows, highs, closed=described["closed"])
    letters = described["cells"] if name == "object" else described.get("cells", "s" * len(texts))
    if name != "object" and not set(letters) <= {"s", "-"}:
        raise ValueError(f"a column of the type {name} holds text or nothing")
    if name in ("str", "string"):
        return pd.array([None if c == "-" else t for t, c in zip(texts, letters, strict=True)], dtype=name)
    if name == "category":
        codes = {text: code for code, text in enumerate(described["texts"])}
        found = [-1 if c == "-" else codes[t] for t, c in zip(texts, letters, strict=True)]
        categories = _level(described["categories"], described["texts"])
        return pd.Categorical.from_codes(found, categories, ordered=described["ordered"])
    if name != "object":
        raise ValueError(f"there is no type {name!r}")
    cells = np.empty(len(texts), dtype=object)
    cells[:] = [cell_of(letter, text) for text, letter in zip(texts, letters, strict=True)]
    return cells


def _number(name: str, text: str) -> Any:
    return _CELLS["b"](text) if name == "bool" else float(text) if name.startswith("float") else int(text)
