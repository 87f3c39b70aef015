"""Figures of quantities: values with their intervals and runs, labels beside what they name, a headline."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from math import ceil, inf, log
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from mlperf.quantities.cells import Cell
from mlperf.quantities.labels import LONGEST_LINE, Labels
from mlperf.quantities.marks import draw_series
from mlperf.quantities.quantity import Quantity, label_text
from mlperf.quantities.scales import Prefixed, format_numbers, format_values
from mlperf.quantities.tables import header

KINDS = ("bar", "dot", "line")
MARKERS = "os^Dv<>P"
STYLE = Path(__file__).with_name("report.mplstyle")
QUIET = "#5b6472"
"""Colour of what is not measured: a reference, a note."""

# Bars are compared by their lengths: with more of them, or with lengths further apart, dots on a scale are clearer.
MOST_BARS = 4
DECADE = 10.0
# Numbers with so many labels are a curve.
LEAST_POINTS = 5
# Widths and heights in inches.
COLUMNS = 3
CHARACTER = 0.09
LINE = 0.2


class _Plan(NamedTuple):
    """How a quantity is drawn: which level goes where, and as what."""

    x: str | None
    by: str | None
    panels: str | None
    kind: str
    horizontal: bool
    log: bool
    shared: bool


Table = dict[tuple[Any, Any, Any], Cell]


def plot(
    quantity: Quantity,
    x: str | None = None,
    by: str | None = None,
    *,
    panels: str | None = None,
    ax: Any = None,
    kind: str | None = None,
    horizontal: bool | None = None,
    log: bool | None = None,
    sharey: bool = True,
    title: str = "",
    colors: Mapping[Any, Any] | None = None,
) -> Any:
    """Draw a quantity: values, their 95 % intervals as whiskers, and every run as a small dot.

    Parameters
    ----------
    quantity : Quantity
        With up to three levels. What is exact has no whisker, nor has what comes from one process.
    x : str, default=None
        The level along the axis; by default one with five numbers or more, else the last that is left.
    by : str, default=None
        The level that is told apart by colour and marker, with labels in place of a legend.
    panels : str, default=None
        The level with a panel for each label.
    ax : Axes, default=None
        Where to draw, in a figure with constrained layout such as `subplots` makes; by default a new figure.
    kind : {"bar", "dot", "line"}, default=None
        Bars from zero; dots; or a line over a level of numbers. By default a line where there are five numbers or
        more, bars where they are few and lengths within a factor of ten, else dots.
    horizontal : bool, default=None
        Whether values run along x, one row a label; by default where the labels would not fit otherwise.
    log : bool, default=None
        Whether the scale of the values is logarithmic; by default where dots or lines span more than a decade.
    sharey : bool, default=True
        Whether panels share the scale of the values. If not, the figure says so.
    title : str, default=""
        The headline.
    colors : mapping, default=None
        Colours by the labels of `by`, or of `x` if there is no `by`.

    Returns
    -------
    Axes, or ndarray of Axes
        One for each label of `panels`. The data on it are in base units: seconds, bytes, 1.

    Raises
    ------
    KeyError
        If there is no such level.
    ValueError
        If the quantity has more levels than there are places for, or the options contradict each other.

    Examples
    --------
    >>> from mlperf import exact
    >>> from mlperf.quantities.drawing import plot
    >>> axes = plot(exact({"Small": 0.010, "Large": 0.035}, by="model", unit="seconds", name="fit_seconds"))
    >>> axes.get_ylabel(), [tick.get_text() for tick in axes.get_xticklabels()]
    ('Fit time (ms)', ['Small', 'Large'])
    """
    x, by, panels = _roles(quantity, x, by, panels)
    if panels is not None and ax is not None:
        raise ValueError(f"With the 'ax' parameter of plot there are no panels. Got panels={panels!r} too.")
    table = _table(quantity, x, by, panels)
    plan = _plan(
        quantity, table, _Plan(x, by, panels, kind or "", bool(horizontal), bool(log), sharey), horizontal, log
    )
    with _style():
        drawn = [ax] if ax is not None else _make_axes(quantity, plan)
        for place, (axes, panel) in enumerate(zip(drawn, _labels(quantity, panels), strict=True)):
            _draw_panel(axes, quantity, table, panel, plan, colors or {}, place)
        if panels is not None and not plan.shared:
            _note(drawn[0].get_figure(), "Each panel has a scale of its own.")
        if title:
            headline(drawn[0] if len(drawn) == 1 else drawn[0].get_figure(), title)
    return np.asarray(drawn, dtype=object) if panels is not None else drawn[0]


def subplots(*args: Any, **kwargs: Any) -> Any:
    """Return a figure and its axes in the style of the report, as `matplotlib.pyplot.subplots` does.

    Parameters
    ----------
    *args, **kwargs
        Passed on.

    Returns
    -------
    figure : Figure
    axes : Axes, or ndarray of Axes

    Examples
    --------
    >>> from mlperf.quantities.drawing import subplots
    >>> figure, (left, right) = subplots(1, 2, sharey=True)
    """
    from matplotlib import pyplot as plt

    with _style():
        return plt.subplots(*args, **kwargs)


def headline(where: Any, text: str) -> None:
    """Say over a figure what is seen in it: bold, from the left, in as many lines as its width asks for.

    Parameters
    ----------
    where : Figure, Axes, or sequence of Axes
        Axes stand for their figure, unless there are others in it.
    text : str
        One sentence, made from the data; also for those who do not see the figure.

    Examples
    --------
    >>> from mlperf.quantities.drawing import headline, subplots
    >>> figure, axes = subplots()
    >>> headline(axes, "Large takes 4.1 times as long as Small")
    >>> figure.get_suptitle()
    'Large takes 4.1 times as long as Small'
    """
    first = where.flat[0] if isinstance(where, np.ndarray) else where[0] if isinstance(where, Sequence) else where
    figure = first if not isinstance(first, Axes) else first.get_figure()
    font = {"fontsize": "medium", "fontweight": "bold"}
    with _style():
        width = 72 * figure.bbox.width / figure.get_figure(root=True).dpi
        if first is where and isinstance(first, Axes) and len(figure.axes) > 1:
            share = first.get_position().width
            first.set_title(_wrapped(text, share * width), loc="left", **font)
        else:
            figure.suptitle(_wrapped(text, 0.98 * width), x=0.01, ha="left", **font)


def reference(axes: Any, value: float, label: str, *, vertical: bool | None = None) -> None:
    """Draw a dashed line at a value to compare with, and say beside it what it is.

    Parameters
    ----------
    axes : Axes
        In a row of panels only the last says what the line is.
    value : float
        In the base unit: seconds, bytes, 1.
    label : str
        A word or two: "noise".
    vertical : bool, default=None
        Whether the value is one of x; by default where the values are.

    Examples
    --------
    >>> from mlperf import exact
    >>> from mlperf.quantities.drawing import reference
    >>> axes = exact({"Small": 0.9, "Large": 1.2}, by="model", unit="ratio").plot()
    >>> reference(axes, 1, "no change")
    """
    if vertical is None:
        vertical = isinstance(axes.xaxis.get_major_formatter(), Prefixed) and not isinstance(
            axes.yaxis.get_major_formatter(), Prefixed
        )
    with _style():
        draw = axes.axvline if vertical else axes.axhline
        draw(value, color=QUIET, linestyle="--", linewidth=1.2, zorder=1)
        grid = axes.get_subplotspec()
        if vertical or grid is None or grid.is_last_col():
            labels = _labels_of(axes, "top" if vertical else "right")
            labels.add(value, label, color=QUIET)
        if vertical and axes.get_title(loc="left"):
            axes.set_title(axes.get_title(loc="left"), loc="left", pad=24)


def draw_reason(axes: Any, reason: str) -> None:
    """Say in place of a drawing why there is none.

    Parameters
    ----------
    axes : Axes
        Where nothing is drawn.
    reason : str
        One sentence, broken into lines here.

    Examples
    --------
    >>> from mlperf.quantities.drawing import draw_reason, subplots
    >>> figure, axes = subplots()
    >>> draw_reason(axes, "Not counted here: valgrind is not installed")
    >>> axes.get_title(loc="left"), axes.axison
    ('Not counted here: valgrind is not installed', False)
    """
    axes.set_title(textwrap.fill(reason, 60), loc="left", y=0.5, fontweight="normal", color=QUIET)
    axes.set_axis_off()


@contextmanager
def _style() -> Iterator[None]:
    """Take the style of the report, whatever the caller's, for as long as something is drawn."""
    with rc_context(fname=STYLE):
        yield


