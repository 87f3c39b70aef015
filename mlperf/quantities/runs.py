"""Raw runs: a data frame with one row for each run, and the names of the columns that identify its cell."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from mlperf.quantities.cells import Cell, Given, Sampled, Statistic
from mlperf.quantities.intervals import interval
from mlperf.quantities.quantity import Labels, Quantity
from mlperf.quantities.tables import columns, html_of, text_of
from mlperf.quantities.units import unit_of

BOOKKEEPING = ("process", "repeat", "order", "load", "steal_fraction", "frequency_ghz", "machine")
"""Columns that record how a run was carried out, not what was measured."""

MOST_LOAD = 1.25
"""Runnable processes for each core above which a run counts as disturbed. Two measured at a time make 1."""
MOST_STEAL = 0.02
"""Fraction of the time taken by other virtual machines above which a run counts as disturbed."""

# Rows that are displayed.
SHOWN = 6


class Runs:
    r"""Runs of a grid, as `measure` returns them, or from a data frame of your own.

    Parameters
    ----------
    frame : DataFrame
        One row for each run; several rows if a run measured several things, which one of the levels tells apart.
    by : str or sequence of str
        The columns that identify a cell of the grid; their labels may be anything hashable. A column "machine" with
        several labels is always added: runs of different machines never form one sample.
    process, repeat : str, default="process" and "repeat"
        The columns with the number of the process and of the repeat within it. Runs with the same numbers belong to
        the same round and are paired. Without a column "process", each row of a cell counts as a process of its own,
        which is right only for runs that are independent of each other.

    Attributes
    ----------
    frame : DataFrame
        The runs, with columns "process" and "repeat".
    by : tuple of str
        The columns that identify a cell.

    Raises
    ------
    TypeError
        If `frame` is not a data frame.
    ValueError
        If it lacks a column of `by`.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf import Runs
    >>> frame = pd.DataFrame({"model": ["Small", "Large"], "seconds": [1.0, 2.5]})
    >>> print(Runs(frame, by=["model"])["seconds"]["Large"])
    2.5\xa0s
    """

    def __init__(
        self, frame: pd.DataFrame, by: Sequence[str] | str, *, process: str = "process", repeat: str = "repeat"
    ) -> None:
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(f"The 'frame' parameter of Runs must be a DataFrame. Got {type(frame).__name__} instead.")
        self.by = (by,) if isinstance(by, str) else tuple(by)
        missing = [name for name in self.by if name not in frame.columns]
        if missing:
            raise ValueError(
                f"The 'by' parameter of Runs must name columns of the frame, {', '.join(map(str, frame.columns))}. "
                f"Got {missing[0]!r} instead."
            )
        frame = frame.rename(columns={process: "process", repeat: "repeat"}).reset_index(drop=True)
        if "machine" in frame and "machine" not in self.by and len(frame["machine"].unique()) > 1:
            self.by += ("machine",)
        cells = frame.groupby(list(self.by), sort=False, dropna=False) if self.by else None
        if "process" not in frame:
            frame.insert(len(self.by), "process", cells.cumcount() if cells else range(len(frame)))
        if "repeat" not in frame:
            within = [*self.by, "process"]
            frame.insert(len(self.by) + 1, "repeat", frame.groupby(within, sort=False, dropna=False).cumcount())
        self.frame = frame
        # The arguments of `mlperf.measure`, ready for JSON: by them, published runs are found again.
        self.asked: dict[str, Any] | None = None
        # Identifies these runs: only runs of the same source are paired.
        self._source = object()

    @property
    def measured(self) -> list[str]:
        """The columns that hold measurements."""
        return [str(name) for name in self.frame.columns if name not in self.by and name not in BOOKKEEPING]

    @property
    def disturbed(self) -> pd.Series:
        """Whether the run of each row was disturbed by other programs, or by other virtual machines on the hardware.

        Disturbed runs are marked, in figures by a hollow dot, but never removed.
        """
        disturbed = pd.Series(False, index=self.frame.index)
        for column, most in (("load", MOST_LOAD), ("steal_fraction", MOST_STEAL)):
            if column in self.frame:
                disturbed |= self.frame[column] > most
        return disturbed

    def __getitem__(self, column: str) -> Quantity:
        """Return the measurements of a column as a quantity, with medians as its values; see `quantity`."""
        return self.quantity(column)

    def quantity(self, column: str, *, statistic: Statistic = "median") -> Quantity:
        """Return the measurements of a column as a quantity, with one number for each cell.

        Parameters
        ----------
        column : str
            The unit follows from the name: "fit_seconds" is a time, "peak_bytes" a size. If there are columns "mse",
            "mse_low" and "mse_high", each run's value has an interval of its own.
        statistic : {"median", "mean"}, default="median"
            The statistic over the runs of a cell. Values with intervals of their own always have the median.

        Returns
        -------
        Quantity

        Raises
        ------
        KeyError
            If there is no such column; the message suggests the nearest one.
        TypeError
            If the column does not hold numbers.
        ValueError
            If a number is not finite; the message names its cell, process and repeat.
        """
        if column not in self.frame.columns:
            near = get_close_matches(str(column), self.measured, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise KeyError(f"Nothing called {column!r} was measured, only {', '.join(self.measured)}.{hint}")
        ends = [f"{column}_low", f"{column}_high"]
        columns = [column, *ends] if set(ends) <= set(self.frame.columns) else [column]
        try:
            values = self.frame[columns].astype(np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"The column {column!r} must hold numbers. Look at it in runs.frame.") from None
        numbers = self.frame[["process", "repeat"]].astype(np.int64).to_numpy()
        disturbed = self.disturbed.to_numpy()
        cells: dict[Labels, Cell] = {}
        for key, rows in self._rows().items():
            part = values.to_numpy()[rows]
            self._check_finite(column, key, part, numbers[rows])
            machine = str(self.frame["machine"].iloc[rows[0]]) if "machine" in self.frame else ""
            made = self._estimate(part, numbers[rows], machine) if len(columns) > 1 else None
            process, repeat = numbers[rows].T
            cells[key] = made or Sampled(
                part[:, 0], process, repeat, self._source, statistic, machine=machine, disturbed=disturbed[rows]
            )
        return Quantity(cells, self.by, unit=unit_of(column), name=column)

    def medians(self) -> pd.DataFrame:
        """Return the medians of all numeric measurements, with one row for each cell.

        Returns
        -------
        DataFrame
            Columns for the levels, then one for each numeric measurement. Counts, whose medians are whole, stay
            integers.

        Examples
        --------
        >>> import pandas as pd
        >>> from mlperf import Runs
        >>> frame = pd.DataFrame({"model": ["Small", "Small"], "seconds": [1.0, 3.0], "calls": [4, 4]})
        >>> Runs(frame, by=["model"]).medians().to_dict("records")
        [{'model': 'Small', 'seconds': 2.0, 'calls': 4}]
        """
        numbers = self.frame[self.measured].select_dtypes("number")
        cells = [self.frame[name] for name in self.by]
        medians = numbers.groupby(cells, sort=False).median().reset_index() if cells else numbers.median().to_frame().T
        counts = [name for name in numbers.select_dtypes("integer") if (medians[name] % 1 == 0).all()]
        return medians.astype(dict.fromkeys(counts, np.int64))

    def _rows(self) -> dict[Labels, np.ndarray]:
        if not self.by:
            return {(): np.arange(len(self.frame))}
        found: dict[Labels, list[int]] = {}
        for row, key in enumerate(self.frame[list(self.by)].itertuples(index=False, name=None)):
            found.setdefault(tuple(key), []).append(row)
        return {key: self._in_order(np.asarray(rows)) for key, rows in found.items()}

    def _in_order(self, rows: np.ndarray) -> np.ndarray:
        """Return rows sorted by process and repeat, so that the runs of two cells can be paired."""
        numbers = self.frame[["process", "repeat"]].to_numpy()[rows]
        return rows[np.lexsort((numbers[:, 1], numbers[:, 0]))]

    def _check_finite(self, column: str, key: Labels, values: np.ndarray, numbers: np.ndarray) -> None:
        bad = ~np.isfinite(values[:, 0])
        if bad.any():
            cell = ", ".join(f"{name}={label}" for name, label in zip(self.by, key, strict=True)) or "the only cell"
            process, repeat = numbers[bad.argmax()]
            raise ValueError(
                f"The measurements of {column!r} must be finite. Got {values[bad.argmax(), 0]} in {cell}, process "
                f"{process}, repeat {repeat}."
            )

    def _estimate(self, values: np.ndarray, numbers: np.ndarray, machine: str) -> Given:
        """Return one estimate for runs with intervals of their own: both uncertainties are added in quadrature."""
        value, low, high = np.median(values, axis=0)
        below, above = value - low, high - value
        _, between_low, between_high = interval(values[:, 0], numbers[:, 0])
        if np.isfinite([between_low, between_high]).all():
            below, above = np.hypot(below, value - between_low), np.hypot(above, between_high - value)
        n_processes = len(np.unique(numbers[:, 0]))
        return Given(float(value), float(value - below), float(value + above), len(values), n_processes, machine)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"{self._summary()}\n{text_of(columns(self._first_rows()))}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self._summary())}</p>{html_of(columns(self._first_rows()))}"

    def _first_rows(self) -> pd.DataFrame:
        # A machine that is the same for all runs is named in the summary.
        return self.frame.head(SHOWN).drop(columns=[] if "machine" in self.by else "machine", errors="ignore")

    def _summary(self) -> str:
        n_cells, n_processes = len(self._rows()), self.frame["process"].nunique()
        counts = {"row": len(self.frame), "cell": n_cells}
        parts = [f"{count:,} {what}{'' if count == 1 else 's'}" for what, count in counts.items()]
        parts.append(f"{n_processes:,} process{'' if n_processes == 1 else 'es'}")
        where = "" if "machine" in self.by else "".join(f" on {name}" for name in self.frame.get("machine", [])[:1])
        first = f"; the first {SHOWN}:" if len(self.frame) > SHOWN else ":"
        return ", ".join(parts) + where + first
