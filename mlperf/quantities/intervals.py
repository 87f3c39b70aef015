"""Medians and means of repeated measurements, with confidence intervals whose coverage was checked by simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtr, ndtri, stdtrit

LEVEL = 0.95
"""Default confidence level: the share of intervals that cover the true value."""

FEWEST_PROCESSES = 6
"""From this many processes on, the interval of a median needs no model of the noise."""

ROUNDING = 1e-12
"""Relative change of a function up to which it counts as a rounding error."""

Floats = NDArray[np.float64]

_REDUCE: dict[str, Callable[..., Any]] = {"median": np.median, "mean": np.mean}


class Estimate(Protocol):
    """Anything that has a value, and an interval at any level."""

    @property
    def value(self) -> Any:
        """A number, or an array of them."""

    def interval(self, level: Any) -> tuple[Any, Any]:
        """Return the low and the high end; for an array, `level` may hold one level for each value."""


def interval(
    values: ArrayLike,
    processes: ArrayLike | None = None,
    *,
    statistic: str = "median",
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """Estimate a median or a mean, with its confidence interval.

    Parameters
    ----------
    values : array-like of shape (n,)
        The measurements.
    processes : array-like of shape (n,), default=None
        The process that each value comes from. Repeats within a process resemble each other more than repeats
        of different processes, so a process counts as one observation: the median (mean) of its repeats. By
        default each value comes from a process of its own.
    statistic : {"median", "mean"}, default="median"
        The statistic to estimate.
    level : float, default=0.95
        Confidence level, from 0 to below 1.

    Returns
    -------
    value, low, high : float
        In the unit of `values`, with ``low <= value <= high``. The ends are NaN if there is only
        one process, which says nothing about others.

    Raises
    ------
    ValueError
        If `values` is empty or holds a number that is not finite, if `processes` differs from it in length, or
        if `statistic` or `level` is not one of those above.

    Notes
    -----
    **Medians of six processes or more** have a distribution-free interval. The number of values below the true
    median is binomially distributed, so the k-th smallest and the k-th largest value form an interval of known
    level. Between two such levels, the ends are interpolated with the weights of T. P. Hettmansperger and S. J.
    Sheather, "Confidence intervals based on interpolated order statistics", Statistics & Probability Letters 4(2),
    1986. If the noise has two separate modes, these weights can put an end on the wrong side of the gap, and the
    interval covers too little (88 % with seven processes). The inner value therefore gets more than half of the
    weight only if the requested level is closer to the level of the inner value than to that of the outer one. For
    levels beyond that of the smallest and the largest value, the ends move out as far as those of Student's
    interval.

    **Medians of two to five processes** have Student's interval of their logarithms (of the values themselves if
    one of them is not positive). It assumes lognormal noise, since with so few values no distribution-free interval
    covers 95 %.

    **Means** have Student's interval. If all values are positive, the delta method carries it over to the
    logarithm of the mean (G. W. Oehlert, "A Note on the Delta Method", The American Statistician 46(1), 1992):
    timings are skewed to the right, and so is this interval.

    Examples
    --------
    >>> from mlperf.quantities.intervals import interval
    >>> [round(float(number), 2) for number in interval([1.0, 1.1, 1.2, 1.2, 1.3, 1.4, 1.9])]
    [1.2, 1.05, 1.65]

    Three runs in each of two processes:

    >>> interval([1.0, 1.25, 1.5, 2.0, 2.25, 2.5], processes=[0, 0, 0, 1, 1, 1])[0]
    1.75
    """
    if statistic not in _REDUCE:
        raise ValueError(
            f"The 'statistic' parameter of interval must be one of {list(_REDUCE)}. Got {statistic!r} instead."
        )
    if not 0 <= level < 1:
        slip = f" (Did you mean {level / 100:g}?)" if 1 <= level < 100 else ""
        raise ValueError(
            f"The 'level' parameter of interval must be a number from 0 to below 1. Got {level!r} instead.{slip}"
        )
    samples = Estimates(by_process(values, processes, statistic)[np.newaxis], statistic)
    (low,), (high,) = samples.interval(level)
    return float(samples.value[0]), float(low), float(high)


@dataclass(frozen=True, eq=False)
class Estimates:
    """Many samples of the same size with their estimates: `interval` for every row at once.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_processes)
        One value for each process.
    statistic : {"median", "mean"}, default="median"
        The statistic to estimate.

    Examples
    --------
    How often does the interval of ten values cover their true median, 0?

    >>> import numpy as np
    >>> from mlperf.quantities.intervals import Estimates
    >>> low, high = Estimates(np.random.default_rng(0).normal(size=(10_000, 10))).interval()
    >>> print(0.93 < np.mean((low < 0) & (0 < high)) < 0.98)
    True
    """

    values: Floats
    statistic: str = "median"

    @property
    @np.errstate(all="ignore")  # whatever the caller has NumPy do where a number is out of range
    def value(self) -> Floats:
        """The estimate of each row: ndarray of shape (n_samples,)."""
        # The mean of equal numbers can miss them by rounding, and would then lie outside their interval.
        estimates = _REDUCE[self.statistic](self.values, axis=1)
        return np.clip(estimates, self.values.min(axis=1), self.values.max(axis=1))

    @np.errstate(all="ignore")
    def interval(self, level: ArrayLike = LEVEL) -> tuple[Floats, Floats]:
        """Return the ends of the interval of each row.

        Parameters
        ----------
        level : float or array-like of shape (n_samples,), default=0.95
            One level for all rows, or one for each.

        Returns
        -------
        low, high : ndarray of shape (n_samples,)
            NaN if there is only one process.
        """
        value = self.value
        n_processes = self.values.shape[1]
        levels = np.broadcast_to(np.asarray(level, dtype=np.float64), value.shape)
        if n_processes == 1:
            return np.full_like(value, np.nan), np.full_like(value, np.nan)
        if self.statistic == "mean":
            low, high = _interval_of_means(self.values, value, levels)
        elif n_processes < FEWEST_PROCESSES:
            low, high = _interval_of_few(self.values, value, levels)
        else:
            low, high = _interval_of_medians(self.values, value, levels)
        return np.minimum(low, value), np.maximum(high, value)


def combine(
    function: Callable[..., Any], estimates: Sequence[Estimate], *, level: float = LEVEL
) -> tuple[Any, Any, Any]:
    """Estimate a function of independent estimates, with its confidence interval.

    Parameters
    ----------
    function : callable
        Takes one number for each estimate. It must be monotonic in each of them, as sums, differences, products,
        ratios and maxima are.
    estimates : sequence of objects with ``value`` and ``interval(level)``
        They must be independent of each other; measurements of the same rounds are combined round by round instead.
    level : float, default=0.95
        Confidence level, from 0 to below 1.

    Returns
    -------
    value, low, high : float
        The function of the values, and the ends of its interval; arrays if the estimates are arrays. Both ends are NaN
        if an estimate has no interval. The interval is unbounded if the function is not monotonic within the intervals,
        such as a ratio whose denominator may be zero (E. C. Fieller, "Some Problems in Interval Estimation", Journal of
        the Royal Statistical Society B 16(2), 1954).

    Notes
    -----
    First, each estimate alone is moved to the ends of its interval. How far the function moves with it, upwards or
    downwards, gives the share of the uncertainty that is due to this estimate; the squares of the shares add up to 1.
    For each end of the function's interval, all estimates are then moved at once, each to an end of its own interval
    at a lower level: the one that belongs to its share of the normal deviation.

    This is the method of variance estimates recovery (MOVER) of G. Y. Zou and A. Donner, "Construction of confidence
    limits about effect measures: A general approach", Statistics in Medicine 27(10), 2008, with one change. They take
    all distances from the intervals at `level` and add them in quadrature. For sums of normal estimates the two agree.
    But intervals from few processes have long tails, which rarely occur together; added at full length, they cover
    98 % and more for differences and ratios. An estimate that dominates keeps its own interval in either case.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.quantities.intervals import Estimates, combine
    >>> slow = Estimates(np.array([[20.0, 21.0, 21.0, 22.0, 22.0, 24.0, 25.0]]))
    >>> fast = Estimates(np.array([[9.0, 10.0, 10.0, 11.0, 11.0, 12.0, 12.0]]))
    >>> [round(float(number[0]), 2) for number in combine(np.divide, [slow, fast])]
    [2.0, 1.75, 2.31]
    """
    values = [np.float64(estimate.value) for estimate in estimates]
    ends = [[np.float64(end) for end in estimate.interval(level)] for estimate in estimates]
    # Infinite ends (two processes at a high level) and denominators that may be zero are not errors here.
    with np.errstate(all="ignore"):
        value = function(*values)
        rounding = ROUNDING * np.abs(value)

        def change(i: int, end: Any) -> Any:
            """Return how far the function moves when one estimate alone moves to an end of its interval."""
            followed = function(*values[:i], end, *values[i + 1 :]) - value
            # Where estimates cancel, as in (a / b) * (b / a), only a rounding error is left.
            return np.where(np.abs(followed) > rounding, followed, 0.0)

        changes = np.array([[change(i, end) for end in pair] for i, pair in enumerate(ends)])
        low = function(*_moved_together(-changes, estimates, values, level))
        high = function(*_moved_together(changes, estimates, values, level))
        same_way_at_both_ends = (changes[:, 0] * changes[:, 1] > 0).any(axis=0)
        backwards = (low - value > rounding) | (value - high > rounding)
    unsteady = same_way_at_both_ends | backwards
    low, high = np.where(unsteady, -np.inf, low), np.where(unsteady, np.inf, high)
    missing = np.isnan(ends).any(axis=(0, 1))
    return value, np.where(missing, np.nan, low)[()], np.where(missing, np.nan, high)[()]


def _moved_together(gains: Floats, estimates: Sequence[Estimate], values: list[Any], level: float) -> list[Any]:
    """Return the values of all estimates that together give one end of the function's interval.

    `gains` has shape (n_estimates, 2, ...): how far the two ends of each move the function in this direction.
    """
    gain = np.maximum(gains.max(axis=1), 0)
    total = np.sqrt(np.sum(gain**2, axis=0))
    # The squares of the shares add up to 1; next to an infinite gain, no other counts.
    share = np.where(np.isinf(gain), 1.0, gain / np.where(total > 0, total, 1.0))
    # The deviation of a normal estimate in standard deviations, less by the share, and its level.
    deviation = ndtri((1 + level) / 2) * share
    levels = np.where(share < 1, 2 * ndtr(deviation) - 1, level)
    places = []
    for i, estimate in enumerate(estimates):
        low, high = estimate.interval(levels[i])
        end = np.where(gains[i, 0] >= gains[i, 1], low, high)
        places.append(np.where(gain[i] > 0, end, values[i])[()])
    return places


def by_process(values: ArrayLike, processes: ArrayLike | None, statistic: str = "median") -> Floats:
    """Return one value for each process: the observations that an interval rests on.

    Parameters
    ----------
    values, processes : array-like of shape (n,)
        As for `interval`.
    statistic : {"median", "mean"}, default="median"
        What is taken of the repeats of a process.

    Returns
    -------
    ndarray of shape (n_processes,)
        The median (mean) of each process, in ascending order of the processes.

    Raises
    ------
    ValueError
        As by `interval`.

    Examples
    --------
    >>> from mlperf.quantities.intervals import by_process
    >>> by_process([1.0, 1.25, 1.5, 2.0], processes=[0, 0, 0, 1]).tolist()
    [1.25, 2.0]
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise ValueError(
            "The 'values' parameter of interval must be one-dimensional, not empty and finite (is a run missing?). "
            f"Got {x} instead."
        )
    if processes is None:
        return x
    labels = np.asarray(processes)
    if labels.shape != x.shape:
        raise ValueError(
            "The 'processes' parameter of interval must name a process for each of the "
            f"{len(x)} values. Got shape {labels.shape} instead."
        )
    _, process, n_repeats = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(process, kind="stable")
    starts = np.cumsum(n_repeats) - n_repeats
    reduced = np.empty(len(n_repeats))
    for n in np.unique(n_repeats):  # all processes with the same number of repeats at once
        alike = n_repeats == n
        reduced[alike] = _REDUCE[statistic](x[order[starts[alike, np.newaxis] + np.arange(n)]], axis=1)
    return reduced


