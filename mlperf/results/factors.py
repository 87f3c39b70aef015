"""Multiply the measured numbers of runs by factors, as what they are: counts stay whole, and shares at most 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlperf.quantities.runs import BOOKKEEPING
from mlperf.quantities.units import unit_of

Logs = NDArray[np.float64]
"""Natural logarithms, one for each row."""

# Factors are between exp(-7) and exp(7).
FARTHEST = 7


class Numbers:
    """The measured numbers in a frame of runs.

    Parameters
    ----------
    frame : DataFrame
        Runs, a row each.
    by : list of str
        The columns that identify a cell.

    Attributes
    ----------
    columns : dict of list of str
        The columns by what was measured: "mse" has those of its values, and of the ends of their intervals if it has
        such, "mse_low" and "mse_high". The values come first.
    cells : ndarray of int
        The number of the cell of each row.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from mlperf.results.factors import Numbers
    >>> numbers = Numbers(pd.DataFrame({"model": ["Small", "Large"], "process": [0, 0], "calls": [10, 30]}), ["model"])
    >>> numbers.columns
    {'calls': ['calls']}
    >>> numbers.multiplied({"calls": np.log([1, 0.5])})["calls"].to_list()
    [10, 15]
    """

    def __init__(self, frame: pd.DataFrame, by: list[str]) -> None:
        self.frame = frame
        self.columns: dict[str, list[str]] = {}
        for column in frame.select_dtypes("number").columns:
            if column not in by and column not in BOOKKEEPING:
                what = str(column).removesuffix("_low").removesuffix("_high")
                self.columns.setdefault(what, []).append(str(column))
        one_cell = np.zeros(len(frame), np.intp)
        self.cells = frame.groupby(by, sort=False, dropna=False).ngroup().to_numpy() if by else one_cell

    def agree(self, what: str) -> bool:
        """Return whether the runs of each cell have the same number, as counts do."""
        values = self.frame[self.columns[what][0]]
        return bool(values.groupby(self.cells).nunique().max() <= 1)

    def course(self, what: str) -> Logs:
        """Return by what each cell is above or below the middle of all; zero where not all numbers are positive."""
        logs = self._logs(what)
        medians = logs.groupby(self.cells).transform("median")
        return np.asarray(medians - medians.median())

    def noise(self, what: str) -> Logs:
        """Return by what each run is above or below the middle of its cell; zero where not all numbers are positive."""
        logs = self._logs(what)
        return np.asarray(logs - logs.groupby(self.cells).transform("median"))

    def multiplied(self, logs: Mapping[str, Logs]) -> pd.DataFrame:
        """Return the runs with all numbers multiplied.

        Parameters
        ----------
        logs : mapping of ndarray
            The logarithms of the factors, by what was measured.

        Returns
        -------
        DataFrame
        """
        frame = self.frame.copy()
        for what, columns in self.columns.items():
            factors = np.exp(np.clip(logs[what], -FARTHEST, FARTHEST))
            for column in columns:
                if self._lacks_little(what):
                    frame[column] = 1 - (1 - frame[column]) * factors
                else:
                    frame[column] = _times(frame[column], factors, is_share=unit_of(what) == "fraction")
        return frame

    def _logs(self, what: str) -> pd.Series:
        values = self.frame[self.columns[what][0]].astype(float)
        sizes = 1 - values if self._lacks_little(what) else values
        return np.log(sizes) if sizes.min() > 0 else pd.Series(0.0, index=sizes.index)

    def _lacks_little(self, what: str) -> bool:
        """Return whether numbers are near 1, the most that there can be: then what they lack of 1 is multiplied."""
        is_at_most_1 = what == "r2" or unit_of(what) == "fraction"
        return is_at_most_1 and self.frame[self.columns[what][0]].median() > 0.5


def _times(values: pd.Series, factors: NDArray[np.float64], *, is_share: bool) -> pd.Series:
    if pd.api.types.is_integer_dtype(values):
        # What was counted at all is counted in other worlds, too.
        least = min(1, values.min())
        return (values * factors).round().clip(lower=least, upper=2**53).astype(values.dtype)
    return (values * factors).clip(upper=1) if is_share else values * factors
