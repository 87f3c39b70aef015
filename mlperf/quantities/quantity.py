"""Measured quantities: arithmetic with them is statistics, and comparing them is a check."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from math import inf, isfinite
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlperf.quantities import wording
from mlperf.quantities.cells import Cell, Exact, Given, Sampled, apply, apply_to_curve, with_all_runs
from mlperf.quantities.checks import Check, Comparison, check_threshold
from mlperf.quantities.intervals import LEVEL
from mlperf.quantities.tables import columns, html_of, label_text, text_of
from mlperf.quantities.units import UNITS, product, quotient, written

Labels = tuple[Hashable, ...]


class Quantity:
    """Measured numbers for every cell of a grid, with their unit, their runs and their uncertainty.

    Quantities come from indexing `Runs`, from `exact` for numbers that are known, and from arithmetic. Arithmetic works
    cell by cell and aligns levels by name; a quantity that lacks a level is the same for all labels of that level. Runs
    of the same round are paired, so that a ratio is the median of the ratios by round; other runs are independent.

    Parameters
    ----------
    cells : mapping of tuple to Cell
        The numbers, by a tuple with one label for each level.
    by : sequence of str
        Names of the levels.
    unit : str, default="number"
        One of `mlperf.quantities.units.UNITS`.
    name : str, default=""
        What is measured, as the name of a column: "fit_seconds". By default the unit.

    Raises
    ------
    ValueError
        If there is no such unit.

    Examples
    --------
    >>> from mlperf import Runs
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"model": ["Small", "Large"] * 6, "process": sorted([*range(6)] * 2)})
    >>> fit = Runs(frame.assign(seconds=[1.0, 2.0] * 6), by=["model"])["seconds"]
    >>> print(fit["Large"] / fit["Small"])
    2×
    """

    # With a number of NumPy on the left of an operator, the quantity on the right carries it out.
    __array_ufunc__ = None

    def __init__(
        self, cells: Mapping[Labels, Cell], by: Sequence[str], *, unit: str = "number", name: str = ""
    ) -> None:
        if unit not in UNITS:
            raise ValueError(
                f"The 'unit' parameter of Quantity must be one of {', '.join(UNITS)}. Got {unit!r} instead."
            )
        self.cells = dict(cells)
        self.by = tuple(by)
        self.unit = unit
        self.name = name or unit
        self._removed: wording.Removed = {}

    @classmethod
    def from_estimates(
        cls,
        estimates: Mapping[Any, tuple[float, float, float]],
        *,
        by: str | Sequence[str] = (),
        unit: str = "number",
        name: str = "",
    ) -> Quantity:
        r"""Return a quantity made from values that come with their 95 % intervals.

        Parameters
        ----------
        estimates : mapping
            From a label, or a tuple of labels, to (value, low, high) in the base unit; the ends are NaN if no interval
            is known.
        by : str or sequence of str, default=()
            Names of the levels.
        unit, name : str
            As for `Quantity`.

        Returns
        -------
        Quantity

        Examples
        --------
        >>> from mlperf import Quantity
        >>> print(Quantity.from_estimates({"test": (0.96, 0.93, 0.98)}, by="split", unit="fraction")["test"])
        96\xa0% (93 to 98)
        """
        names = (by,) if isinstance(by, str) else tuple(by)
        cells: dict[Labels, Cell] = {}
        for key, (value, low, high) in estimates.items():
            cells[_tuple(key)] = Given(float(value), float(low), float(high))
        return cls(cells, names, unit=unit, name=name)

    # Looking at it

    def labels(self, level: str) -> list[Any]:
        """Return the labels of a level, in order.

        Parameters
        ----------
        level : str
            Name of the level.

        Returns
        -------
        list

        Raises
        ------
        KeyError
            If there is no such level; the message suggests the nearest one.
        """
        at = self._place(level)
        return list(dict.fromkeys(key[at] for key in self.cells))

    def __getitem__(self, key: Any) -> Quantity:
        """Return some of the cells, by one index for each level, in order; `at` takes levels by name.

        A single label removes its level; a list of labels, or a colon for all of them, keeps it.

        Raises
        ------
        KeyError
            If there are more indices than levels, or a label does not exist; the message suggests the nearest label.
        """
        indices = key if isinstance(key, tuple) and key not in self._only_labels() else (key,)
        if len(indices) > len(self.by):
            raise KeyError(f"{self._called()} has {len(self.by)} levels ({', '.join(self.by)}). Got {indices!r}.")
        return self.at(**dict(zip(self.by, indices, strict=False)))

    def at(self, **labels: Any) -> Quantity:
        """Return the cells with these labels: ``fit.at(model="Large")``.

        Parameters
        ----------
        **labels : hashable or list
            By the names of levels. A single label removes its level; a list of labels keeps it, in that order.

        Returns
        -------
        Quantity

        Raises
        ------
        KeyError
            If there is no such level or label; the message suggests the nearest one.

        Examples
        --------
        >>> from mlperf import exact
        >>> print(exact({"Small": 2, "Large": 3}, by="layers").at(layers="Large"))
        3
        """
        cells, kept, removed = self.cells, self.by, dict(self._removed)
        for level, wanted in labels.items():
            if isinstance(wanted, slice):
                if wanted != slice(None):
                    raise KeyError(
                        f"Labels of {level!r} are chosen one by one, in a list, or all by a colon. Got {wanted}."
                    )
                continue
            self._place(level)
            at = kept.index(level)
            chosen = wanted if isinstance(wanted, list) else [wanted]
            for label in chosen:
                self._check_label(level, label)
            cells = {key: cell for key, cell in cells.items() if key[at] in chosen}
            if isinstance(wanted, list):
                cells = dict(sorted(cells.items(), key=lambda item: chosen.index(item[0][at])))
            else:
                cells = {key[:at] + key[at + 1 :]: cell for key, cell in cells.items()}
                kept = kept[:at] + kept[at + 1 :]
                removed[level] = label_text(level, wanted)
        if not cells:
            raise KeyError(f"{self._called()} has no cell at {labels}.")
        return self._like(cells, kept, removed=removed)

    def items(self) -> Iterator[tuple[Labels, Quantity]]:
        """Yield the labels of each cell, and that cell as a quantity of its own."""
        for key in self.cells:
            yield key, self.at(**dict(zip(self.by, key, strict=True)))

    @property
    def cell(self) -> Cell:
        """The only cell; if there are several, a ValueError says how to choose one."""
        if len(self.cells) != 1:
            raise ValueError(
                f"{self._called()} has {len(self.cells)} cells, by {' and '.join(self.by)}: choose one first, as in "
                f"q[{', '.join(map(repr, next(iter(self.cells))))}]."
            )
        return next(iter(self.cells.values()))

    @property
    def value(self) -> float:
        """The number, in the base unit. Like the next five, it is there only for a quantity with a single cell."""
        return self.cell.value

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval, in the base unit; NaN if no interval is known."""
        return self.cell.interval()[0]

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval, in the base unit; NaN if no interval is known."""
        return self.cell.interval()[1]

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the ends of the interval at any confidence level.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, from 0 to below 1.

        Returns
        -------
        low, high : float
            In the base unit; NaN if no interval is known.
        """
        return self.cell.interval(level)

    @property
    def runs(self) -> NDArray[np.float64]:
        """The raw runs, in the base unit; empty if independent quantities were combined."""
        return self.cell.runs

    @property
    def n_processes(self) -> int:
        """Number of processes behind the value; 0 if it was not measured in processes."""
        return self.cell.n_processes

    @property
    def is_exact(self) -> bool:
        """Whether every cell is exact: known from shapes or counts, not measured."""
        return all(cell.is_exact for cell in self.cells.values())

    # Arithmetic

    def __add__(self, other: Any) -> Quantity:
        return self._combine(other, np.add, "plus")

    def __sub__(self, other: Any) -> Quantity:
        return self._combine(other, np.subtract, "minus")

    def __mul__(self, other: Any) -> Quantity:
        return self._combine(other, np.multiply, "times")

    def __truediv__(self, other: Any) -> Quantity:
        return self._combine(other, np.divide, "over")

    def __radd__(self, other: Any) -> Quantity:
        return self._number(other) + self

    def __rsub__(self, other: Any) -> Quantity:
        return self._number(other) - self

    def __rmul__(self, other: Any) -> Quantity:
        return self * other

    def __rtruediv__(self, other: Any) -> Quantity:
        return exact(_as_number(other, "a quotient")) / self

    def __neg__(self) -> Quantity:
        return self * -1

    def to(self, unit: str) -> Quantity:
        """Return the same numbers in another unit of the same dimension.

        Parameters
        ----------
        unit : str
            Such as "fraction" for a ratio: ``share.to("fraction")`` is shown in percent.

        Returns
        -------
        Quantity

        Raises
        ------
        ValueError
            If the unit has another dimension; the message lists those that are possible.
        """
        if unit not in UNITS or UNITS[unit].dimension != UNITS[self.unit].dimension:
            same = [name for name, known in UNITS.items() if known.dimension == UNITS[self.unit].dimension]
            raise ValueError(f"{self._called()} can be shown as {', '.join(same)}. Got {unit!r} instead.")
        return self._like(self.cells, self.by, unit=unit, name=unit)

    def exact(self) -> Quantity:
        """Return the same numbers as an exact quantity, for what follows from shapes and counts and cannot vary.

        Returns
        -------
        Quantity

        Raises
        ------
        ValueError
            If the runs of a cell differ; the message names the cell.
        """
        for key, cell in self.cells.items():
            if len(np.unique(cell.runs)) > 1:
                raise ValueError(
                    f"{self._called()} is not exact: its runs at {self._text(key)} differ, from {cell.runs.min():g} to "
                    f"{cell.runs.max():g}."
                )
        return self._like({key: Exact(cell.value) for key, cell in self.cells.items()}, self.by)

    # Over levels

    def mean(self, *levels: str) -> Quantity:
        """Return the mean over levels, run by run.

        It is geometric for times, sizes, rates and ratios, and arithmetic for other units.

        Parameters
        ----------
        *levels : str
            The levels; by default all of them.

        Returns
        -------
        Quantity

        Raises
        ------
        ValueError
            If a geometric mean would be of negative numbers.
        """
        if UNITS[self.unit].is_scale:
            return self._reduce(levels, lambda *x: np.exp(np.mean(np.log(x), axis=0)), "mean")
        return self._reduce(levels, lambda *x: np.mean(x, axis=0), "mean")

    def sum(self, *levels: str) -> Quantity:
        """Return the sum over levels, run by run; a label that a run lacks counts as zero.

        Parameters
        ----------
        *levels : str
            The levels; by default all of them.

        Returns
        -------
        Quantity

        Notes
        -----
        If a label lacks only the last repeats of each process, it may have taken nothing in them, or its runs may have
        been long: `mlperf.measure` repeats these less often. The latter is assumed: nothing is added, and the medians
        of each process are summed. To sum operators that not every repeat calls, measure one repeat in each process.
        """
        return self._like_filled(levels or self.by)._reduce(levels, lambda *x: np.sum(x, axis=0), "sum")

    def max(self, *levels: str) -> Quantity:
        """Return the largest number over levels, run by run.

        Parameters
        ----------
        *levels : str
            The levels; by default all of them.

        Returns
        -------
        Quantity
        """
        return self._reduce(levels, lambda *x: np.max(x, axis=0), "largest")

    def min(self, *levels: str) -> Quantity:
        """Return the smallest number over levels, run by run.

        Parameters
        ----------
        *levels : str
            The levels; by default all of them.

        Returns
        -------
        Quantity
        """
        return self._reduce(levels, lambda *x: np.min(x, axis=0), "smallest")

    def along(self, level: str, function: Callable[[Any, Any], float], *, unit: str = "number") -> Quantity:
        """Apply a function to the curve over a numeric level, process by process.

        Parameters
        ----------
        level : str
            A level whose labels are numbers: "n_samples".
        function : callable
            Called as ``function(labels, values)`` with two arrays of shape (n_labels,), such as
            `mlperf.quantities.scaling.exponent`.
        unit : str, default="number"
            Unit of the function's value.

        Returns
        -------
        Quantity
            Without this level. If every process measured the whole curve, the function is applied to the curve of each
            process, so that a disturbance of the whole process stays in one value. Otherwise it is applied to the
            medians, with an interval from their intervals.
        """
        sizes = np.asarray(self.labels(level), dtype=np.float64)
        groups = self._groups((level,))
        return self._like(
            {key: apply_to_curve(function, sizes, cells) for key, cells in groups.items()},
            tuple(name for name in self.by if name != level),
            unit=unit,
            name=unit,
        )

    def idxmax(self) -> Any:
        """Return the label of the largest number.

        Returns
        -------
        hashable
            A tuple of labels if there are several levels.
        """
        key = max(self.cells, key=lambda key: self.cells[key].value)
        return key[0] if len(key) == 1 else key

    def idxmin(self) -> Any:
        """Return the label of the smallest number.

        Returns
        -------
        hashable
            A tuple of labels if there are several levels.
        """
        key = min(self.cells, key=lambda key: self.cells[key].value)
        return key[0] if len(key) == 1 else key

    def nlargest(self, n: int, level: str) -> Quantity:
        """Return the cells of the `n` labels of a level with the largest sums over all other levels, largest first.

        Parameters
        ----------
        n : int
            How many labels.
        level : str
            Name of the level.

        Returns
        -------
        Quantity
        """
        at = self._place(level)
        totals: dict[Any, float] = {}
        for key, cell in self.cells.items():
            totals[key[at]] = totals.get(key[at], 0.0) + cell.value
        return self.at(**{level: sorted(totals, key=lambda label: -totals[label])[:n]})

    # Judging

    def __gt__(self, other: Any) -> Check:
        return self._check(other, above=True)

    def __lt__(self, other: Any) -> Check:
        return self._check(other, above=False)

    def __ge__(self, other: Any) -> Check:
        return self._check(other, above=True)

    def __le__(self, other: Any) -> Check:
        return self._check(other, above=False)

    def within(self, low: float, high: float) -> Check:
        """Return the check that every number lies between `low` and `high`, both included.

        Parameters
        ----------
        low, high : float
            Ends of the expected range, in the base unit.

        Returns
        -------
        Check

        Raises
        ------
        ValueError
            If the ends are not in order, or are probably percentages where the quantity is a fraction.
        """
        ends = [check_threshold(end, self.unit, f"the quantity {self.name!r}") for end in (low, high)]
        if not ends[0] < ends[1]:
            raise ValueError(f"The ends of within must be in order. Got {low} and {high} instead.")
        return self._compare(ends[0], ends[1], closed=True)

    def rises(self, *levels: str) -> Check:
        """Return the check that the numbers rise from each label to the next, along each of these levels.

        Parameters
        ----------
        *levels : str
            Names of the levels.

        Returns
        -------
        Check

        Examples
        --------
        >>> from mlperf import exact
        >>> exact({10: 1.0, 20: 1.5, 30: 1.4}, by="n_samples", unit="seconds").rises("n_samples").verdict
        'does not hold'
        """
        steps = [
            self.at(**{level: more}) / self.at(**{level: less}) > 1
            for level in levels
            for less, more in pairwise(self.labels(level))
        ]
        return Check(*steps)

    def leads(self, *labels: Any, over: str) -> Check:
        """Return the check that some labels of a level have larger numbers than all its other labels.

        Parameters
        ----------
        *labels : hashable
            The leading labels, such as ``"aten::addmm", "aten::mm"``. The smallest of their numbers is compared with
            the largest of the other labels; a label that is missing counts as zero.
        over : str
            The level. There is one comparison for each combination of labels of the other levels.

        Returns
        -------
        Check
        """
        at = self._place(over)
        rest = tuple(name for name in self.by if name != over)
        comparisons: list[Comparison] = []
        margin: Cell
        for key in self._groups((over,)):
            present = {k[at]: cell for k, cell in self.cells.items() if k[:at] + k[at + 1 :] == key}
            others = {label: cell for label, cell in present.items() if label not in labels}
            place = self._text(key, rest)
            last = min(labels, key=lambda label: present[label].value if label in present else -inf)
            rival = max(others, key=lambda label: others[label].value)
            first = present.get(last, Exact(0.0))
            if others[rival].value:
                margin = apply(np.divide, [first, others[rival]])
            else:  # all others are zero
                margin = Exact(inf if first.value else 0.0)
            label = f"{place}: {last} over {rival}" if place else f"{last} over {rival}"
            noun = UNITS[self.unit].noun
            said = f"{last} has {{}} the {noun} of {rival}" if others[rival].value else f"nothing else has any {noun}"
            phrase = f"{place}: {said}" if place else said
            comparisons.append(Comparison(margin, 1.0, inf, False, "ratio", label, phrase))
        return Check(*comparisons)

    # Showing itself

    def frame(self) -> pd.DataFrame:
        """Return a data frame with one row for each cell.

        Returns
        -------
        DataFrame
            Columns for the levels; the value and the ends of its interval in base units, named like the quantity, with
            "_low" and "_high"; and "runs", the number of runs, if any cell has some.
        """
        rows = [(*key, cell.value, *cell.interval(), cell.n_runs) for key, cell in self.cells.items()]
        frame = pd.DataFrame(rows, columns=[*self.by, self.name, f"{self.name}_low", f"{self.name}_high", "runs"])
        return frame if frame["runs"].any() else frame.drop(columns="runs")

    def plot(self, x: str | None = None, by: str | None = None, **options: Any) -> Any:
        """Draw the quantity.

        Parameters
        ----------
        x, by : str, default=None
            The levels along the axis, and by colour.
        **options
            Further options of `mlperf.quantities.drawing.plot`.

        Returns
        -------
        Axes, or ndarray of Axes
        """
        # Only those who draw load matplotlib.
        from mlperf.quantities.drawing import plot

        return plot(self, x=x, by=by, **options)

    def __format__(self, spec: str) -> str:
        if spec not in ("", "short"):
            raise ValueError(f"The format of a quantity must be empty or 'short'. Got {spec!r} instead.")
        short = spec == "short"

        def say(cell: Cell) -> str:
            return written(cell.value, *cell.interval(), self.unit, short=short)

        if len(self.cells) == 1:
            return say(self.cell)
        keys = [min(self.cells, key=lambda k: self.cells[k].value), max(self.cells, key=lambda k: self.cells[k].value)]
        ends = [written(self.cells[key].value, *self.cells[key].interval(), self.unit, short=True) for key in keys]
        if ends[0] == ends[1]:
            return ends[0]
        if short:
            return f"{ends[0]} to {ends[1]}"
        return " to ".join(f"{end} ({self._text(key)})" for end, key in zip(ends, keys, strict=True))

    def __str__(self) -> str:
        return format(self)

    def __repr__(self) -> str:
        return str(self) if len(self.cells) == 1 else text_of(columns(self.frame()))

    def _repr_html_(self) -> str:
        return html_of(columns(self.frame()))

    def __iter__(self) -> Iterator[Labels]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    # Inside

    def _like(
        self,
        cells: Mapping[Labels, Cell],
        by: Sequence[str],
        *,
        unit: str = "",
        name: str = "",
        removed: wording.Removed | None = None,
    ) -> Quantity:
        made = Quantity(cells, by, unit=unit or self.unit, name=name or self.name)
        made._removed = self._removed if removed is None else removed
        return made

    def _place(self, level: str) -> int:
        if level not in self.by:
            near = get_close_matches(str(level), self.by, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            slip = " Name it alone, without a list." if isinstance(level, list) else ""
            raise KeyError(f"{self._called()} has the levels {list(self.by)}. Got {level!r} instead.{hint}{slip}")
        return self.by.index(level)

    def _check_label(self, level: str, label: Any) -> None:
        known = self.labels(level)
        if label not in known:
            near = get_close_matches(str(label), [str(one) for one in known], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise KeyError(f"{self._called()} has no {level} {label!r}, only {', '.join(map(repr, known))}.{hint}")

    def _only_labels(self) -> list[Any]:
        """Return the labels that are tuples themselves, if there is only one level."""
        return [key[0] for key in self.cells if isinstance(key[0], tuple)] if len(self.by) == 1 else []

    def _called(self) -> str:
        return f"The quantity {self.name!r}"

    def _text(self, key: Labels, by: Sequence[str] | None = None) -> str:
        names = self.by if by is None else by
        return ", ".join(label_text(name, label) for name, label in zip(names, key, strict=True))

    def _number(self, other: Any) -> Quantity:
        """Return a plain number as a quantity of this unit: in sums and differences, numbers are in base units."""
        return exact(_as_number(other, f"arithmetic with {self.name!r}"), unit=self.unit)

    def _combine(self, other: Any, function: Callable[..., Any], word: str) -> Quantity:
        """Combine with a quantity or a plain number; `word` is the operator, as in `mlperf.quantities.wording`."""
        if not isinstance(other, Quantity):
            return self._combine_number(_as_number(other, f"arithmetic with {self.name!r}"), function, word)
        unit = self._unit_with(other, word)
        for level in set(self.by) & set(other.by):
            self._check_same_labels(other, level)
        by = (*self.by, *(level for level in other.by if level not in self.by))
        cells: dict[Labels, Cell] = {}
        for mine, one in self.cells.items():
            known = dict(zip(self.by, mine, strict=True))
            for theirs, two in other.cells.items():
                both = {**known, **dict(zip(other.by, theirs, strict=True))}
                if all(both[level] == label for level, label in known.items()):
                    key = tuple(both[level] for level in by)
                    cells[key] = self._applied(function, [one, two], key, by)
        removed = wording.combined(self._removed, other._removed, kept=self.by, operator=word, unit=self.unit)
        return self._like(cells, by, unit=unit, name=self._name_with(other, unit, word), removed=removed)

    def _combine_number(self, number: float, function: Callable[..., Any], word: str) -> Quantity:
        """Combine with a number without a unit, as a factor or divisor, or in the base unit of this quantity."""
        other = Exact(number)
        cells = {key: self._applied(function, [cell, other], key, self.by) for key, cell in self.cells.items()}
        return self._like(cells, self.by, removed=wording.scaled(self._removed) if word in ("times", "over") else None)

    def _unit_with(self, other: Quantity, word: str) -> str:
        """Return the unit of a combination."""
        if word == "times":
            return product(self.unit, other.unit)
        if word == "over":
            return quotient(self.unit, other.unit)
        if self.unit != other.unit:
            raise ValueError(
                f"{self._called()} {word} the quantity {other.name!r}: they must have the same unit. "
                f"Got {self.unit} and {other.unit} instead."
            )
        return self.unit

    def _name_with(self, other: Quantity, unit: str, word: str) -> str:
        """Return the name of a combination: that of an operand with the same unit, otherwise the unit."""
        scaling = word in ("times", "over")
        if unit == self.unit and (scaling or other.name in (self.name, other.unit)):
            return self.name
        return other.name if scaling and unit == other.unit else unit

    def _applied(
        self,
        function: Callable[..., Any],
        cells: Sequence[Cell],
        key: Labels,
        by: Sequence[str],
        slip: str = "Is a divisor zero?",
    ) -> Cell:
        # Whatever the caller has NumPy do where a number is out of range.
        with np.errstate(all="ignore"):
            made = apply(function, cells)
            values = made.runs if isinstance(made, Sampled) else [made.value]
        if not np.isfinite(values).all():
            place = f" at {self._text(key, by)}" if key else ""
            raise ValueError(f"{self._called()} cannot be combined{place}: the result is not finite. {slip}")
        return made

    def _check_same_labels(self, other: Quantity, level: str) -> None:
        mine, theirs = self.labels(level), other.labels(level)
        if set(mine) != set(theirs):
            missing = [label for label in [*mine, *theirs] if label not in mine or label not in theirs]
            raise ValueError(
                f"The quantities {self.name!r} and {other.name!r} must have the same labels of {level!r}. "
                f"Only one of them has {', '.join(map(repr, missing))}."
            )

    def _groups(self, levels: Sequence[str]) -> dict[Labels, list[Cell]]:
        for level in levels:
            self._place(level)
        kept = [place for place, name in enumerate(self.by) if name not in levels]
        groups: dict[Labels, list[Cell]] = {}
        for key, cell in self.cells.items():
            groups.setdefault(tuple(key[place] for place in kept), []).append(cell)
        return groups

    def _reduce(self, levels: Sequence[str], function: Callable[..., Any], word: str) -> Quantity:
        levels = levels or self.by
        kept = [name for name in self.by if name not in levels]
        slip = "Times, sizes, rates and ratios have a mean where none is negative."
        cells = {key: self._applied(function, part, key, kept, slip) for key, part in self._groups(levels).items()}
        taken = {level: f"{word} over every {level.removeprefix('n_').replace('_', ' ')}" for level in levels}
        return self._like(cells, kept, removed={**self._removed, **taken})

    def _like_filled(self, levels: Sequence[str]) -> Quantity:
        """Return the quantity with zeros for runs that a cell lacks and others, which it is summed with, have."""
        filled: dict[int, Cell] = {}
        for of_group in self._groups(levels).values():
            sampled = [cell for cell in of_group if isinstance(cell, Sampled)]
            if len(sampled) == len(of_group):
                filled.update((id(cell), other) for cell, other in zip(sampled, with_all_runs(sampled), strict=True))
        return self._like({key: filled.get(id(cell), cell) for key, cell in self.cells.items()}, self.by)

    def _check(self, other: Any, *, above: bool) -> Check:
        if isinstance(other, Quantity):
            difference = self - other
            limit = 0.0
        else:
            difference, limit = self, check_threshold(other, self.unit, f"the quantity {self.name!r}")
        lower, upper = (limit, inf) if above else (-inf, limit)
        return difference._compare(lower, upper, closed=False)

    def _compare(self, lower: float, upper: float, *, closed: bool) -> Check:
        comparisons = []
        for key, cell in self.cells.items():
            label = wording.label(self._removed, self._text(key), self.name)
            phrase = wording.phrase(self._removed, self._text(key), self.name)
            comparisons.append(Comparison(cell, lower, upper, closed, self.unit, label, phrase))
        return Check(*comparisons)

    def __reduce__(self) -> Any:
        raise TypeError("A quantity cannot be pickled. Publish it, or pickle its frame().")


def exact(numbers: Any, *, by: str | Sequence[str] = (), unit: str = "number", name: str = "") -> Quantity:
    r"""Return a quantity of numbers that are known, not measured.

    Parameters
    ----------
    numbers : float or mapping
        A number, or numbers by label (by a tuple of labels if there are several levels), in the base unit.
    by : str or sequence of str, default=()
        Names of the levels.
    unit, name : str
        As for `Quantity`.

    Returns
    -------
    Quantity

    Raises
    ------
    TypeError
        If something is not a number.
    ValueError
        If a number is not finite, `by` does not name one level for each label, or there is no such unit.

    Examples
    --------
    >>> from mlperf import exact
    >>> print(exact({"Small": 900, "Large": 42_000}, by="model", unit="bytes"))
    900\xa0B (Small) to 42\xa0kB (Large)
    """
    names = (by,) if isinstance(by, str) else tuple(by)
    given = numbers if isinstance(numbers, Mapping) else {(): numbers}
    cells: dict[Labels, Cell] = {_tuple(key): Exact(_as_number(number, "exact")) for key, number in given.items()}
    for key in cells:
        if len(key) != len(names):
            raise ValueError(f"The 'by' parameter of exact must name the levels of {key!r}. Got {names!r} instead.")
    return Quantity(cells, names, unit=unit, name=name)


def stack(quantities: Mapping[Any, Quantity], level: str) -> Quantity:
    """Combine quantities of the same unit and levels into one, under a new level.

    Parameters
    ----------
    quantities : mapping of Quantity
        The quantities, by the label of the new level.
    level : str
        The name of the new level, which comes last.

    Returns
    -------
    Quantity

    Raises
    ------
    ValueError
        If there are no quantities, or they differ in unit or levels.

    Examples
    --------
    >>> from mlperf import exact, stack
    >>> print(stack({"forward": exact(2.0), "backward": exact(4.0)}, "pass"))
    2 (forward) to 4 (backward)
    """
    if not quantities:
        raise ValueError("The 'quantities' parameter of stack must hold at least one quantity. Got none instead.")
    first = next(iter(quantities.values()))
    cells: dict[Labels, Cell] = {}
    for label, one in quantities.items():
        if not isinstance(one, Quantity) or (one.unit, one.by) != (first.unit, first.by):
            got = f"{one.unit} by {one.by}" if isinstance(one, Quantity) else repr(one)
            raise ValueError(
                f"The quantities of stack must have the same unit and levels, {first.unit} by {first.by}. "
                f"Got {got} at {label!r} instead."
            )
        cells |= {(*key, label): cell for key, cell in one.cells.items()}
    names = {one.name for one in quantities.values()}
    name = first.name if len(names) == 1 else first.unit
    made = Quantity(cells, (*first.by, level), unit=first.unit, name=name)
    made._removed = wording.common([one._removed for one in quantities.values()])
    return made


def _tuple(key: Any) -> Labels:
    return key if isinstance(key, tuple) else (key,)


def _as_number(value: Any, owner: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"Quantities combine with quantities and numbers; {owner} got {value!r} instead.") from None
    if not isfinite(number):
        raise ValueError(f"A number in {owner} must be finite. Got {number} instead.")
    return number
