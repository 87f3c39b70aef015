"""Layout of a figure: which level goes where; bars, dots or a line; and how much space labels need."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from math import log as ln
from numbers import Real
from typing import Any

from mlperf.quantities.cells import Cell
from mlperf.quantities.labels import LONGEST_LINE, broken
from mlperf.quantities.quantity import Quantity
from mlperf.quantities.tables import label_text

KINDS = ("bar", "dot", "line")

# Bars are compared by length. With more bars, or lengths further apart, dots are clearer.
MOST_BARS = 4
DECADE = 10.0
# A level of numbers with at least this many labels is drawn as a curve.
LEAST_POINTS = 5

# Panels in a row.
MOST_COLUMNS = 3
# Characters in a line of a row's label, and lines of a label below a column.
LONGEST_ROW = 28
MOST_LINES = 3
# In inches: the mean width of a character, the height of a line of text and of a dot, and the margins of the axes.
CHARACTER = 0.09
LINE = 0.2
DOT = 0.12
BESIDE = 0.9
ABOVE_AND_BELOW = 1.2


@dataclass(frozen=True)
class Plan:
    """The layout of a figure of a quantity.

    Parameters
    ----------
    quantity : Quantity
        The quantity to draw.
    x, by, panels : str or None
        The levels along the axis, by colour, and with a panel for each label.
    shared : bool
        Whether the panels share the scale of the values.
    width : float
        Width of all panels together, in inches.
    kind : {"bar", "dot", "line"}
        The kind of mark.
    horizontal, log : bool
        Whether the values run along the x axis, and whether their scale is logarithmic.
    """

    quantity: Quantity
    x: str | None
    by: str | None
    panels: str | None
    shared: bool
    width: float
    kind: str = ""
    horizontal: bool = False
    log: bool = False

    def labels(self, level: str | None) -> list[Any]:
        """Return the labels of a level; without a level, a single None that stands for all cells."""
        return [None] if level is None else self.quantity.labels(level)

    def texts(self, level: str | None) -> list[str]:
        """Return the labels of a level as they are displayed."""
        return ["" if level is None else label_text(level, label) for label in self.labels(level)]

    def cells(self, **fixed: Any) -> dict[Any, Cell]:
        """Return the cells that have these labels of ``panels`` and ``by``, each by its label of ``x``."""
        levels = {role: getattr(self, role) for role in fixed}
        found: dict[Any, Cell] = {}
        for key, cell in self.quantity.cells.items():
            labels = dict(zip(self.quantity.by, key, strict=True))
            if all(level is None or labels[level] == fixed[role] for role, level in levels.items()):
                found[None if self.x is None else labels[self.x]] = cell
        return found

    def sizes(self, panel: Any) -> list[float]:
        """Return all values that share the scale of a panel."""
        at = None if self.panels is None or self.shared else self.quantity.by.index(self.panels)
        return [cell.value for key, cell in self.quantity.cells.items() if at is None or key[at] == panel]

    @property
    def n_panels(self) -> int:
        """Number of panels."""
        return len(self.labels(self.panels))

    @property
    def n_columns(self) -> int:
        """Number of panels in a row."""
        return 2 if self.n_panels == 4 else min(MOST_COLUMNS, self.n_panels)

    @property
    def is_log_x(self) -> bool:
        """Whether a line's x axis is logarithmic: its labels are positive and span more than a factor of ten."""
        return self.kind == "line" and DECADE < span(self.labels(self.x)) < inf

    @property
    def extent_of_x(self) -> float:
        """Extent of a line along the x axis; in natural logarithms if that axis is logarithmic."""
        labels = self.labels(self.x)
        return ln(span(labels)) if self.is_log_x else float(max(labels) - min(labels))

    @property
    def slot(self) -> int:
        """Number of characters that fit below each label position along the x axis."""
        return max(1, int(self.panel_width / len(self.labels(self.x)) / CHARACTER))

    @property
    def panel_width(self) -> float:
        """Approximate width of a panel in inches, without the labels of rows and series."""
        beside = BESIDE + CHARACTER * min(LONGEST_LINE, max(map(len, self.texts(self.by))))
        if self.horizontal:
            beside += CHARACTER * min(LONGEST_ROW, max(map(len, self.texts(self.x))))
        return (self.width - beside) / self.n_columns - 0.1

    @property
    def height(self) -> float:
        """Minimum height of a row of panels in inches, so that the labels of rows and series fit."""
        beside = LINE * sum(1.1 * len(broken(text, LONGEST_LINE).splitlines()) for text in self.texts(self.by))
        rows = 0.0
        if self.horizontal:
            n_lines = [len(broken(text, LONGEST_ROW).splitlines()) for text in self.texts(self.x)]
            rows = sum(max(LINE * (n + 0.4), DOT * len(self.labels(self.by)) + 0.08) for n in n_lines)
        return ABOVE_AND_BELOW + max(beside, rows)

    def ticks(self) -> tuple[list[str], bool]:
        """Return the texts of the ticks, and whether the axis needs a label to say what they are."""
        texts = self.texts(self.x)
        if self.horizontal:
            return [broken(text, LONGEST_ROW) for text in texts], False
        labels = self.labels(self.x)
        apart = self.slot - 2  # with space between two of them
        if self.x is None or not is_numeric(labels) or max(map(len, texts)) <= apart:
            return [broken(text, self.slot) for text in texts], False
        numbers = [f"{label:,.10g}" for label in labels]
        if max(map(len, numbers)) > apart:
            numbers = [f"{label / 1000:,.10g}k" if label >= 1000 else f"{label:.10g}" for label in labels]
        return numbers, True


