"""Write several files as one: all of them are replaced, or none, wherever the writing is interrupted.

First every new file is written beside the old ones, the one that lists the others last; then each takes the place
of the old one. Once the list's new version is there the new files count, and whoever comes next finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path


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
    staged = [folder / f".{file}.next" for file in files]
    listing = staged[-1].with_suffix(".tmp")
    try:
        for path, content in zip([*staged[:-1], listing], files.values(), strict=True):
            path.write_bytes(content)
        listing.replace(staged[-1])
    except BaseException:
        for path in [listing, *reversed(staged)]:
            with suppress(OSError):
                path.unlink()
        raise


def finish(folder: Path, name: str, listed: Callable[[bytes], list[str]]) -> None:
    """Let staged files take their places, if all of them are there, and clear away what is left of former ones.

    Parameters
    ----------
    folder : Path
        Where the files are. All those that begin with `name` and a dot belong together.
    name : str
        Their common name; ``<name>.json`` lists the others.
    listed : callable
        Returns the names of the others from the content of the list.
    """
    listing = f"{name}.json"
    staged = folder / f".{listing}.next"
    if not staged.exists():
        return
    files = [*listed(staged.read_bytes()), listing]
    for file in files:
        with suppress(FileNotFoundError):  # it took its place before the interruption
            (folder / f".{file}.next").replace(folder / file)
    for path in [*folder.glob(f"{name}.*"), *folder.glob(f".{name}.*")]:
        if path.name not in files:
            path.unlink(missing_ok=True)
