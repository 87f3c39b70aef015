"""Figures of quantities: values with their intervals and runs, direct labels, and a headline."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context, rc_params_from_file, rcParams
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from mlperf.quantities.labels import PLAIN, Labels
from mlperf.quantities.marks import draw_series
from mlperf.quantities.plans import BESIDE, CHARACTER, Plan, make_plan
from mlperf.quantities.quantity import Quantity
from mlperf.quantities.scales import Prefixed, format_numbers, format_values
from mlperf.quantities.tables import header, label_text

STYLE = Path(__file__).with_name("report.mplstyle")
COLORS: tuple[str, ...] = tuple(
    rc_params_from_file(STYLE, use_default_template=False)["axes.prop_cycle"].by_key()["color"]
)
"""Colours of the series, in order; a script that draws by itself can use them, too."""
MARKERS = "os^DvPX"
QUIET = "#5b6472"
"""Colour of references and notes, which are not measured."""
BAND = "#f3f4f6"
"""Background of every other label, to show which dots belong to it."""

# Share of the space of a label that its series take together; the dots of one label stay close together.
GROUP = 0.8
WIDEST_DOT = 0.25
# Share of the axis over which the runs of a point on a line are spread.
CLOUD = 0.02
# Ticks along an axis, and along that of one of several panels.
MOST_TICKS = 6
MOST_TICKS_OF_PANEL = 3


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
        With up to three levels. Exact values, and values from a single process, have no whisker.
    x : str, default=None
        The level along the axis. By default, of the levels that are not named otherwise, the last one with at least
        five labels that are numbers, or else the last one.
    by : str, default=None
        The level that colours and markers stand for, with direct labels in place of a legend. By default, the last
        level that is left.
    panels : str, default=None
        The level with one panel for each label. By default, the level that is left after `x` and `by`.
    ax : Axes, default=None
        The axes to draw in, of a figure with constrained layout such as `subplots` makes; by default a new figure.
    kind : {"bar", "dot", "line"}, default=None
        Bars from zero, dots, or a line over a level of numbers. By default a line if `x` has at least five labels that
        are numbers; bars if neither `x` nor `by` has more than four labels, and the values are within a factor of ten;
        otherwise dots.
    horizontal : bool, default=None
        Whether the values run along the x axis, with one row for each label; by default only if the labels would not
        fit otherwise.
    log : bool, default=None
        Whether the scale of the values is logarithmic; by default if dots or lines span more than a factor of ten.
    sharey : bool, default=True
        Whether the panels share the scale of the values. If they do not, the figure says so.
    title : str, default=""
        The headline; see `headline`.
    colors : mapping, default=None
        Colours of some labels of `by`, in place of the usual ones.

    Returns
    -------
    Axes, or ndarray of Axes
        An array with one for each label of `panels`. The data are in base units: seconds, bytes, 1.

    Raises
    ------
    KeyError
        If there is no such level.
    ValueError
        If the quantity has more than three levels, or the options contradict each other.

    Examples
    --------
    >>> from mlperf import exact
    >>> from mlperf.quantities.drawing import plot
    >>> axes = plot(exact({"Small": 0.010, "Large": 0.035}, by="model", unit="seconds", name="fit_seconds"))
    >>> axes.get_ylabel(), [tick.get_text() for tick in axes.get_xticklabels()]
    ('Fit time (ms)', ['Small', 'Large'])
    """
    with _style():
        width = rcParams["figure.figsize"][0] if ax is None else BESIDE + ax.bbox.width / ax.get_figure(root=True).dpi
        options: dict[str, Any] = {"kind": kind, "horizontal": horizontal, "log": log, "shared": sharey}
        plan = make_plan(quantity, x, by, panels, **options, width=width)
        if plan.panels is not None and ax is not None:
            raise ValueError(f"The 'ax' parameter of plot has room for one panel. Got panels={plan.panels!r} too.")
        drawn = _make_axes(plan) if ax is None else [ax]
        for place, axes in enumerate(drawn):
            _draw_panel(axes, plan, place, colors or {})
        if len(drawn) > 1:
            _say_once(drawn, plan)
        if ax is None and (note := _note(plan)):
            drawn[0].get_figure().supxlabel(note, x=0.01, ha="left", fontsize="small", color=QUIET)
        every = np.asarray(drawn, dtype=object) if plan.panels is not None else drawn[0]
        if title:
            headline(every, title)
    return every


def subplots(*args: Any, **kwargs: Any) -> Any:
    """Return a figure and its axes in the style of the report, as `matplotlib.pyplot.subplots` does.

    Parameters
    ----------
    *args, **kwargs
        Passed on to `matplotlib.pyplot.subplots`.

    Returns
    -------
    figure : Figure
        With a constrained layout, which leaves room for labels.
    axes : Axes, or ndarray of Axes
        The axes of the figure.

    Examples
    --------
    >>> from mlperf.quantities.drawing import subplots
    >>> figure, (left, right) = subplots(1, 2, sharey=True)
    """
    from matplotlib import pyplot as plt

    with _style():
        return plt.subplots(*args, **kwargs)


