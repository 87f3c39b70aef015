"""Measure a callable over a grid of settings: fresh processes, interleaved rounds, every raw value kept."""

import atexit
import gc
import itertools
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from typing import Any

import loky
import pandas as pd
from tqdm.auto import tqdm

from mlperf.protocol import FRESH_PROCESSES, THREADS

Run = Callable[..., Mapping[str, Any] | pd.DataFrame]


class MeasurementError(RuntimeError):
    """A measured callable failed; the message names the cell of the grid in which it did."""


def measure(
    run: Run,
    *,
    repeats: int,
    processes: int = 1,
    threads: int = THREADS,
    warmup: Mapping[str, Any] | bool = True,
    n_jobs: int = 1,
    **grid: Sequence[Any] | Mapping[str, Any],
) -> pd.DataFrame:
    """Run every cell of a grid repeatedly in fresh child processes.

    The runs are carried out in rounds: a round visits every cell once, in a fresh process each, so that a
    machine that slows down meanwhile slows all cells and not the last ones. What varies between processes (where
    memory happens to lie, what else the machine does) is thereby told apart from what varies within one.

    Parameters
    ----------
    run : callable
        Called as ``run(**cell)`` with one level of every grid parameter. Returns a mapping (one row) or a data
        frame (several). May be defined in a script without a ``__main__`` guard.
    repeats : int
        Counted runs of each cell, over all its processes.
    processes : int, default=1
        Fresh processes that share the repeats of one cell, at most `repeats`.
    threads : int, default=1
        Threads that a child process may use inside one operator.
    warmup : mapping or bool, default=True
        Before it counts, each process runs its cell once: with these keyword arguments replaced (such as
        ``{"max_iter": 1}``), as it is (True) or not at all (False).
    n_jobs : int, default=1
        Child processes at a time; the quick protocol has one in all. More than one is for values that do not depend on
        the time they take.
    **grid : sequence or mapping
        The levels of each parameter of `run`. Of a mapping, the keys label the rows and `run` gets the values.

    Returns
    -------
    pandas.DataFrame
        One row for each repeat (or for each row that `run` returned): the grid's columns, ``process`` (its
        number within the cell), ``repeat`` (its number within the cell), and what `run` returned.

    Raises
    ------
    MeasurementError
        If `run` raises or its process dies. No child process is left.
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> from mlperf.profilers.measure import measure
    >>> def run(base, exponent):
    ...     return {"power": base**exponent}
    >>> measure(run, repeats=1, base=[2, 3], exponent={"square": 2})
       base exponent  process  repeat  power
    0     2   square        0       0      4
    1     3   square        0       0      9
    """
    _check_counts(repeats=repeats, processes=processes, threads=threads, n_jobs=n_jobs)
    if processes > repeats:
        raise ValueError(
            f"The 'processes' parameter of measure must be at most repeats ({repeats}). Got {processes} instead."
        )
    levels = [_levels(name, values) for name, values in grid.items()]
    cells = [dict(zip(grid, cell, strict=True)) for cell in itertools.product(*levels)]
    shares = [repeats // processes + (number < repeats % processes) for number in range(processes)]
    children = [
        _Child(run, cell, number, sum(shares[:number]), share, warmup, threads)
        for number, share in enumerate(shares)
        for cell in cells
    ]
    rows: dict[int, list[dict[str, Any]]] = {}
    # To the terminal, also where a gallery keeps what a script prints.
    with (
        tqdm(total=repeats * len(cells), desc="Measuring", unit="run", smoothing=0, file=sys.__stderr__) as progress,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "A worker (was restarted|stopped)", UserWarning)  # loky's, of idle workers
        try:
            alone = n_jobs == 1 or not FRESH_PROCESSES
            for child, measured in _one_by_one(children) if alone else _side_by_side(children, n_jobs):
                rows[children.index(child)] = measured
                progress.set_postfix_str(child.name)
                progress.update(child.repeats)
        finally:
            for child in children:
                child.end()
    return pd.DataFrame.from_records([row for _, measured in sorted(rows.items()) for row in measured])


@dataclass(eq=False)
class _Child:
    """One fresh process that runs one cell of the grid."""

    run: Run
    cell: dict[str, tuple[Any, Any]]
    number: int
    first: int
    repeats: int
    warmup: Mapping[str, Any] | bool
    threads: int
    process: Any = None

    @property
    def name(self) -> str:
        return ", ".join(f"{name}={label}" for name, (label, _) in self.cell.items()) or "(the only one)"

    def prepare(self) -> Future:
        """Start the process and its warm-up."""
        self.process = _process(self.threads)
        return self.process.submit(_warm_up, self.run, self._arguments, self.warmup)

    def measure(self, prepared: Future) -> list[dict[str, Any]]:
        """Wait for the warm-up, carry out the repeats, end the process and return the rows."""
        try:
            prepared.result()
            repeated = self.process.submit(_repeated, self.run, self._arguments, self.repeats)
            measured = repeated.result()
        except Exception as error:
            raise MeasurementError(
                f"The measured run failed in the cell {self.name}: {type(error).__name__}: {error}"
            ) from error
        if FRESH_PROCESSES:
            self.process.shutdown()
        self.process = None
        labels = {name: label for name, (label, _) in self.cell.items()}
        return [
            {**labels, "process": self.number, "repeat": self.first + repeat, **row}
            for repeat, records in enumerate(measured)
            for row in records
        ]

    def measure_alone(self) -> list[dict[str, Any]]:
        """Start, warm up and measure in one go."""
        return self.measure(self.prepare())

    def end(self) -> None:
        """End the process, whatever it is doing, if there still is one."""
        if self.process is not None:
            self.process.shutdown(kill_workers=True)

    @property
    def _arguments(self) -> dict[str, Any]:
        return {name: level for name, (_, level) in self.cell.items()}


Measured = Iterator[tuple[_Child, list[dict[str, Any]]]]


def _one_by_one(children: Sequence[_Child]) -> Measured:
    # Loading the libraries takes seconds: as many processes as there are cores start and warm up together. Only
    # when all of them are ready, and idle, are they measured, one after the other.
    together = loky.cpu_count()
    for first in range(0, len(children), together):
        started = [(child, child.prepare()) for child in children[first : first + together]]
        wait([prepared for _, prepared in started])
        for child, prepared in started:
            yield child, child.measure(prepared)


def _side_by_side(children: Sequence[_Child], n_jobs: int) -> Measured:
    with ThreadPoolExecutor(n_jobs) as lanes:
        try:
            futures = {lanes.submit(_Child.measure_alone, child): child for child in children}
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:  # after an error or an interrupt: the lanes wait for nothing but processes that end now
            lanes.shutdown(wait=False, cancel_futures=True)
            for child in children:
                child.end()


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"The {name!r} parameter of measure must be an int of at least 1. Got {count!r} instead.")


