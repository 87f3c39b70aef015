"""Wall-clock time: of a call, of a very short one, of the parts of one, and of a fit's start and its epochs."""

import gc
import os
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from mlperf.profilers.device import wait
from mlperf.profilers.scratch import scratch

# A timed interval shorter than this is mostly the clock's own resolution and the interpreter's jitter.
SHORTEST = 0.005
# A clock that advances in steps measures an interval only to within one step.
STEPS = 20
# A clock that has not moved after so many readings, or calls, stands still.
MOST_READINGS = 1_000_000


def seconds(call: Callable[[], object]) -> float:
    """Time one call: a single contiguous wall-clock interval, nothing paused.

    Garbage left by earlier code is collected first, so that the call pays only for its own. If torch has used a GPU,
    the interval begins when the GPU is idle, and ends when it has finished the work of the call.

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
    >>> from mlperf.profilers.timing import seconds
    >>> seconds(lambda: sum(range(1_000))) > 0
    True
    """
    gc.collect()
    return _elapsed(call)


def seconds_of_parts(work: Iterator[object]) -> Generator[None, None, float]:
    """Time work that pauses, without its pauses: for a run that takes turns with others.

    The pauses are handed on, so that the run may write ``elapsed = yield from seconds_of_parts(work)``. Where cells are
    measured in one process (`mlperf.measure` with ``fresh="round"``), each pause lets the others go on. Then whatever
    disturbs the machine for a while disturbs all of them alike, and they can be compared more precisely.

    Parameters
    ----------
    work : iterator
        Does a part of the work at each ``next``, such as a generator.

    Returns
    -------
    float
        Seconds of all parts together. As by `seconds`, garbage is collected before each, and a GPU is waited for.

    Yields
    ------
    None
        Between two parts.

    Examples
    --------
    >>> from mlperf import measure
    >>> from mlperf.profilers.timing import seconds_of_parts
    >>> def count_to(n):
    ...     for k in range(n):
    ...         yield k
    >>> def run(n):
    ...     elapsed = yield from seconds_of_parts(count_to(n))
    ...     return {"seconds": elapsed}
    >>> runs = measure(run, processes=1, fresh="round", n=[1, 100])
    >>> bool((runs.frame["seconds"] > 0).all())
    True
    """
    spent = 0.0
    end = object()
    while True:
        gc.collect()
        wait()
        start = perf_counter()
        part = next(work, end)
        wait()
        spent += perf_counter() - start
        if part is end:
            return spent
        yield


def _elapsed(call: Callable[[], object]) -> float:
    wait()
    start = perf_counter()
    call()
    wait()
    return perf_counter() - start


def fit_costs(fit: Callable[[int], object], max_iter: int, *, at_least: int, at_most: float = 1.0) -> dict[str, float]:
    """Separate what a fit costs once from what each of its epochs costs.

    Parameters
    ----------
    fit : callable
        Called with a number of epochs. Its first call, for one epoch, may load and compile what later calls reuse.
    max_iter : int
        Epochs of the whole fit, at least 2.
    at_least : int
        Least number of epochs that are timed, from 2 to `max_iter`.
    at_most : float, default=1.0
        Seconds. The whole fit is timed if it is expected to take no longer than this, otherwise `at_least` epochs.

    Returns
    -------
    dict
        ``first_seconds``, the first fit, of one epoch; ``epoch_seconds``, what every further epoch adds;
        ``whole_seconds``, a first fit of `max_iter` epochs, calculated from these two; ``epochs``, the number that was
        timed.

    Raises
    ------
    ValueError
        If `at_least` is out of range.

    Examples
    --------
    >>> import time
    >>> from mlperf.profilers.timing import fit_costs
    >>> costs = fit_costs(lambda epochs: time.sleep(0.001 * epochs), 20, at_least=2)
    >>> costs["epochs"], costs["whole_seconds"] > 0.019
    (20, True)
    """
    if not 2 <= at_least <= max_iter:
        raise ValueError(
            f"The 'at_least' parameter of fit_costs must be from 2 to max_iter ({max_iter}). Got {at_least!r} instead."
        )
    first = seconds(lambda: fit(1))
    # From here on garbage is not collected first: that would take longer than the short fits.
    one, some = (min(_elapsed(lambda: fit(n)) for _ in range(3)) for n in (1, 2))  # noqa: B023 - called at once
    epochs = max_iter if max_iter * max(some - one, some / 2) <= at_most else at_least
    # A short fit that was disturbed must not make the epochs of the long one seem to cost nothing.
    long = _elapsed(lambda: fit(epochs))
    epoch = max(long - one, long / 20) / (epochs - 1)
    return {
        "first_seconds": first,
        "epoch_seconds": epoch,
        "whole_seconds": first + (max_iter - 1) * epoch,
        "epochs": epochs,
    }


