"""The only place where numbers become text for people.

Numbers are carried in seconds, bytes and plain ratios; here they get a prefix, a unit, and the digits that
their interval supports, no more.
"""

from __future__ import annotations

from math import floor, isfinite, isnan, log10
from typing import NamedTuple

from mlperf.quantities.intervals import Estimate

# Significant digits of a number that was counted, not measured; more would not be read.
EXACT_DIGITS = 4
# No interval is trusted with more significant digits than these.
MOST_DIGITS = 6


class Unit(NamedTuple):
    """How a quantity is shown: its symbol, the prefixes that it takes, and what a column of it is called.

    Examples
    --------
    >>> from mlperf.quantities.units import UNITS
    >>> UNITS["seconds"].symbol, UNITS["seconds"].noun
    ('s', 'time')
    """

    symbol: str
    prefixes: dict[str, float]
    noun: str
    scale: float = 1.0
    space: str = "\u00a0"


_SI = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0}
UNITS = {
    "seconds": Unit("s", {"": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}, "time"),
    "bytes": Unit("B", _SI, "memory"),
    "bytes_per_second": Unit("B/s", _SI, "bandwidth"),
    "flop": Unit("FLOP", _SI, "work"),
    "flop_per_second": Unit("FLOP/s", _SI, "rate"),
    "flop_per_byte": Unit("FLOP/B", {}, "intensity"),
    "ratio": Unit("×", {}, "ratio", space=""),
    "fraction": Unit("%", {}, "share", scale=100.0),
    "number": Unit("", {}, "number", space=""),
}


class Quantity(NamedTuple):
    r"""A number or an `mlperf.quantities.intervals.Estimate`, and its unit.

    Its text is "1.23 s (1.20 to 1.27)"; ``f"{quantity:short}"`` leaves the interval out. Made by `duration`,
    `memory`, `factor`, `percent`, `rate` and `number`.

    Examples
    --------
    >>> from mlperf.quantities.intervals import Estimate
    >>> from mlperf.quantities.units import duration
    >>> taken = duration(Estimate(1.234, 1.204, 1.271))
    >>> str(taken), f"{taken:short}"
    ('1.23\xa0s (1.20 to 1.27)', '1.23\xa0s')
    """

    estimate: Estimate
    unit: str = "number"

    def __str__(self) -> str:
        return format(self)

    def __format__(self, spec: str) -> str:
        if spec not in ("", "short"):
            raise ValueError(f"The format of a quantity must be '' or 'short'. Got {spec!r} instead.")
        value, low, high = self.estimate
        spread = 0.0 if isnan(low) else (high - low) / 2
        prefix, scale = prefix_of(self.unit, max(abs(value), spread))
        unit = UNITS[self.unit]
        places = decimals(self.estimate, scale)
        # The symbol × stands close to its number, every other unit a space away that no line breaks.
        symbol = f"{unit.space}{prefix}{unit.symbol}" if prefix + unit.symbol else ""
        text = digits(value / scale, places) + symbol
        if spec == "short" or low == high:
            return text
        if isnan(low):
            return f"{text} (measured once)"
        ends = [digits(end / scale, places) for end in (low, high)]
        return text if ends[0] == ends[1] else f"{text} ({ends[0]} to {ends[1]})"


def duration(x: float | Estimate) -> Quantity:
    r"""Return a time in seconds as a quantity: "1.23 s (1.20 to 1.27)".

    Examples
    --------
    >>> from mlperf.quantities.units import duration
    >>> str(duration(0.00125))
    '1.25\xa0ms'
    """
    return quantity(x, "seconds")


def memory(x: float | Estimate) -> Quantity:
    r"""Return a size in bytes as a quantity, with decimal prefixes: "1.5 MB" is 1,500,000 bytes.

    Examples
    --------
    >>> from mlperf.quantities.units import memory
    >>> str(memory(1_500_000))
    '1.5\xa0MB'
    """
    return quantity(x, "bytes")


def factor(x: float | Estimate) -> Quantity:
    """Return a ratio as a quantity: "4.98× (4.90 to 5.05)".

    Examples
    --------
    >>> from mlperf.quantities.units import factor
    >>> str(factor(2.5))
    '2.5×'
    """
    return quantity(x, "ratio")


