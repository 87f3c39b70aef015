"""Measure a callable over a grid of settings: fresh processes, rounds in random order, every raw value kept."""

import inspect
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from math import inf
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mlperf.profilers import child
from mlperf.profilers.child import Request
from mlperf.profilers.executors import places
from mlperf.profilers.grid import cells, check_arguments
from mlperf.profilers.pickling import pickled
from mlperf.profilers.rounds import Measurement, MeasurementError, Settings, Turn
from mlperf.profilers.worker import machine
from mlperf.protocol import FRESH_PROCESSES, THREADS
from mlperf.quantities.runs import BOOKKEEPING, Runs
from mlperf.results.journal import Journal
from mlperf.results.stored import asked_for, stored_runs

Row = Mapping[str, Any]
Run = Callable[..., Row | pd.DataFrame] | Callable[..., Generator[Any, None, Row | pd.DataFrame]]


def measure(
    run: Run,
    *,
    processes: int = 6,
    repeats: int = 1,
    min_run_time: float = 0.0,
    warmup: Mapping[str, Any] | bool = True,
    threads: int = THREADS,
    n_jobs: int | None = None,
    executor: Any = None,
    fresh: bool | Literal["round"] = FRESH_PROCESSES,
    timeout: float | None = None,
    clean_environment: bool = False,
    **grid: Any,
) -> Runs:
    """Run every cell of a grid in fresh processes, round after round.

    A round visits every cell, each in a fresh process or all in one, in an order that is drawn anew. So a machine that
    slows down slows all cells, not just the last ones, and no cell always runs after the same other one.

    Parameters
    ----------
    run : callable
        Called as ``run(**cell)`` with one level of every grid parameter. Returns a mapping (one row) or a data frame
        (several rows, identified by a named index). May be defined in a script without a ``__main__`` guard. May be a
        generator function: it pauses at each ``yield``, and what it returns counts
        (`mlperf.profilers.timing.seconds_of_parts`). Other runs may go on in its pauses, so a context that it enters,
        such as ``torch.no_grad()``, must not span one.
    processes : int, default=6
        Fresh processes for each cell, one in each round. A single process supports no interval.
    repeats : int, default=1
        Counted runs of a cell in each process.
    min_run_time : float, default=0.0
        Seconds. A cell is run more than `repeats` times in a process if its counted runs there take less than this
        together. Short runs vary more than long ones, and more of them cost little.
    warmup : mapping or bool, default=True
        How each process runs its cell once before the counted runs: with these keyword arguments replaced (such as
        ``{"max_iter": 1}``), unchanged (True) or not at all (False).
    threads : int, default=1
        Threads that a process may use inside one operator.
    n_jobs : int, default=None
        Processes that are measured at the same time: by default one, and with an `executor` that is a Dask client one
        on each worker. On one machine, ask for more than one only if the values do not depend on how long a run takes.
        By default, processes start and warm up together, as many as there are cores, because loading the libraries
        takes seconds; once all of them are ready, and idle, they are measured one after the other. With 1, there is
        never more than one process, which takes less memory and more time.
    executor : Dask client or executor, default=None
        What carries out the runs: a client of Dask's distributed, its ``get_executor()``, an executor of submitit
        (Slurm), of loky or of `concurrent.futures`. Each of its workers starts a fresh process of its own for each
        process of a cell, or of a round where `fresh` is ``"round"``, one at a time. Dask tells which machines there
        are; a round then stays on one of them. See :doc:`/clusters`. By default `measure` starts the processes itself,
        on this machine, without a pool.
    fresh : bool or "round", default=True
        Whether each cell of each round runs in a fresh process. With ``"round"``, all cells of a round run in one fresh
        process, in sweeps: each sweep visits all cells that have not run often enough yet, in an order that is drawn
        anew, and runs each once, or on to its next pause (more often if that takes less than a tenth of
        `min_run_time`). Libraries are loaded once a round, and whatever differs
        between processes, or disturbs the machine for longer than a sweep, is the same for all cells that are compared.
        What one cell leaves in memory may affect the next, which is another cell in each sweep. With False, all runs
        share one process, or one for each of `n_jobs`, which is quick but does not sample the differences between
        processes. By default False in the quick protocol. With an `executor`, False is as ``"round"``, since no
        process lasts from one round to the next on its workers.
    timeout : float, default=None
        Seconds that a warm-up, a run, or each part of a run that pauses may take.
    clean_environment : bool, default=False
        Whether to clear the environment variables that change how libraries compute, such as ``OPENBLAS_CORETYPE`` or
        ``XLA_FLAGS`` (`mlperf.machine.PREFIXES`), so that each library is at its best. Numbers of threads are set by
        `threads` in any case; variables that name a folder or choose a device are kept.
    **grid : sequence or mapping
        The levels of each parameter of `run`. If they are a mapping, its keys label the rows and `run` gets its values.

    Returns
    -------
    Runs
        One row for each run, or for each row that it returned: the grid's columns and those of the returned frame's
        index; ``process`` (the round) and ``repeat`` (within the process); ``order``, the place of the cell in its
        sweep, or in its round where cells do not take turns; ``load``, the load average of the last minute before the
        run, in processes for each core; ``steal_fraction``, the fraction of the cores' time that went to other virtual
        machines during the run, its pauses left out, NaN where it cannot be read or was too short; ``frequency_ghz``
        of its core when it ended, NaN where it cannot be read; ``machine``, as `mlperf.machine.identity` names it; and
        what `run` returned. Where there is more than one machine, it is a level of the grid: runs of different machines
        never form one sample.

    Raises
    ------
    MeasurementError
        If `run` raises, exits, hangs beyond `timeout` or returns neither numbers nor strings, or if its process or its
        worker dies. No process is left behind, with one exception: a run that another executor than Dask's or
        submitit's carries out cannot be stopped, and ends by itself.
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or if `run` cannot be pickled.

    Notes
    -----
    In a script, the runs of a cell in a process are kept in a journal in the results folder once all of them have
    ended. If the script is interrupted, or fails
    later on, its next start takes them from there, unless something that they depend on has changed. The journal is
    deleted once the script has published its results or has ended without an error; one in which a measurement failed
    has not, even if it caught the error.

    Examples
    --------
    >>> from mlperf import measure
    >>> def run(base, exponent):
    ...     return {"power": base**exponent}
    >>> runs = measure(run, processes=1, base=[2, 3], exponent={"square": 2})
    >>> runs.frame[["base", "exponent", "process", "repeat", "power"]]
       base exponent  process  repeat  power
    0     2   square        0       0      4
    1     3   square        0       0      9
    """
    processes = check_count("measure", "processes", processes)
    repeats = check_count("measure", "repeats", repeats)
    min_run_time = _checked_min_run_time(min_run_time)
    threads = check_count("measure", "threads", threads)
    n_jobs = None if n_jobs is None else check_count("measure", "n_jobs", n_jobs)
    _check_timeout(timeout)
    _check_fresh(fresh)
    _check_clean(clean_environment)
    todo = cells("measure", run, grid, options=OPTIONS, taken=BOOKKEEPING)
    replaced = _replaced(run, warmup, grid)
    script = sys._getframe(1).f_code.co_filename
    called = getattr(run, "__name__", type(run).__name__)
    labels = [cell.labels for cell in todo]
    more = {"min_run_time": min_run_time} if min_run_time else {}
    asked = asked_for(called, labels, processes=processes, repeats=repeats, threads=threads, **more)
    stored = stored_runs(script, asked)
    if stored is not None:
        return stored
    defined_in = getattr(getattr(run, "__code__", None), "co_filename", "")
    first = Request("prepare", sys.path, _folder(), taken=(*grid, *BOOKKEEPING), script=defined_in)
    settings = Settings(repeats, min_run_time, threads, fresh, timeout, clean_environment, first)
    elsewhere = [] if executor is None else places(executor, n_jobs)
    # The runs of a cluster name their machines; those of here are continued on this machine only.
    where = ("executor", fresh is True) if elsewhere else (machine(), (n_jobs or 1) > 1, fresh)
    depends = (child, run, replaced, repeats, min_run_time, threads, clean_environment, where)
    journal = Journal(script, depends)
    pending = []
    for cell in todo:
        task = pickled(run, cell.arguments, None if replaced is None else {**cell.arguments, **replaced})
        pending.append((cell, task, journal.key(cell)))
    turns = [
        Turn(cell, task, key, number, journal.get(key, number))
        for number in range(processes)
        for cell, task, key in pending
    ]
    Measurement(settings, journal, turns, elsewhere).carry_out(n_jobs)
    runs = _runs(turns, list(grid))
    runs.asked = asked
    return runs


