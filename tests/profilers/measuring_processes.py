"""The processes that measure."""

from contextlib import suppress

import psutil


def children(pid=None):
    """Return those below this process or another one."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            if child.status() != psutil.STATUS_ZOMBIE and "mlperf.profilers.child" in " ".join(child.cmdline()):
                found.append(child)
    return found
