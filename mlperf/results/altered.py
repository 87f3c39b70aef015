"""Published runs as they might have come out otherwise, and with something missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlperf.quantities.runs import BOOKKEEPING
from mlperf.quantities.tables import label_text
from mlperf.quantities.units import unit_of

# Natural logarithms of a typical factor: of a cell, and of one run against the others of its cell.
STRENGTHS = (0.0, 0.03, 0.3, 1.0, 3.0)
SPREADS = (0.0, 0.02, 0.2, 1.0)
# Where cells follow a law, they are near it.
NEAR = (0.0, 0.02)
# Where they are brought to a threshold, the runs of a cell are nearer to each other.
LITTLE = 0.01
# Powers of the ratios between cells: 1 leaves them, 0 makes all cells equal, and -1 turns their order round.
POWERS = (1.0, 1.0, 0.5, 0.0, 0.0, -1.0, 2.0)
# Where cells were made equal: the power of each level of numbers that they grow with.
SLOPES = (0.0, 0.0, 1.0, 1.0, 0.5, -1.0, 2.0)
# Factors are between exp(-7) and exp(7).
MOST = 7


def altered(frame: pd.DataFrame, by: list[str], chance: np.random.Generator) -> pd.DataFrame:
    """Return runs of another world.

    Cells keep their ratios, lose them, or follow a simple law, such as "in proportion to the samples"; then each gets a
    random factor.

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
    >>> from mlperf.results.altered import altered
    >>> frame = pd.DataFrame({"model": ["Small", "Large"], "process": [0, 0], "seconds": [1.0, 2.5]})
    >>> altered(frame, ["model"], np.random.default_rng(0)).columns.to_list()
    ['model', 'process', 'seconds']
    """
    power = chance.choice(POWERS)
    strength, spread = chance.choice(STRENGTHS if power else NEAR), chance.choice(SPREADS)
    law = np.zeros(len(frame)) if power else _law(frame, by, chance)
    # Some effects are those of a level, others those of a single cell.
    levels = [*(pd.factorize(frame[level])[0] for level in by), _cells(frame, by)]

    def logs(_stem: str, sizes: pd.Series, cells: NDArray[np.intp]) -> NDArray[np.float64]:
        effects = sum(strength * chance.normal(size=codes.max() + 1)[codes] for codes in levels)
        return law + effects + (power - 1) * _course(sizes, cells)

    return _multiplied(frame, by, logs, spread, chance)


class Knob(NamedTuple):
    """The rows whose numbers are multiplied together: those of a column with a label of a level, as it is displayed."""

    stem: str
    level: str
    label: str


def turned(frame: pd.DataFrame, by: list[str], knobs: Mapping[Knob, float], *, equal: bool) -> pd.DataFrame:
    """Return runs of a world in which some rows are multiplied, and the runs of a cell are alike.

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
    >>> from mlperf.results.altered import Knob, turned
    >>> frame = pd.DataFrame({"model": ["Small", "Large"], "process": [0, 0], "calls": [10, 30]})
    >>> turned(frame, ["model"], {Knob("calls", "model", "Large"): 0.69}, equal=True)["calls"].to_list()
    [17, 35]
    """

    def logs(stem: str, sizes: pd.Series, cells: NDArray[np.intp]) -> NDArray[np.float64]:
        added = -_noise(sizes, cells) - equal * _course(sizes, cells)
        for knob, log in knobs.items():
            if knob.stem == stem and knob.level in by:
                added += log * _has(frame, knob)
        return np.asarray(added)

    return _multiplied(_narrowed(frame), by, logs, LITTLE, np.random.default_rng(0))


def stem_of(column: str) -> str:
    """Return what a column and those of the ends of its interval have in common.

    Examples
    --------
    >>> from mlperf.results.altered import stem_of
    >>> stem_of("mse_low")
    'mse'
    """
    return column.removesuffix("_low").removesuffix("_high")


def measured(frame: pd.DataFrame, by: list[str]) -> list[str]:
    """Return the columns of runs that hold measured numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.results.altered import measured
    >>> measured(pd.DataFrame({"model": ["Small"], "process": [0], "seconds": [1.0]}), ["model"])
    ['seconds']
    """
    numbers = frame.select_dtypes("number").columns
    return [str(column) for column in numbers if column not in by and column not in BOOKKEEPING]


def _multiplied(
    frame: pd.DataFrame,
    by: list[str],
    logs_of: Callable[[str, pd.Series, NDArray[np.intp]], NDArray[np.float64]],
    spread: float,
    chance: np.random.Generator,
) -> pd.DataFrame:
    """Return runs whose numbers are multiplied by factors with these logarithms, each run also by one of its own."""
    frame = frame.copy()
    cells = _cells(frame, by)
    factors: dict[str, NDArray[np.float64]] = {}
    for column in measured(frame, by):
        # A value and the ends of its interval change together.
        stem = stem_of(column)
        is_turned = _is_turned(frame[column], stem)
        sizes = 1 - frame[column] if is_turned else frame[column]
        if stem not in factors:
            logs = logs_of(stem, sizes, cells)
            own = spread * chance.normal(size=len(frame))
            agrees = frame.groupby(cells)[column].nunique().max() <= 1
            factors[stem] = np.exp(np.clip(logs if agrees else logs + own, -MOST, MOST))
        frame[column] = _times(sizes, factors[stem], stem, is_turned=is_turned)
    return frame


def _narrowed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return runs that know the ends of their intervals, as those over the rows of a split are, ten times narrower."""
    frame = frame.copy()
    for column in frame:
        for end in (f"{column}_low", f"{column}_high"):
            if end in frame:
                frame[end] = frame[column] + (frame[end] - frame[column]) / 10
    return frame