def make_plan(
    quantity: Quantity,
    x: str | None,
    by: str | None,
    panels: str | None,
    *,
    kind: str | None,
    horizontal: bool | None,
    log: bool | None,
    shared: bool,
    width: float,
) -> Plan:
    """Choose the options that were not given, and refuse contradictions; see `mlperf.quantities.drawing.plot`.

    Raises
    ------
    KeyError, ValueError
        As `mlperf.quantities.drawing.plot`.
    """
    plan = Plan(quantity, *_roles(quantity, x, by, panels), shared=shared, width=width)
    if kind not in (None, *KINDS):
        raise ValueError(f"The 'kind' parameter of plot must be one of {', '.join(KINDS)}. Got {kind!r} instead.")
    widest = max(span(plan.sizes(panel)) for panel in plan.labels(plan.panels))
    if kind is None and not horizontal and plan.x is not None and is_curve(plan.labels(plan.x)):
        kind = "line"
    if kind == "line" and (horizontal or plan.x is None or not is_numeric(plan.labels(plan.x))):
        raise ValueError(
            f"With kind='line', 'x' must be a level of numbers, from left to right. Got {plan.x!r} instead."
        )
    if horizontal is None:
        horizontal = kind != "line" and not _fits_upright(plan)
    if kind is None:
        few = max(len(plan.labels(plan.x)), len(plan.labels(plan.by))) <= MOST_BARS
        alike = widest <= DECADE or widest == inf
        kind = "bar" if few and alike and not horizontal and not log else "dot"
    if kind == "bar" and log:
        raise ValueError("A bar begins at zero, which no logarithmic scale has. Give kind='dot' with log=True.")
    if log is None:
        log = kind != "bar" and DECADE < widest < inf
    if log and widest == inf:
        raise ValueError("On a logarithmic scale every value must be above zero. Give log=False.")
    return replace(plan, kind=kind, horizontal=horizontal, log=log)


def span(values: Sequence[float]) -> float:
    """Return the ratio of the largest to the smallest value; infinity if one is not above zero.

    Examples
    --------
    >>> from mlperf.quantities.plans import span
    >>> span([2, 8]), span([0, 8])
    (4.0, inf)
    """
    return max(values) / min(values) if min(values) > 0 else inf


def is_numeric(labels: Sequence[Any]) -> bool:
    """Return whether all labels are numbers."""
    return all(isinstance(label, Real) and not isinstance(label, bool) for label in labels)


def is_curve(labels: Sequence[Any]) -> bool:
    """Return whether labels are drawn as a curve: numbers, and at least five of them."""
    return len(labels) >= LEAST_POINTS and is_numeric(labels)


def _roles(
    quantity: Quantity, x: str | None, by: str | None, panels: str | None
) -> tuple[str | None, str | None, str | None]:
    named = [level for level in (x, by, panels) if level is not None]
    for level in named:
        quantity.labels(level)
        if named.count(level) > 1:
            raise ValueError(f"Each of x, by and panels must be another level. Got {level!r} more than once.")
    left = [level for level in quantity.by if level not in named]
    if x is None and left:
        curves = [level for level in left if is_curve(quantity.labels(level))]
        x = curves[-1] if curves else left[-1]
        left.remove(x)
    by = left.pop() if by is None and left else by
    panels = left.pop() if panels is None and left else panels
    if left:
        raise ValueError(
            f"A figure has places for three levels: x, by and panels. Got {', '.join(quantity.by)}: choose a label of "
            f"one first, as in q.at({left[0]}={quantity.labels(left[0])[0]!r})."
        )
    return x, by, panels


def _fits_upright(plan: Plan) -> bool:
    labels = plan.labels(plan.x)
    if plan.x is None or (is_numeric(labels) and len(labels) <= 2 * LEAST_POINTS):
        return True
    lines = [textwrap.wrap(text, plan.slot, break_long_words=False) for text in plan.texts(plan.x)]
    return all(len(wrapped) <= MOST_LINES and max(map(len, wrapped), default=0) <= plan.slot for wrapped in lines)
