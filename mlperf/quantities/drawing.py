"""What the figures share: estimates drawn with interval and single runs, a headline, or why nothing is drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def draw_estimate(
    axes: Any,
    at: float,
    estimate: Sequence[float],
    runs: ArrayLike = (),
    *,
    color: str = "C0",
    bar: float = 0.0,
    horizontal: bool = False,
    scale: float = 1.0,
    label: str = "",
) -> None:
    """Draw a measured value, its interval and the runs behind it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    at : float
        Place on the axis of what was varied: x, or y in a horizontal figure.
    estimate : sequence of three float
        Value, low and high, such as an `mlperf.quantities.intervals.Estimate`. Without an interval (NaN) there is no whisker.
    runs : array-like of shape (n,), default=()
        The single runs, in the unit of the estimate; drawn as small dots.
    color : str, default="C0"
        Of the value, and of its interval where there is no bar.
    bar : float, default=0.0
        Width of a bar from 0 to the value; a dot marks the value where it is 0.
    horizontal : bool, default=False
        Whether the measured values run along x.
    scale : float, default=1.0
        Factor from the unit of the estimate to that of the axis: 1e6 from seconds to µs.
    label : str, default=""
        Written beyond the largest thing drawn here.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mlperf.quantities.drawing import draw_estimate
    >>> axes = Figure().subplots()
    >>> draw_estimate(axes, 0, (1.5, 1.2, 1.9), [1.2, 1.5, 1.9], scale=1e3, label="Large")
    >>> axes.texts[0].get_text(), [float(y) for y in axes.lines[0].get_ydata()]
    ('Large', [1200.0, 1500.0, 1900.0])
    """
    value, low, high = (scale * end for end in estimate)
    seen = scale * np.asarray(runs, dtype=float)
    # Side by side where a bar gives room for it: dots that hide each other look like fewer runs.
    places = at + bar * np.linspace(-0.35, 0.35, len(seen)) if bar else np.full(len(seen), at)
    if bar:
        (axes.barh if horizontal else axes.bar)(at, value, bar, color=color, alpha=0.65)
    runs_color = "black" if bar else color
    axes.plot(*_turned(places, seen, horizontal), ".", color=runs_color, markersize=4, alpha=0.5, zorder=3)
    whisker = {"xerr" if horizontal else "yerr": [[value - low], [high - value]]}
    mark = "none" if bar else "o"
    axes.errorbar(*_turned([at], [value], horizontal), fmt=mark, color="black" if bar else color, zorder=4, **whisker)
    if label:
        top = np.nanmax([value, high, *seen])
        place = (top, at) if horizontal else (at, top)
        shift = {"xytext": (7, 0), "va": "center"} if horizontal else {"xytext": (0, 7), "ha": "center"}
        axes.annotate(label, place, textcoords="offset points", fontsize="small", color=color, **shift)


def draw_reason(axes: Any, reason: str) -> None:
    """Say in place of a drawing why there is none.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where nothing is drawn.
    reason : str
        One sentence, broken into lines here.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mlperf.quantities.drawing import draw_reason
    >>> axes = Figure().subplots()
    >>> draw_reason(axes, "Not counted here: valgrind is not installed")
    >>> axes.get_title(loc="left"), axes.axison
    ('Not counted here: valgrind is not installed', False)
    """
    axes.set_title(textwrap.fill(reason, 60), loc="left")
    axes.set_axis_off()


def headline(figure: Any, text: str) -> None:
    """Put over a figure of several panels what is seen in it: bold and from the left, as over a single one.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure; `mlperf.results.publishing.publish` takes the text for those who do not see it.
    text : str
        One sentence, made from the data.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mlperf.quantities.drawing import headline
    >>> figure = Figure()
    >>> panels = figure.subplots(1, 2)
    >>> headline(figure, "Large takes 4.1 times as long as Small")
    >>> figure.get_suptitle()
    'Large takes 4.1 times as long as Small'
    """
    figure.suptitle(text, x=0.01, ha="left", fontsize="medium", fontweight="bold")


def _turned(x: Any, y: Any, horizontal: bool) -> tuple[Any, Any]:
    return (y, x) if horizontal else (x, y)
