"""The kinds of things that can be published: how they are described in the JSON of a result, and restored from it.

Reading does not trust its input: whatever differs from what `describe` writes is refused.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from html import escape
from math import isfinite, isnan, nan
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from mlperf.quantities.cells import Given, Sampled
from mlperf.quantities.checks import Check, Evidence
from mlperf.quantities.claims import SYMBOLS, Claim
from mlperf.quantities.quantity import Quantity
from mlperf.quantities.runs import Runs
from mlperf.quantities.units import UNITS
from mlperf.results.frames import cell_of, described_cell, keepable, to_csv

Entry = dict[str, Any]
Files = dict[str, bytes]

KINDS = ("table", "quantity", "claim", "figure", "value")
_INFINITE = {"inf": float("inf"), "-inf": float("-inf")}
_PLACES = ("left", "center", "right")
_SLIPS = (
    (Check, "make a claim of it: claim('A statement.', check)"),
    (Mapping, "to publish what is in a mapping, unpack it: publish(..., **claims)"),
    (pd.Series, "make it a table: series.to_frame()"),
    (list | tuple, "name each thing in it, or make it a DataFrame"),
    (type(None), "there is nothing to publish"),
)


@dataclass(frozen=True)
class Picture:
    """A published figure, as it is read back. A notebook displays it.

    Attributes
    ----------
    svg : bytes
        The content of the SVG file.
    alt : str
        The alternative text: the titles of the figure.
    width, height : int
        The size in CSS pixels.

    Examples
    --------
    >>> from mlperf.results.kinds import Picture
    >>> Picture(b"<svg/>", "Time rises", 640, 480)._repr_html_()
    '<img src="data:image/svg+xml;base64,PHN2Zy8+" alt="Time rises" width="640" height="480"/>'
    """

    svg: bytes = field(repr=False)
    alt: str
    width: int
    height: int

    def _repr_html_(self) -> str:
        # An SVG from elsewhere cannot run scripts when it is the source of an image.
        source = base64.b64encode(self.svg).decode()
        size = f'width="{self.width}" height="{self.height}"'
        return f'<img src="data:image/svg+xml;base64,{source}" alt="{escape(self.alt)}" {size}/>'


def describe(thing: Any, name: str) -> tuple[Entry, Files]:
    """Return the entry of a thing in the JSON of its result, and its files by their extensions.

    Parameters
    ----------
    thing : Runs, DataFrame, Quantity, Claim, Figure, Axes, array of Axes, str, number or bool
        The thing to publish.
    name : str
        Its name, for messages: "fits.bars".

    Raises
    ------
    TypeError, ValueError
        If it cannot be published; the message says what to do instead.
    """
    if isinstance(thing, np.generic) or (isinstance(thing, np.ndarray) and thing.ndim == 0):
        thing = thing.item()
    if isinstance(thing, Runs | pd.DataFrame):
        return _describe_table(thing, name)
    if isinstance(thing, Quantity):
        return _describe_quantity(thing, name)
    if isinstance(thing, Claim):
        return {"kind": "claim", **_strings(thing)}, {}
    if isinstance(thing, str | Real | Decimal):
        return _describe_value(thing, name)
    figure = _figure_of(thing, name)
    if figure is not None:
        return _describe_figure(figure, name)
    slip = next((f": {slip}" for kind, slip in _SLIPS if isinstance(thing, kind)), "")
    raise TypeError(
        f"The thing {name!r} of publish must be Runs, a DataFrame, a Quantity, a Claim, a Figure, Axes, text or a "
        f"number. Got {type(thing).__name__} instead{slip}."
    )


def revive(entry: Entry, files: Files) -> Any:
    """Return the thing of an entry; None for a table, which is read when it is needed.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError
        If the entry is not one that `describe` makes.
    """
    kind = entry["kind"]
    if kind == "table":
        for key, expected in {"described": dict, "process": int, "repeat": int}.items():
            _checked(entry[key], expected)
        _checked(entry.get("asked", {}), dict)
        return None
    if kind == "quantity":
        return _revive_quantity(entry)
    if kind == "claim":
        return _revive_claim(entry)
    if kind == "value":
        value = _checked(entry["value"], str | int | float | bool)
        if isinstance(value, float) and not isfinite(value):
            raise ValueError("a value must be finite")
        return value
    if kind == "figure":
        alt, width, height = _checked(entry["alt"], str), _checked(entry["width"], int), _checked(entry["height"], int)
        return Picture(files["svg"], alt, width, height)
    raise ValueError(f"there is no kind {kind!r}")


def _describe_table(table: Runs | pd.DataFrame, name: str) -> tuple[Entry, Files]:
    frame, asked = (table.frame, table.asked) if isinstance(table, Runs) else (table, None)
    try:
        content, described = to_csv(_with_kept_labels(frame, table.by) if isinstance(table, Runs) else frame)
    except ValueError as error:
        raise ValueError(f"The table {name!r} cannot be kept: {error}.") from None
    counts = {
        column: int(frame[column].nunique()) if list(frame.columns).count(column) == 1 else 0
        for column in ("process", "repeat")
    }
    entry = {"kind": "table", **counts, "described": described}
    return {**entry, "asked": asked} if asked else entry, {"csv": content}


def _with_kept_labels(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return runs with labels that can be restored: anything hashable may be a label."""
    changed = {}
    for level in by:
        kept = {label: keepable(label) for label in frame[level].astype(object).unique()}
        if any(text is not label for label, text in kept.items()):
            _check_distinct(level, list(kept.values()))
            changed[level] = frame[level].astype(object).map(kept)
    return frame.assign(**changed)


