"""The folder in which compiled programs are kept from one process to the next. Does not load torch."""

import os
import shlex
import tempfile
from pathlib import Path

ROOM = 50_000_000
"""Free bytes that a folder must have for a compiler to work there."""
NOWHERE = Path(os.devnull)
"""No folder can be made in it."""


def cache_folder() -> Path:
    """Return the folder: ``mlperf`` in ``XDG_CACHE_HOME``, else in ``~/.cache``.

    It need not exist yet. If the user has no home folder, it is one that cannot be made.

    Examples
    --------
    >>> from mlperf.training.cache import cache_folder
    >>> cache_folder().name
    'mlperf'
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlperf"
    except RuntimeError:  # a container may run as a user whom its system does not know
        return NOWHERE / "mlperf"


def temporary_folder() -> Path:
    """Return the folder for temporary files; if none can be written to, one that cannot be made.

    Examples
    --------
    >>> from mlperf.training.cache import temporary_folder
    >>> temporary_folder().is_absolute()
    True
    """
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return NOWHERE / "tmp"


def folder_of(compiler: str) -> Path | None:
    """Return a folder in which another library's compiler can work and keep what it makes.

    It lies in the cache. If that is full, cannot be written to, must not run programs, or has a name that command lines
    would split, it lies in the folder for temporary files.

    Parameters
    ----------
    compiler : str
        The name of the folder.

    Returns
    -------
    Path or None
        None if neither will do.

    Examples
    --------
    >>> from mlperf.training.cache import folder_of
    >>> folder = folder_of("a_compiler")
    >>> folder is None or folder.is_dir()
    True
    """
    for parent in (cache_folder(), temporary_folder() / f"mlperf-{os.getuid()}"):
        folder = parent / compiler
        if _will_do(folder):
            return folder
    return None


def _will_do(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        system, owner = os.statvfs(folder), folder.stat().st_uid
    except OSError:
        return False
    has_room = system.f_bavail * system.f_frsize > ROOM
    runs_programs = not system.f_flag & getattr(os, "ST_NOEXEC", 0)  # which only Linux tells
    # Whoever else owns it could put programs there.
    is_ours = owner == os.getuid() and os.access(folder, os.W_OK | os.X_OK)
    return has_room and runs_programs and is_ours and shlex.quote(str(folder)) == str(folder)
