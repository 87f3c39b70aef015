"""A measurement under way: which process carries out which runs, and when, here or at the places of an executor."""

import atexit
import itertools
import random
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import joblib

from mlperf.profilers.child import Request
from mlperf.profilers.executors import Place
from mlperf.profilers.grid import Cell
from mlperf.profilers.process import Bar, Process, ProcessError, environment, show
from mlperf.profilers.worker import Order, machine
from mlperf.results.journal import Journal


class MeasurementError(RuntimeError):
    """A measured function failed; the message names the cell of the grid in which it did."""


@dataclass(frozen=True)
class Settings:
    """What holds for every process of one measurement."""

    repeats: int
    min_run_time: float
    threads: int
    fresh: bool | str
    timeout: float | None
    clean_environment: bool
    request: Request
    """The first request to each process, without the task."""


@dataclass(eq=False)
class Turn:
    """One process of one cell."""

    cell: Cell
    task: bytes
    key: str
    number: int
    answers: list[dict[str, Any]] | None
    """One for each run; None as long as they are not measured."""


class Measurement:
    """What is under way: the processes that run, and what is shown of it."""

    def __init__(self, settings: Settings, journal: Journal, turns: Sequence[Turn], places: Sequence[Place]) -> None:
        self.settings, self.journal, self.turns, self.places = settings, journal, turns, places
        self.name = uuid.uuid4().hex
        self.running: set[Process] = set()
        self.stopped = False
        self.lock = threading.Lock()

    def carry_out(self, n_jobs: int | None) -> None:
        """Measure what is not measured yet."""
        repeats = self.settings.repeats
        # Runs beyond these are added when it turns out that a cell needs them.
        total = sum(repeats if turn.answers is None else len(turn.answers) for turn in self.turns)
        known = sum(len(turn.answers or ()) for turn in self.turns)
        if known:
            show(f"{known} of {total} runs are taken from {self.journal.path}, where an earlier start left them.\n")
        if known == total:
            return
        # To the terminal, also where a gallery keeps what a script prints.
        self.bar = Bar(total=total, initial=known, desc="Measuring", unit="run", smoothing=0, file=sys.__stderr__)
        with self.bar:
            try:
                if self.places:
                    self._deal_out([(place.machine, partial(self._measure_at, place)) for place in self.places])
                elif self.settings.fresh is not True:
                    self._round_by_round(n_jobs if self.settings.fresh else 1)
                elif n_jobs and n_jobs > 1:
                    self._deal_out([("", self._measure_here)] * n_jobs)
                else:
                    # Loading the libraries takes seconds, so several processes do it at once.
                    self._one_by_one(together=joblib.cpu_count() if n_jobs is None else 1)
            except BaseException:
                self.journal.keep()
                self.stop()
                raise

    def _one_by_one(self, together: int) -> None:
        """Measure each cell in a process of its own, one at a time.

        Several start and warm up together; only when all of them are ready, and idle, are they measured.
        """
        for place, batch in _batches(self.turns, together):
            self._name(batch[0])
            ready = self._in_lanes(self._prepare, batch, len(batch))
            for order, (turn, process) in enumerate(zip(batch, ready, strict=True), place):
                self._measure(turn, process, order)
                self._end(process)

    def _round_by_round(self, n_jobs: int | None) -> None:
        """Measure all cells of a round in one process.

        Processes of several rounds start and load their libraries together; only when all of them are ready, and idle,
        are they measured, one after the other. With `n_jobs` above 1 that many rounds run at a time instead.
        """
        rounds = list(_batches(self.turns, len(self.turns)))

        def prepare(numbered: tuple[int, list[Turn]]) -> Process:
            _, of_round = numbered
            self._name(of_round[0])
            return self._prepare(of_round[0])

        def carry_out(numbered: tuple[int, list[Turn]], process: Process) -> None:
            place, of_round = numbered
            for order, turn in enumerate(of_round, place):
                if turn is not of_round[0]:
                    self._warm_up(turn, process)
                self._measure(turn, process, order)
            if self.settings.fresh:
                self._end(process)

        if n_jobs is not None:
            self._in_lanes(lambda numbered: carry_out(numbered, prepare(numbered)), rounds, n_jobs)
            return
        together = joblib.cpu_count()
        for first in range(0, len(rounds), together):
            several = rounds[first : first + together]
            ready = self._in_lanes(prepare, several, len(several))
            for numbered, process in zip(several, ready, strict=True):
                carry_out(numbered, process)

    def _deal_out(self, lanes: Sequence[tuple[str, Callable[[Turn, int], None]]]) -> None:
        """Measure in several lanes at a time. All turns of a round go to lanes on one machine."""
        machines = sorted({machine for machine, _ in lanes})
        dealt: dict[str, list[tuple[Turn, int]]] = {machine: [] for machine in machines}
        for order, (turn,) in _batches(self.turns, 1):
            dealt[machines[turn.number % len(machines)]].append((turn, order))
        left = {machine: iter(turns) for machine, turns in dealt.items()}
        self._name(next(turn for turn in self.turns if turn.answers is None))

        def work(lane: tuple[str, Callable[[Turn, int], None]]) -> None:
            machine, carry_out = lane
            while not self.stopped:
                with self.lock:
                    following = next(left[machine], None)
                if following is None:
                    return
                carry_out(*following)

        self._in_lanes(work, lanes, len(lanes))

    def _in_lanes(self, work: Callable[[Any], Any], items: Sequence[Any], n_lanes: int) -> list[Any]:
        """Work on items in threads; the first failure ends all of it."""
        with ThreadPoolExecutor(n_lanes) as lanes:
            futures: list[Future[Any]] = []
            try:
                futures += [lanes.submit(work, item) for item in items]
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                for future in futures:
                    future.cancel()
                self.stop()  # or the lanes would wait for their processes
                raise
        return [future.result() for future in futures]

    def _prepare(self, turn: Turn) -> Process:
        """Start the process of a turn and let it warm up."""
        process = self._process()
        self._warm_up(turn, process)
        return process

    def _warm_up(self, turn: Turn, process: Process) -> None:
        """Let a process load the task of a turn and warm up."""
        try:
            process.ask(self.settings.request._replace(task=turn.task), self.settings.timeout)
        except ProcessError as error:
            raise _failure(turn, error, notes=getattr(error, "__notes__", [])) from None

    def _measure_here(self, turn: Turn, order: int) -> None:
        process = self._prepare(turn)
        self._measure(turn, process, order)
        self._end(process)

    def _measure_at(self, place: Place, turn: Turn, order: int) -> None:
        """Have the runs of a turn carried out at a place of an executor."""
        self._name(turn)
        settings = self.settings
        request = settings.request._replace(task=turn.task)
        clean = settings.clean_environment
        min_run_time = settings.min_run_time
        wanted = Order(self.name, request, settings.repeats, settings.threads, settings.timeout, clean, min_run_time)
        try:
            outcome = place.carry_out(wanted, lambda: self.stopped)
        except ProcessError as error:
            raise _failure(turn, error, f" on {place.name}") from error.__cause__
        if outcome.error:
            where = place.name if place.machine else f"the worker {outcome.worker}"
            raise _failure(turn, outcome.error, f" on {where}", outcome.notes)
        self._keep(turn, [{**answer, "order": order, "machine": outcome.machine} for answer in outcome.answers])
        self._show(len(outcome.answers), beyond=len(outcome.answers) - settings.repeats)

    def _measure(self, turn: Turn, process: Process, order: int) -> None:
        """Carry out the runs of a turn in its process."""
        self._name(turn)
        settings = self.settings
        about = {"order": order, "machine": machine()}
        answers: list[dict[str, Any]] = []
        try:
            for answer in process.runs(settings.repeats, settings.min_run_time, settings.timeout):
                answers.append({**answer, **about})
                self._show(1, beyond=int(len(answers) > settings.repeats))
        except ProcessError as error:
            raise _failure(turn, error, notes=getattr(error, "__notes__", [])) from None
        self._keep(turn, answers)

    def _show(self, n_runs: int, beyond: int) -> None:
        """Show that runs were carried out, some of them beyond those that were expected."""
        with self.lock:
            self.bar.total += beyond
            self.bar.update(n_runs)

    def _end(self, process: Process) -> None:
        process.end()
        with self.lock:
            self.running.discard(process)

    def _keep(self, turn: Turn, answers: list[dict[str, Any]]) -> None:
        turn.answers = answers
        with self.lock:
            self.journal.put(turn.key, turn.number, answers)

    def _name(self, turn: Turn) -> None:
        with self.lock:
            self.bar.set_postfix_str(turn.cell.name)

    def _process(self) -> Process:
        with self.lock:
            if self.stopped:
                raise MeasurementError("The measurement was stopped.")
            start = Process if self.settings.fresh else _shared_process
            process = start(self.settings.threads, clean=self.settings.clean_environment)
            self.running.add(process)
            return process

    def stop(self) -> None:
        """End all processes, whatever they are doing."""
        with self.lock:
            if self.stopped:
                return
            self.stopped = True
            for process in self.running:
                process.end(kill=True)
        for place in self.places:
            with suppress(Exception):  # it may be what failed
                if place.is_there():
                    place.stop(self.name)


