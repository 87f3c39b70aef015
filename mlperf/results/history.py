"""Values over builds: one small file for each result, to which each published build adds its values.

The files are plain CSV, with one row for each value of each build, to six significant digits. They are kept between
builds and published with the site.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from math import isfinite, isinf, nan
from pathlib import Path
from typing import Any, NamedTuple

from mlperf.quantities.cells import Given
from mlperf.quantities.quantity import Quantity
from mlperf.quantities.units import UNITS
from mlperf.results.atomic import writing
from mlperf.results.folder import NAME, SURPRISES, ResultError, content_of
from mlperf.results.kinds import described_label, label_of_json
from mlperf.results.reading import Result
from mlperf.results.references import cells, parse

FIELDS = ("time", "machine", "commit", "key", "labels", "unit", "value", "low", "high")
INDEX = "index.txt"
"""Name of the file that lists the others, for downloading them from a site."""


class Point(NamedTuple):
    """A value in one build: the time, machine and commit of its measurement, and the value with its interval."""

    time: str
    machine: str
    commit: str
    quantity: Quantity


def append(folder: Path, result: Result) -> bool:
    """Add the values of a result to its history, if it was measured by the published protocol and is not yet in it.

    Parameters
    ----------
    folder : Path
        The folder of the history; it is created if needed.
    result : Result
        The result.

    Returns
    -------
    bool
        Whether its values were added.

    Raises
    ------
    ResultError
        If the history of this result cannot be read.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from mlperf import exact, publish, read
    >>> from mlperf.results.history import append, series
    >>> publish("my_fits", steps=exact({"Small": 100, "Large": 2_000}, by="model"))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> with TemporaryDirectory() as folder:
    ...     added = append(Path(folder), read("my_fits")), append(Path(folder), read("my_fits"))
    ...     points = series(Path(folder), "my_fits.steps[Large]")
    >>> added, [str(point.quantity) for point in points]
    ((True, False), ['2,000'])
    """
    about = result.provenance
    if about["protocol"]["MODE"] != "published" or not result.keys("quantity"):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder):
        known = list(_rows(folder, result.name))
        if any(row["time"] == about["time"] for row in known):
            return False
        machine = f"{about['machine']['processor']} ({about['machine']['cores']} cores)"
        if "device" in result.inputs:  # what a GPU takes is no new level of what its CPU takes
            machine += f" with {result.inputs.get('accelerator', result.inputs['device'])}"
        build = {"time": about["time"], "machine": machine, "commit": about["commit"] or ""}
        added = [{**build, **row} for key in result.keys("quantity") for row in _values(key, result[key])]
        _write(folder / f"{result.name}.csv", [*known, *added])
        _replace(folder / INDEX, "".join(f"{name}.csv\n" for name in names(folder)))
    return True


def names(folder: Path) -> list[str]:
    """Return the names of the results that have a history, in alphabetical order."""
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(path.stem for path in found if path.suffix == ".csv" and NAME.fullmatch(path.stem))


def series(folder: Path, reference: str) -> list[Point]:
    """Return a value over the builds, oldest first.

    Parameters
    ----------
    folder : Path
        The folder of the history.
    reference : str
        One cell of a quantity: "training_time.fit[Large, last]".

    Returns
    -------
    list of Point
        Empty if no build has measured the value.

    Raises
    ------
    ResultError
        If the history cannot be read, or the reference names several cells.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mlperf.results.history import series
    >>> series(Path("no such folder"), "training_time.fit[Large, last]")
    []
    """
    asked = parse(reference)
    builds: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in _rows(folder, asked.result):
        if row["key"] == asked.key:
            builds.setdefault((row["time"], row["machine"], row["commit"]), []).append(row)
    points = []
    for build, rows in sorted(builds.items()):
        quantity = _quantity(rows, folder / f"{asked.result}.csv", asked.key)
        try:
            quantity = cells(quantity, asked.labels, asked.name) if asked.labels else quantity
        except ResultError:  # this build did not measure it
            continue
        if len(quantity) != 1:
            raise ResultError(f"A history has a single value in each build. {reference!r} names {len(quantity)}.")
        points.append(Point(*build, quantity))
    return points


def _values(key: str, quantity: Quantity) -> Iterator[dict[str, Any]]:
    for labels, cell in quantity.items():
        named = zip(quantity.by, (described_label(label) for label in labels), strict=True)
        low, high = cell.interval()
        numbers = {"value": cell.value, "low": low, "high": high}
        texts = {name: f"{number:.6g}" if isfinite(number) else "" for name, number in numbers.items()}
        yield {"key": key, "labels": json.dumps(dict(named)), "unit": quantity.unit, **texts}


def _quantity(rows: Sequence[dict[str, str]], path: Path, name: str) -> Quantity:
    try:
        given: dict[tuple[Any, ...], Given] = {}
        by: list[str] = []
        for row in rows:
            labels = json.loads(row["labels"])
            by = list(labels)
            value, low, high = (float(row[field]) if row[field] else nan for field in ("value", "low", "high"))
            if not isfinite(value) or isinf(low) or isinf(high) or row["unit"] not in UNITS:
                raise ValueError("it holds something that is not a value")
            if datetime.fromisoformat(row["time"]).utcoffset() is None:
                raise ValueError("it holds a time without its zone")
            given[tuple(map(label_of_json, labels.values()))] = Given(value, low, high)
        return Quantity(given, by, unit=rows[0]["unit"], name=name)
    except SURPRISES as error:
        raise ResultError(f"The history {path} cannot be read ({error}). Remove it, or restore it.") from None


def _rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    path = folder / f"{name}.csv"
    try:
        content = content_of(path)
        if content is None:
            return
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
        if tuple(reader.fieldnames or ()) != FIELDS:
            raise ValueError("its columns differ from those of a history")
        for row in reader:
            if set(row) != set(FIELDS) or None in row.values():
                raise ValueError(f"its line {reader.line_num} is incomplete")
            yield row
    except (OSError, ValueError, csv.Error) as error:
        raise ResultError(f"The history {path} cannot be read ({error}). Remove it, or restore it.") from None


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _replace(path, file.getvalue())


def _replace(path: Path, text: str) -> None:
    """Replace a file atomically: a reader finds the former or the new one."""
    waiting = path.with_name(f".{path.name}.next")
    waiting.write_text(text, encoding="utf-8")
    waiting.replace(path)
