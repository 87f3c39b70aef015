"""Write several files as one: all of them are replaced, or none, wherever the writing is interrupted.

First every new file is written beside the old ones, under a name of its own, and brought to the disk; the one that
lists the others comes last. Once it is there the new files count: a reader takes them from where they are, and whoever
writes next lets them take their places.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mlperf.results.folder import is_file_of


def staged(folder: Path, file: str) -> Path:
    """Return where the new version of a file waits.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mlperf.results.atomic import staged
    >>> staged(Path("results"), "fits.json").name
    '.fits.json.next'
    """
    return folder / f".{file}.next"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Let one process at a time write to a folder, where its file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def stage(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write new files beside the old ones; leave none of them if one cannot be written.

    Parameters
    ----------
    folder : Path
        An existing folder.
    files : mapping of str to bytes
        Names and contents. The last one is the list of the others; its arrival makes the new files count.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    paths = [staged(folder, file) for file in files]
    listing = paths[-1].with_suffix(".tmp")
    try:
        for path, content in zip([*paths[:-1], listing], files.values(), strict=True):
            _write(path, content)
        listing.replace(paths[-1])
    except BaseException:
        for path in [listing, *reversed(paths)]:
            with suppress(OSError):
                path.unlink()
        raise
    _sync(folder)


def finish(folder: Path, name: str, listed: Callable[[], list[str] | None]) -> None:
    """Let staged files take their places, and clear away what is left of former ones.

    Parameters
    ----------
    folder : Path
        A folder of one's own. Nothing outside it is touched, and in it only what is called like a file of the result.
    name : str
        The result; ``<name>.json`` lists its files.
    listed : callable
        Returns the names of the files that the staged list names; None if there is no such list, or if it is torn and
        so does not count.
    """
    files = listed()
    if files is not None:
        for file in [*files, f"{name}.json"]:
            with suppress(FileNotFoundError):  # it took its place before the interruption
                staged(folder, file).replace(folder / file)
        _sync(folder)
    for path in folder.iterdir():
        waiting = path.name.startswith(".") and path.suffix in (".next", ".tmp")
        file = path.stem.removeprefix(".") if waiting else path.name
        former = files is not None and file not in [*files, f"{name}.json"]
        if is_file_of(name, file) and (waiting or former):
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it: else its name could outlive a power loss without its content."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    with suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
