"""Several scripts at a time, in the processes that sphinx-gallery starts with ``parallel`` set."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import pandas
from sphinx.util import logging as sphinx_logging

VARIABLE = "MLPERF_BUILD"
"""Environment variable that tells the processes of a build which one it is."""
LOOK = 0.2
"""Seconds between two looks whether the build is still there."""

logger = sphinx_logging.getLogger(__name__)


class Parallel:
    """The settings of a build that runs several scripts at a time, for as long as they run.

    Parameters
    ----------
    conf : dict
        The settings of sphinx-gallery. Without its ``parallel``, nothing is done here.
    warnings : Path
        A file for what the processes warn of.
    """

    def __init__(self, conf: dict[str, Any], warnings: Path) -> None:
        self.conf, self.warnings = conf, warnings
        self._settings = {name: conf[name] for name in ("parallel", "reset_modules") if conf.get("parallel")}
        self._environment: dict[str, str | None] = {}

    def start(self, n_scripts: int) -> None:
        """Prepare for so many scripts that are run."""
        if not self._settings:
            return
        if n_scripts < 2:  # to start processes takes longer than to skip all the others here
            self.conf["parallel"] = False
            return
        self.conf["reset_modules"] = (*self._settings["reset_modules"], f"{__name__}.join")
        self.warnings.unlink(missing_ok=True)
        build = {
            "pid": os.getpid(),
            "variables": list(os.environ),
            "warnings": str(self.warnings),
            "columns": pandas.get_option("display.max_colwidth"),
        }
        # The progress bars of several scripts would overwrite each other.
        for name, value in ((VARIABLE, json.dumps(build)), ("TQDM_DISABLE", "1")):
            self._environment[name] = os.environ.get(name)
            os.environ[name] = value

    def end(self) -> None:
        """End the processes, say what they warned of, and let the settings be what they were."""
        self.conf.update(self._settings)
        if not self._environment:
            return
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)
        for name, value in self._environment.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        with suppress(FileNotFoundError):
            for line in self.warnings.read_text(encoding="utf-8").splitlines():
                logger.warning("%s", json.loads(line), type="mlperf", subtype="script")
            self.warnings.unlink()


_joined = False


def join(_conf: dict[str, Any], _script: str) -> None:
    """Let a process of sphinx-gallery, before its first script, be as the build itself is, and end with it."""
    global _joined
    if _joined or current_process().name == "MainProcess":
        return
    _joined = True
    build = json.loads(os.environ[VARIABLE])
    # joblib limits threads by variables that would count as settings of the machine.
    for name in set(os.environ) - {*build["variables"], VARIABLE, "TQDM_DISABLE"}:
        del os.environ[name]
    pandas.set_option("display.max_colwidth", build["columns"])  # conf.py may set it, which is not read here
    threading.Thread(target=_end_with, args=(build["pid"],), daemon=True).start()
    root = logging.getLogger(sphinx_logging.NAMESPACE)
    root.addHandler(_Relay(Path(build["warnings"])))
    root.propagate = False


def _end_with(pid: int) -> None:
    """End this process when the build has ended, however it did; what is measured ends with it."""
    while os.getppid() == pid:
        time.sleep(LOOK)
    os._exit(1)


class _Relay(logging.Handler):
    """Keep warnings for the build, which counts them. An error of a script ends the build, and is shown at once."""

    def __init__(self, file: Path) -> None:
        super().__init__(logging.WARNING)
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if getattr(record, "subtype", None) == "example_error":
            print(f"WARNING: {message}", file=sys.__stderr__, flush=True)
            return
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(message) + "\n")