def _check_distinct(level: str, labels: Sequence[Any]) -> None:
    """Check that labels still differ when they are read back."""
    twice = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
    if twice is not None:
        raise ValueError(f"two labels of {level!r} are written alike, {twice!r}")


def _describe_quantity(quantity: Quantity, name: str) -> tuple[Entry, Files]:
    first = next(iter(quantity.cells.values()), None)
    for place, level in enumerate(quantity.by):
        labels = {key[place]: described_label(key[place]) for key in quantity.cells}
        try:
            _check_distinct(level, list(labels.values()))
        except ValueError as error:
            raise ValueError(f"The quantity {name!r} cannot be kept: {error}.") from None
    cells = []
    for key, cell in quantity.cells.items():
        low, high = cell.interval()
        cells.append(
            {
                "labels": [described_label(label) for label in key],
                "value": float(cell.value),
                "low": _described_end(low),
                "high": _described_end(high),
                "runs": cell.n_runs,
                "processes": cell.n_processes,
            }
        )
    entry: Entry = {
        "kind": "quantity",
        "name": quantity.name,
        "unit": quantity.unit,
        "by": list(quantity.by),
        "statistic": first.statistic if isinstance(first, Sampled) else None,
        "cells": cells,
    }
    return entry, {"csv": quantity.frame().to_csv(index=False).encode()}


def _revive_quantity(entry: Entry) -> Quantity:
    by = [_checked(level, str) for level in _checked(entry["by"], list)]
    cells: dict[tuple[Any, ...], Given] = {}
    for cell in _checked(entry["cells"], list):
        key = tuple(label_of_json(label) for label in _checked(cell["labels"], list))
        value = _checked(cell["value"], float)
        low, high = (_end(cell[end]) for end in ("low", "high"))
        if len(key) != len(by) or key in cells or not isfinite(value) or isnan(low) != isnan(high) or low > high:
            raise ValueError(f"{key} is not a valid cell of a quantity")
        cells[key] = Given(value, low, high, _checked(cell["runs"], int), _checked(cell["processes"], int))
    if len(set(by)) < len(by) or _checked(entry["unit"], str) not in UNITS:
        raise ValueError("the levels or the unit are not those of a quantity")
    return Quantity(cells, by, unit=entry["unit"], name=_checked(entry["name"], str))


def described_label(label: Any) -> Any:
    """Return a label ready for JSON: unchanged, with the letter of its type, or as text."""
    if isinstance(label, np.generic) and not isinstance(label, np.datetime64 | np.timedelta64):
        label = label.item()
    if isinstance(label, tuple):
        return [described_label(part) for part in label]
    if type(label) in (str, int, bool) or (type(label) is float and isfinite(label)):
        return label
    kept = keepable(label)
    if type(kept) is str:
        return kept
    letter, text = described_cell(kept, "a label")
    return {letter: text}


