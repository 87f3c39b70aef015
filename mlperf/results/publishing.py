"""Publish what a script measured, with its provenance, and read it back.

A result is a JSON file and the CSV and SVG files that it names with their digests: what is missing, half-written,
corrupt or foreign is recognised.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mlperf.results.atomic import finish, stage
from mlperf.quantities.claims import Finding
from mlperf.results.provenance import inputs, provenance
from mlperf.quantities.intervals import Estimate
from mlperf.quantities.units import Quantity, number

FORMAT = 1
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLACES = ("left", "center", "right")


class ResultError(Exception):
    """A published result is missing, half-written, corrupt or foreign; the message says what to run."""


class Result(NamedTuple):
    r"""A published result, as `read` returns it.

    Examples
    --------
    >>> from mlperf.results.publishing import publish, read
    >>> from mlperf.quantities.units import duration
    >>> file = publish("my_fits", values={"large": duration(0.5)})
    >>> str(read("my_fits").values["large"])
    '500\xa0ms'
    """

    name: str
    folder: Path
    values: dict[str, Quantity | str]
    findings: dict[str, Finding]
    tables: dict[str, dict[str, Any]]
    figures: dict[str, dict[str, Any]]
    provenance: dict[str, Any]
    inputs: dict[str, str]

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the published tables."""
        return pd.read_csv(self.folder / self.tables[name]["file"], keep_default_na=False, na_values=[""])


def results_folder() -> Path:
    """Return where results are: the folder named by ``MLPERF_RESULTS``, else ``results`` in the current one.

    Examples
    --------
    >>> import os
    >>> from mlperf.results.publishing import results_folder
    >>> results_folder().name == os.path.basename(os.environ.get("MLPERF_RESULTS", "results"))
    True
    """
    return Path(os.environ.get("MLPERF_RESULTS") or "results").resolve()


