"""Marks of measured values: bars, dots or a line, with intervals and single runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colors

from mlperf.quantities.cells import Cell

INK = "#1f2328"

# Share of the width of a mark over which its runs are spread.
JITTER = 0.7


def draw_series(
    axes: Any,
    places: Sequence[float],
    cells: Sequence[Cell],
    *,
    kind: str,
    color: Any,
    marker: str = "o",
    room: float = 0.8,
    horizontal: bool = False,
) -> None:
    """Draw the values of one series, with their 95 % intervals and their runs, in base units.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The axes to draw in.
    places : sequence of float
        The position of each value on the axis of what was varied; for a line, the sizes.
    cells : sequence of Cell
        The values. Exact values, and values without an interval, have no whisker.
    kind : {"bar", "dot", "line"}
        The kind of mark.
    color : color
        The colour of the series.
    marker : str, default="o"
        The marker of dots and of the points of a line.
    room : float, default=0.8
        Width of a bar, and of the space over most of which the runs are spread; on a logarithmic axis of sizes, the
        natural logarithm of a factor.
    horizontal : bool, default=False
        Whether the values run along the x axis.
    """
    values = np.asarray([cell.value for cell in cells])
    at = np.asarray(places, dtype=float)
    if kind == "bar":
        draw = axes.barh if horizontal else axes.bar
        draw(at, values, room, color=_tint(color), edgecolor=color, linewidth=1)
        if min(values) < 0:
            (axes.axvline if horizontal else axes.axhline)(0, color=INK, linewidth=0.9)
    _draw_runs(axes, at, cells, INK if kind == "bar" else color, room, horizontal)
    _draw_intervals(axes, at, cells, INK if kind == "bar" else color, horizontal)
    if kind != "bar":
        style = {"linestyle": "-" if kind == "line" else "None", "marker": marker, "color": color}
        axes.plot(*_turned(at, values, horizontal), markeredgecolor="white", markeredgewidth=0.8, zorder=4, **style)


def _draw_runs(axes: Any, at: Any, cells: Sequence[Cell], color: Any, room: float, horizontal: bool) -> None:
    # Side by side: if dots hid each other, there would seem to be fewer runs.
    is_log = (axes.get_yscale() if horizontal else axes.get_xscale()) == "log"
    across = []
    for place, cell in zip(at, cells, strict=True):
        n_runs = len(cell.runs)
        steps = JITTER * room * (np.linspace(-0.5, 0.5, n_runs) if n_runs > 1 else np.zeros(n_runs))
        across.append(place * np.exp(steps) if is_log else place + steps)
    if not across:
        return
    places, seen = np.concatenate(across), np.concatenate([cell.runs for cell in cells])
    # Disturbed runs are hollow dots.
    hollow = np.concatenate([cell.disturbed for cell in cells])
    dots = {"linestyle": "None", "marker": ".", "alpha": 0.45, "color": color}
    for marked, style in (
        (~hollow, {"markersize": 4, "markeredgewidth": 0}),
        (hollow, {"markersize": 5, "markeredgewidth": 0.7, "markerfacecolor": "none"}),
    ):
        if marked.any():
            axes.plot(*_turned(places[marked], seen[marked], horizontal), **dots, **style)


def _draw_intervals(axes: Any, at: Any, cells: Sequence[Cell], color: Any, horizontal: bool) -> None:
    error, lower, upper = ("xerr", "xlolims", "xuplims") if horizontal else ("yerr", "lolims", "uplims")
    for place, cell in zip(at, cells, strict=True):
        value, (low, high) = cell.value, cell.interval()
        if np.isnan(low) or np.isnan(high) or low == high:
            continue
        whisker = {error: [[_length(value, low)], [_length(value, high)]]}
        # An infinite end is shown as an arrow.
        whisker |= {lower: np.isinf(high), upper: np.isinf(low)}
        axes.errorbar(
            *_turned([place], [value], horizontal), fmt="none", ecolor=color, elinewidth=1.5, zorder=3, **whisker
        )


def _tint(color: Any) -> Any:
    """Return a lighter, opaque shade, so that runs and whiskers stand out and the grid does not show through."""
    return 0.6 * np.asarray(colors.to_rgb(color)) + 0.4


def _length(value: float, end: float) -> float:
    return abs(value - end) if np.isfinite(end) else abs(value)


def _turned(across: Any, along: Any, horizontal: bool) -> tuple[Any, Any]:
    return (along, across) if horizontal else (across, along)
