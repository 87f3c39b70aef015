"""Axes of figures: one prefix an axis, plain numbers at its ticks, and what it shows with its unit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import Formatter, LogLocator, MaxNLocator, NullFormatter

from mlperf.quantities.tables import columns
from mlperf.quantities.units import prefix_of

# Decades from which equal steps would crowd at the upper end of a logarithmic scale.
CROWDED = 0.4
# Digits of a tick that are told apart; the rest is rounding.
TICK_DIGITS = 10


class Prefixed(Formatter):
    """Ticks as plain numbers in a prefixed unit, with the data in base units.

    Parameters
    ----------
    scale : float, default=1.0
        What one of the prefixed unit is in base units: 1e-3 for ms.

    Examples
    --------
    >>> from mlperf.quantities.scales import Prefixed
    >>> Prefixed(1e-3)(1.25), Prefixed()(-0.5)
    ('1,250', '−0.5')
    """

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def __call__(self, x: float, pos: int | None = None) -> str:  # noqa: ARG002
        """Return the text of a tick, at whatever position it is."""
        return f"{x / self.scale:,.{TICK_DIGITS}g}".replace("-", "\u2212")


def format_values(axis: Any, sizes: Iterable[float], *, name: str, unit: str, log: bool, n_ticks: int) -> str:
    """Give the axis of the values its scale and its ticks.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        The axis; what is drawn on it is in base units.
    sizes : iterable of float
        The values that are drawn.
    name : str
        What is measured, as a column: "fit_seconds".
    unit : str
        One of `mlperf.quantities.units.UNITS`.
    log : bool
        Whether the scale is logarithmic.
    n_ticks : int
        Ticks that there is room for.

    Returns
    -------
    str
        Label for the axis: "Fit time (s)".
    """
    found = sorted(abs(size) for size in sizes if size and np.isfinite(size))
    # On a log scale no value is the one that everybody looks at.
    size = found[len(found) // 2 if log else -1] if found else 0.0
    format_numbers(axis, found, log=log, n_ticks=n_ticks, scale=prefix_of(unit, size)[1])
    (column,) = columns(pd.DataFrame({name: [float(size)]}), unit)
    return column.header


def format_numbers(axis: Any, sizes: Any, *, log: bool, n_ticks: int, scale: float = 1.0) -> None:
    """Give an axis of numbers its scale, and plain numbers at as many ticks as there is room for."""
    if log:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    decades = np.log10(max(sizes) / min(sizes)) if log and len(sizes) else 0.0
    fitting = [subs for subs in ((1, 2, 5), (1, 3)) if decades * len(subs) <= n_ticks]
    if decades >= 1:
        axis.set_major_locator(LogLocator(subs=fitting[0] if fitting else (1,), numticks=n_ticks))
    elif decades > CROWDED:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:
        axis.set_major_locator(MaxNLocator(n_ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(Prefixed(scale))
    axis.set_minor_formatter(NullFormatter())
