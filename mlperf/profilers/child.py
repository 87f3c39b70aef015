"""What a fresh process does: it carries out the runs that its parent asks for, and answers with what was measured.

Requests come in as pickles on one pipe, answers go out as lines of JSON on another. So the measured function has
standard output to itself, and none of its types reaches the parent: an exception is answered by its text, a measured
value as a plain number or string. Only Python's own library is loaded here, since every fresh process pays for it.
"""

import gc
import json
import linecache
import os
import pickle
import random
import re
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

# Innermost frames of a failed run that its error shows.
FRAMES = 20
# Seconds that a copy of this process, forked by the measured function, gets to come back here.
FORKED = 0.2
# What cloudpickle calls the file of every function that it pickles by value.
PICKLED = "<dynamic-code>"
# Seconds that clearing up may take after the parent has ended.
CLEARING = 10
# Sweeps over which a task spreads the time that its runs take at least.
TURNS = 10
# Returned by a run in place of a result.
PAUSED = object()


class Request(NamedTuple):
    """What the parent asks for."""

    kind: str
    """``"prepare"``: load a task and warm up; ``"run"``: run all tasks that were loaded, in sweeps; ``"end"``."""

    path: Sequence[str] = ()
    """The parent's search path for modules."""

    folder: str = ""
    """The parent's current folder."""

    task: bytes = b""
    """The pickled function, the keyword arguments of its runs and those of its warm-up (None without one)."""

    taken: tuple[str, ...] = ()
    """Names of columns that the function may not return."""

    script: str = ""
    """The file in which the function is defined."""

    scratch: str = ""
    """A folder that goes if the parent ends before this process does."""

    number: int = 0
    """Of the task, counted from 0, which begins anew and drops all others."""

    repeats: int = 1
    """How often each task is run at least."""

    min_run_time: float = 0.0
    """Seconds that the runs of each task take together at least."""


def serve(requests: int, answers: int) -> None:
    """Carry out requests until the parent asks this process to end, or ends itself.

    Parameters
    ----------
    requests, answers : int
        File descriptors to read from and to write to.
    """
    for descriptor in (requests, answers):
        os.set_inheritable(descriptor, False)
    asked: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, asked), daemon=True).start()
    worker = _Worker()
    while (request := asked.get()).kind != "end":
        for answer in worker.answers(request):
            try:
                _write(answers, (json.dumps(answer) + "\n").encode())
            except OSError:  # the parent has ended: the thread that listens to it clears up and ends this process
                time.sleep(CLEARING)
                os._exit(1)
            if os.getpid() != worker.pid:  # a copy, which has said so
                os._exit(1)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    # Let multiprocessing release the system's resources that the function took: only a plain exit does so publicly.
    if util := sys.modules.get("multiprocessing.util"):
        with suppress(Exception):
            util._run_finalizers(0)
    # Unloading the libraries would take half as long as loading them, for nothing.
    os._exit(0)


def _listen(requests: int, asked: SimpleQueue[Request]) -> None:
    """Pass requests on; once the parent has ended, so that no more can come, end this process at once."""
    scratch = ""
    with open(requests, "rb") as file:
        while True:
            try:
                request = pickle.load(file)
            except EOFError:
                break
            scratch = request.scratch or scratch
            asked.put(request)
    if scratch:
        _remove(scratch)
    if os.getpgrp() == os.getpid():  # and what the measured function has started
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _remove(scratch: str) -> None:
    """Remove a folder to which processes started by this one may still write."""
    import shutil

    import psutil

    with suppress(Exception):
        started = psutil.Process().children(recursive=True)
        for process in started:
            process.kill()
        psutil.wait_procs(started, timeout=5)
    shutil.rmtree(scratch, ignore_errors=True)


def _write(answers: int, content: bytes) -> None:
    while content:
        content = content[os.write(answers, content) :]


