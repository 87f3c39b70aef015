"""Take the runs of a measurement from a published result, so that a script can be checked without measuring."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mlperf.quantities.runs import Runs
from mlperf.results.folder import names_in
from mlperf.results.kinds import described_label
from mlperf.results.reading import Result, read
from mlperf.results.sources import published_names

VARIABLE = "MLPERF_RUNS_FROM"
"""Environment variable that names the folder of results to take runs from. If it is not set, runs are measured."""

# The tables already used by this process: the same measurement twice in a script is two measurements.
_taken: set[tuple[str, str]] = set()


Change = Callable[[pd.DataFrame, list[str]], pd.DataFrame]
"""Makes other runs of published ones, given their frame and the columns that identify a cell."""


class World(NamedTuple):
    """Stands in for the measurements of a script, and takes what it publishes.

    Attributes
    ----------
    change : callable
        Makes the runs that the script gets; see `Change`. A measurement may ask for fewer cells than are published.
    publish : callable
        Called as `mlperf.publish` is, in its place.
    """

    change: Change
    publish: Callable[..., None]


world: World | None = None
"""The world that scripts run in; None outside."""
# Each result is read once, not in every world.
_read_once = cache(read)


class NotStoredError(Exception):
    """The runs of a measurement are not among the published results; the message names the measurement."""


def begin(within: World | None = None) -> None:
    """Forget which tables were used, as a script is about to run once more in this process.

    Parameters
    ----------
    within : World, default=None
        The world that it runs in; by default it gets the published runs as they are.

    Examples
    --------
    >>> from mlperf.results.stored import begin
    >>> begin()
    """
    global world
    _taken.clear()
    world = within


def asked_for(run: str, cells: Sequence[Mapping[str, Any]], **settings: float) -> dict[str, Any]:
    """Return the arguments of a measurement, ready for JSON.

    Parameters
    ----------
    run : str
        The name of the measured function.
    cells : sequence of mapping
        The labels of each cell of the grid.
    **settings : int or float
        Settings of the measurement: processes, repeats, threads.

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
    return {"run": run, "grid": list(cells[0]), "cells": labels, **settings}


def stored_runs(script: str, asked: Mapping[str, Any]) -> Runs | None:
    """Return the published runs of a measurement.

    Parameters
    ----------
    script : str
        The script that measures.
    asked : mapping
        The arguments of the measurement; see `asked_for`.

    Returns
    -------
    Runs or None
        None if `VARIABLE` is not set, and the runs have to be measured.

    Raises
    ------
    NotStoredError
        If the results of the script hold no runs that were measured with the same arguments.

    Examples
    --------
    >>> from mlperf.results.stored import asked_for, stored_runs
    >>> stored_runs("plot_02_training_time.py", asked_for("run", [{"model": "Small"}])) is None
    True
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    for result, key in _tables(script, Path(given)):
        known = result.asked(key) or {}
        is_wanted = known == asked or (world is not None and _is_part(asked, known))
        if is_wanted and (result.name, key) not in _taken:
            _taken.add((result.name, key))
            frame = result[key] if known == asked else _chosen(result[key], asked)
            by = list(frame.columns[: list(frame.columns).index("process")])
            runs = Runs(world.change(frame, by) if world else frame, by=by)
            runs.asked = dict(asked)
            return runs
    raise NotStoredError(f"The runs of {asked['run']}, as they would be measured here, are not published.")


def _tables(script: str, folder: Path) -> Iterator[tuple[Result, str]]:
    """Yield every table that a script has published, as its result and its name there."""
    there = names_in(folder)
    for name in published_names(script):
        if name in there:
            result = _read_once(name, folder) if world else read(name, folder)
            for key in result.keys("table"):
                yield result, key


def _is_part(asked: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Return whether a measurement is another one with fewer cells."""
    return {**known, "cells": 0} == {**asked, "cells": 0} and all(cell in known["cells"] for cell in asked["cells"])


def _chosen(frame: pd.DataFrame, asked: Mapping[str, Any]) -> pd.DataFrame:
    """Return the runs of the cells that a measurement asks for."""
    cells = frame[asked["grid"]].map(described_label).to_numpy().tolist()
    return frame[[cell in asked["cells"] for cell in cells]]
