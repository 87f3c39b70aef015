"""Wall-clock time of one call."""

import gc
import time
from collections.abc import Callable


def seconds(call: Callable[[], object]) -> float:
    """Time one call: a single contiguous wall-clock interval, nothing paused.

    Garbage left by what came before is collected first, so that the call pays for its own alone.

    Parameters
    ----------
    call : callable
        Called once without arguments; its result is dropped.

    Returns
    -------
    float
        Seconds between the call and its return, by :func:`time.perf_counter`.

    Examples
    --------
    >>> from mlperf.timing import seconds
    >>> seconds(lambda: sum(range(1_000))) > 0
    True
    """
    gc.collect()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
