"""Cells: single numbers with their uncertainty, from raw runs, exact values, given estimates, or a function of these.

A cell knows its value and its interval at any level. `apply` computes with cells and propagates their uncertainty: run
by run if the runs belong to the same rounds, otherwise from the intervals of the parts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlperf.quantities.intervals import LEVEL, by_process, combine, interval

Interval = tuple[float, float]
Statistic = Literal["median", "mean"]


class Cell(ABC):
    """One number and what is known about its uncertainty."""

    machine = ""
    """The machine that it was measured on; empty if that is unknown, or if there are several."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The number, in the base unit."""

    @property
    def runs(self) -> NDArray[np.float64]:
        """The raw runs, in the base unit; empty if there are none."""
        return np.empty(0)

    @property
    def disturbed(self) -> NDArray[np.bool_]:
        """Which of the raw runs were disturbed; see `mlperf.quantities.runs.Runs.disturbed`."""
        return np.zeros(len(self.runs), dtype=bool)

    @property
    def n_runs(self) -> int:
        """Number of runs behind the value; 0 if it was not measured in runs."""
        return len(self.runs)

    @property
    def n_processes(self) -> int:
        """Number of processes behind the value; 0 if it was not measured in processes."""
        return 0

    @property
    def machines(self) -> frozenset[str]:
        """The machines that it, or what it was computed from, was measured on."""
        return frozenset({self.machine} - {""})

    @property
    def is_exact(self) -> bool:
        """Whether the number is exact: known from shapes or counts, not measured."""
        return False

    @abstractmethod
    def interval(self, level: float = LEVEL) -> Interval:
        """Return the ends of the interval, in the base unit; NaN if the uncertainty is unknown."""


class Exact(Cell):
    """A number that is known, not measured.

    Parameters
    ----------
    value : float
        The number, in the base unit.
    """

    def __init__(self, value: float) -> None:
        self._value = value

    @property
    def value(self) -> float:
        return self._value

    @property
    def is_exact(self) -> bool:
        return True

    def interval(self, level: float = LEVEL) -> Interval:  # noqa: ARG002
        return self.value, self.value


class Given(Cell):
    """A value that comes with its 95 % interval, such as a score over rows or a published value that was read back.

    Parameters
    ----------
    value, low, high : float
        The value and the ends of its interval, in the base unit; the ends are NaN if no interval is known.
    n_runs, n_processes : int, default=0
        The numbers of runs and processes behind it.
    machine : str, default=""
        The machine that it was measured on.
    """

    def __init__(
        self, value: float, low: float, high: float, n_runs: int = 0, n_processes: int = 0, machine: str = ""
    ) -> None:
        self._value, self.low, self.high = value, low, high
        self._n_runs, self._n_processes, self.machine = n_runs, n_processes, machine

    @property
    def value(self) -> float:
        return self._value

    @property
    def n_runs(self) -> int:
        return self._n_runs

    @property
    def n_processes(self) -> int:
        return self._n_processes

    @property
    def is_exact(self) -> bool:
        return self.low == self.high

    def interval(self, level: float = LEVEL) -> Interval:
        if level == LEVEL:
            return self.low, self.high
        # Only the interval at 95 % is known. At other levels its ends are scaled as those of a normal distribution.
        wider = NormalDist().inv_cdf((1 + level) / 2) / NormalDist().inv_cdf((1 + LEVEL) / 2)
        return self.value - wider * (self.value - self.low), self.value + wider * (self.high - self.value)


