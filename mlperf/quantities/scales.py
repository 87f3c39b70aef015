"""Axes of figures: one unit prefix for each axis, plain numbers at its ticks, and a label with the unit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import Formatter, Locator, LogLocator, MaxNLocator, NullFormatter

from mlperf.quantities.tables import columns
from mlperf.quantities.units import UNITS, prefix_of

# Ticks within a factor of ten, from most to fewest.
SUBDIVISIONS = ((1, 2, 5), (1, 3), (1,), (3,), (2,), (5,))
STEPS = [1, 2, 2.5, 5, 10]
# In inches: the mean width of a character at a tick, and the minimum distance between two texts.
CHARACTER = 0.075
BETWEEN = 0.15
# Significant digits of a tick; the rest is rounding.
TICK_DIGITS = 10
# From the first number on, and below the second, another prefix is easier to read: 100 ms, not 100,000 µs.
LARGE, LITTLE = 1_000, 0.01


class Prefixed(Formatter):
    r"""Ticks as plain numbers in a prefixed unit, for data in base units.

    Parameters
    ----------
    scale : float, default=1.0
        The prefixed unit in base units: 1e-3 for ms.
    unit : str, default=""
        One of `mlperf.quantities.units.UNITS`, for ticks that each have the unit with a prefix of their own.

    Examples
    --------
    >>> from mlperf.quantities.scales import Prefixed
    >>> Prefixed(1e-3)(1.25), Prefixed()(-0.5)
    ('1,250', '−0.5')
    >>> Prefixed(unit="seconds")(0.01), Prefixed(unit="seconds")(10)
    ('10\xa0ms', '10\xa0s')
    """

    def __init__(self, scale: float = 1.0, unit: str = "") -> None:
        self.scale, self.unit = scale, unit

    def __call__(self, x: float, pos: int | None = None) -> str:  # noqa: ARG002
        """Return the text of a tick; its position does not matter."""
        prefix, scale = prefix_of(self.unit, abs(x)) if self.unit else ("", self.scale)
        symbol = f"{UNITS[self.unit].space}{prefix}{UNITS[self.unit].symbol}" if self.unit else ""
        return f"{x / scale:,.{TICK_DIGITS}g}".replace("-", "\u2212") + symbol


class LogTicks(Locator):
    """As many round ticks on a logarithmic scale as fit without overlap.

    Parameters
    ----------
    n_ticks : int
        The largest number of ticks.
    text : Formatter
        The formatter of their texts, from whose lengths follows how many fit along an x axis.

    Examples
    --------
    >>> from mlperf.quantities.drawing import subplots
    >>> from mlperf.quantities.scales import LogTicks, Prefixed
    >>> figure, axes = subplots()
    >>> axes.set_yscale("log")
    >>> axes.yaxis.set_major_locator(LogTicks(6, Prefixed()))
    >>> axes.yaxis.get_major_locator().tick_values(15, 600).tolist()
    [20.0, 50.0, 100.0, 200.0, 500.0]
    """

    def __init__(self, n_ticks: int, text: Formatter) -> None:
        self.n_ticks, self.text = n_ticks, text

    def __call__(self) -> Any:
        """Return the ticks of the visible range."""
        axis: Any = self.axis
        return self.tick_values(*axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Return the ticks between two values."""
        low, high = sorted((vmin, vmax))
        for subs in SUBDIVISIONS:
            ticks = _between(LogLocator(subs=subs, numticks=1_000).tick_values(low, high), low, high)
            if len(ticks) > 1 and self._fits(ticks):
                return ticks
        if high < 10 * low:  # too few powers of ten: equal steps
            return _between(MaxNLocator(self.n_ticks - 1, steps=STEPS).tick_values(low, high), low, high)
        return _between(LogLocator(numticks=self.n_ticks).tick_values(low, high), low, high)

    def _fits(self, ticks: Any) -> bool:
        axis: Any = self.axis
        if len(ticks) > self.n_ticks:
            return False
        if axis.axis_name == "y":
            return True
        width = axis.axes.bbox.width / axis.axes.get_figure(root=True).dpi
        needed = sum(len(self.text(tick)) * CHARACTER + BETWEEN for tick in ticks)
        return bool(needed <= width)


def _between(ticks: Any, low: float, high: float) -> Any:
    ticks = np.asarray(ticks)
    return ticks[(ticks >= low) & (ticks <= high)]


def format_values(axis: Any, sizes: Iterable[float], *, name: str, unit: str, log: bool, n_ticks: int) -> str:
    """Set the scale and the ticks of the axis of the values.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        The axis; its data are in base units.
    sizes : iterable of float
        The values that are drawn, in base units.
    name : str
        What is measured, as the name of a column: "fit_seconds".
    unit : str
        One of `mlperf.quantities.units.UNITS`.
    log : bool
        Whether the scale is logarithmic.
    n_ticks : int
        The largest number of ticks.

    Returns
    -------
    str
        A label for the axis, such as "Fit time (s)"; on a logarithmic scale too long for one prefix, where each tick
        has its unit, "Fit time".
    """
    found = sorted(abs(size) for size in sizes if size and np.isfinite(size))
    # The prefix follows the largest value; on a logarithmic scale, where no value stands out, the median.
    size = found[len(found) // 2 if log else -1] if found else 0.0
    prefix, scale = prefix_of(unit, size)
    (column,) = columns(pd.DataFrame({name: [float(size)]}), unit)
    if log and UNITS[unit].prefixes and found and not LITTLE <= found[0] / scale <= found[-1] / scale < LARGE:
        format_numbers(axis, log=log, n_ticks=n_ticks, text=Prefixed(unit=unit))
        return column.header.removesuffix(f" ({prefix}{UNITS[unit].symbol})")
    format_numbers(axis, log=log, n_ticks=n_ticks, text=Prefixed(scale))
    return column.header


def format_numbers(axis: Any, *, log: bool, n_ticks: int, text: Prefixed | None = None) -> None:
    """Set the scale of an axis of numbers, and as many ticks as fit.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        The axis.
    log : bool
        Whether the scale is logarithmic.
    n_ticks : int
        The largest number of ticks.
    text : Prefixed, default=None
        The formatter of their texts; by default plain numbers.

    Examples
    --------
    >>> from mlperf import subplots
    >>> from mlperf.quantities.scales import Prefixed, format_numbers
    >>> figure, axes = subplots()
    >>> format_numbers(axes.xaxis, log=True, n_ticks=6, text=Prefixed(unit="seconds"))
    >>> axes.get_xscale()
    'log'
    """
    text = text or Prefixed()
    if log:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogTicks(n_ticks, text))
    else:
        axis.set_major_locator(MaxNLocator(n_ticks, steps=STEPS))
    axis.set_major_formatter(text)
    axis.set_minor_formatter(NullFormatter())