OPTIONS = [
    name
    for name, parameter in inspect.signature(measure).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
]


def _folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was removed meanwhile
        return "/"


def _runs(turns: Sequence[Turn], grid: list[str]) -> Runs:
    """Lay out what was measured as one table."""
    rows: list[dict[str, Any]] = []
    levels: list[str] | None = None
    columns: dict[str, None] = {}
    for turn in turns:
        for repeat, answer in enumerate(turn.answers or []):
            if levels is not None and answer["levels"] != levels:
                raise MeasurementError(
                    f"The frame that run returned in the cell {turn.cell.name} has the index {answer['levels']}, "
                    f"in others {levels}."
                )
            levels = answer["levels"]
            columns.update(dict.fromkeys(answer["columns"]))
            about = {"process": turn.number, "repeat": repeat, **{name: answer[name] for name in BOOKKEEPING[2:]}}
            names = [*levels, *answer["columns"]]
            rows += [{**turn.cell.labels, **about, **dict(zip(names, row, strict=True))} for row in answer["rows"]]
    by = [*grid, *(levels or [])]
    frame = pd.DataFrame(rows, columns=[*by, *BOOKKEEPING, *columns])
    for name in grid:
        labels = [row[name] for row in rows]
        if None in labels:  # of which pandas makes a missing number
            frame[name] = pd.Series(labels, dtype=object)
    return Runs(frame, by=by)