# What goes where


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
        curves = [level for level in left if _is_curve(quantity, level)]
        x = curves[-1] if curves else left[-1]
        left.remove(x)
    by = left.pop() if by is None and left else by
    panels = left.pop() if panels is None and left else panels
    if left:
        raise ValueError(
            f"A figure has places for three levels, x, by and panels. Got {', '.join(quantity.by)}: choose a label of "
            f"one first, as in q.at({left[0]}={quantity.labels(left[0])[0]!r})."
        )
    return x, by, panels


def _plan(quantity: Quantity, table: Table, given: _Plan, horizontal: bool | None, log_scale: bool | None) -> _Plan:
    """Fill in what was not asked for, and refuse what contradicts itself."""
    if given.kind not in ("", *KINDS):
        raise ValueError(f"The 'kind' parameter of plot must be one of {', '.join(KINDS)}. Got {given.kind!r} instead.")
    span = max(_span([cell.value for cell in part]) for part in _parts(table, given.shared))
    kind = given.kind
    if not kind and given.x is not None and _is_curve(quantity, given.x) and not horizontal:
        kind = "line"
    if kind == "line":
        if given.x is None or not _is_numeric(quantity.labels(given.x)) or horizontal:
            raise ValueError(f"With kind='line', 'x' must be a level of numbers, from left to right. Got {given.x!r}.")
        horizontal = False
    elif horizontal is None:
        horizontal = not _fits_upright(quantity, given)
    if not kind:
        counts = [len(_labels(quantity, level)) for level in (given.x, given.by)]
        few = max(counts) <= MOST_BARS and span <= DECADE
        kind = "bar" if few and not horizontal and not log_scale else "dot"
    if kind == "bar" and log_scale:
        raise ValueError("A bar begins at zero, which no logarithmic scale has. Give kind='dot', or log=False.")
    if log_scale is None:
        log_scale = kind != "bar" and DECADE < span < inf
    if log_scale and span == inf:
        raise ValueError("On a logarithmic scale all values must be above zero. Give log=False.")
    return given._replace(kind=kind, horizontal=horizontal, log=log_scale)