def publish(
    name: str,
    *,
    tables: Mapping[str, pd.DataFrame] | None = None,
    values: Mapping[str, Quantity | float | str] | None = None,
    findings: Mapping[str, Finding] | None = None,
    figures: Mapping[str, Any] | None = None,
) -> Path:
    """Write what a script measured to the results folder, replacing its former result at once.

    Parameters
    ----------
    name : str
        The result's name, lower case: "training_time". Written as a literal, so that the report finds the
        script behind it.
    tables : mapping of str to DataFrame, default=None
        Raw rows and tables to be shown; each becomes ``<name>.<table>.csv``.
    values : mapping of str to Quantity, number or str, default=None
        What sentences refer to: ``{"large_10k": duration(median(seconds, processes))}``.
    findings : mapping of str to Finding, default=None
        From `mlperf.quantities.claims.judge`.
    figures : mapping of str to Figure, default=None
        Matplotlib figures; each becomes ``<name>.<figure>.svg``, and its title the text for those who do not
        see it.

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    ValueError
        If a name or a thing to publish is of the wrong kind.
    OSError
        If the folder cannot be written. The former result is then what it was.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.results.publishing import publish
    >>> from mlperf.quantities.units import duration
    >>> runs = pd.DataFrame({"model": ["Small", "Large"], "seconds": [0.1, 0.5]})
    >>> publish("my_fits", tables={"runs": runs}, values={"large": duration(0.5)}).name
    'my_fits.json'
    """
    script = Path(sys._getframe(1).f_code.co_filename)
    _check("name", {name: name}, str, "a string")
    _check("tables", tables, pd.DataFrame, "a DataFrame")
    _check("values", values, (Quantity, int, float, str), "a Quantity, a number or a string")
    _check("findings", findings, Finding, "a Finding")
    _check("figures", figures, object, "a Figure")

    files: dict[str, bytes] = {}

    def file(key: str, suffix: str, content: bytes, about: dict[str, Any]) -> dict[str, Any]:
        files[f"{name}.{key}.{suffix}"] = content
        return {"file": f"{name}.{key}.{suffix}", **about, "sha256": _sha256(content)}

    record = {
        "format": FORMAT,
        "name": name,
        "values": {key: _value(value) for key, value in (values or {}).items()},
        "findings": {key: finding._asdict() for key, finding in (findings or {}).items()},
        "tables": {key: file(key, "csv", *_table(frame)) for key, frame in (tables or {}).items()},
        "figures": {
            key: file(key, "svg", *_figure(figure, f"{name}.{key}")) for key, figure in (figures or {}).items()
        },
        "provenance": provenance(script),
        "inputs": inputs(script, measured=True),
    }
    files[f"{name}.json"] = (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()

    folder = results_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        finish(folder, name, _listed)
        stage(folder, files)
        finish(folder, name, _listed)
    except OSError as error:
        raise OSError(
            error.errno, f"The result {name!r} cannot be written to {folder}: {error.strerror or error}"
        ) from error
    return folder / f"{name}.json"


def read(name: str, folder: str | Path | None = None) -> Result:
    """Return a published result.

    Parameters
    ----------
    name : str
        The name that it was published under.
    folder : str or Path, default=None
        Where it is; see `results_folder`.

    Returns
    -------
    Result

    Raises
    ------
    ResultError
        If it is missing, half-written, corrupt, or not one of ours.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.results.publishing import publish, read
    >>> runs = pd.DataFrame({"model": ["Small", "Large"], "seconds": [0.1, 0.5]})
    >>> file = publish("my_fits", tables={"runs": runs})
    >>> read("my_fits").table("runs")
       model  seconds
    0  Small      0.1
    1  Large      0.5
    """
    folder = results_folder() if folder is None else Path(folder)
    with suppress(OSError):
        finish(folder, name, _listed)
    path = folder / f"{name}.json"
    remedy = "Run the script that publishes it, or `make html`."
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultError(f"The result {name!r} is missing: there is no {name}.json in {folder}. {remedy}") from None
    except (OSError, ValueError) as error:
        raise ResultError(f"The result {name!r} is corrupt: {path} cannot be read ({error}). {remedy}") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT or record.get("name") != name:
        raise ResultError(f"{path} is foreign: it is not a result {name!r} of this version of mlperf. {remedy}")
    try:
        for about in [*record["tables"].values(), *record["figures"].values()]:
            file = folder / about["file"]
            if not file.is_file():
                raise ResultError(f"The result {name!r} is half-written: {file} is missing. {remedy}")
            if _sha256(file.read_bytes()) != about["sha256"]:
                raise ResultError(
                    f"The result {name!r} is corrupt: {file} is not the file that {name}.json names. {remedy}"
                )
        return Result(
            name,
            folder,
            {key: _revive(value) for key, value in record["values"].items()},
            {key: Finding(**finding) for key, finding in record["findings"].items()},
            record["tables"],
            record["figures"],
            record["provenance"],
            record["inputs"],
        )
    except (AttributeError, KeyError, TypeError, OSError) as error:
        raise ResultError(f"The result {name!r} is corrupt: {path} lacks {error}. {remedy}") from None


def _listed(content: bytes) -> list[str]:
    record = json.loads(content)
    return [about["file"] for about in [*record["tables"].values(), *record["figures"].values()]]


def _table(frame: pd.DataFrame) -> tuple[bytes, dict[str, int]]:
    """Return a table as CSV, and how many processes and repeats are in it."""
    plain = frame.index.nlevels == 1 and frame.index.name is None
    content = (frame if plain else frame.reset_index()).to_csv(index=False).encode()
    return content, {column: int(frame[column].nunique()) for column in ("process", "repeat") if column in frame}


def _figure(figure: Any, name: str) -> tuple[bytes, dict[str, Any]]:
    """Return a figure as SVG, its titles, and its size in pixels, of which 4 are 3 of its points."""
    titles = [figure.get_suptitle(), *(axes.get_title(loc) for axes in figure.axes for loc in _PLACES)]
    alt = " ".join(" ".join(title.split()) for title in dict.fromkeys(titles) if title)
    if not alt:
        raise ValueError(f"The figure {name!r} must have a title that says what is seen. Got none instead.")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    size = re.findall(r'\b(width|height)="([\d.]+)pt"', buffer.getvalue()[:2_000].decode(errors="replace"))
    return buffer.getvalue(), {"alt": alt, "size": {side: f"{float(pt) * 4 / 3:.0f}" for side, pt in size}}


def _value(value: Quantity | float | str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    given = value if isinstance(value, Quantity) else number(value)
    ends = [None if math.isnan(end) else end for end in given.estimate]
    return {"text": str(given), "estimate": ends, "unit": given.unit}


def _revive(value: dict[str, Any]) -> Quantity | str:
    if "estimate" not in value:
        return str(value["text"])
    return Quantity(Estimate(*(math.nan if end is None else end for end in value["estimate"])), value["unit"])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check(parameter: str, given: Any, kind: Any, wanted: str) -> None:
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(
            f"The '{parameter}' parameter of publish must be a mapping of names. Got {type(given).__name__} instead."
        )
    for name, thing in (given or {}).items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"A name in the '{parameter}' parameter of publish must be lower case letters, digits and "
                f"underscores. Got {name!r} instead."
            )
        if not isinstance(thing, kind):
            raise ValueError(
                f"The {parameter} {name!r} of publish must be {wanted}. Got {type(thing).__name__} instead."
            )