def headline(where: Any, text: str) -> None:
    """Put a headline over a figure: bold, left-aligned, and wrapped to its width.

    Parameters
    ----------
    where : Figure, Axes, or sequence of Axes
        A single Axes stands for its figure if there are no others in it; a sequence always does.
    text : str
        One sentence, made from the data, that says what the figure shows. Those who do not see the figure are told it.

    Examples
    --------
    >>> from mlperf.quantities.drawing import headline, subplots
    >>> figure, axes = subplots()
    >>> headline(axes, "Large takes 4.1 times as long as Small")
    >>> figure.get_suptitle()
    'Large takes 4.1 times as long as Small'
    """
    first: Any = where.flat[0] if isinstance(where, np.ndarray) else where[0] if isinstance(where, Sequence) else where
    figure: Any = first if not isinstance(first, Axes) else first.get_figure()
    font: Any = {"fontsize": "medium", "fontweight": "bold", **PLAIN}
    with _style():
        width = 72 * figure.bbox.width / figure.get_figure(root=True).dpi
        if first is where and isinstance(first, Axes) and len(figure.axes) > 1:
            share = first.get_position().width
            first.set_title(_wrapped(text, share * width), loc="left", **font)
        else:
            figure.suptitle(_wrapped(text, 0.98 * width), x=0.01, ha="left", **font)