def check_count(owner: str, name: str, count: Any) -> int:
    """Return a parameter that must be a whole number of at least 1.

    Raises
    ------
    TypeError, ValueError
        If it is none; the message names the parameter and the function that got it.
    """
    message = f"The {name!r} parameter of {owner} must be an int of at least 1. Got {count!r} instead."
    try:
        number = index(count)  # of NumPy's numbers and arrays of no dimension too
    except TypeError:
        raise TypeError(message) from None
    if isinstance(count, bool):
        raise TypeError(message)
    if number < 1:
        raise ValueError(message)
    return number


def _checked_min_run_time(min_run_time: Any) -> float:
    message = (
        "The 'min_run_time' parameter of measure must be a number of seconds of at least 0. "
        f"Got {min_run_time!r} instead."
    )
    if not isinstance(min_run_time, Real) or isinstance(min_run_time, bool):
        raise TypeError(message)
    if not 0 <= float(min_run_time) < inf:
        raise ValueError(message)
    return float(min_run_time)


def _check_timeout(timeout: Any) -> None:
    message = (
        f"The 'timeout' parameter of measure must be a number of seconds above 0, or None. Got {timeout!r} instead."
    )
    if timeout is None:
        return
    if not isinstance(timeout, Real) or isinstance(timeout, bool):
        raise TypeError(message)
    if float(timeout) <= 0:
        raise ValueError(message)


def _check_fresh(fresh: Any) -> None:
    if not isinstance(fresh, bool) and fresh != "round":
        raise ValueError(f"The 'fresh' parameter of measure must be True, False or 'round'. Got {fresh!r} instead.")


def _check_clean(clean_environment: Any) -> None:
    if not isinstance(clean_environment, bool):
        raise TypeError(
            "The 'clean_environment' parameter of measure must be True or False: which variables are cleared is fixed "
            f"(mlperf.machine.PREFIXES). Got {clean_environment!r} instead."
        )


def _replaced(run: Run, warmup: Any, grid: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments that a warm-up replaces; None if there is none."""
    if isinstance(warmup, Mapping):
        check_arguments("the warm-up of measure", run, [*grid, *warmup])
        return dict(warmup)
    if not isinstance(warmup, bool):
        raise TypeError(
            "The 'warmup' parameter of measure must be True, False, or a mapping of the arguments that it replaces, "
            f"such as {{'max_iter': 1}}. Got {warmup!r} instead."
        )
    return {} if warmup else None
