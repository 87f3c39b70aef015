"""Change points of a value over builds, found by penalised least squares."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from scipy.ndimage import median_filter

from mlperf.quantities.quantity import Quantity

# In a series of fewer builds no change is looked for: its spread is unknown.
FEWEST = 8
# Smallest number of builds on either side of a change.
LEAST = 3
# Penalty of a change, as a multiple of the logarithm of the number of builds. With it, fewer than one in ten series
# without a change is marked, whatever its length (tests/sphinxext/test_changes.py).
PENALTY = 6
# Smallest relative spread that is assumed, even for exact values.
LEAST_SPREAD = 1e-3


def changes(quantities: Sequence[Quantity]) -> list[int]:
    """Return where a series changes its level: the index of the first value of each new level.

    Change points are found by penalised least squares (PELT by Killick, Fearnhead and Eckley, 2012, in the library
    skchange), on a logarithmic scale if all values are positive. The noise is estimated from the steps between
    successive builds, and is at least as large as the intervals.

    Parameters
    ----------
    quantities : sequence of Quantity
        The values of one machine, oldest first, with one cell each.

    Returns
    -------
    list of int
        Empty if there are fewer than eight values.

    Examples
    --------
    >>> from mlperf import Quantity
    >>> from mlperf.sphinxext.changes import changes
    >>> times = [7.4, 7.5, 7.4, 7.3, 7.4, 6.1, 6.0, 6.2, 6.1]
    >>> changes([Quantity.from_estimates({(): (time, time - 0.1, time + 0.1)}, unit="seconds") for time in times])
    [5]
    """
    from skchange.detectors import PELT
    from skchange.interval_scorers import L2Cost

    if len(quantities) < FEWEST:
        return []
    ends = np.array([[one.value, one.low, one.high] for one in quantities])
    positive = bool((ends[np.isfinite(ends)] > 0).all())
    ends = np.log(ends) if positive else ends
    steps = np.sort(np.square(np.diff(ends[:, 0])))[:-1]  # the largest step may be a change
    within = (ends[:, 2] - ends[:, 1]) / 2 / 1.96
    floor = LEAST_SPREAD if positive else LEAST_SPREAD * float(np.abs(ends[:, 0]).max() or 1)
    known = within[np.isfinite(within)]
    spread = max(float(np.sqrt(steps.mean() / 2)), float(np.median(known)) if len(known) else 0, floor)
    # The median of three: a single outlier is not a level.
    signal = median_filter(ends[:, 0] - ends[0, 0], 3, mode="nearest")[:, None] / spread
    detector = PELT(L2Cost(), penalty=PENALTY * log(len(signal)), min_segment_length=LEAST)
    return [int(place) for place in detector.fit(signal).predict(signal)]
