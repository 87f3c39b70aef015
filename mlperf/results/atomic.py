"""Replace several files at once: all of them or none, wherever the writing is interrupted.

Every new file is first written beside the old ones, under a temporary name, and flushed to disk. The file that lists
the others comes last. As soon as it exists, the new files count: readers take them from their temporary names, and the
next writer renames them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mlperf.results.folder import is_file_of


def staged(folder: Path, file: str) -> Path:
    """Return the temporary path of the new version of a file.

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
    """Let only one process at a time write to a folder, if its file system supports locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def stage(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write new files beside the old ones, under temporary names; if one cannot be written, remove them all.

    Parameters
    ----------
    folder : Path
        An existing folder.
    files : mapping of str to bytes
        Names and contents. The last file lists the others; once it exists, the new files count.

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
    """Rename staged files to their final names, and remove those of former versions.

    Parameters
    ----------
    folder : Path
        A folder that the caller may write to. Only files that are named like files of the result are touched.
    name : str
        The result; ``<name>.json`` lists its files.
    listed : callable
        Returns the names of the files in the staged list; None if there is no such list, or if it is incomplete and
        does not count.
    """
    files = listed()
    if files is not None:
        for file in [*files, f"{name}.json"]:
            with suppress(FileNotFoundError):  # it was renamed before the interruption
                staged(folder, file).replace(folder / file)
        _sync(folder)
    for path in folder.iterdir():
        waiting = path.name.startswith(".") and path.suffix in (".next", ".tmp")
        file = path.stem.removeprefix(".") if waiting else path.name
        former = files is not None and file not in [*files, f"{name}.json"]
        if is_file_of(name, file) and (waiting or former):
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Write a file and flush it to disk: otherwise a power failure could leave its name without its content."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    with suppress(OSError):  # not every file system supports it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