def _has(frame: pd.DataFrame, knob: Knob) -> NDArray[np.bool_]:
    return np.array([label_text(knob.level, label) == knob.label for label in frame[knob.level]])


def _cells(frame: pd.DataFrame, by: list[str]) -> NDArray[np.intp]:
    return frame.groupby(by, sort=False, dropna=False).ngroup().to_numpy() if by else np.zeros(len(frame), np.intp)


def _law(frame: pd.DataFrame, by: list[str], chance: np.random.Generator) -> NDArray[np.float64]:
    """Return the logarithm of a product of powers of the levels of positive numbers."""
    logs = np.zeros(len(frame))
    for level in by:
        if pd.api.types.is_numeric_dtype(frame[level]) and frame[level].min() > 0:
            logs += chance.choice(SLOPES) * np.log(frame[level] / frame[level].median()).to_numpy()
    return logs


def _course(sizes: pd.Series, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return by what each cell is above or below the middle of all, as logarithms; zero where not all are positive."""
    if not sizes.min() > 0:
        return np.zeros(len(sizes))
    logs = np.log(sizes.astype(float)).groupby(cells).transform("median").to_numpy()
    return np.asarray(logs - np.nanmedian(logs))


def _noise(sizes: pd.Series, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return by what each run is above or below the middle of its cell, as logarithms."""
    if not sizes.min() > 0:
        return np.zeros(len(sizes))
    logs = np.log(sizes.astype(float))
    return np.asarray(logs - logs.groupby(cells).transform("median"))


def _is_turned(values: pd.Series, stem: str) -> bool:
    """Return whether what is left to 1 takes the factor, as it is less."""
    return (stem == "r2" or unit_of(stem) == "fraction") and values.median() > 0.5


def _times(sizes: pd.Series, factors: NDArray[np.float64], stem: str, *, is_turned: bool) -> pd.Series:
    if is_turned:
        return 1 - sizes * factors
    if pd.api.types.is_integer_dtype(sizes):
        # What was counted at all is counted in other worlds, too.
        return (sizes * factors).round().clip(lower=min(1, sizes.min()), upper=2**53).astype(sizes.dtype)
    return (sizes * factors).clip(upper=1) if unit_of(stem) == "fraction" else sizes * factors
