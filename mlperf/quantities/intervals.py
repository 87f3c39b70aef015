"""Medians and means of repeated measurements, with confidence intervals that cover what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, stdtrit

LEVEL = 0.95
"""Share of intervals that cover the true value."""

FEWEST_PROCESSES = 6
"""From so many processes on, intervals rest on no model of the noise."""

_REDUCE: dict[str, Callable[[NDArray[np.float64]], np.floating]] = {"median": np.median, "mean": np.mean}


def interval(
    values: ArrayLike,
    processes: ArrayLike | None = None,
    *,
    statistic: Literal["median", "mean"] = "median",
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """Estimate a median or a mean, with its confidence interval."""
    x = _by_process(values, processes, statistic)
    value = float(_REDUCE[statistic](x))
    if len(x) < 2:
        return value, np.nan, np.nan
    if len(x) < FEWEST_PROCESSES or statistic == "mean":
        low, high = _student(x, level)
    else:
        low, high = _order_statistics(x, level)
    return value, min(value, low), max(value, high)


def combine(
    function: Callable[..., float],
    estimates: Sequence[tuple[float, float, float]],
    *,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """Estimate a function of independent estimates, with its confidence interval."""
    centre = [value for value, _, _ in estimates]
    value = float(function(*centre))
    moved = np.empty((len(estimates), 2))
    for i, (_, *ends) in enumerate(estimates):
        for j, end in enumerate(ends):
            moved[i, j] = function(*centre[:i], end, *centre[i + 1 :])
    positive = value > 0 and (moved > 0).all()
    change = np.log(moved / value) if positive else moved - value
    down = float(np.sqrt(np.sum(np.minimum(change.min(axis=1), 0) ** 2)))
    up = float(np.sqrt(np.sum(np.maximum(change.max(axis=1), 0) ** 2)))
    if positive:
        return value, float(value * np.exp(-down)), float(value * np.exp(up))
    return value, value - down, value + up


def _by_process(values: ArrayLike, processes: ArrayLike | None, statistic: str) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64)
    if processes is None:
        return x
    _, process = np.unique(np.asarray(processes), return_inverse=True)
    if len(x) == process.max() + 1:
        return x
    parts = np.split(x[np.argsort(process, kind="stable")], np.cumsum(np.bincount(process))[:-1])
    return np.array([_REDUCE[statistic](part) for part in parts])


def _student(x: NDArray[np.float64], level: float) -> tuple[float, float]:
    positive = x.min() > 0
    y = np.log(x) if positive else x
    half = stdtrit(len(y) - 1, (1 + level) / 2) * y.std(ddof=1) / np.sqrt(len(y))
    ends = np.array([y.mean() - half, y.mean() + half])
    low, high = np.exp(ends) if positive else ends
    return float(low), float(high)


def _order_statistics(x: NDArray[np.float64], level: float) -> tuple[float, float]:
    x = np.sort(x)
    n = len(x)
    k = np.arange(1, n // 2 + 1)
    reached = 1 - 2 * bdtr(k - 1, n, 0.5)
    if level >= reached[0]:
        low, high = _student(x, level)
        return min(low, float(x[0])), max(high, float(x[-1]))
    at = int(np.searchsorted(-reached, -level)) - 1
    k_at = k[at]
    share = (reached[at] - level) / (reached[at] - (reached[at + 1] if at + 1 < len(k) else 0.0))
    weight = (n - k_at) * share / (k_at + (n - 2 * k_at) * share)
    return (
        float((1 - weight) * x[k_at - 1] + weight * x[k_at]),
        float((1 - weight) * x[n - k_at] + weight * x[n - k_at - 1]),
    )
