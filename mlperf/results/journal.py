"""A journal of runs: what an interrupted script has measured is not measured again."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import sys
import zlib
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from mlperf.results.folder import content_of, results_folder
from mlperf.results.provenance import inputs
from mlperf.results.reach import reach

FOLDER = ".journal"

_calls: Counter[tuple[Path, str]] = Counter()
# Journals of scripts that run as the main module, with that module.
_own: dict[Path, ModuleType] = {}
# Journals that stay when this process ends.
_lasting: set[Path] = set()


class Journal:
    """The stored runs of one measurement, in an append-only file for each script: lines of JSON with checksums.

    No method raises an error. If the journal cannot be read or written, or a line is incomplete or altered, the runs
    concerned are measured again.

    Parameters
    ----------
    script : str
        The file that calls for the measurement. Without a file, as in a notebook, nothing is kept.
    depends : object
        Everything that the measurement depends on, except for the cell; see `mlperf.results.reach.reach`.

    Examples
    --------
    >>> from mlperf.results.journal import Journal
    >>> journal = Journal("<stdin>", "a function and its settings")
    >>> journal.put(journal.key("a cell"), 0, [{"seconds": 1.5}])
    >>> journal.get(journal.key("a cell"), 0) is None
    True
    """

    def __init__(self, script: str, depends: Any) -> None:
        self.path: Path | None = None
        self._depends = ""
        self._script = script
        self._known: dict[tuple[str, int], list[dict[str, Any]]] = {}
        with suppress(Exception):
            path = _path(script)
            digest = reach((depends, _data(script)), script) if path else None
            if path and digest:
                # The same measurement twice in a script is two measurements.
                _calls[path, digest] += 1
                self._depends = f"{digest} {_calls[path, digest]}"
                self.path = path
                self._known = _read(path)
                main = sys.modules["__main__"]
                if getattr(main, "__file__", None) == script:
                    _own[path] = main

    def key(self, cell: Any) -> str:
        """Return the key under which the runs of a cell are stored.

        Parameters
        ----------
        cell : object
            The labels of the cell.

        Returns
        -------
        str
        """
        try:
            return hashlib.sha256(f"{self._depends} {reach(cell, self._script)}".encode()).hexdigest()
        except Exception:  # a random key: these runs are not found again
            return hashlib.sha256(os.urandom(16)).hexdigest()

    def get(self, key: str, process: int) -> list[dict[str, Any]] | None:
        """Return the runs of one process of a cell.

        Parameters
        ----------
        key : str
            As `key` returns it.
        process : int
            Number of the process.

        Returns
        -------
        list of dict, or None
            None if the runs are not in the journal.
        """
        return self._known.get((key, process))

    def put(self, key: str, process: int, runs: list[dict[str, Any]]) -> None:
        """Store the runs of one process of a cell.

        Parameters
        ----------
        key : str
            As `key` returns it.
        process : int
            Number of the process.
        runs : list of dict
            What was measured in each run, ready for JSON.
        """
        if self.path is None:
            return
        with suppress(OSError, ValueError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps([key, process, runs])
            # Each line begins with a line break: appended to an incomplete line, it would be lost with it.
            line = f"\n{zlib.crc32(text.encode()):08x} {text}\n".encode()
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(self.path, flags, 0o666)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def keep(self) -> None:
        """Keep the journal when the script ends: a measurement has failed, and the script may catch the error."""
        if self.path is not None:
            _lasting.add(self.path)


def clear(script: str | Path) -> None:
    """Remove the journal of a script that has published its results, so that its next start measures anew.

    Parameters
    ----------
    script : str or Path
        The file of the script.

    Examples
    --------
    >>> from mlperf.results.journal import clear
    >>> clear("plot_02_training_time.py")
    """
    path = _path(str(script))
    if path is not None:
        _remove(path)


def _path(script: str) -> Path | None:
    folder = results_folder() / FOLDER
    # Nothing is written through a link, which could lead anywhere.
    return folder / f"{Path(script).stem}.jsonl" if Path(script).is_file() and not folder.is_symlink() else None


def _data(script: str) -> dict[str, str]:
    """Return the digests of the data files that a script declares; see `mlperf.results.provenance.inputs`."""
    known = inputs(script).items()
    return {name: digest for name, digest in known if digest.startswith("sha256:") and not name.endswith(".py")}


def _read(path: Path) -> dict[tuple[str, int], list[dict[str, Any]]]:
    known = {}
    for line in (content_of(path) or b"").splitlines():
        checksum, _, text = line.partition(b" ")
        with suppress(ValueError):
            if int(checksum, 16) == zlib.crc32(text):
                key, process, runs = json.loads(text)
                known[key, process] = runs
    return known


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


@atexit.register
def _clear_own() -> None:
    """Remove the journal of the script that this process has run without an error, whether or not it published.

    The journal of a script that sphinx-gallery ran as the main module for a while stays: that process goes on after an
    error. So does that of a script in which a measurement failed, even if it caught the error.
    """
    for path, main in _own.items():
        if path not in _lasting and main is sys.modules.get("__main__") and getattr(sys, "last_value", None) is None:
            _remove(path)
