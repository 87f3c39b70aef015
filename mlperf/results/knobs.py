"""Knobs of published runs: each multiplies some of the numbers, to see what a script makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlperf.quantities.tables import label_text
from mlperf.results.factors import Logs, Numbers

# Natural logarithm of a typical factor of one run against the others of its cell, which are made nearly alike.
SPREAD = 0.01


class Knob(NamedTuple):
    """What a knob multiplies.

    Attributes
    ----------
    what : str
        What was measured, as in `mlperf.results.factors.Numbers.columns`.
    level, label : str
        The rows: those with this label, as it is displayed, of this level. All rows if both are empty.
    """

    what: str
    level: str = ""
    label: str = ""

    def rows(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which rows of a frame it multiplies; none if the frame lacks the level."""
        if not self.level:
            return np.ones(len(frame), dtype=bool)
        if self.level not in frame:
            return np.zeros(len(frame), dtype=bool)
        return np.array([label_text(self.level, label) == self.label for label in frame[self.level]], dtype=bool)


def knobs_of(frame: pd.DataFrame, by: list[str]) -> list[Knob]:
    """Return the knobs of some runs: one for each label of each level, or one for all rows if there are no levels.

    Parameters
    ----------
    frame : DataFrame
        Runs, a row each.
    by : list of str
        The columns that identify a cell.

    Returns
    -------
    list of Knob

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.results.knobs import knobs_of
    >>> frame = pd.DataFrame({"model": ["Small", "Large"], "process": [0, 0], "calls": [10, 30]})
    >>> for knob in knobs_of(frame, ["model"]):
    ...     print(*knob)
    calls model Small
    calls model Large
    """
    knobs = []
    for what in Numbers(frame, by).columns:
        for level in by:
            knobs += [Knob(what, level, label_text(level, label)) for label in frame[level].unique()]
        if not by:
            knobs.append(Knob(what))
    return knobs


def turned(frame: pd.DataFrame, by: list[str], knobs: Mapping[Knob, float], *, equal: bool) -> pd.DataFrame:
    """Return runs with some knobs turned, and the runs of each cell nearly alike, so that intervals are narrow.

    Parameters
    ----------
    frame : DataFrame
        Runs, a row each.
    by : list of str
        The columns that identify a cell.
    knobs : mapping of float
        The natural logarithms of the factors.
    equal : bool
        Whether all cells are made equal first.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.results.knobs import Knob, turned
    >>> frame = pd.DataFrame({"model": ["Small", "Large"], "process": [0, 0], "calls": [10, 30]})
    >>> turned(frame, ["model"], {Knob("calls", "model", "Large"): 0.69}, equal=True)["calls"].to_list()
    [17, 35]
    """
    numbers = Numbers(_narrowed(frame), by)
    chance = np.random.default_rng(0)
    logs: dict[str, Logs] = {}
    for what in numbers.columns:
        logs[what] = -numbers.noise(what)
        if equal:
            logs[what] -= numbers.course(what)
        for knob, log in knobs.items():
            if knob.what == what:
                logs[what] += log * knob.rows(frame)
        of_runs = SPREAD * chance.normal(size=len(frame))
        if not numbers.agree(what):
            logs[what] += of_runs
    return numbers.multiplied(logs)


def _narrowed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return runs that know the ends of their intervals, as those over the rows of a split are, ten times narrower."""
    frame = frame.copy()
    for column in frame:
        for end in (f"{column}_low", f"{column}_high"):
            if end in frame:
                frame[end] = frame[column] + (frame[end] - frame[column]) / 10
    return frame
