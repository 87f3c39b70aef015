"""The folder of results: the names of its files, and how to open a file that anybody may have put there."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
"""Valid names of results."""
KEY = re.compile(r"[a-z0-9][a-z0-9_]*", re.ASCII)
"""Valid names of things in a result."""
ENDINGS = ("csv", "svg", "pdf")
"""Extensions of the files of a result, other than the JSON file that lists them."""
MOST_BYTES = 200_000_000
"""Maximum size of a file of a result."""

ONLY_FULL = "only a full build measures it (make html FULL=1)"
"""Why a result is missing that only full builds measure."""

SURPRISES = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RecursionError, TypeError, ValueError)
"""Errors that reading an invalid file may raise."""

_FILE = re.compile(rf"(?P<name>{NAME.pattern})(\.{KEY.pattern}\.({'|'.join(ENDINGS)})|\.json)", re.ASCII)


class ResultError(Exception):
    """Something published is missing, half-written, corrupt or foreign; the message says what to do."""


class LeftOutError(ResultError):
    """A result is missing because its script runs only in full builds, and this one is none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} was not measured: {ONLY_FULL}.")
        self.name = name


def results_folder() -> Path:
    """Return the folder of results: the one named by ``MLPERF_RESULTS``, else ``results`` in the current folder.

    Returns
    -------
    Path
        An absolute path. The folder need not exist.

    Examples
    --------
    >>> import os
    >>> from mlperf.results.folder import results_folder
    >>> results_folder().name == os.path.basename(os.environ.get("MLPERF_RESULTS", "results"))
    True
    """
    return Path(os.environ.get("MLPERF_RESULTS") or "results").resolve()


def is_file_of(name: str, file: str) -> bool:
    """Return whether a file name is one that `publish` gives to the files of a result.

    Parameters
    ----------
    name : str
        Name of the result.
    file : str
        Name of the file.

    Returns
    -------
    bool

    Examples
    --------
    >>> from mlperf.results.folder import is_file_of
    >>> is_file_of("fits", "fits.bars.svg"), is_file_of("fits", "fits.bars.py"), is_file_of("fits", "../fits.json")
    (True, False, False)
    """
    match = _FILE.fullmatch(file)
    return bool(match and match["name"] == name)


def names_in(folder: Path) -> list[str]:
    """Return the names of the results in a folder, complete or not.

    Parameters
    ----------
    folder : Path
        A folder of results.

    Returns
    -------
    list of str
        In alphabetical order; empty if the folder cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mlperf.results.folder import names_in
    >>> names_in(Path("no such folder"))
    []
    """
    try:
        files = os.listdir(folder)  # noqa: PTH208 - only the names
    except OSError:
        return []
    plain = [file.removeprefix(".").removesuffix(".next") if file.startswith(".") else file for file in files]
    return sorted(
        {
            file.removesuffix(".json")
            for file in plain
            if is_file_of(file.partition(".")[0], file) and file.endswith(".json")
        }
    )


def content_of(path: Path) -> bytes | None:
    """Return the content of a regular file.

    Links are not followed, and pipes are not waited for: a folder from elsewhere may hold links that lead out of it,
    and pipes and devices that never end.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bytes or None
        None if the file does not exist.

    Raises
    ------
    OSError
        If it cannot be read, is not a regular file, or is larger than `MOST_BYTES`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mlperf.results.folder import content_of
    >>> content_of(Path("no such file")) is None
    True
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if path.is_symlink():
            raise OSError(f"{path} is a link, not a file") from None
        raise error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no plain file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(f"{path} is larger than {MOST_BYTES:,} bytes")
    return content
