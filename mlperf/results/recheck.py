"""Run a script on the runs that it published, and say whether its values and verdicts follow from them again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd

from mlperf.machine import ANSWERS
from mlperf.quantities.claims import Claim
from mlperf.quantities.quantity import Quantity
from mlperf.results.folder import names_in
from mlperf.results.provenance import moved
from mlperf.results.reading import Result, read
from mlperf.results.sources import published_names
from mlperf.results.stored import VARIABLE, NotStoredError

# Another processor may round otherwise.
TOLERANCE = 1e-9
# What is drawn from the values is not compared.
COMPARED = ("claim", "quantity", "value", "table")
PLURALS = {"claim": "claims", "quantity": "quantities", "value": "values", "table": "tables"}
NOT_STORED = f"{NotStoredError.__module__}.{NotStoredError.__qualname__}: "


class Report(NamedTuple):
    """What was found of one script.

    Attributes
    ----------
    agrees : bool
        Whether all that it published follows again.
    lines : list of str
        What to say of it.
    """

    agrees: bool
    lines: list[str]


def recheck(folder: Path, script: Path) -> Report:
    """Run a script with every measurement answered from its published runs, and compare what follows.

    Parameters
    ----------
    folder : Path
        The folder of its results. It is only read.
    script : Path
        The script, which runs in a process of its own. What it does besides measuring, it does.

    Returns
    -------
    Report

    Raises
    ------
    ResultError
        If a result is broken.
    """
    names = [name for name in published_names(script) if name in names_in(folder)]
    if not names:
        return Report(False, [f"{script.name}: cannot be checked. None of its results is in {folder}."])
    published = [read(name, folder) for name in names]
    with TemporaryDirectory() as again:
        environment = {**os.environ, **settings(published[0]), VARIABLE: str(folder.resolve())}
        done = subprocess.run(
            [sys.executable, str(script.resolve())],
            env={**environment, "MLPERF_RESULTS": again, "MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"It ended with status {done.returncode}."])[-1]
            return Report(False, [f"{script.name}: cannot be checked. {said.removeprefix(NOT_STORED)}"])
        pairs = [(result, read(result.name, again)) for result in published]
    differ = [line for then, now in pairs for line in differences(then, now)]
    if not differ:
        return Report(True, [f"{script.name}: agrees. {_counted(published)}"])
    changed = list(dict.fromkeys(what for then, now in pairs for what in moved(then.inputs, now.inputs)))
    since = [f"  Since it was published, this has changed: {', '.join(changed)}."] if changed else []
    return Report(False, [f"{script.name}: differs.", *differ, *since])


def differences(then: Result, now: Result) -> list[str]:
    """Return what differs between a result and the same one again, a line each; figures are not compared.

    Examples
    --------
    >>> from mlperf import exact, publish, read
    >>> from mlperf.results.recheck import differences
    >>> publish("my_fits", steps=exact(100))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> then = read("my_fits")
    >>> publish("my_fits", steps=exact(101))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> differences(then, read("my_fits"))
    ['  my_fits.steps: 100 was published, 101 follows.']
    """
    lines = []
    for key in dict.fromkeys([*then.keys(*COMPARED), *now.keys(*COMPARED)]):
        name = f"  {then.name}.{key}"
        if key not in now:
            lines.append(f"{name}: was published, and is not any more.")
        elif key not in then:
            lines.append(f"{name}: is published now, and was not.")
        elif not _is_same(then[key], now[key]) and isinstance(now[key], pd.DataFrame):
            lines.append(f"{name}: another table follows than was published.")
        elif not _is_same(then[key], now[key]):
            lines.append(f"{name}: {_shown(then[key])} was published, {_shown(now[key])} follows.")
    return lines


def settings(result: Result) -> dict[str, str]:
    """Return the settings that put the protocol of a result in force, and let its machine answer for this one."""
    protocol = result.provenance["protocol"]
    return {
        "MLPERF_QUICK": str(int(protocol["MODE"] == "quick")),
        "MLPERF_FULL": str(int(bool(protocol.get("FULL")))),
        "MLPERF_DEVICE": str(protocol.get("DEVICE", "cpu")),
        ANSWERS: json.dumps(result.provenance.get("answers", {})),
    }


def _is_same(then: Any, now: Any) -> bool:
    if type(then) is not type(now):
        return False
    if isinstance(then, Claim):
        return (then.verdict, then.text) == (now.verdict, now.text)
    if isinstance(then, Quantity):
        return then.unit == now.unit and _is_same(then.frame(), now.frame())
    if isinstance(then, pd.DataFrame):
        try:
            pd.testing.assert_frame_equal(then, now, rtol=TOLERANCE, atol=0)
        except AssertionError:
            return False
        return True
    return isclose(then, now, rel_tol=TOLERANCE) if isinstance(then, float) else bool(then == now)


def _shown(thing: Any) -> str:
    return f"“{thing.mark}: {thing.text}”" if isinstance(thing, Claim) else str(thing)


def _counted(results: list[Result]) -> str:
    counts = {kind: sum(len(result.keys(kind)) for result in results) for kind in COMPARED}
    named = [f"{count} {kind if count == 1 else PLURALS[kind]}" for kind, count in counts.items() if count]
    return f"{', '.join(named)} follow{'s' if sum(counts.values()) == 1 else ''} again."