class _Run:
    """A run under way. If the measured function is a generator function, it pauses wherever that yields."""

    def __init__(self, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        self.function, self.arguments = function, arguments
        self.load = _load()
        self.ticks: list[int] = []
        self.parts: Generator[object, None, Any] | None = None

    def go_on(self) -> Any:
        """Return what the function returned, or `PAUSED`."""
        before = _ticks()
        try:
            if self.parts is None:
                returned = self.function(**self.arguments)
                if not isinstance(returned, Generator):
                    return returned
                self.parts = returned
            return self._next_part(self.parts)
        finally:
            passed = [late - early for early, late in zip(before, _ticks(), strict=True)]
            self.ticks = [sum(of_kind) for of_kind in zip(self.ticks or [0] * len(passed), passed, strict=True)]

    def _next_part(self, parts: Generator[object, None, Any]) -> Any:
        try:
            next(parts)
        except StopIteration as end:
            return end.value
        return PAUSED

    def close(self) -> None:
        """Let a run that pauses clear up, and go no further."""
        if self.parts is not None:
            with suppress(BaseException):
                self.parts.close()

    def state(self) -> dict[str, float]:
        """Say how the machine was during the run, its pauses left out."""
        return {"load": self.load, "steal_fraction": _stolen_fraction(self.ticks), "frequency_ghz": _frequency()}


class _Task:
    """What is run repeatedly: how often it was run, for how long, and the run under way, if there is one."""

    def __init__(self, number: int, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        self.number, self.function, self.arguments = number, function, arguments
        self.n_runs, self.seconds = 0, 0.0
        self.seconds_of_turn = 0.0
        self.under_way: _Run | None = None


class _Worker:
    """The tasks of this process, and how they are carried out."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.folder = "."
        self.path: Sequence[str] = ()
        self.taken: tuple[str, ...] = ()
        self.script = ""
        self.tasks: list[_Task] = []
        self.forks = 0
        os.register_at_fork(after_in_parent=self._forked)

    def answers(self, request: Request) -> Iterator[dict[str, Any]]:
        """Carry out a request; there is one answer to ``"prepare"``, and one for each run or part of one."""
        return iter([self._prepare(request)]) if request.kind == "prepare" else self._run(request)

    def _prepare(self, request: Request) -> dict[str, Any]:
        """Load a task and carry out its warm-up; the answer holds what the warm-up returned."""
        self.taken, self.folder, self.script = request.taken, request.folder, request.script
        self.path = request.path
        if request.number == 0:
            self.tasks.clear()
        try:
            os.chdir(self.folder)
            with self._restored():
                function, arguments, warmup = pickle.loads(request.task)
        except BaseException as error:  # such as a module that only the parent finds
            return _failure(error, self.script)
        self.tasks.append(_Task(request.number, function, arguments))
        answer: dict[str, Any] = {}
        if warmup is not None:
            warming = _Run(function, warmup)
            while not answer:
                answer = self._go_on(warming)
        # Garbage collection looks through all objects of the libraries, which takes a fifth of a second. From here on
        # it looks only through those that the runs make.
        gc.collect()
        gc.freeze()
        return answer

    def _run(self, request: Request) -> Iterator[dict[str, Any]]:
        """Run all tasks, in sweeps.

        A sweep visits every task that has not run often enough yet, in an order that is drawn anew: one that pauses
        goes on to its next pause, any other is run once. Short runs, or parts of one, follow each other until they have
        taken their share of `min_run_time`, so that they last for as many sweeps as long ones do. So whatever disturbs
        the machine disturbs all tasks alike. No word of the parent is waited for in between, as a core that falls
        asleep is slow at first.
        """
        left, self.tasks = self.tasks, []  # what has run often enough is freed
        order, sweep, place = list(left), 0, 0  # the order of the first sweep is the parent's
        while order:
            task = order[place]
            answer = self._go_on_with(task)
            last = bool(answer) and task.n_runs >= request.repeats and task.seconds >= request.min_run_time
            about = {"number": task.number, "sweep": sweep, "place": place, "last": last}
            if last:
                left.remove(task)
            if last or task.seconds_of_turn >= request.min_run_time / TURNS:
                task.seconds_of_turn = 0.0
                place += 1
            if place == len(order):
                random.SystemRandom().shuffle(left)
                order, sweep, place = list(left), sweep + 1, 0
            if "error" in answer:
                for other in left:
                    if other.under_way is not None:
                        other.under_way.close()
            yield {**about, "following": order[place].number if order else None, **answer}
            if "error" in answer:
                return

    def _go_on_with(self, task: _Task) -> dict[str, Any]:
        """Run a task, or go on with its run; the answer is empty if that pauses."""
        task.under_way = task.under_way or _Run(task.function, task.arguments)
        start = time.perf_counter()
        answer = self._go_on(task.under_way)
        elapsed = time.perf_counter() - start
        task.seconds += elapsed
        task.seconds_of_turn += elapsed
        if answer:
            task.under_way = None
            task.n_runs += 1
        return answer

    def _go_on(self, run: _Run) -> dict[str, Any]:
        """Begin a run, or go on with it; the answer is empty if it pauses."""
        self.forks = 0
        try:
            with self._restored():
                returned = run.go_on()
            answer = {} if returned is PAUSED else {**_table(returned, self.taken), **run.state()}
        except BaseException as error:  # whatever it is, the parent is told
            answer = _failure(error, self.script)
        if os.getpid() != self.pid:
            return {"error": "it forked a process that returned from it"}
        if self.forks:
            time.sleep(FORKED)  # so that a copy is heard
        return answer

    @contextmanager
    def _restored(self) -> Iterator[None]:
        """Keep the folder, the search path and the filters of warnings from being changed for the runs that follow."""
        sys.path[:] = self.path
        try:
            with warnings.catch_warnings():
                yield
        finally:
            with suppress(OSError):
                os.chdir(self.folder)

    def _forked(self) -> None:
        self.forks += 1


def _failure(error: BaseException, script: str = "") -> dict[str, str]:
    """Say what went wrong. The exception itself stays here: not all can be pickled, or made anew."""
    name = type(error).__name__
    with suppress(Exception):
        linecache.cache[PICKLED] = len(script), None, linecache.getlines(script), PICKLED
    try:
        text = f"{name}: {error}" if str(error) else name
        told = "".join(traceback.format_exception(error, limit=-FRAMES)).replace(f'"{PICKLED}"', f'"{script}"')
    except Exception:  # its own text may fail
        text = told = name
    return {"error": text, "traceback": told}


def _load() -> float:
    """Return the load average of the last minute, in processes for each core."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return float("nan")


def _ticks() -> list[int]:
    """Return how all cores spent their time so far, in ticks; empty where it cannot be read."""
    try:
        with open("/proc/stat", "rb") as file:  # noqa: PTH123 - quicker
            return [int(field) for field in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return []


def _stolen_fraction(passed: list[int]) -> float:
    """Return which fraction of the cores' time, in ticks, went to other machines on the same hardware."""
    return passed[7] / sum(passed) if len(passed) == 8 and sum(passed) > 0 else float("nan")


def _frequency() -> float:
    """Return the frequency in GHz of the core that this process runs on, while it is still warm; NaN if it is unknown.

    psutil would tell that of all cores, most of them idle, and take longer to load than many a run.
    """
    try:
        core = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[36]
        known = Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq")
        if known.exists():
            return int(known.read_text()) / 1e6
        of_core = Path("/proc/cpuinfo").read_text().split("\n\n")[int(core)]
        return float(re.findall(r"^cpu MHz\s*:\s*([0-9.]+)", of_core, re.MULTILINE)[0]) / 1e3
    except (OSError, ValueError, IndexError):
        return float("nan")


def _table(returned: Any, taken: tuple[str, ...]) -> dict[str, Any]:
    """Return what a run returned as rows of plain values, with the names of their levels and columns."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(returned, pandas.DataFrame):
        levels, columns, rows = _of_frame(returned)
    elif isinstance(returned, Mapping):
        levels, columns, rows = [], list(returned), [list(returned.values())]
    else:
        hint = " Is there a return missing?" if returned is None else ""
        got = "None" if returned is None else f"{_a(returned)}"
        raise TypeError(f"run must return a mapping, such as {{'seconds': 1.5}}, or a DataFrame. Got {got}.{hint}")
    for name in [*levels, *columns]:
        if not isinstance(name, str):
            raise TypeError(f"What run returns must be named by strings. Got {name!r}, {_a(name)}.")
        if name in taken:
            raise ValueError(f"run must not return {name!r}: the table of the runs has a column of that name already.")
    twice = [name for name in columns if [*levels, *columns].count(name) > 1]
    if twice:
        raise ValueError(f"run returned the column {twice[0]!r} twice.")
    n_levels = len(levels)
    plain = [
        [*map(_label, row[:n_levels]), *(_plain(*cell) for cell in zip(columns, row[n_levels:], strict=True))]
        for row in rows
    ]
    return {"levels": levels, "columns": columns, "rows": plain}


def _of_frame(frame: Any) -> tuple[list[Any], list[Any], list[list[Any]]]:
    """Return levels, columns and rows of a data frame; the names of its index are the levels."""
    names = [name for name in frame.index.names if name is not None]
    if len(names) < frame.index.nlevels and (names or len(frame) > 1):
        raise ValueError(
            "The rows of a DataFrame that run returns must be identified by an index with a name. "
            "Write `return frame.set_index(...)` with the column that names them."
        )
    if names and frame.index.has_duplicates:
        again = frame.index[frame.index.duplicated()][0]
        raise ValueError(f"The index of the DataFrame that run returned must name each row once. Got {again!r} twice.")
    columns = list(frame.columns)
    told = frame.reset_index() if names else frame
    return names, columns, list(map(list, told.itertuples(index=False, name=None)))


def _label(value: Any) -> Any:
    try:
        return _plain("", value)
    except TypeError:
        return str(value)


def _plain(name: str, value: Any) -> bool | int | float | str | None:
    """Return one measured value as one of Python's own types."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, bool):
        return bool(value)
    if getattr(getattr(value, "dtype", None), "kind", "") == "m" and not value.shape:
        return float(value.astype("m8[ns]").astype("int64")) / 1e9  # what NumPy calls an integer is a time
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real | Decimal):
        return float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date):
        return value.isoformat()
    # NumPy's scalars and arrays of no dimension, and tensors of one element.
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return _plain(name, value.item())
    raise TypeError(f"What run returns must be numbers or strings. Got {name!r}, {_a(value)}.")


def _a(value: Any) -> str:
    """Return the type of a value with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
