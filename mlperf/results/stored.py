"""Answer a measurement from the runs that a result holds, so that a script can be checked without measuring."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlperf.quantities.runs import Runs
from mlperf.results.folder import names_in
from mlperf.results.kinds import described_label
from mlperf.results.reading import read
from mlperf.results.sources import published_names

VARIABLE = "MLPERF_RUNS_FROM"
"""Environment variable that names the results to answer measurements from; without it, they are carried out."""

# The tables that have answered a measurement of this process: the next one that asks for the same is another one.
_taken: set[tuple[str, str]] = set()


class NotStoredError(Exception):
    """The runs of a measurement are not in the results that were published; the message names it."""


def asked_for(run: str, cells: Sequence[Mapping[str, Any]], **settings: int) -> dict[str, Any]:
    """Return what a measurement is asked for, as JSON has it.

    Parameters
    ----------
    run : str
        The name of what is measured.
    cells : sequence of mapping
        The labels of each cell of the grid.
    **settings : int
        How it is carried out: processes, repeats, threads.

    Returns
    -------
    dict

    Examples
    --------
    >>> from mlperf.results.stored import asked_for
    >>> asked_for("run", [{"model": "Small"}, {"model": "Large"}], processes=10)
    {'run': 'run', 'grid': ['model'], 'cells': [['Small'], ['Large']], 'processes': 10}
    """
    labels = [[described_label(label) for label in cell.values()] for cell in cells]
    return {"run": run, "grid": list(cells[0]), "cells": labels, **{name: int(n) for name, n in settings.items()}}


def stored_runs(script: str, asked: Mapping[str, Any]) -> Runs | None:
    """Return the runs of a measurement as they were published.

    Parameters
    ----------
    script : str
        The script that measures.
    asked : mapping
        What it asks for: see `asked_for`.

    Returns
    -------
    Runs or None
        None where measurements are carried out: see `VARIABLE`.

    Raises
    ------
    NotStoredError
        If the results of the script hold no table of runs for which the same was asked.

    Examples
    --------
    >>> from mlperf.results.stored import asked_for, stored_runs
    >>> stored_runs("plot_02_training_time.py", asked_for("run", [{"model": "Small"}])) is None
    True
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    folder = Path(given)
    for name in [name for name in published_names(script) if name in names_in(folder)]:
        result = read(name, folder)
        for key in result.keys("table"):
            if (name, key) not in _taken and result.asked(key) == asked:
                _taken.add((name, key))
                frame = result[key]
                runs = Runs(frame, by=list(frame.columns[: list(frame.columns).index("process")]))
                runs.asked = dict(asked)
                return runs
    raise NotStoredError(f"The runs of {asked['run']}, as they would be measured here, are not published.")