class Sampled(Cell):
    """Raw runs on one machine, each with the process and the repeat that it comes from.

    Runs of one `source` with the same process and repeat belong to the same round: whatever disturbed one also
    disturbed the other.

    Parameters
    ----------
    runs : ndarray of shape (n_runs,)
        The measurements, in the base unit.
    process, repeat : ndarray of shape (n_runs,)
        The number of the process of each run, and of the repeat within it.
    source : object
        Identifies the measurement.
    statistic : {"median", "mean"}, default="median"
        What is estimated from the runs.
    machine : str, default=""
        The machine that all runs were measured on.
    disturbed : ndarray of shape (n_runs,), default=None
        Which of the runs were disturbed; by default none.
    """

    def __init__(
        self,
        runs: NDArray[np.float64],
        process: NDArray[np.int64],
        repeat: NDArray[np.int64],
        source: object,
        statistic: Statistic = "median",
        *,
        machine: str = "",
        disturbed: NDArray[np.bool_] | None = None,
    ) -> None:
        self._runs, self.process, self.repeat = runs, process, repeat
        self.source, self.statistic, self.machine = source, statistic, machine
        self._disturbed = np.zeros(len(runs), dtype=bool) if disturbed is None else disturbed
        self._estimates: dict[float, tuple[float, float, float]] = {}

    @property
    def runs(self) -> NDArray[np.float64]:
        return self._runs

    @property
    def disturbed(self) -> NDArray[np.bool_]:
        return self._disturbed

    @property
    def value(self) -> float:
        return self._estimate(LEVEL)[0]

    @property
    def n_processes(self) -> int:
        return len(np.unique(self.process))

    def interval(self, level: float = LEVEL) -> Interval:
        return self._estimate(level)[1:]

    def _estimate(self, level: float) -> tuple[float, float, float]:
        if level not in self._estimates:
            value, low, high = interval(self.runs, self.process, statistic=self.statistic, level=level)
            self._estimates[level] = float(value), float(low), float(high)
        return self._estimates[level]

    def by_process(self) -> Sampled:
        """Return one value for each process, in place of its runs: the observations that the interval rests on."""
        processes = np.unique(self.process)
        return Sampled(
            by_process(self._runs, self.process, self.statistic),
            processes,
            np.zeros_like(processes),
            self.source,
            self.statistic,
            machine=self.machine,
            disturbed=np.isin(processes, self.process[self._disturbed]),
        )

    def pairs_with(self, other: Sampled) -> bool:
        """Return whether every run has a partner from the same round.

        Parameters
        ----------
        other : Sampled
            Another cell.

        Returns
        -------
        bool
        """
        same_rounds = np.array_equal(self.process, other.process) and np.array_equal(self.repeat, other.repeat)
        return (self.source, self.machine) == (other.source, other.machine) and same_rounds


class Derived(Cell):
    """A function of cells that were measured independently of each other.

    Parameters
    ----------
    function : callable
        Takes a number or an array for each cell, and works element by element.
    leaves : sequence of Cell
        The arguments of the function.
    """

    def __init__(self, function: Callable[..., Any], leaves: Sequence[Cell]) -> None:
        self.function, self.leaves = function, tuple(leaves)

    @property
    def value(self) -> float:
        return float(self.function(*(leaf.value for leaf in self.leaves)))

    @property
    def n_processes(self) -> int:
        return min((leaf.n_processes for leaf in self.leaves if leaf.n_processes), default=0)

    @property
    def machines(self) -> frozenset[str]:
        return frozenset().union(*(leaf.machines for leaf in self.leaves))

    def interval(self, level: float = LEVEL) -> Interval:
        _, low, high = combine(self.function, self.leaves, level=level)
        return float(low), float(high)


def with_all_runs(cells: Sequence[Sampled]) -> list[Sampled]:
    """Return cells with a run for every round in which another one of their machine has one.

    What has no row in a run, such as an operator that was not called, took nothing in it: a run that is added is zero.
    Cells that were merely repeated more and less often, each from the first repeat on in the same processes, stay as
    they are. That is a guess where something has no row in the last repeats alone: which runs there were is not known
    here, only which have a row.

    Parameters
    ----------
    cells : sequence of Sampled
        What is to be added up.

    Returns
    -------
    list of Sampled
    """
    if all(cell.pairs_with(cells[0]) or _differs_by_repeats(cell, cells[0]) for cell in cells):
        return list(cells)
    rounds: dict[str, set[tuple[int, int]]] = {}
    for cell in cells:
        rounds.setdefault(cell.machine, set()).update(zip(cell.process, cell.repeat, strict=True))
    found = []
    for cell in cells:
        every = sorted(rounds[cell.machine])
        process, repeat = (np.asarray(part, dtype=np.int64) for part in zip(*every, strict=True))
        known = dict(zip(zip(cell.process, cell.repeat, strict=True), cell.runs, strict=True))
        values = np.asarray([known.get(one, 0.0) for one in every])
        found.append(Sampled(values, process, repeat, cell.source, cell.statistic, machine=cell.machine))
    return found


def _differs_by_repeats(one: Sampled, other: Sampled) -> bool:
    """Return whether two cells have the same processes, with the first repeats in each of them."""
    if (one.machine, set(one.process)) != (other.machine, set(other.process)):
        return False
    for cell in (one, other):
        _, counts = np.unique(cell.process, return_counts=True)
        if not np.array_equal(np.sort(cell.repeat), np.sort(np.concatenate([np.arange(n) for n in counts]))):
            return False
    return True


