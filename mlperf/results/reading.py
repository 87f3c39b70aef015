"""Read what was published. Nothing is written and no file is trusted, since a folder may come from elsewhere.

A result is one JSON file and the files that it lists with their digests. If the writer was interrupted, the reader
takes the new files from their temporary names; if it is writing at the same moment, the reader tries again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from mlperf.results.atomic import staged
from mlperf.results.folder import KEY, NAME, SURPRISES, ResultError, content_of, is_file_of, results_folder
from mlperf.results.frames import from_csv
from mlperf.results.kinds import KINDS, Entry, Files, revive
from mlperf.results.sealed import digest, unseal

FORMAT = 2
"""Version of the format of the JSON file; it is raised when older files can no longer be read."""

REMEDY = "Run the script that publishes it, or `make html`."
# Even beside a writer that publishes all the time, a reader needs only milliseconds.
PATIENCE_SECONDS = 30


class Result:
    r"""A published result, as `read` returns it: a mapping of names to published things.

    Parameters
    ----------
    name : str
        The name of the result.
    folder : Path
        The folder of results.
    record : dict
        The content of the JSON file.
    files : dict of bytes
        The contents of the other files.

    Attributes
    ----------
    name, folder
        As given.
    provenance : dict
        When, where and with what it was measured: "script", "time", "machine", "answers", "protocol", "commit".
    inputs : dict of str
        Everything that it depends on, such as versions and digests of sources; see
        ``mlperf.results.provenance.inputs``.

    Examples
    --------
    >>> from mlperf import exact, publish, read
    >>> parameters = exact({"Small": 225, "Large": 11_649}, by="model")
    >>> publish("my_fits", parameters=parameters, library="torch")  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> result = read("my_fits")
    >>> print(result["parameters"]["Large"], result["library"])
    11,649 torch
    """

    def __init__(self, name: str, folder: Path, record: dict[str, Any], files: Files) -> None:
        self.name, self.folder = name, folder
        self.provenance: dict[str, Any] = _checked_provenance(record["provenance"])
        self.inputs: dict[str, str] = _texts(record["inputs"])
        self._entries: dict[str, Entry] = record["things"]
        self._files = files
        self._things = {key: revive(entry, self._of(key)) for key, entry in self._entries.items()}

    def __getitem__(self, key: str) -> Any:
        """Return a published thing: a table as a DataFrame, a figure as a `mlperf.results.kinds.Picture`.

        Raises
        ------
        ResultError
            If there is no such thing, with the nearest name in the message; or if the table cannot be read.
        """
        if key not in self._things:
            near = get_close_matches(str(key), self._things, n=1, cutoff=0)
            hint = f" The nearest name is {near[0]!r}." if near else ""
            raise ResultError(f"The result {self.name!r} holds nothing named {key!r}.{hint}")
        if self.kind(key) == "table" and self._things[key] is None:
            try:
                self._things[key] = from_csv(self._of(key)["csv"], self._entries[key]["described"])
            except SURPRISES as error:
                raise _corrupt(self.name, self.folder / f"{self.name}.{key}.csv", error) from None
        thing = self._things[key]
        return thing.copy() if isinstance(thing, pd.DataFrame) else thing

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, key: object) -> bool:
        return key in self._things

    def __repr__(self) -> str:
        held = ", ".join(f"{key} ({self.kind(key)})" for key in self)
        return f"Result {self.name!r}, measured {self.provenance['time']}: {held or 'empty'}"

    def kind(self, key: str) -> str:
        """Return the kind of a thing.

        Parameters
        ----------
        key : str
            Name of the thing.

        Returns
        -------
        {"table", "quantity", "claim", "figure", "value"}
        """
        return str(self._entries[key]["kind"])

    def keys(self, *kinds: str) -> list[str]:
        """Return the names of all things, or of the things of some kinds.

        Parameters
        ----------
        *kinds : {"table", "quantity", "claim", "figure", "value"}
            By default all kinds.

        Returns
        -------
        list of str
        """
        return [key for key in self if not kinds or self.kind(key) in kinds]

    def asked(self, key: str) -> dict[str, Any] | None:
        """Return the arguments with which `mlperf.measure` made a table of runs.

        Parameters
        ----------
        key : str
            Name of the table.

        Returns
        -------
        dict or None
            As ``mlperf.results.stored.asked_for`` returns them; None for other tables.
        """
        asked: dict[str, Any] | None = self._entries[key].get("asked")
        return asked

    def paths(self, key: str) -> dict[str, Path]:
        """Return the paths of the files of a thing.

        Parameters
        ----------
        key : str
            Name of the thing.

        Returns
        -------
        dict of Path
            By extension: "svg" and "pdf" for a figure, "csv" for a table or a quantity.
        """
        return {ending: self.folder / f"{self.name}.{key}.{ending}" for ending in self._of(key)}

    def most(self, column: str) -> int:
        """Return the largest number of processes or of repeats in any table.

        Parameters
        ----------
        column : {"process", "repeat"}
            The column whose different values are counted.

        Returns
        -------
        int
            0 if no table has this column.
        """
        return max((self._entries[key][column] for key in self.keys("table")), default=0)

    def _of(self, key: str) -> Files:
        return {ending: self._files[f"{self.name}.{key}.{ending}"] for ending in self._entries[key].get("files", {})}


def read(name: str, folder: str | Path | None = None) -> Result:
    """Return a published result.

    Parameters
    ----------
    name : str
        The name under which it was published.
    folder : str or Path, default=None
        The folder of results; by default `mlperf.results.folder.results_folder`.

    Returns
    -------
    Result
        The result as the last complete call of `publish` wrote it.

    Raises
    ------
    ResultError
        If it is missing, half-written, corrupt, or not a result of this version of mlperf.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf import publish, read
    >>> runs = pd.DataFrame({"model": ["Small", "Large"], "seconds": [0.1, 0.5]})
    >>> publish("my_fits", runs=runs)  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> read("my_fits")["runs"]
       model  seconds
    0  Small      0.1
    1  Large      0.5
    """
    folder = results_folder() if folder is None else Path(folder)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ResultError(f"A result's name has lower case letters, digits and underscores. Got {name!r} instead.")
    until = time.monotonic() + PATIENCE_SECONDS
    seen: Any = None
    while True:
        result, problem, state = _attempt(name, folder)
        if result is not None:
            return result
        # Files that have not changed since the last attempt are not being written: they are broken.
        if state == seen:
            raise problem
        if time.monotonic() > until:
            raise ResultError(f"The result {name!r} in {folder} is being written again and again.")
        seen = state
        time.sleep(0.002)


def _attempt(name: str, folder: Path) -> tuple[Result | None, ResultError, Any]:
    """Return the result or None, what is wrong with it, and the digests of the files that were seen."""
    problem = ResultError(f"The result {name!r} is missing: there is no {name}.json in {folder}. {REMEDY}")
    path = folder / f"{name}.json"
    state: list[str] = []
    # A staged list counts: it is written after all of its files.
    for listing in (staged(folder, path.name), path):
        try:
            content = content_of(listing)
        except OSError as error:
            state.append(str(error))
            problem = _corrupt(name, listing, error)
            continue
        state.append(digest(content) if content is not None else "")
        if content is None:
            continue
        try:
            return _whole(name, folder, content), problem, state
        except ResultError as error:
            problem = error
        except SURPRISES as error:
            problem = _corrupt(name, listing, error)
    return None, problem, state


def listed(name: str, content: bytes) -> dict[str, str]:
    """Return the names of the files that the JSON of a result lists, with their digests.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError
        If the content is not the JSON of this result.
    """
    return _listed(name, _record(name, content))


def _record(name: str, content: bytes) -> dict[str, Any]:
    record = unseal(content)
    if record["format"] != FORMAT or record["name"] != name:
        raise ValueError(f"it is not a result {name!r} of this version of mlperf")
    return record


def _listed(name: str, record: dict[str, Any]) -> dict[str, str]:
    files = {}
    for key, entry in record["things"].items():
        if not KEY.fullmatch(key) or entry["kind"] not in KINDS:
            raise ValueError(f"it lists {key!r}")
        for ending, known in entry.get("files", {}).items():
            file = f"{name}.{key}.{ending}"
            if not is_file_of(name, file) or not isinstance(known, str):
                raise ValueError(f"it lists {file!r}")
            files[file] = known
    return files


def _whole(name: str, folder: Path, content: bytes) -> Result:
    """Return the result that a list describes; raise an error if one of its files is missing or altered."""
    if _is_foreign(content):
        raise ResultError(
            f"{folder / name}.json is foreign: it is not a result {name!r} of this version of mlperf. {REMEDY}"
        )
    record = _record(name, content)
    files = {}
    for file, known in _listed(name, record).items():
        found = [content_of(path) for path in (staged(folder, file), folder / file)]
        if not any(content is not None for content in found):
            raise ResultError(f"The result {name!r} is half-written: {folder / file} is missing. {REMEDY}")
        whole = [content for content in found if content is not None and digest(content) == known]
        if not whole:
            raise ResultError(
                f"The result {name!r} is corrupt: {folder / file} is not the file that {name}.json names. {REMEDY}"
            )
        files[file] = whole[0]
    return Result(name, folder, record, files)


def _is_foreign(content: bytes) -> bool:
    """Return whether this is JSON of another program, or of another version of this one."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return not isinstance(record, dict) or record.get("format") != FORMAT


def _corrupt(name: str, path: Path, error: BaseException) -> ResultError:
    said = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return ResultError(f"The result {name!r} is corrupt: {path} cannot be read ({said}). {REMEDY}")


def _checked_provenance(given: Any) -> dict[str, Any]:
    """Return a provenance after checking the parts that pages use."""
    datetime.fromisoformat(given["time"])
    machine, protocol = _texts(given["machine"]), given["protocol"]
    known = {"processor", "cores", "system", "torch"} <= set(machine)
    if not known or protocol["MODE"] not in ("published", "quick") or type(protocol["THREADS"]) is not int:
        raise ValueError("its provenance is not that of a result")
    if not isinstance(given.get("answers", {}), dict):
        raise TypeError("its provenance is not that of a result")
    if not all(given[key] is None or isinstance(given[key], str) for key in ("script", "commit")):
        raise TypeError("its provenance is not text")
    return dict(given)


def _texts(given: Any) -> dict[str, str]:
    if not all(isinstance(text, str) for text in given.values()):
        raise TypeError("its provenance is not text")
    return dict(given)
