"""Answer a measurement from the runs that a result holds, so that a script can be checked without measuring."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mlperf.quantities.runs import BOOKKEEPING, Runs
from mlperf.results.folder import names_in
from mlperf.results.reading import read
from mlperf.results.sources import published_names

VARIABLE = "MLPERF_RUNS_FROM"
"""Environment variable that names the results to answer measurements from; without it, they are carried out."""

# The tables that have answered a measurement of this process: the next measurement of the same grid is another one.
_taken: set[tuple[str, str]] = set()


class NotStoredError(Exception):
    """The runs of a measurement are not in the results that were published; the message names it."""


def stored_runs(
    script: str, measured: str, cells: Sequence[Mapping[str, Any]], processes: int, repeats: int
) -> Runs | None:
    """Return the runs of a measurement as they were published.

    Parameters
    ----------
    script : str
        The script that measures.
    measured : str
        What it measures, for the message.
    cells : sequence of mapping
        The labels of each cell of the grid.
    processes, repeats : int
        How many there are of each cell.

    Returns
    -------
    Runs or None
        None where measurements are carried out: see `VARIABLE`.

    Raises
    ------
    NotStoredError
        If the results of the script hold no table with these cells, processes and repeats.

    Examples
    --------
    >>> from mlperf.results.stored import stored_runs
    >>> stored_runs("plot_02_training_time.py", "run", [{"model": "Small"}], processes=10, repeats=1) is None
    True
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    folder = Path(given)
    for name in [name for name in published_names(script) if name in names_in(folder)]:
        result = read(name, folder)
        for key in result.keys("table"):
            if (name, key) not in _taken and _holds(result[key], cells, processes, repeats):
                _taken.add((name, key))
                return Runs(result[key], by=_levels(result[key]))
    raise NotStoredError(f"The runs of {measured}, as they would be measured here, are not published.")


def _levels(frame: pd.DataFrame) -> list[str]:
    """Return the levels of a table of runs: the columns before its bookkeeping."""
    return list(frame.columns[: list(frame.columns).index(BOOKKEEPING[0])])


def _holds(frame: pd.DataFrame, cells: Sequence[Mapping[str, Any]], processes: int, repeats: int) -> bool:
    """Return whether a table is what a measurement of these cells makes."""
    if not set(BOOKKEEPING) <= set(frame.columns):
        return False
    grid = list(cells[0])
    if _levels(frame)[: len(grid)] != grid:
        return False
    found = set(frame[[*grid, "process", "repeat"]].itertuples(index=False, name=None))
    return found == {
        (*cell.values(), process, repeat) for cell in cells for process in range(processes) for repeat in range(repeats)
    }