def label_of_json(described: Any) -> Any:
    """Return the label that `described_label` described."""
    if isinstance(described, list):
        return tuple(label_of_json(part) for part in described)
    if isinstance(described, dict):
        ((letter, text),) = described.items()
        return cell_of(letter, _checked(text, str))
    return _checked(described, str | int | float | bool)


def _described_end(end: float) -> float | str | None:
    return None if isnan(end) else float(end) if isfinite(end) else str(float(end))


def _end(described: Any) -> float:
    if described is None:
        return nan
    if isinstance(described, str):
        return _INFINITE[described]
    if not isfinite(_checked(described, float)):
        raise ValueError("an end of an interval is not a finite number")
    return described


def _strings(claim: Claim) -> Entry:
    evidence = [one._asdict() for one in claim.evidence]
    return {name: getattr(claim, name) for name in _kept_of_claim()} | {"evidence": evidence}


def _kept_of_claim() -> list[str]:
    return [field.name for field in fields(Claim) if field.name != "check"]


def _revive_claim(entry: Entry) -> Claim:
    given = {name: entry[name] for name in _kept_of_claim()}
    evidence = tuple(Evidence(**_texts(one)) for one in _checked(given.pop("evidence"), list))
    texts = _texts(given.pop("texts"))
    made = Claim(**_texts(given), evidence=evidence, texts=texts)  # type: ignore[arg-type]  # `check` is not kept
    if set(texts) != set(SYMBOLS) or not {made.verdict, *(one.verdict for one in evidence)} <= set(SYMBOLS):
        raise ValueError("there is no such verdict")
    return made


def _texts(given: Any) -> dict[str, str]:
    return {key: _checked(text, str) for key, text in _checked(given, dict).items()}


def _describe_value(value: Any, name: str) -> tuple[Entry, Files]:
    if isinstance(value, str):
        return {"kind": "value", "value": str(value)}, {}
    plain = value if isinstance(value, int) else float(value)
    if not isfinite(plain):
        raise ValueError(f"The number {name!r} of publish must be finite. Got {value} instead.")
    return {"kind": "value", "value": plain}, {}


def _figure_of(thing: Any, name: str) -> Any:
    """Return the figure that a figure, axes or several axes stand for; None if it is something else."""
    if "matplotlib" not in sys.modules:
        return None
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    if isinstance(thing, Figure | SubFigure):
        return thing.figure
    parts = list(thing.flat) if isinstance(thing, np.ndarray) else thing if isinstance(thing, list | tuple) else [thing]
    if not parts or not all(isinstance(part, Axes) for part in parts):
        return None
    figures = {id(part.figure.figure): part.figure.figure for part in parts}
    if len(figures) > 1:
        raise ValueError(f"The axes {name!r} of publish must be of one figure. Got those of {len(figures)} instead.")
    return next(iter(figures.values()))


def _describe_figure(figure: Any, name: str) -> tuple[Entry, Files]:
    from matplotlib import rc_context

    titles = [figure.get_suptitle(), *(axes.get_title(loc) for axes in figure.axes for loc in _PLACES)]
    alt = " ".join(" ".join(title.split()) for title in dict.fromkeys(titles) if title)
    if not alt:
        raise ValueError(f"The figure {name!r} must have a title that says what it shows. Got none instead.")
    files = {}
    # The same figure always gives the same files.
    with rc_context({"svg.hashsalt": "mlperf"}):
        for ending, undated in (("svg", "Date"), ("pdf", "CreationDate")):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, bbox_inches="tight", metadata={undated: None})
            files[ending] = buffer.getvalue()
    # The file has points; three points are four pixels.
    size = dict(re.findall(r'\b(width|height)="([\d.]+)pt"', files["svg"][:2_000].decode(errors="replace")))
    pixels = {side: round(float(points) * 4 / 3) for side, points in size.items()}
    return {"kind": "figure", "alt": alt, **pixels}, files


def _checked(given: Any, kind: Any) -> Any:
    """Return a value if it has the right type; a boolean is no integer here."""
    if not isinstance(given, kind) or (isinstance(given, bool) and kind is int):
        raise TypeError(f"{given!r:.50} is of the wrong type")
    return given
