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
    return _elapsed(call)


def _elapsed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def fit_costs(fit: Callable[[int], object], max_iter: int, *, at_least: int, at_most: float = 1.0) -> dict[str, float]:
    """Tell what a fit costs once from what each of its epochs costs.

    Parameters
    ----------
    fit : callable
        Called with a number of epochs. Its first call, of one epoch, may load and compile; later ones may keep it.
    max_iter : int
        Epochs of the whole fit, at least 2.
    at_least : int
        Epochs that are timed in any case, at least 2 and at most `max_iter`.
    at_most : float, default=1.0
        Seconds: the whole fit is timed if it is expected to take no longer, else `at_least` epochs.

    Returns
    -------
    dict
        ``first_seconds``, the first fit, of one epoch; ``epoch_seconds``, what every further epoch adds;
        ``whole_seconds``, a first fit of `max_iter` epochs, made up of these two; ``epochs``, those that were timed.

    Raises
    ------
    ValueError
        If `at_least` is out of range.

    Examples
    --------
    >>> import time
    >>> from mlperf.timing import fit_costs
    >>> costs = fit_costs(lambda epochs: time.sleep(0.001 * epochs), 20, at_least=2)
    >>> costs["epochs"], costs["whole_seconds"] > 0.019
    (20, True)
    """
    if not 2 <= at_least <= max_iter:
        raise ValueError(
            f"The 'at_least' parameter of fit_costs must be from 2 to max_iter ({max_iter}). Got {at_least!r} instead."
        )
    first = seconds(lambda: fit(1))
    # From here on garbage is left lying: to collect it each time would take longer than the short fits.
    one, some = (min(_elapsed(lambda: fit(n)) for _ in range(3)) for n in (1, 2))  # noqa: B023 - called at once
    epochs = max_iter if max_iter * max(some - one, some / 2) <= at_most else at_least
    # The shortest of some: what disturbs the short fit would be taken for a gain of the long one.
    epoch = max(_elapsed(lambda: fit(epochs)) - one, 0.0) / (epochs - 1)
    return {
        "first_seconds": first,
        "epoch_seconds": epoch,
        "whole_seconds": first + (max_iter - 1) * epoch,
        "epochs": epochs,
    }
