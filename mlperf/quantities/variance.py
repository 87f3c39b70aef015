"""The variance of a timing between and within processes, and the best number of repeats in each process."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import f as f_distribution

from mlperf.quantities.cells import Given, Sampled, apply
from mlperf.quantities.intervals import LEVEL
from mlperf.quantities.quantity import Quantity

LEAST_SHARE = 1e-4
"""Smallest share of the variance that is assumed, so that the number of repeats stays finite."""


def between_share(quantity: Quantity) -> Quantity:
    r"""Return the share of the variance of single runs that lies between processes, for every cell.

    Parameters
    ----------
    quantity : Quantity
        Positive numbers, from at least two processes with at least two repeats each, the same number in all of them.

    Returns
    -------
    Quantity
        A fraction, the intraclass correlation of the logarithms, with its interval: 0 if the runs of one process
        differ from each other as much as those of different processes, and 1 if they are all equal.

    Raises
    ------
    ValueError
        If a cell has fewer than two processes or repeats, or a different number of repeats in some process.

    Notes
    -----
    P. E. Shrout and J. L. Fleiss, "Intraclass correlations: uses in assessing rater reliability", Psychological
    Bulletin 86(2), 1979, case 1. The interval assumes that the logarithms are normally distributed.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf import Runs
    >>> from mlperf.quantities.variance import between_share
    >>> frame = pd.DataFrame({"process": [0, 0, 1, 1, 2, 2], "seconds": [1.00, 1.01, 1.10, 1.11, 1.20, 1.19]})
    >>> print(f"{between_share(Runs(frame, by=[])['seconds']):short}")
    99\xa0%
    """
    cells = {}
    for key, cell in quantity.cells.items():
        table = _by_process(cell, quantity)
        n_processes, n_repeats = table.shape
        between = n_repeats * table.mean(axis=1).var(ddof=1)
        within = table.var(axis=1, ddof=1).mean()
        ratio = between / within if within else np.inf
        freedom = n_processes - 1, n_processes * (n_repeats - 1)
        tail = (1 + LEVEL) / 2
        ratios = (
            ratio,
            ratio / f_distribution.ppf(tail, *freedom),
            ratio * f_distribution.ppf(tail, *reversed(freedom)),
        )
        value, low, high = (1.0 if r == np.inf else max(0.0, (r - 1) / (r + n_repeats - 1)) for r in ratios)
        cells[key] = Given(value, low, high, table.size, n_processes)
    return Quantity(cells, quantity.by, unit="fraction", name="between_processes_fraction")


def best_repeats(share: Quantity, start: Quantity, run: Quantity) -> Quantity:
    """Return how many runs in each process give the narrowest interval for a given total time; not a whole number.

    Parameters
    ----------
    share : Quantity
        The share of the variance between processes, as `between_share` returns it.
    start : Quantity
        Time to start a process, in seconds.
    run : Quantity
        Time of one run, in seconds.

    Returns
    -------
    Quantity
        The number of runs in each process. Below 1.4, a single run is best: the time of a second one is better spent on
        another process.

    Notes
    -----
    T. Kalibera and R. Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013: the square root of the ratio of the
    costs times the ratio of the variances within and between processes.

    Examples
    --------
    >>> from mlperf import exact
    >>> from mlperf.quantities.variance import best_repeats
    >>> seconds = {"unit": "seconds"}
    >>> print(best_repeats(exact(0.5, unit="fraction"), exact(4.0, **seconds), exact(1.0, **seconds)))
    2
    """
    cost = start / run

    def repeats(share: Any, cost: Any) -> Any:
        return np.sqrt(cost * np.maximum(1 / np.maximum(share, LEAST_SHARE) - 1, 0))

    cells = {}
    for key, cell in share.cells.items():
        labels = {name: label for name, label in zip(share.by, key, strict=True) if name in cost.by}
        cells[key] = apply(repeats, [cell, cost.at(**labels).cell])
    return Quantity(cells, share.by, unit="number", name="best_repeats")


def _by_process(cell: object, quantity: Quantity) -> np.ndarray:
    """Return the logarithms of the runs of a cell, one row a process."""
    message = f"The quantity {quantity.name!r} must have equally many runs in each process, two at least of both."
    if not isinstance(cell, Sampled):
        raise ValueError(f"{message} Got a cell without runs.")
    _, counts = np.unique(cell.process, return_counts=True)
    if len(counts) < 2 or counts.min() < 2 or counts.min() != counts.max():
        raise ValueError(f"{message} Got {', '.join(map(str, counts))}.")
    runs = cell.runs[np.argsort(cell.process, kind="stable")]
    return np.log(runs.reshape(len(counts), -1))
