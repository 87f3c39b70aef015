"""A folder for what a profiler writes on the way, which goes even if its process is killed."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "mlperf-of-"
"""Beginning of the names of the folders; the number of the process follows."""
LEFT_SECONDS = 3_600
"""Seconds after which a folder counts as left, if there is no such process here: another container may have it."""


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder among temporary files, and remove it at the end, with those that killed processes left.

    Yields
    ------
    Path

    Raises
    ------
    OSError
        If no folder can be made.

    Examples
    --------
    >>> from mlperf.profilers.scratch import scratch
    >>> with scratch() as folder:
    ...     was_there = folder.is_dir()
    >>> was_there, folder.exists()
    (True, False)
    """
    _clear_what_was_left(Path(tempfile.gettempdir()))
    prefix = f"{PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _clear_what_was_left(parent: Path) -> None:
    """Remove the folders of processes that are gone."""
    import psutil  # what only times a call does not wait for it

    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError, ValueError):
            process, about = int(folder.name.removeprefix(PREFIX).partition("-")[0]), folder.lstat()
            is_old = time.time() - about.st_mtime > LEFT_SECONDS
            if is_old and about.st_uid == os.getuid() and not psutil.pid_exists(process):
                shutil.rmtree(folder, ignore_errors=True)
