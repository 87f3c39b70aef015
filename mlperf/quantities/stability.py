"""Warnings about unstable measurements, each with advice, all from one function."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest, kendalltau

from mlperf.quantities.intervals import FEWEST_PROCESSES
from mlperf.quantities.runs import Runs
from mlperf.quantities.units import UNITS, unit_of

MOST_FREQUENCY_RANGE = 0.1
"""Range of the cores' frequency, relative to its median, above which there is a warning."""
MOST_SPREAD = 0.1
"""Standard deviation between the processes of a cell, relative to its median, above which there is a warning."""
LONGEST = 1.5
"""Multiple of the median of its cell above which there is a warning about a run."""
FEWEST_STEPS = 100
"""Ticks of the clock; there is a warning about shorter times."""
LEAST_TREND = 0.01
"""Relative change below which a trend is ignored, however significant it is."""
CHANCE = 0.01
"""Significance level of a trend: how often one may be reported that does not exist."""


class Instability(NamedTuple):
    """A reason why a measurement is less reliable than it could be.

    Parameters
    ----------
    warning : str
        What was observed, as a sentence.
    advice : str
        What can be done about it, as a sentence.
    """

    warning: str
    advice: str

    def __str__(self) -> str:
        return f"{self.warning} {self.advice}"


def instabilities(runs: Runs) -> list[Instability]:
    """Return every warning about a measurement, each with its advice.

    No run is removed because of a warning. Warnings say how far to trust a measurement, and how to improve it.

    Parameters
    ----------
    runs : Runs
        The measurement. Only its times and rates are examined: sizes and scores do not depend on what else runs. If
        there are no levels, each column is a cell, and those of the same unit are examined together.

    Returns
    -------
    list of Instability
        Empty if there is nothing to warn of: there were enough processes, the machine was otherwise idle, and the times
        neither spread far nor follow a trend.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf import Runs
    >>> from mlperf.quantities.stability import instabilities
    >>> frame = pd.DataFrame({"process": range(8), "seconds": [1.00, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07]})
    >>> print(*instabilities(Runs(frame, by=[])))  # doctest: +ELLIPSIS
    From the first to the last process the seconds grow by 7 %: there is no steady state. ...
    """
    timed = [column for column in runs.measured if UNITS[unit_of(column)].dimension[0]]
    if not timed or runs.frame.empty:
        return []
    return [*_of_the_protocol(runs), *_of_the_machine(runs), *_of_the_times(runs, timed)]


def _of_the_protocol(runs: Runs) -> Iterator[Instability]:
    n_processes = runs.frame["process"].nunique()
    if n_processes == 1:
        yield Instability("All runs come from one process, so there is no interval.", "Measure several: processes=8.")
    elif n_processes < FEWEST_PROCESSES:
        yield Instability(
            f"With {n_processes} processes, intervals assume lognormal noise.",
            f"With processes={FEWEST_PROCESSES} or more, they need no model of the noise.",
        )


def _of_the_machine(runs: Runs) -> Iterator[Instability]:
    frame = runs.frame
    # A run may have several rows.
    names = [name for name in ("process", "repeat", "order") if name in frame]
    by_run = runs.disturbed.groupby([frame[name] for name in names]).any()
    n_disturbed, n_runs = int(by_run.sum()), len(by_run)
    if n_disturbed:
        yield Instability(
            f"{n_disturbed:,} of {n_runs:,} runs were disturbed: other programs wanted the processor (up to "
            f"{_most(frame, 'load'):.2g} processes for each core), or other virtual machines took it (up to "
            f"{100 * _most(frame, 'steal_fraction'):.2g} % of the time).",
            "Close other programs, or use a machine that is not shared, and measure again.",
        )
    frequency = frame["frequency_ghz"].dropna() if "frequency_ghz" in frame else pd.Series(dtype=float)
    if len(frequency) and frequency.max() - frequency.min() > MOST_FREQUENCY_RANGE * frequency.median():
        yield Instability(
            f"The cores ran at {frequency.min():.2g} to {frequency.max():.2g} GHz.",
            "Fix their frequency, with cpupower or in the firmware, or let the machine cool.",
        )


def _of_the_times(runs: Runs, timed: list[str]) -> Iterator[Instability]:
    together: dict[str, list[str]] = {}
    for column in timed:
        # Logarithms are compared. Times that can be zero, such as those of operators, have none.
        if (runs.frame[column] > 0).all():
            together.setdefault(column if runs.by else unit_of(column), []).append(column)
    for what, columns in together.items():
        table = pd.concat([_table(runs, column) for column in columns], ignore_index=True)
        said = (columns[0] if len(columns) == 1 else what).replace("_", " ")
        if unit_of(what) == "seconds":
            yield from _too_short(table, said)
        yield from _too_wide(table, said)
        yield from _not_warm(table, said)
        yield from _no_steady_state(table, said)