def _failure(turn: Turn, error: object, where: str = "", notes: Sequence[str] = ()) -> MeasurementError:
    failure = MeasurementError(f"The measured run failed in the cell {turn.cell.name}{where}: {error}")
    for note in notes:
        failure.add_note(note)
    return failure


def _batches(turns: Sequence[Turn], size: int) -> Iterator[tuple[int, list[Turn]]]:
    """Yield what is left of each round, in an order that is drawn anew, with the place of each batch in its round."""
    for _, of_round in itertools.groupby(turns, lambda turn: turn.number):
        every = list(of_round)
        left = [turn for turn in every if turn.answers is None]
        random.SystemRandom().shuffle(left)
        # Where several were under way at a time, those that an earlier start left need not be the first ones.
        following = 1 + max((turn.answers[0]["order"] for turn in every if turn.answers), default=-1)
        for first in range(0, len(left), size):
            yield following + first, left[first : first + size]


_shared: list[tuple[dict[str, str], Process]] = []


def _shared_process(threads: int, *, clean: bool) -> Process:
    """Return the process that all runs share in the quick protocol; a new one if there is none, or settings differ."""
    settings = environment(threads, clean=clean)
    if not _shared or _shared[0][0] != settings or not _shared[0][1].is_alive():
        _end_shared()
        _shared.append((settings, Process(threads, clean=clean)))
    return _shared[0][1]


@atexit.register
def _end_shared() -> None:
    while _shared:
        _shared.pop()[1].end()