def percent(x: float | Estimate) -> Quantity:
    r"""Return a fraction as a quantity in percent: 0.12 is "12 %".

    Examples
    --------
    >>> from mlperf.quantities.units import percent
    >>> str(percent(0.12))
    '12\xa0%'
    """
    return quantity(x, "fraction")


def rate(x: float | Estimate) -> Quantity:
    r"""Return floating-point operations per second as a quantity: "1.5 GFLOP/s".

    Examples
    --------
    >>> from mlperf.quantities.units import rate
    >>> str(rate(1.5e9))
    '1.5\xa0GFLOP/s'
    """
    return quantity(x, "flop_per_second")


def number(x: float | Estimate) -> Quantity:
    """Return a number without unit as a quantity: "1,234".

    Examples
    --------
    >>> from mlperf.quantities.units import number
    >>> str(number(1_234))
    '1,234'
    """
    return quantity(x, "number")


def quantity(x: float | Estimate, unit: str) -> Quantity:
    r"""Return a number or an estimate with a unit.

    Parameters
    ----------
    x : float or Estimate
        In the base unit; a plain number counts as exact.
    unit : str
        One of the keys of `UNITS`.

    Returns
    -------
    Quantity

    Raises
    ------
    ValueError
        If the unit is not known or the value not finite.

    Examples
    --------
    >>> from mlperf.quantities.units import quantity
    >>> str(quantity(2.5e9, "bytes_per_second"))
    '2.5\xa0GB/s'
    """
    if unit not in UNITS:
        raise ValueError(f"The 'unit' parameter of quantity must be one of {list(UNITS)}. Got {unit!r} instead.")
    estimate = x if isinstance(x, Estimate) else Estimate(float(x), float(x), float(x))
    if not isfinite(estimate.value):
        raise ValueError(f"The 'x' parameter of quantity must be finite. Got {estimate.value} instead.")
    return Quantity(Estimate(*map(float, estimate)), unit)


def prefix_of(unit: str, size: float) -> tuple[str, float]:
    """Return the prefix that fits a number of this size, and what one prefixed unit is in base units.

    Examples
    --------
    >>> from mlperf.quantities.units import prefix_of
    >>> prefix_of("seconds", 0.002)
    ('m', 0.001)
    """
    known = UNITS[unit]
    if size > 0:
        for prefix, scale in known.prefixes.items():
            if size >= scale * 0.9995:  # 999.6 ms is read as 1 s
                return prefix, scale
    smallest = list(known.prefixes.items())[-1] if size > 0 and known.prefixes else ("", 1.0)
    return smallest[0], smallest[1] / known.scale


def decimals(estimate: Estimate, scale: float) -> int | None:
    """Return how many decimals the interval supports; None for an exact number.

    Examples
    --------
    >>> from mlperf.quantities.intervals import Estimate
    >>> from mlperf.quantities.units import decimals
    >>> decimals(Estimate(1.234, 1.2, 1.27), 1.0)
    2
    """
    value, low, high = (part / scale for part in estimate)
    first = floor(log10(abs(value))) if value else 0
    if isnan(low):
        return 1 - first
    if high == low:
        return None
    return min(-floor(log10((high - low) / 2)), MOST_DIGITS - 1 - max(first, floor(log10(high - low))))


def digits(value: float, places: int | None) -> str:
    """Return a number with so many decimals (None: it is exact), thousands apart, and a real minus sign.

    Examples
    --------
    >>> from mlperf.quantities.units import digits
    >>> digits(1234.567, 1)
    '1,234.6'
    """
    if places is None:
        if 0 < abs(value) < 1e-4:
            return f"{value:.2e}".replace("-", "\u2212")
        whole = float(value).is_integer()
        places = 0 if whole or not value else max(0, EXACT_DIGITS - 1 - floor(log10(abs(value))))
        text = f"{value:,.{places}f}"
        text = text if whole or "." not in text else text.rstrip("0").rstrip(".")
    else:
        text = f"{round(value, places):,.{max(0, places)}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")  # no minus before a zero
    return text.replace("-", "\u2212")
