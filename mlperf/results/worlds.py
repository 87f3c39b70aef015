"""What a script would say if its measurements had come out otherwise: a sentence of each claim for each verdict.

A world is the published runs of a script, each measurement times a random factor; in the first world all factors are 1.
The script runs on each, without measuring, and its claims say what they would say there.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlperf
from mlperf.quantities.claims import SYMBOLS, Claim
from mlperf.quantities.runs import BOOKKEEPING
from mlperf.quantities.units import unit_of
from mlperf.results import stored
from mlperf.results.folder import ResultError, names_in
from mlperf.results.publishing import name_of
from mlperf.results.reading import read
from mlperf.results.recheck import settings
from mlperf.results.sources import published_names

MOST = 200
"""Worlds of a script at most."""
SECONDS = 40
"""After this time no further world of a script begins."""
# Natural logarithms of a typical factor: of a cell, and of one run against the others of its cell.
STRENGTHS = (0.0, 0.03, 0.3, 1.0, 3.0)
SPREADS = (0.0, 0.02, 0.2, 1.0)

Said = dict[str, dict[str, str]]


def said_in_worlds(folder: Path, script: Path) -> Said:
    """Return for each claim of a script a text for each verdict that it got in some world.

    Parameters
    ----------
    folder : Path
        The results of the script. It is only read.
    script : Path
        The script, which runs in a process of its own.

    Returns
    -------
    dict
        The texts by verdict, by names of claims such as "training_time.grows".

    Raises
    ------
    ResultError
        If the script has no results in the folder, or does not run on them.
    """
    names = [name for name in published_names(script) if name in names_in(folder)]
    if not names:
        raise ResultError(f"{script.name}: none of its results is in {folder}.")
    environment = {**os.environ, **settings(read(names[0], folder)), stored.VARIABLE: str(folder.resolve())}
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(script.resolve())],
        env={**environment, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ResultError(f"{script.name}: {(done.stderr.strip().splitlines() or ['it ended early.'])[-1]}")
    said: Said = json.loads(done.stdout.splitlines()[-1])
    return said


def altered(frame: pd.DataFrame, by: list[str], chance: np.random.Generator) -> pd.DataFrame:
    """Return runs of another world.

    Parameters
    ----------
    frame : DataFrame
        Runs, a row each.
    by : list of str
        The columns that identify a cell.
    chance : numpy.random.Generator
        Draws the factors. What the runs of each cell agree on, as counts do, they still agree on.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from mlperf.results.worlds import altered
    >>> frame = pd.DataFrame({"model": ["Small", "Large"], "process": [0, 0], "seconds": [1.0, 2.5]})
    >>> altered(frame, ["model"], np.random.default_rng(0)).columns.to_list()
    ['model', 'process', 'seconds']
    """
    frame = frame.copy()
    strength, spread = chance.choice(STRENGTHS), chance.choice(SPREADS)
    # Some effects are those of a level, others those of a single cell.
    cells = frame.groupby(by, sort=False, dropna=False).ngroup().to_numpy() if by else np.zeros(len(frame), int)
    levels = [*(pd.factorize(frame[level])[0] for level in by), cells]
    factors: dict[str, np.ndarray] = {}
    for column in frame.select_dtypes("number").columns:
        if column in by or column in BOOKKEEPING:
            continue
        # A value and the ends of its interval change together.
        stem = str(column).removesuffix("_low").removesuffix("_high")
        if stem not in factors:
            logs = sum(strength * chance.normal(size=codes.max() + 1)[codes] for codes in levels)
            own = spread * chance.normal(size=len(frame))
            agrees = frame.groupby(cells)[column].nunique().max() <= 1
            factors[stem] = np.exp(np.clip(logs if agrees else logs + own, -7, 7))
        frame[column] = _times(frame[column], factors[stem], stem)
    return frame


def _times(values: pd.Series, factors: np.ndarray, stem: str) -> pd.Series:
    if pd.api.types.is_integer_dtype(values):
        return (values * factors).round().clip(upper=2**53).astype(values.dtype)
    if stem == "r2" or unit_of(stem) == "fraction":
        # What is left to 1 takes the factor, where that is less.
        near = values.median() > 0.5
        return 1 - (1 - values) * factors if near else (values * factors).clip(upper=1)
    return values * factors


def _collect(script: Path) -> Said:
    """Run the script in world after world until each claim has got every verdict that numbers can give it."""
    said: Said = {}

    def keep(name: str, **things: Any) -> None:
        for key, thing in things.items():
            if isinstance(thing, Claim):
                said.setdefault(f"{name}.{name_of(key)}", {}).setdefault(thing.verdict, thing.text)

    mlperf.publish = keep
    began = time.monotonic()
    for number in range(MOST):
        chance = np.random.default_rng(number)
        stored.begin((lambda frame, by: altered(frame, by, chance)) if number else None)  # noqa: B023
        _run(script, fails=not number)
        enough = all(len(set(texts) & set(SYMBOLS)) >= 3 for texts in said.values())
        if enough or time.monotonic() - began > SECONDS:
            break
    return said


def _run(script: Path, *, fails: bool) -> None:
    """Run the script; in a world that cannot be, such as one without noise, it may fail."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            runpy.run_path(str(script))
    except Exception:
        if fails:
            raise
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


if __name__ == "__main__":
    print(json.dumps(_collect(Path(sys.argv[1]))))
