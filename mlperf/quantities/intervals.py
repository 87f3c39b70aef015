"""Estimates with their uncertainty: medians, means, ratios and differences of repeated measurements."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

LEVEL = 0.95
N_RESAMPLES = 5000
SEED = 0
# Resamples are drawn in blocks of about this many numbers, so that long samples do not fill the memory.
BLOCK = 2_000_000

STATISTICS: dict[str, Callable[..., Any]] = {"median": np.median, "mean": np.mean}
# Ten times slower, so only for processes with different numbers of repeats, whose rows are filled with NaN.
RAGGED: dict[str, Callable[..., Any]] = {"median": np.nanmedian, "mean": np.nanmean}


class Estimate(NamedTuple):
    """A measured value and the ends of its 95 % interval, all in the unit of what was measured.

    The ends are NaN where one single number was measured: nothing is known about its uncertainty then.

    Examples
    --------
    >>> from mlperf.quantities.intervals import median
    >>> value, low, high = median([1.0, 1.1, 1.3])
    >>> low <= value <= high
    True
    """

    value: float
    low: float
    high: float


def median(x: ArrayLike, groups: ArrayLike | None = None) -> Estimate:
    """Estimate the median.

    Parameters
    ----------
    x : array-like of shape (n,)
        What was measured.
    groups : array-like of shape (n,), default=None
        The process that each number comes from. Repeats within one process resemble each other more than
        repeats of different processes, and an interval that does not know it is too narrow.

    Returns
    -------
    Estimate
        In the unit of `x`.

    Raises
    ------
    ValueError
        If `x` is empty, holds a number that is not finite, or differs in length from `groups`.

    Notes
    -----
    The interval is a percentile bootstrap that resamples whole processes first, then the repeats within each,
    with the percentiles moved outwards for the small number of processes (T. Hesterberg, "What Teachers
    Should Know About the Bootstrap", The American Statistician 69(4), 2015). The seed is fixed. It covers
    what it says from five processes on; of three processes with one repeat each, no interval can cover more
    than 75 %.

    Examples
    --------
    Three runs in each of two processes:

    >>> from mlperf.quantities.intervals import median
    >>> median([1.0, 1.25, 1.5, 2.0, 2.25, 2.5], groups=[0, 0, 0, 1, 1, 1]).value
    1.75
    """
    return _estimate(_sample("median", x, groups), "median")


def mean(x: ArrayLike, groups: ArrayLike | None = None) -> Estimate:
    """Estimate the mean; parameters, interval and errors are those of `median`.

    Examples
    --------
    >>> from mlperf.quantities.intervals import mean
    >>> mean([1.0, 2.0, 6.0]).value
    3.0
    """
    return _estimate(_sample("mean", x, groups), "mean")


def ratio(
    numerator: ArrayLike,
    denominator: ArrayLike,
    groups: Sequence[ArrayLike] | None = None,
    *,
    statistic: str = "median",
) -> Estimate:
    """Estimate by what factor one sample is above another: the ratio of their medians.

    Parameters
    ----------
    numerator, denominator : array-like of shape (n,) and (m,)
        Two independent samples in the same unit.
    groups : pair of array-like, default=None
        The processes behind `numerator` and behind `denominator`, see `median`.
    statistic : {"median", "mean"}, default="median"
        What is compared.

    Returns
    -------
    Estimate
        Without unit.

    Raises
    ------
    ValueError
        As `median`; and if the denominator is zero, or so uncertain that it may be.

    Examples
    --------
    >>> from mlperf.quantities.intervals import ratio
    >>> ratio([4.0, 4.2, 4.4], [2.0, 2.1, 2.2]).value
    2.0
    """
    top, bottom = _pair("ratio", numerator, denominator, groups)
    rng = np.random.default_rng(SEED)  # one stream for both: they must not be resampled in step
    above, below = _resample(top, statistic, rng), _resample(bottom, statistic, rng)
    if np.min(below) <= 0 <= np.max(below):
        raise ValueError(
            "The 'denominator' parameter of ratio must be away from zero by more than its uncertainty. "
            f"Got a {statistic} of {_value(bottom, statistic):.3g} instead."
        )
    return interval(
        _value(top, statistic) / _value(bottom, statistic),
        above / below,
        min(top.n_units, bottom.n_units),
    )


def difference(
    minuend: ArrayLike,
    subtrahend: ArrayLike,
    groups: Sequence[ArrayLike] | None = None,
    *,
    statistic: str = "median",
) -> Estimate:
    """Estimate how far one sample is above another, in their unit; parameters are those of `ratio`.

    Examples
    --------
    >>> from mlperf.quantities.intervals import difference
    >>> difference([4.0, 4.5, 5.0], [2.0, 2.5, 3.0]).value
    2.0
    """
    first, second = _pair("difference", minuend, subtrahend, groups)
    rng = np.random.default_rng(SEED)
    return interval(
        _value(first, statistic) - _value(second, statistic),
        _resample(first, statistic, rng) - _resample(second, statistic, rng),
        min(first.n_units, second.n_units),
    )


def ratio_of_estimates(numerator: Estimate, denominator: Estimate) -> Estimate | None:
    """Estimate by what factor one estimate is above another, when their raw numbers are no longer at hand.

    Parameters
    ----------
    numerator, denominator : Estimate
        Of independent samples, in the same unit.

    Returns
    -------
    Estimate or None
        Without unit; None where a value or an end is not above zero, or an interval is missing.

    Notes
    -----
    The distances of both intervals are added in quadrature on the logarithmic scale (G. Y. Zou and A.
    Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
    Medicine 27(10), 2008).

    Examples
    --------
    >>> from mlperf.quantities.intervals import Estimate, ratio_of_estimates
    >>> round(ratio_of_estimates(Estimate(6.0, 5.5, 6.5), Estimate(3.0, 2.9, 3.1)).value, 6)
    2.0
    """
    if not all(part > 0 for part in (*numerator, *denominator)):
        return None
    (a, a_low, a_high), (b, b_low, b_high) = np.log(numerator), np.log(denominator)
    below, above = np.hypot(a - a_low, b_high - b), np.hypot(a_high - a, b - b_low)
    return Estimate(*(float(np.exp(end)) for end in (a - b, a - b - below, a - b + above)))


def summarise(frame: pd.DataFrame, by: Sequence[str], value: str = "seconds") -> pd.DataFrame:
    """Sum up repeated measurements, one row a cell.

    Parameters
    ----------
    frame : DataFrame
        One row a repeat. A column named "process" says which process a row comes from.
    by : sequence of str
        The columns that name a cell.
    value : str, default="seconds"
        The column to sum up.

    Returns
    -------
    DataFrame
        The columns `by`, then median, low, high (the median's 95 % interval), mean and n (the repeats), in
        the order in which the cells first appear.

    Raises
    ------
    ValueError
        If `frame` has no such column.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.quantities.intervals import summarise
    >>> runs = pd.DataFrame({"model": ["Small"] * 3 + ["Large"] * 3, "seconds": [1.0, 1.2, 1.1, 2.0, 2.4, 2.2]})
    >>> summarise(runs, by=["model"])[["model", "median", "n"]]
       model  median  n
    0  Small     1.1  3
    1  Large     2.2  3
    """
    missing = [column for column in [*by, value] if column not in frame.columns]
    if missing:
        raise ValueError(
            f"The 'frame' parameter of summarise must have the columns {[*by, value]}. "
            f"Got {list(frame.columns)} instead."
        )
    rows = []
    for cell, part in frame.groupby(list(by), sort=False):
        middle = median(part[value], part.get("process"))
        labels: tuple[Hashable, ...] = cell if isinstance(cell, tuple) else (cell,)
        rows.append((*labels, *middle, float(part[value].mean()), len(part)))
    return pd.DataFrame(rows, columns=[*by, "median", "low", "high", "mean", "n"])


class _Sample(NamedTuple):
    """Numbers by process, short processes filled with NaN: shape (processes, repeats)."""

    numbers: NDArray[np.float64]
    sizes: NDArray[np.int64]
    n_units: int  # what the interval's width has to be earned from: the processes, else the repeats


def _sample(owner: str, x: ArrayLike, groups: ArrayLike | None) -> _Sample:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"The 'x' parameter of {owner} must be one-dimensional, not empty, and finite. "
            f"Got {np.array2string(values, threshold=6)} instead."
        )
    if groups is None:
        return _Sample(values[:, None], np.ones(values.size, dtype=np.int64), values.size)
    labels = np.asarray(groups)
    if labels.shape != values.shape:
        raise ValueError(
            f"The 'groups' parameter of {owner} must be as long as 'x', {values.size}. Got {labels.size} instead."
        )
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    filled = np.full((sizes.size, int(sizes.max())), np.nan)
    for code, size in enumerate(sizes):
        filled[code, :size] = values[codes == code]
    # One process tells nothing about other processes: the spread of its repeats is all that there is.
    return _Sample(filled, sizes, int(sizes.size if sizes.size > 1 else values.size))


def _pair(owner: str, a: ArrayLike, b: ArrayLike, groups: Sequence[ArrayLike] | None) -> tuple[_Sample, _Sample]:
    if groups is None:
        return _sample(owner, a, None), _sample(owner, b, None)
    if len(groups) != 2:
        raise ValueError(
            f"The 'groups' parameter of {owner} must be a pair, one for each sample. Got {len(groups)} instead."
        )
    return _sample(owner, a, groups[0]), _sample(owner, b, groups[1])


def _value(sample: _Sample, statistic: str) -> float:
    return float(RAGGED[statistic](sample.numbers))


def _resample(sample: _Sample, statistic: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the statistic of `N_RESAMPLES` resamples: processes drawn first, repeats within each then."""
    n_groups, width = sample.numbers.shape
    reduce = (STATISTICS if (sample.sizes == width).all() else RAGGED)[statistic]
    results = []
    block = max(1, BLOCK // sample.numbers.size)
    for start in range(0, N_RESAMPLES, block):
        count = min(block, N_RESAMPLES - start)
        drawn = rng.integers(n_groups, size=(count, n_groups, 1))
        sizes = sample.sizes[drawn]
        repeats = rng.integers(sizes, size=(count, n_groups, width))
        values = np.where(np.arange(width) < sizes, sample.numbers[drawn, repeats], np.nan)
        results.append(reduce(values.reshape(count, -1), axis=1))
    return np.concatenate(results)


def _estimate(sample: _Sample, statistic: str) -> Estimate:
    resamples = _resample(sample, statistic, np.random.default_rng(SEED))
    return interval(_value(sample, statistic), resamples, sample.n_units)


def interval(value: float, resamples: NDArray[np.float64], n_units: int) -> Estimate:
    """Return a value with the interval that its resamples support.

    Parameters
    ----------
    value : float
        The statistic of what was measured.
    resamples : ndarray of shape (n,)
        The same statistic of bootstrap resamples.
    n_units : int
        Processes, or repeats, that were drawn from; of a single one nothing follows, and the ends are NaN.

    Returns
    -------
    Estimate
        In the unit of `value`.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.quantities.intervals import interval
    >>> [round(end, 2) for end in interval(5.0, np.linspace(4.0, 6.0, 5_000), n_units=1_000)]
    [5.0, 4.05, 5.95]
    """
    if n_units < 2:
        return Estimate(value, np.nan, np.nan)
    # The expanded percentiles of Hesterberg: what Student's t does for the textbook's interval of a mean.
    tail = norm.cdf(-np.sqrt(n_units / (n_units - 1)) * t.ppf((1 + LEVEL) / 2, n_units - 1))
    low, high = np.quantile(resamples, [tail, 1 - tail])
    # A statistic of few, tied numbers can sit on the edge of its resamples; rounding must not put it outside.
    return Estimate(value, float(min(low, value)), float(max(high, value)))
