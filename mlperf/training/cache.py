"""The folder in which compiled programs are kept from one process to the next. Does not load torch."""

import os
import shlex
import tempfile
from pathlib import Path

ROOM = 50_000_000
"""Free bytes that a folder must have for a compiler to work there."""


def cache_folder() -> Path:
    """Return the folder: ``mlperf`` in ``XDG_CACHE_HOME``, else in ``~/.cache``. It need not exist yet.

    Examples
    --------
    >>> from mlperf.training.cache import cache_folder
    >>> cache_folder().name
    'mlperf'
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlperf"


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
    for parent in (cache_folder(), Path(tempfile.gettempdir(), f"mlperf-{os.getuid()}")):
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