def _parts(table: Table, shared: bool) -> list[list[Cell]]:
    """Return the cells by the scale that they are on."""
    if shared:
        return [list(table.values())]
    return [
        [cell for (panel, _, _), cell in table.items() if panel == one]
        for one in dict.fromkeys(key[0] for key in table)
    ]


def _span(values: Sequence[float]) -> float:
    return max(values) / min(values) if min(values) > 0 else inf


def _is_numeric(labels: Sequence[Any]) -> bool:
    return all(isinstance(label, Real) and not isinstance(label, bool) for label in labels)


def _is_curve(quantity: Quantity, level: str) -> bool:
    labels = quantity.labels(level)
    return len(labels) >= LEAST_POINTS and _is_numeric(labels)


def _labels(quantity: Quantity, level: str | None) -> list[Any]:
    return [None] if level is None else quantity.labels(level)


def _table(quantity: Quantity, x: str | None, by: str | None, panels: str | None) -> Table:
    table: Table = {}
    for key, cell in quantity.cells.items():
        labels = dict(zip(quantity.by, key, strict=True))
        table[tuple(None if level is None else labels[level] for level in (panels, by, x))] = cell  # type: ignore[index]
    return table


# Room


def _texts(quantity: Quantity, level: str | None) -> list[str]:
    return ["" if level is None else label_text(level, label) for label in _labels(quantity, level)]