def _levels(name: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Return the (label, level) pairs of one grid parameter."""
    if name in ("process", "repeat"):
        raise ValueError(f"The grid of measure must not have a parameter {name!r}: it is a column of the result.")
    pairs = list(values.items()) if isinstance(values, Mapping) else [(value, value) for value in values]
    if not pairs or isinstance(values, str):
        raise ValueError(f"The {name!r} parameter of measure must have at least one level. Got {values!r} instead.")
    return pairs


def _process(threads: int) -> Any:
    """Return an executor with one fresh process or, in the quick protocol, with the one process that all runs share."""
    # The libraries read these when they are loaded, which a fresh process has yet to do.
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    settings = {"env": dict.fromkeys(pools, str(threads)), "initializer": _follow, "initargs": (os.getpid(),)}
    if FRESH_PROCESSES:
        return loky.ProcessPoolExecutor(max_workers=1, **settings)
    return loky.get_reusable_executor(max_workers=1, timeout=60, **settings)


def _follow(parent: int) -> None:
    """Make this child process end with its parent, however that ends, and at once."""
    # Called after all other functions that are registered so: to take the libraries down takes half as long as to load
    # them, and nobody needs it.
    atexit.register(os._exit, 0)
    # An interrupt at the keyboard reaches children too; the parent alone answers it, by ending them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent() -> None:
        # Not by waiting for its number: that stays until whoever started the parent has asked how it ended.
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _warm_up(run: Run, arguments: dict[str, Any], warmup: Mapping[str, Any] | bool) -> None:
    if warmup is not False:
        run(**{**arguments, **(warmup if isinstance(warmup, Mapping) else {})})
    # Collecting garbage looks through all that the libraries hold, which takes a fifth of a second: from here on it
    # looks only through what the runs make.
    gc.collect()
    gc.freeze()


def _repeated(run: Run, arguments: dict[str, Any], repeats: int) -> list[list[dict[str, Any]]]:
    """Run one cell in this process; the records of each repeat."""
    returned = [run(**arguments) for _ in range(repeats)]
    return [rows.to_dict("records") if isinstance(rows, pd.DataFrame) else [dict(rows)] for rows in returned]
