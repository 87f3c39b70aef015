"""What a worker of an executor does: it carries out the runs of a cell, or of a round, in a fresh process of its own.

The process is started with `subprocess`, as daemonic workers such as Dask's may start none with `multiprocessing`.
"""

import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mlperf.machine import environment, identity
from mlperf.profilers.child import Request
from mlperf.profilers.process import Process, ProcessError

# The processes under way, and the measurements that they belong to.
_running: dict[Process, str] = {}


class Order(NamedTuple):
    """What a worker is asked for."""

    measurement: str
    """Tells the processes of one measurement from those of others."""

    request: Request
    """What is asked of the process to prepare a task, without the task."""

    tasks: Sequence[bytes]
    """The cells that one process runs, in sweeps: a single one, or all of a round."""

    repeats: int
    threads: int
    timeout: float | None
    clean_environment: bool = False
    min_run_time: float = 0.0


class Outcome(NamedTuple):
    """What a worker answers. A failure is described, not raised: not every exception can be sent."""

    worker: str
    machine: str
    answers: list[list[dict[str, Any]]]
    """Of each task, one for each run, with its place in its sweep; none of a task that a failure kept from running."""

    failed: int = 0
    """Which task failed, if one did."""

    error: str = ""
    notes: tuple[str, ...] = ()


def carry_out(order: Order) -> Outcome:
    """Carry out the runs of one or more cells in a fresh process on this machine.

    Parameters
    ----------
    order : Order
        What to do.

    Returns
    -------
    Outcome
        What was measured, or what went wrong.

    Examples
    --------
    >>> import sys
    >>> from mlperf.profilers.child import Request
    >>> from mlperf.profilers.pickling import pickled
    >>> from mlperf.profilers.worker import Order, carry_out
    >>> task = pickled(lambda: {"x": 1}, {})
    >>> outcome = carry_out(Order("one", Request("prepare"), [task], repeats=2, threads=1, timeout=None))
    >>> [[answer["rows"] for answer in of_task] for of_task in outcome.answers]
    [[[[1]], [[1]]]]
    """
    worker, where = f"{platform.node()}, process {os.getpid()}", machine()
    process = Process(order.threads, clean=order.clean_environment)
    _running[process] = order.measurement
    request = _at_home(order.request)
    under_way: list[list[dict[str, Any]]] = [[] for _ in order.tasks]
    answers: list[list[dict[str, Any]]] = [[] for _ in order.tasks]
    try:
        for number, task in enumerate(order.tasks):
            process.ask(request._replace(number=number, task=task), order.timeout)
        for ran in process.runs(order.repeats, order.min_run_time, order.timeout):
            if ran.answer:
                under_way[ran.number].append({**ran.answer, "order": ran.place})
            if ran.last:
                answers[ran.number] = under_way[ran.number]
        process.end()
        return Outcome(worker, where, answers)
    except ProcessError as error:
        return Outcome(worker, where, answers, error.number, str(error), tuple(getattr(error, "__notes__", ())))
    finally:
        process.end(kill=True)
        del _running[process]


def stop(measurement: str) -> None:
    """End the processes of a measurement that are under way on this worker.

    Parameters
    ----------
    measurement : str
        As in its orders.

    Examples
    --------
    >>> from mlperf.profilers.worker import stop
    >>> stop("one that has none")
    """
    for process, owner in list(_running.items()):
        if owner == measurement:
            process.end(kill=True)


def machine() -> str:
    """Return the name of this worker's machine: see `mlperf.machine.identity`.

    Dask sets environment variables that change how its workers release memory. They are removed first: the measured
    processes would inherit them.

    Examples
    --------
    >>> from mlperf.profilers.worker import machine
    >>> machine() == machine()
    True
    """
    dask = sys.modules.get("dask")
    settings = {} if dask is None else dask.config.get("distributed.nanny.pre-spawn-environ", {})
    for name, value in settings.items():
        if environment().get(name) == str(value):
            del os.environ[name]
    return identity()


def _at_home(request: Request) -> Request:
    """Return a request with this machine's search path for modules, followed by the caller's."""
    path = [*sys.path, *(entry for entry in request.path if entry not in sys.path)]
    folder = request.folder if request.folder and Path(request.folder).is_dir() else str(Path.cwd())
    return request._replace(path=path, folder=folder)