def _interval_of_means(x: Floats, value: Floats, level: Floats) -> tuple[Floats, Floats]:
    positive = x.min(axis=1) > 0
    reach = _students_reach(x - value[:, np.newaxis], level) / np.where(positive, value, 1.0)
    return _moved(value, -reach, positive), _moved(value, reach, positive)


def _interval_of_few(x: Floats, value: Floats, level: Floats) -> tuple[Floats, Floats]:
    deviations, positive = _deviations(x, value)
    centre, reach = deviations.mean(axis=1), _students_reach(deviations, level)
    return _moved(value, centre - reach, positive), _moved(value, centre + reach, positive)


def _interval_of_medians(x: Floats, value: Floats, level: Floats) -> tuple[Floats, Floats]:
    n = x.shape[1]
    half = n // 2
    ordered = np.sort(x, axis=1)
    # The ends of narrower and narrower intervals: the k-th smallest and largest value, k = 1, 2, ..., then the median.
    lows = np.column_stack([ordered[:, :half], value])
    highs = np.column_stack([ordered[:, : -half - 1 : -1], value])
    reached = np.append(1 - 2 * bdtr(np.arange(half), n, 0.5), 0.0)

    k = np.clip(np.searchsorted(-reached, -level, side="right"), 1, half)
    fraction = np.clip((reached[k - 1] - level) / (reached[k - 1] - reached[k]), 0, 1)
    smooth = (n - k) * fraction / (k + (n - 2 * k) * fraction)
    # With noise of two modes, the value with the larger weight decides on which side of the gap the end lies. The
    # weight of the inner value is at most a half up to halfway between the two levels; that limit then rises to 1 at
    # three quarters of the way. So steep a rise keeps the coverage between 93 and 98 %, for noise with one mode and
    # with two, alone and combined.
    weight = np.minimum(smooth, np.maximum(0.5, 2 * fraction - 0.5))
    rows = np.arange(len(x))
    low = (1 - weight) * lows[rows, k - 1] + weight * lows[rows, k]
    high = (1 - weight) * highs[rows, k - 1] + weight * highs[rows, k]

    # Beyond the extremes, the ends move out as far as those of Student's interval.
    deviations, positive = _deviations(x, value)
    gain = _students_reach(deviations, level) - _students_reach(deviations, np.minimum(level, reached[0]))
    return _moved(low, -gain, positive), _moved(high, gain, positive)


def _students_reach(x: Floats, level: Floats) -> Floats:
    """Return half the width of Student's interval for the mean of each row."""
    n = x.shape[1]
    return stdtrit(n - 1, (1 + level) / 2) * x.std(axis=1, ddof=1) / np.sqrt(n)


def _deviations(x: Floats, value: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the deviations of each row from its value, and whether they are logarithmic: where all are positive."""
    positive = x.min(axis=1) > 0
    ratios = x / np.where(positive, value, 1.0)[:, np.newaxis]
    deviations = x - value[:, np.newaxis]
    np.log(ratios, out=deviations, where=positive[:, np.newaxis])
    return deviations, positive


def _moved(start: Floats, deviation: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Move each number by a deviation, which is one of its logarithm where `positive`."""
    with np.errstate(over="ignore"):  # with two processes, the high end at a high level can be infinite
        factor = np.exp(np.where(positive, deviation, 0.0))
    return np.where(positive, start * factor, start + deviation)