def apply(function: Callable[..., Any], cells: Sequence[Cell]) -> Cell:
    """Apply a function to cells and propagate their uncertainty.

    Parameters
    ----------
    function : callable
        Takes a number or an array for each cell, and works element by element.
    cells : sequence of Cell
        The arguments of the function.

    Returns
    -------
    Cell
        An exact cell if all cells are exact. If all others have paired runs, the function of each round's runs: a
        ratio is then the median of the ratios by round. If they have the same processes, but not equally many runs in
        each, the function of each process's median (mean). Otherwise the function of the values, with an interval
        from the intervals of its independent parts; a part that occurs twice counts once.
    """
    if all(cell.is_exact for cell in cells):
        return Exact(float(function(*(cell.value for cell in cells))))
    sampled = [cell for cell in cells if isinstance(cell, Sampled)]
    rest = [cell for cell in cells if not isinstance(cell, Sampled) and not cell.is_exact]
    if not sampled or rest:
        return _derived(function, cells)
    if all(cell.pairs_with(sampled[0]) for cell in sampled):
        return _paired(function, cells)
    of_processes = [cell.by_process() if isinstance(cell, Sampled) else cell for cell in cells]
    first, *others = (cell for cell in of_processes if isinstance(cell, Sampled))
    if all(cell.pairs_with(first) for cell in others):
        return _paired(function, of_processes)
    return _derived(function, cells)


def apply_to_curve(function: Callable[[Any, Any], float], sizes: NDArray[np.float64], cells: Sequence[Cell]) -> Cell:
    """Apply a function to a curve: numbers that were measured at several sizes.

    Parameters
    ----------
    function : callable
        Called as ``function(sizes, values)`` with two arrays of shape (n_sizes,).
    sizes : ndarray of shape (n_sizes,)
        The sizes.
    cells : sequence of Cell
        What was measured at each size.

    Returns
    -------
    Cell
        If all cells have paired runs, the function of the curve of each process. Otherwise the function of the values,
        with an interval from their intervals.
    """
    sampled = [cell for cell in cells if isinstance(cell, Sampled)]
    if len(sampled) < len(cells) or not all(cell.pairs_with(sampled[0]) for cell in sampled):
        return apply(lambda *values: function(sizes, np.asarray(values)), cells)
    of_processes = [cell.by_process() for cell in sampled]
    first = of_processes[0]
    curves = np.column_stack([cell.runs for cell in of_processes])
    return Sampled(
        np.asarray([float(function(sizes, curve)) for curve in curves]),
        first.process,
        first.repeat,
        (first.source, "along"),
        first.statistic,
        machine=first.machine,
        disturbed=np.any([cell.disturbed for cell in of_processes], axis=0),
    )


def _paired(function: Callable[..., Any], cells: Sequence[Cell]) -> Sampled:
    """Return a function of cells with paired runs, and of exact ones, run by run."""
    sampled = [cell for cell in cells if isinstance(cell, Sampled)]
    first = sampled[0]
    values = function(*(cell.runs if isinstance(cell, Sampled) else cell.value for cell in cells))
    return Sampled(
        np.asarray(values, dtype=np.float64),
        first.process,
        first.repeat,
        first.source,
        first.statistic,
        machine=first.machine,
        disturbed=np.any([cell.disturbed for cell in sampled], axis=0),
    )


def _derived(function: Callable[..., Any], cells: Sequence[Cell]) -> Derived:
    """Return a function of the independent parts of the cells; a part that occurs several times varies as one."""
    parts: dict[int, Cell] = {}
    for cell in cells:
        parts.update((id(part), part) for part in _parts(cell))

    def of_parts(*values: float) -> Any:
        known = dict(zip(parts, values, strict=True))
        recomputed = []
        for cell in cells:
            of_cell = [known[id(part)] for part in _parts(cell)]
            recomputed.append(_recomputed(cell, of_cell))
        return function(*recomputed)

    return Derived(of_parts, list(parts.values()))


def _parts(cell: Cell) -> tuple[Cell, ...]:
    """Return the independent parts that a cell was computed from; the cell itself if it was measured."""
    return cell.leaves if isinstance(cell, Derived) else (cell,)


def _recomputed(cell: Cell, values: Sequence[float]) -> Any:
    """Return what a cell would be if its parts had other values."""
    return cell.function(*values) if isinstance(cell, Derived) else values[0]
