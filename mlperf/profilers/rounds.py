"""A measurement under way: which process carries out which runs, and when, here or at the places of an executor."""

import atexit
import itertools
import random
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
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


@dataclass(frozen=True)
class Batch:
    """Turns of one round that one process carries out, in sweeps."""

    place: int
    """That of the first one in its round."""

    turns: list[Turn]


class Measurement:
    """What is under way: the processes that run, and what is shown of it."""

    def __init__(self, settings: Settings, journal: Journal, turns: Sequence[Turn], places: Sequence[Place]) -> None:
        self.settings, self.journal, self.turns, self.places = settings, journal, turns, places
        self.name = uuid.uuid4().hex
        self.running: set[Process] = set()
        self.together = False
        """Whether one process carries out all cells of a round."""
        self.lasting = False
        """Whether several processes share the cells, and none is timed."""
        self.shown = ""
        """What the bar names."""
        self.stopped = False
        self.lock = threading.Lock()

    def carry_out(self, n_jobs: int | None) -> None:
        """Measure what is not measured yet."""
        repeats, fresh = self.settings.repeats, self.settings.fresh
        lanes = 1 if self.places else n_jobs or 1
        self.lasting = not fresh and lanes > 1
        self.together = fresh == "round" or (not fresh and lanes == 1)
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
                elif lanes > 1:
                    self._deal_out([("", partial(self._measure_here, lane)) for lane in range(lanes)])
                else:
                    # Loading the libraries takes seconds, so several processes do it at once.
                    self._in_turn(ready=joblib.cpu_count() if fresh and n_jobs is None else 1)
            except BaseException:
                self.journal.keep()
                self.stop()
                raise

    def _in_turn(self, ready: int) -> None:
        """Measure in one process at a time, on this machine.

        Several start and warm up together; only when all of them are ready, and idle, are they measured.
        """
        batches = self._batches()
        for first in range(0, len(batches), ready):
            several = batches[first : first + ready]
            processes = self._in_lanes(self._prepare, several)
            for batch, process in zip(several, processes, strict=True):
                self._measure_in(process, batch)

    def _deal_out(self, lanes: Sequence[tuple[str, Callable[[Batch], None]]]) -> None:
        """Measure in several lanes at a time. All turns of a round go to lanes on one machine."""
        machines = sorted({machine for machine, _ in lanes})
        dealt: dict[str, list[Batch]] = {machine: [] for machine in machines}
        batches = self._batches()
        for batch in batches:
            dealt[machines[batch.turns[0].number % len(machines)]].append(batch)
        left = {machine: iter(of_machine) for machine, of_machine in dealt.items()}
        self._name(batches[0].turns)

        def work(lane: tuple[str, Callable[[Batch], None]]) -> None:
            machine, carry_out = lane
            while not self.stopped:
                with self.lock:
                    following = next(left[machine], None)
                if following is None:
                    return
                carry_out(following)

        self._in_lanes(work, lanes)

    def _batches(self) -> list[Batch]:
        """Return what is left of each round, in an order that is drawn anew, in one batch or in one for each cell."""
        batches: list[Batch] = []
        for _, of_round in itertools.groupby(self.turns, lambda turn: turn.number):
            every = list(of_round)
            left = [turn for turn in every if turn.answers is None]
            if self.lasting:
                left.reverse()  # grids mostly ascend, and a long run at the end would leave the other processes idle
            else:
                random.SystemRandom().shuffle(left)
            # Where several were under way at a time, those that an earlier start left need not be the first ones.
            following = 1 + max((turn.answers[0]["order"] for turn in every if turn.answers), default=-1)
            size = len(every) if self.together else 1
            batches += [Batch(following + at, left[at : at + size]) for at in range(0, len(left), size)]
        return batches

    def _in_lanes(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Work on items in threads; the first failure ends all of it."""
        with ThreadPoolExecutor(len(items)) as lanes:
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

    def _prepare(self, batch: Batch, lane: int = 0) -> Process:
        """Start the process of a batch, or take the one of a lane, and let it warm up for all turns of the batch."""
        process = self._process(lane)
        request, timeout = self.settings.request, self.settings.timeout
        for number, turn in enumerate(batch.turns):
            self._name([turn])
            with _failing(batch):
                process.ask(request._replace(number=number, task=turn.task), timeout)
        return process

    def _measure_here(self, lane: int, batch: Batch) -> None:
        """Carry out the runs of a batch on this machine, in a lane."""
        self._measure_in(self._prepare(batch, lane), batch)

    def _measure_in(self, process: Process, batch: Batch) -> None:
        """Carry out the runs of a batch in a process that has warmed up for them."""
        settings, here = self.settings, machine()
        answers: list[list[dict[str, Any]]] = [[] for _ in batch.turns]
        self._name(batch.turns)
        with _failing(batch):
            for ran in process.runs(settings.repeats, settings.min_run_time, settings.timeout):
                if ran.place == 0 and ran.sweep:  # not at every part: drawing the bar would disturb the next one
                    self._name(batch.turns, ran.sweep)
                of_turn = answers[ran.number]
                if ran.answer:
                    of_turn.append({**ran.answer, "order": batch.place + ran.place, "machine": here})
                    self._show(1, beyond=int(len(of_turn) > settings.repeats))
                if ran.last:
                    self._keep(batch.turns[ran.number], of_turn)
        if settings.fresh:
            self._end(process)

    def _measure_at(self, place: Place, batch: Batch) -> None:
        """Have the runs of a batch carried out at a place of an executor."""
        turns = batch.turns
        self._name(turns)
        settings = self.settings
        order = Order(
            self.name,
            settings.request,
            [turn.task for turn in turns],
            settings.repeats,
            settings.threads,
            settings.timeout,
            settings.clean_environment,
            settings.min_run_time,
        )
        try:
            outcome = place.carry_out(order, lambda: self.stopped)
        except ProcessError as error:
            raise _failure(turns, error, f" on {place.name}") from error.__cause__
        for turn, answers in zip(turns, outcome.answers, strict=True):
            if answers:
                about = {"machine": outcome.machine}
                self._keep(turn, [{**answer, "order": batch.place + answer["order"], **about} for answer in answers])
                self._show(len(answers), beyond=len(answers) - settings.repeats)
        if outcome.error:
            where = place.name if place.machine else f"the worker {outcome.worker}"
            raise _failure([turns[outcome.failed]], outcome.error, f" on {where}", outcome.notes)

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

    def _name(self, turns: Sequence[Turn], sweep: int = 0) -> None:
        """Show what is measured: a cell, or several of a round and which sweep over them is under way."""
        name = turns[0].cell.name if len(turns) == 1 else f"round {turns[0].number + 1}, sweep {sweep + 1}"
        with self.lock:
            if name != self.shown:
                self.shown = name
                self.bar.set_postfix_str(name)

    def _process(self, lane: int) -> Process:
        threads, clean = self.settings.threads, self.settings.clean_environment
        with self.lock:
            if self.stopped:
                raise MeasurementError("The measurement was stopped.")
            fresh = self.settings.fresh
            process = Process(threads, clean=clean) if fresh else _shared_process(lane, threads, clean=clean)
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


@contextmanager
def _failing(batch: Batch) -> Iterator[None]:
    """Raise the failure of a process as the error that names the cell."""
    try:
        yield
    except ProcessError as error:
        raise _failure([batch.turns[error.number]], error, notes=getattr(error, "__notes__", [])) from None


def _failure(turns: Sequence[Turn], error: object, where: str = "", notes: Sequence[str] = ()) -> MeasurementError:
    """Return the error that names the cell that failed, or all in which it may have been."""
    cells = "; ".join(turn.cell.name for turn in turns)
    among = "the cell" if len(turns) == 1 else "one of the cells"
    failure = MeasurementError(f"The measured run failed in {among} {cells}{where}: {error}")
    for note in notes:
        failure.add_note(note)
    return failure


_shared: dict[int, tuple[dict[str, str], Process]] = {}


def _shared_process(lane: int, threads: int, *, clean: bool) -> Process:
    """Return the process that runs share if none has a fresh one; a new one if there is none, or settings differ."""
    settings = environment(threads, clean=clean)
    known, process = _shared.get(lane, ({}, None))
    if process is None or known != settings or not process.is_alive():
        if process is not None:
            process.end()
        process = Process(threads, clean=clean)
        _shared[lane] = settings, process
    return process


@atexit.register
def _end_shared() -> None:
    while _shared:
        _, (_, process) = _shared.popitem()
        process.end()