def reference(axes: Any, value: float, label: str, *, vertical: bool | None = None) -> None:
    """Draw a dashed line at a reference value, with a label.

    Parameters
    ----------
    axes : Axes
        The axes to draw in. In a row of panels, only the last one shows the label of a horizontal line.
    value : float
        The reference value, in the base unit: seconds, bytes, 1.
    label : str
        A word or two, such as "noise".
    vertical : bool, default=None
        Whether the line is vertical; by default it is if the measured values run along the x axis.

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


def label(axes: Any, value: float, text: str, *, color: Any) -> None:
    """Name what was drawn at some height, beside the axes; labels that would overlap are moved apart.

    Parameters
    ----------
    axes : Axes
        The axes that it was drawn in.
    value : float
        Its height at the right end.
    text : str
        Its name.
    color : color
        Its colour; the text gets a darker shade if it would be hard to read.

    Examples
    --------
    >>> from mlperf.quantities.drawing import label, subplots
    >>> figure, axes = subplots()
    >>> (line,) = axes.plot([1, 2, 4], [3.0, 2.0, 1.5])
    >>> label(axes, 1.5, "predicted", color=line.get_color())
    """
    with _style():
        _labels_of(axes, "right").add(value, text, color=color)


@contextmanager
def _style() -> Iterator[None]:
    """Use the style of the report while something is drawn, whatever style the caller has set."""
    with rc_context(fname=STYLE):
        yield


def _make_axes(plan: Plan) -> list[Any]:
    from matplotlib import pyplot as plt

    n_rows = ceil(plan.n_panels / plan.n_columns)
    # In several rows, panels are lower than a single panel; with horizontal bars or dots, they are as high as needed.
    usual = rcParams["figure.figsize"][1] * (0.75 if n_rows > 1 else 1.0)
    height = plan.height if plan.horizontal else max(plan.height, usual)
    _, grid = plt.subplots(
        n_rows,
        plan.n_columns,
        figsize=(plan.width, n_rows * height),
        sharex=plan.shared or not plan.horizontal,
        sharey=plan.shared or plan.horizontal,
        squeeze=False,
    )
    for unused in grid.flat[plan.n_panels :]:
        unused.remove()
    return list(grid.flat[: plan.n_panels])


def _draw_panel(axes: Any, plan: Plan, place: int, colors: Mapping[Any, Any]) -> None:
    panel = plan.labels(plan.panels)[place]
    _format_values(axes, plan, place)
    _format_labels(axes, plan, place)
    series = plan.labels(plan.by)
    # In a row of panels, only the last one labels the series.
    is_last = (place + 1) % plan.n_columns == 0
    beside = _labels_of(axes, "right") if plan.by is not None and is_last else None
    step = min(GROUP / len(series), WIDEST_DOT if plan.kind == "dot" else GROUP)
    for number, label in enumerate(series):
        cells = plan.cells(panels=panel, by=label)
        shift = step * (number - (len(series) - 1) / 2)
        # When the colours repeat, the markers differ.
        marker = MARKERS[(number + number // len(COLORS)) % len(MARKERS)]
        color = colors.get(label, COLORS[number % len(COLORS)])
        if plan.kind == "line":
            places, room = list(cells), CLOUD * plan.extent_of_x
        else:
            places, room = [plan.labels(plan.x).index(one) + shift for one in cells], 0.92 * step
        style: dict[str, Any] = {"kind": plan.kind, "marker": marker, "room": room, "horizontal": plan.horizontal}
        if cells:
            draw_series(axes, places, list(cells.values()), color=color, **style)
        if beside is not None:
            # Beside its part of the first row, or its last value; at the bottom if the series has no values here.
            last = list(cells.values())[-1].value if cells else min(plan.sizes(panel))
            marker = "s" if plan.kind == "bar" else marker
            style = {"color": color, "marker": marker, "ranked": plan.kind != "line"}
            beside.add(shift if plan.horizontal else last, label_text(plan.by or "", label), **style)


def _format_values(axes: Any, plan: Plan, place: int) -> None:
    axis, across = (axes.xaxis, axes.yaxis) if plan.horizontal else (axes.yaxis, axes.xaxis)
    text = format_values(
        axis,
        plan.sizes(plan.labels(plan.panels)[place]),
        name=plan.quantity.name,
        unit=plan.quantity.unit,
        log=plan.log,
        n_ticks=MOST_TICKS_OF_PANEL if plan.horizontal and plan.panels is not None else MOST_TICKS,
    )
    is_outer = _is_lowest(plan, place) if plan.horizontal else place % plan.n_columns == 0
    if is_outer or not plan.shared:
        axis.set_label_text(text, **PLAIN)
    across.grid(plan.kind == "line")


def _format_labels(axes: Any, plan: Plan, place: int) -> None:
    axis = axes.yaxis if plan.horizontal else axes.xaxis
    if plan.panels is not None:
        axes.set_title(plan.texts(plan.panels)[place], loc="left", **PLAIN)
    if _is_lowest(plan, place):
        axes.xaxis.set_tick_params(which="both", labelbottom=True)
    if plan.kind == "line":
        n_ticks = MOST_TICKS if plan.panels is None else MOST_TICKS_OF_PANEL
        format_numbers(axis, log=plan.is_log_x, n_ticks=n_ticks)
        says_what = True
    else:
        texts, says_what = plan.ticks()
        axis.set_ticks(range(len(texts)), texts, **PLAIN)
        axis.set_tick_params(length=0)
        # A single bar would fill the axes.
        margin = 0.25 * max(2, 5 - len(texts))
        ends = (-margin, len(texts) - 1 + margin)
        axes.set(**{"ylim": ends[::-1]} if plan.horizontal else {"xlim": ends})
        band = axes.axhspan if plan.horizontal else axes.axvspan
        for odd in range(1, len(texts), 2) if plan.kind == "dot" else ():
            band(odd - 0.5, odd + 0.5 if odd < len(texts) - 1 else ends[1], color=BAND, linewidth=0, zorder=0)
    if says_what and _is_lowest(plan, place):
        axis.set_label_text(header(plan.x or ""), **PLAIN)


def _say_once(drawn: Sequence[Any], plan: Plan) -> None:
    """Keep an axis label that all panels share on one of them only; wrap labels that differ."""
    lowest = [axes for place, axes in enumerate(drawn) if _is_lowest(plan, place)]
    below = {axes.get_xlabel() for axes in lowest}
    if len(below) == 1:
        for axes in lowest:
            axes.set_xlabel("")
        # In the middle of the row.
        middle = lowest[(len(lowest) - 1) // 2]
        middle.set_xlabel(below.pop(), x=0.5 if len(lowest) % 2 else 1.05)
    else:
        for axes in lowest:
            axes.set_xlabel(textwrap.fill(axes.get_xlabel(), max(1, int(plan.panel_width / CHARACTER))))
    if len({axes.get_ylabel() for axes in drawn}) == 1:
        for place, axes in enumerate(drawn):
            if place % plan.n_columns:
                axes.set_ylabel("")


def _note(plan: Plan) -> str:
    """Return what has to be said about the figure as a whole."""
    said = []
    if plan.panels is not None and not plan.shared:
        said.append("Each panel has a scale of its own.")
    # The dot of a single run lies below its value.
    if any(cell.disturbed.any() and cell.n_runs > 1 for cell in plan.quantity.cells.values()):
        said.append("Hollow dots: disturbed runs.")
    return " ".join(said)


def _is_lowest(plan: Plan, place: int) -> bool:
    """Return whether there is no panel below this one."""
    return place + plan.n_columns >= plan.n_panels


def _labels_of(axes: Any, side: str) -> Labels:
    """Return the labels on one side of some axes, the same for references and series, so that they do not overlap."""
    for artist in axes.artists:
        if isinstance(artist, Labels) and artist.side == side:
            return artist
    return Labels(axes, side)


def _wrapped(text: str, width: float) -> str:
    """Wrap a bold text to a width in points."""
    font = FontProperties(weight="bold", size=rcParams["font.size"])
    lines = [""]
    for word in text.split(" "):  # a no-break space, before a unit, stays in the line
        longer = f"{lines[-1]} {word}".strip()
        outline = TextPath((0, 0), longer.replace("$", r"\$"), prop=font).vertices
        fits = outline[:, 0].max(initial=0) <= width
        lines = [*lines[:-1], longer] if fits or not lines[-1] else [*lines, word]
    return "\n".join(lines)