@contextmanager
def empty_caches() -> Iterator[None]:
    """Hide all that was compiled before, so that a first fit is timed as on a new machine.

    Inside the context, ``XDG_CACHE_HOME``, where this package and its rivals keep what they compile, names an empty
    folder. Afterwards the folder is removed and all environment variables are restored. What this process has already
    loaded stays loaded, so a cold start needs a fresh process.

    Examples
    --------
    >>> from mlperf.profilers.timing import empty_caches, seconds
    >>> with empty_caches():
    ...     first = seconds(lambda: sum(range(1_000)))
    """
    before = dict(os.environ)
    with scratch() as folder:
        os.environ["XDG_CACHE_HOME"] = str(folder)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def seconds_per_call(call: Callable[[], object], *, at_least: float = SHORTEST) -> float:
    """Time a call that is too short for one interval of its own.

    Parameters
    ----------
    call : callable
        Called without arguments: once uncounted, then in longer and longer runs until one is long enough.
    at_least : float, default=0.005
        Shortest interval, in seconds, that counts. On a coarse clock it is at least 20 of the clock's steps.

    Returns
    -------
    float
        Seconds of the last run divided by its calls, including the loop around them. A GPU is waited for as in
        `seconds`, before the run and at its end, not between the calls.

    Raises
    ------
    RuntimeError
        If the clock stands still for a million calls.

    Examples
    --------
    >>> from mlperf.profilers.timing import seconds_per_call
    >>> 0 < seconds_per_call(lambda: sum(range(10))) < 0.005
    True
    """
    at_least = max(at_least, STEPS * _clock_step())
    call()
    n_calls = 1
    while True:
        wait()
        start = perf_counter()
        for _ in range(n_calls):
            call()
        wait()
        elapsed = perf_counter() - start
        if elapsed >= at_least:
            return elapsed / n_calls
        if elapsed <= 0 and n_calls >= MOST_READINGS:
            raise RuntimeError(f"time.perf_counter() stood still for {n_calls:,} calls: nothing can be timed here.")
        # Aim a little beyond, or noise would often make one more run necessary.
        aim = int(1.2 * n_calls * at_least / elapsed) if elapsed > 0 else 0
        n_calls = max(2 * n_calls, aim)


def _clock_step() -> float:
    """Return the clock's smallest step; 0 if it does not advance while it is read."""
    start = perf_counter()
    for _ in range(MOST_READINGS):
        step = perf_counter() - start
        if step > 0:
            return step
    return 0.0


def seconds_per_part(work: Iterable[str]) -> dict[str, float]:
    """Time the parts of a piece of work that names each part as it ends.

    Parameters
    ----------
    work : iterable of str
        A generator that does the work, a part at a time, and yields the name of each part that has ended; parts of
        one name are summed.

    Returns
    -------
    dict of float
        Seconds of each part, in the order in which they first ended; a GPU is waited for at the end of each. The rest
        of the whole comes last, as ``"between"``: reading the clock, and what the work does after its last part.

    Examples
    --------
    >>> from mlperf.profilers.timing import seconds_per_part
    >>> def work():
    ...     for _ in range(2):
    ...         sum(range(1_000))
    ...         yield "adding"
    ...         sorted(range(1_000))
    ...         yield "sorting"
    >>> list(seconds_per_part(work()))
    ['adding', 'sorting', 'between']
    """
    spent: dict[str, float] = defaultdict(float)
    wait()
    begin = last = perf_counter()
    for part in work:
        wait()
        spent[part] += perf_counter() - last
        last = perf_counter()
    wait()
    return {**spent, "between": perf_counter() - begin - sum(spent.values())}
