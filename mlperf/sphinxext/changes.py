"""Where a value changed, over builds: found by penalised least squares, not by eye."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from scipy.ndimage import median_filter

from mlperf.quantities.quantity import Quantity

# A series of fewer builds shows no change: its spread is not known.
FEWEST = 8
# Builds on either side of a change.
LEAST = 3
# For each change, times the logarithm of the number of builds: of series without a change, fewer than one in fifteen is
# marked, whatever its length (tests/sphinxext/test_changes.py).
PENALTY = 6
# Smaller changes than a thousandth are none, not even of what is exact.
LEAST_SPREAD = 1e-3


def changes(quantities: Sequence[Quantity]) -> list[int]:
    """Return where a series changes its level: the place of the first value of each new level.

    The levels are those of penalised least squares (PELT, Killick, Fearnhead and Eckley, 2012, as skchange has it), of
    logarithms where all values are positive. The spread is that from each build to the next, and no less than the
    intervals say.

    Parameters
    ----------
    quantities : sequence of Quantity
        One cell each, of one machine, the oldest first.

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
    steps = np.sort(np.square(np.diff(ends[:, 0])))[:-1]  # the largest may be a change
    within = (ends[:, 2] - ends[:, 1]) / 2 / 1.96
    floor = LEAST_SPREAD if positive else LEAST_SPREAD * float(np.abs(ends[:, 0]).max() or 1)
    known = within[np.isfinite(within)]
    spread = max(float(np.sqrt(steps.mean() / 2)), float(np.median(known)) if len(known) else 0, floor)
    # The median of three: a single build that is out of line is no level.
    signal = median_filter(ends[:, 0] - ends[0, 0], 3, mode="nearest")[:, None] / spread
    detector = PELT(L2Cost(), penalty=PENALTY * log(len(signal)), min_segment_length=LEAST)
    return [int(place) for place in detector.fit(signal).predict(signal)]