def _slot(quantity: Quantity, plan: _Plan) -> int:
    """Return how many characters there is room for under each of the labels along x."""
    n_columns = min(COLUMNS, len(_labels(quantity, plan.panels)))
    beside = CHARACTER * min(LONGEST_LINE, max(map(len, _texts(quantity, plan.by)))) + 0.9
    width = (_style_value("figure.figsize")[0] - beside) / n_columns - 0.1
    return max(1, int(width / len(_labels(quantity, plan.x)) / CHARACTER))


def _fits_upright(quantity: Quantity, plan: _Plan) -> bool:
    labels = _labels(quantity, plan.x)
    if plan.x is None or (_is_numeric(labels) and len(labels) <= 2 * LEAST_POINTS):
        return True
    slot = _slot(quantity, plan)
    lines = [textwrap.wrap(text, slot, break_long_words=False) for text in _texts(quantity, plan.x)]
    return all(len(wrapped) <= 3 and max(map(len, wrapped), default=0) <= slot for wrapped in lines)


def _make_axes(quantity: Quantity, plan: _Plan) -> list[Any]:
    from matplotlib import pyplot as plt

    n_panels, n_series = len(_labels(quantity, plan.panels)), len(_labels(quantity, plan.by))
    n_columns = 2 if n_panels == 4 else min(COLUMNS, n_panels)
    n_rows = ceil(n_panels / n_columns)
    width, height = rcParams["figure.figsize"]
    if plan.horizontal:
        lines = [textwrap.wrap(text, LONGEST_LINE) for text in _texts(quantity, plan.x)]
        height = 1.3 + sum(max(LINE * (len(wrapped) + 0.3), 0.75 * LINE * n_series + 0.1) for wrapped in lines)
    elif n_rows > 1:
        height = 0.75 * height
    height = max(height, 1.3 + LINE * sum(1 + len(text) // LONGEST_LINE for text in _texts(quantity, plan.by)))
    figure, grid = plt.subplots(
        n_rows,
        n_columns,
        figsize=(width, n_rows * height),
        sharex=plan.shared or not plan.horizontal,
        sharey=plan.shared or plan.horizontal,
        squeeze=False,
    )
    for unused in grid.flat[n_panels:]:
        unused.remove()
    figure.get_layout_engine().set(wspace=0.04)
    return list(grid.flat[:n_panels])


# Drawing


def _draw_panel(
    axes: Any, quantity: Quantity, table: Table, panel: Any, plan: _Plan, colors: Mapping[Any, Any], place: int
) -> None:
    labels, series = _labels(quantity, plan.x), _labels(quantity, plan.by)
    log_x = plan.kind == "line" and DECADE < _span(labels) < inf
    if plan.kind == "line":
        format_numbers(axes.xaxis, labels, log=log_x, n_ticks=6 if plan.panels is None else 3)
    if plan.log:
        axes.set(**{"xscale" if plan.horizontal else "yscale": "log"})
    step = 0.8 / len(series)
    palette = islice(cycle(rcParams["axes.prop_cycle"].by_key()["color"]), len(series))
    ends: list[tuple[float, Any, Any, str]] = []
    for number, (label, color) in enumerate(zip(series, palette, strict=True)):
        color = colors.get(label, color)
        # Where colours come round again, the markers do not.
        marker = MARKERS[(number + number // 7) % len(MARKERS)]
        shift = step * (number - (len(series) - 1) / 2)
        points = [
            (one if plan.kind == "line" else at + shift, cell, one)
            for at, one in enumerate(labels)
            if (cell := table.get((panel, label, one)))
        ]
        if not points:
            continue
        room = {"bar": 0.92 * step, "dot": min(step, 0.35), "line": 0.02 * (log(_span(labels)) if log_x else 1)}
        if plan.kind == "line" and not log_x:
            room["line"] = 0.02 * (max(labels) - min(labels))
        style = {"kind": plan.kind, "marker": marker, "room": room[plan.kind], "horizontal": plan.horizontal}
        if plan.by is None and plan.x is not None and colors and plan.kind != "line":
            for at, cell, one in points:
                draw_series(axes, [at], [cell], color=colors.get(one, color), **style)
        else:
            draw_series(axes, [at for at, _, _ in points], [cell for _, cell, _ in points], color=color, **style)
        end = points[0][0] if plan.horizontal else points[-1][1].value
        ends.append((end, label, color, "s" if plan.kind == "bar" else marker))
    _format(axes, quantity, table, panel, plan, place)
    grid = axes.get_subplotspec()
    n_panels = len(_labels(quantity, plan.panels))
    if plan.by is not None and (grid is None or plan.panels is None or grid.is_last_col() or place == n_panels - 1):
        beside = _labels_of(axes, "right")
        for end, label, color, marker in ends:
            beside.add(end, label_text(plan.by, label), color=color, marker=marker)


def _format(axes: Any, quantity: Quantity, table: Table, panel: Any, plan: _Plan, place: int) -> None:
    """Give both axes their ticks and what they show."""
    shown = table.values() if plan.shared else [cell for key, cell in table.items() if key[0] == panel]
    sizes = [cell.value for cell in shown]
    values_axis, labels_axis = (axes.xaxis, axes.yaxis) if plan.horizontal else (axes.yaxis, axes.xaxis)
    n_ticks = 6 if not plan.horizontal else 6 if plan.panels is None else 3
    text = format_values(values_axis, sizes, name=quantity.name, unit=quantity.unit, log=plan.log, n_ticks=n_ticks)
    grid = axes.get_subplotspec()
    is_first = plan.panels is None or grid.is_first_col()
    if plan.horizontal or not plan.shared or is_first:
        values_axis.set_label_text(text)
    labels_axis.grid(plan.kind == "line")
    if plan.kind != "line":
        _format_labels(axes, labels_axis, quantity, plan)
    else:
        labels_axis.set_label_text(header(plan.x or ""))
    if plan.panels is not None:
        axes.set_title(label_text(plan.panels, panel), loc="left", fontweight="normal")
        axes.label_outer(remove_inner_ticks=False) if plan.shared else None


def _format_labels(axes: Any, axis: Any, quantity: Quantity, plan: _Plan) -> None:
    labels = _labels(quantity, plan.x)
    if plan.x is None:
        axis.set_ticks([])
        axes.margins(**{"y" if plan.horizontal else "x": 1.0})
        return
    texts = _texts(quantity, plan.x)
    if plan.horizontal:
        texts = [textwrap.fill(text, LONGEST_LINE + 6) for text in texts]
        axis.set_inverted(True)
    elif _is_numeric(labels) and max(map(len, texts)) > _slot(quantity, plan):
        texts = [Prefixed()(label) for label in labels]
        axis.set_label_text(header(plan.x))
    else:
        texts = [textwrap.fill(text, _slot(quantity, plan)) for text in texts]
    axis.set_ticks(range(len(labels)), texts)
    axis.set_tick_params(length=0)


def _labels_of(axes: Any, side: str) -> Labels:
    """Return the labels on a side of some axes, so that those of a reference and of series make room for each other."""
    for artist in axes.artists:
        if isinstance(artist, Labels) and artist.side == side:
            return artist
    return Labels(axes, side)


def _note(figure: Any, text: str) -> None:
    figure.supxlabel(text, x=0.01, ha="left", fontsize="small", color=QUIET)


def _style_value(name: str) -> Any:
    with _style():
        return rcParams[name]


def _wrapped(text: str, width: float) -> str:
    """Break a bold text into lines no longer than a width in points."""
    font = FontProperties(weight="bold", size=rcParams["font.size"])
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        fits = TextPath((0, 0), longer.replace("$", r"\$"), prop=font).get_extents().width <= width
        lines = [*lines[:-1], longer] if fits or not lines[-1] else [*lines, word]
    return "\n".join(lines)