def _table(runs: Runs, column: str) -> pd.DataFrame:
    """Return a table with one row for each run: its cell, and the deviation of its logarithm from the cell's median."""
    frame = runs.frame
    cells: Any = column.replace("_", " ")
    if runs.by:
        cells = [", ".join(map(str, key)) for key in frame[list(runs.by)].itertuples(index=False, name=None)]
    table = frame[["process", "repeat"]].assign(cell=cells, value=frame[column].astype(float))
    table["off"] = np.log(table["value"])
    table["off"] -= table.groupby("cell")["off"].transform("median")
    return table


def _too_short(table: pd.DataFrame, what: str) -> Iterator[Instability]:
    step = time.get_clock_info("perf_counter").resolution
    shortest = table["value"].min()
    if shortest < FEWEST_STEPS * step:
        yield Instability(
            f"The shortest {what}, {shortest:.2g}, are no more than {shortest / step:.0f} ticks of the clock.",
            "Time many calls together, with seconds_per_call.",
        )


def _too_wide(table: pd.DataFrame, what: str) -> Iterator[Instability]:
    processes = table.groupby(["cell", "process"])["off"].median()
    spread = processes.groupby("cell").std()
    if spread.max() > MOST_SPREAD:
        n_wide = int((spread > MOST_SPREAD).sum())
        of_cells = f" of {n_wide} of {len(spread)} cells" if len(spread) > 1 else ""
        yield Instability(
            f"The {what}{of_cells} spread by more than {100 * MOST_SPREAD:.0f} % between processes{_at(spread)}, by "
            f"{100 * spread.max():.0f} %.",
            "More processes give a narrower interval. Look for programs that run only now and then.",
        )
    longest = np.exp(table.groupby("cell")["off"].max())
    if longest.max() > LONGEST:
        cell = f" of {longest.idxmax()}" if len(longest) > 1 else ""
        yield Instability(
            f"The largest of the {what} is {longest.max():.2g} times the median{cell}.",
            "A few such runs hardly affect a median, but they affect a mean.",
        )


def _not_warm(table: pd.DataFrame, what: str) -> Iterator[Instability]:
    """Compare the first repeat of each process with the later ones."""
    of_process = table.groupby(["cell", "process"])["off"]
    if of_process.size().max() < 2:
        return
    first = table[table["repeat"] == table["repeat"].min()].set_index(["cell", "process"])["off"]
    later = table[table["repeat"] > table["repeat"].min()].groupby(["cell", "process"])["off"].median()
    longer = (first - later).dropna()
    if not len(longer):
        return
    chance = binomtest(int((longer > 0).sum()), len(longer)).pvalue
    if chance < CHANCE and longer.median() > LEAST_TREND:
        yield Instability(
            f"The first run in a process takes {100 * np.expm1(longer.median()):.2g} % longer ({what}) than the later "
            "ones.",
            "Warm up for longer: with warmup=True, a whole run is carried out before the first one that counts.",
        )


def _no_steady_state(table: pd.DataFrame, what: str) -> Iterator[Instability]:
    """Look for a trend over the rounds, and over the repeats within a process (Mann-Kendall test)."""
    for over, place in {"process": "process", "repeat": "run within a process"}.items():
        means = table.groupby(over)["off"].mean()
        # The first repeat is left out: whether it was warm is tested above.
        means = means.iloc[1:] if over == "repeat" else means
        if len(means) < 4:
            continue
        trend = kendalltau(means.index, means)
        change = np.polyfit(np.linspace(0, 1, len(means)), means, 1)[0]
        if trend.pvalue < CHANCE and abs(change) > LEAST_TREND:
            changed = f"{'grow' if change > 0 else 'fall'} by {100 * abs(np.expm1(change)):.2g} %"
            yield Instability(
                f"From the first to the last {place} the {what} {changed}: there is no steady state.",
                "Let the machine warm up or cool down first. This affects times, but hardly ratios within a round.",
            )


def _most(frame: pd.DataFrame, column: str) -> float:
    return float(frame[column].max()) if column in frame and frame[column].notna().any() else 0.0


def _at(by_cell: Any) -> str:
    """Name the cell of the largest value, if there are several cells."""
    return f", most of all those of {by_cell.idxmax()}" if len(by_cell) > 1 else ""
