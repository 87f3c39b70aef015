"""Provenance: what the result of a script depends on, and what of that has changed since."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from mlperf import protocol
from mlperf.machine import accelerator, answers, fingerprint
from mlperf.results.sources import Source, contents, is_own, sources

EDITED = "sha256: edited while it was measured"
MISSING = "sha256: missing"
_STARTED = time.time_ns()

FULL = "full build"
"""Name of the input of scripts that measure more in a full build."""


def inputs(script: str | Path, *, measured: bool = False) -> dict[str, str]:
    """Return everything that the result of a script depends on, by name.

    Parameters
    ----------
    script : str or Path
        A Python file.
    measured : bool, default=False
        Whether this process measured the result. A file that was edited since the process started is then not the one
        that was measured, and gets a digest that no file has: the result is out of date from the start.

    Returns
    -------
    dict of str
        The machine and the number of threads; the protocol; the device, if the script asks for one; the version of
        every package that the script imports, directly or through local modules; and a digest of the script, of each
        local module (beside the script, in packages there, or installed in editable mode) and of the data files that
        they declare. The digest of Python code ignores comments, docstrings and layout, and does not depend on the
        version of Python.

    Notes
    -----
    A script declares a data file that it reads in a comment, by its path relative to the script's folder::

        # mlperf: depends on measurements.csv

    Examples
    --------
    >>> from mlperf.results.provenance import inputs
    >>> inputs("no script")["threads"]
    '1'
    """
    script = Path(script)
    known = {**fingerprint(), "threads": str(protocol.THREADS), "protocol": protocol.MODE}
    imported: dict[str, None] = {}
    for source in sources(script):
        held = contents(source.path, source.package)
        if source.path == script:
            known |= _asked_for(held.imports)
        known[source.name] = EDITED if measured and _was_edited(source.path) else held.digest
        known |= _data(source, held.data, measured=measured)
        imported |= {module.partition(".")[0]: None for module in held.imports}
    for module in imported:
        if not is_own(module, script.parent):
            known |= _version(module)
    return known


def is_left_out(script: str | Path) -> bool:
    """Return whether this build leaves a script out: one that only full builds run, where this one is none.

    Parameters
    ----------
    script : str or Path
        A Python file.

    Returns
    -------
    bool

    Notes
    -----
    A script that takes long says in a comment that only full builds run it. Previews run it too, as their settings are
    small, and anybody can run it alone::

        # mlperf: only in a full build

    Examples
    --------
    >>> from mlperf.results.provenance import is_left_out
    >>> is_left_out("no script")
    False
    """
    script = Path(script)
    if protocol.FULL or protocol.MODE == "quick" or not script.is_file():
        return False
    return contents(script).only_full


def moved(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what differs between the inputs of a result and the present ones.

    Parameters
    ----------
    then, now : mapping of str
        Both as `inputs` returns them.

    Returns
    -------
    list of str
        Names of files, and names with both values for all others; empty if nothing differs.

    Examples
    --------
    >>> from mlperf.results.provenance import moved
    >>> moved({"torch": "2.12.0", "model.py": "sha256:1"}, {"torch": "2.13.0", "model.py": "sha256:2"})
    ['torch 2.12.0 → 2.13.0', 'model.py']
    """
    found = []
    for name in dict.fromkeys([*then, *now]):
        old, new = then.get(name, "none"), now.get(name, "none")
        # A result of a full build serves a plain build, too.
        if old != new and not (name == FULL and new == "none"):
            is_digest = "sha256:" in old + new
            found.append(name if is_digest else f"{name} {old} → {new}")
    return found


def provenance(script: str | Path) -> dict[str, Any]:
    """Return when, where and with what a result is measured, ready for JSON.

    Examples
    --------
    >>> from mlperf.results.provenance import provenance
    >>> list(provenance("no script"))
    ['script', 'time', 'machine', 'answers', 'protocol', 'commit']
    """
    script = Path(script)
    return {
        "script": script.name if script.is_file() else None,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": fingerprint(),
        "answers": dict(answers),
        "protocol": constants(),
        "commit": _commit(script.parent),
    }


def _asked_for(imports: Iterable[str]) -> dict[str, str]:
    """Return the inputs that count only for scripts that use them: a full build, and a device."""
    known = {}
    if protocol.FULL and "mlperf.protocol.FULL" in imports:
        known[FULL] = "yes"
    trains_there = protocol.DEVICE != "cpu" and "mlperf.protocol.DEVICE" in imports
    if trains_there:
        known["device"] = protocol.DEVICE
    if trains_there or "mlperf.machine.devices" in imports:
        known["accelerator"] = accelerator() or "none"
    return known


def constants() -> dict[str, Any]:
    """Return the settings of the current protocol, with values as in JSON.

    Examples
    --------
    >>> from mlperf.results.provenance import constants
    >>> constants()["BATCH_SIZE"]
    64
    """
    known = {name: value for name, value in vars(protocol).items() if name.isupper()}
    return dict(json.loads(json.dumps(known, default=str)))


def _was_edited(path: Path) -> bool:
    """Return whether a file changed since this process started; a date in the future does not count."""
    return _STARTED < path.stat().st_ctime_ns <= time.time_ns()


def _data(source: Source, files: Iterable[str], *, measured: bool) -> dict[str, str]:
    """Return a digest of each data file that a source declares."""
    known = {}
    for name in files:
        file = source.path.parent / name
        edited = measured and file.is_file() and _was_edited(file)
        said = Path(source.name).parent.joinpath(name).as_posix()
        known[said] = MISSING if not file.is_file() else EDITED if edited else contents(file).digest
    return known


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def _version(module: str) -> dict[str, str]:
    """Return the version of the package that a module belongs to; empty for the standard library."""
    if module in sys.stdlib_module_names:
        return {}
    names = _distributions().get(module)
    return {name: metadata.version(name) for name in sorted(set(names))} if names else {module: "not installed"}


@cache
def _commit(folder: Path) -> str | None:
    """Return the commit that is checked out in a folder, with a plus sign if files differ from it; None without git."""
    command = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
