"""Units: the unit of a column, the units of products and quotients, and how numbers are written.

Numbers are kept in base units (seconds, bytes, 1). A prefix, a symbol, and the digits that the interval supports are
added only here, when a number is written.
"""

from __future__ import annotations

from math import floor, isnan, log10
from typing import NamedTuple

# Significant digits of an exact number that is not whole.
EXACT_DIGITS = 3
# Most significant digits of a number, however narrow its interval.
MOST_DIGITS = 6
# Significant digits of a number whose precision is unknown.
DIGITS_WITHOUT_INTERVAL = 2


class Unit(NamedTuple):
    """A unit: how it is written, and its dimension.

    Parameters
    ----------
    symbol : str
        The symbol after the number: "s".
    prefixes : dict of float
        The prefixes that the unit takes, with their factors, largest first.
    noun : str
        What is measured in this unit, for headers of columns: "time".
    dimension : tuple of int
        Exponents of seconds, bytes and floating-point operations.
    is_scale : bool
        Whether numbers are compared by their ratios, as times, sizes and rates are, so that means are geometric.
    scale : float
        The factor by which a number is multiplied when it is written: 100 for percent.
    space : str
        What separates the number from the symbol; by default a no-break space.

    Examples
    --------
    >>> from mlperf.quantities.units import UNITS
    >>> UNITS["seconds"].symbol, UNITS["seconds"].noun
    ('s', 'time')
    """

    symbol: str
    prefixes: dict[str, float]
    noun: str
    dimension: tuple[int, int, int] = (0, 0, 0)
    is_scale: bool = True
    scale: float = 1.0
    space: str = "\u00a0"


_SI = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0}
UNITS = {
    "seconds": Unit("s", {"": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}, "time", (1, 0, 0)),
    "bytes": Unit("B", _SI, "memory", (0, 1, 0)),
    "flop": Unit("FLOP", _SI, "work", (0, 0, 1)),
    "bytes_per_second": Unit("B/s", _SI, "bandwidth", (-1, 1, 0)),
    "flop_per_second": Unit("FLOP/s", _SI, "rate", (-1, 0, 1)),
    "flop_per_byte": Unit("FLOP/B", {}, "intensity", (0, -1, 1)),
    "ratio": Unit("×", {}, "ratio", space=""),
    "fraction": Unit("%", {}, "share", is_scale=False, scale=100.0),
    "number": Unit("", {}, "number", is_scale=False, space=""),
}
"""The units by name. A column whose name ends in one has this unit: "fit_seconds", "peak_bytes"."""


def unit_of(column: str) -> str:
    """Return the unit in which the name of a column ends; "number" if there is none.

    Parameters
    ----------
    column : str
        Name of a column, such as "peak_bytes".

    Returns
    -------
    str
        One of `UNITS`.

    Examples
    --------
    >>> from mlperf.quantities.units import unit_of
    >>> unit_of("peak_bytes"), unit_of("mse")
    ('bytes', 'number')
    """
    ends = [name for name in UNITS if column == name or column.endswith(f"_{name}")]
    return max(ends, key=len, default="number")


def product(a: str, b: str) -> str:
    """Return the unit of a product.

    Parameters
    ----------
    a, b : str
        The units of the factors, each one of `UNITS`.

    Returns
    -------
    str
        One of `UNITS`.

    Raises
    ------
    ValueError
        If there is no such unit, as for seconds times seconds.

    Examples
    --------
    >>> from mlperf.quantities.units import product
    >>> product("seconds", "flop_per_second"), product("seconds", "ratio")
    ('flop', 'seconds')
    """
    if b == "number":
        return a
    if a == "number":
        return b
    return _combined(a, b, 1, "times")


def quotient(a: str, b: str) -> str:
    """Return the unit of a quotient; for two equal units, it is "ratio".

    Parameters
    ----------
    a, b : str
        The units of dividend and divisor, each one of `UNITS`.

    Returns
    -------
    str
        One of `UNITS`.

    Raises
    ------
    ValueError
        If there is no such unit, as for a number over seconds.

    Examples
    --------
    >>> from mlperf.quantities.units import quotient
    >>> quotient("seconds", "seconds"), quotient("bytes", "seconds"), quotient("seconds", "number")
    ('ratio', 'bytes_per_second', 'seconds')
    """
    if a == b:
        return "ratio"
    if b == "number":
        return a
    return _combined(a, b, -1, "over")


def _combined(a: str, b: str, sign: int, word: str) -> str:
    if not any(UNITS[b].dimension):
        return a if any(UNITS[a].dimension) else "ratio"
    pairs = zip(UNITS[a].dimension, UNITS[b].dimension, strict=True)
    dimension = tuple(of_a + sign * of_b for of_a, of_b in pairs)
    if not any(dimension):
        return "ratio"
    for name, unit in UNITS.items():
        if unit.dimension == dimension:
            return name
    raise ValueError(f"There is no unit for {a} {word} {b}; the units are {', '.join(UNITS)}.")


def written(value: float, low: float, high: float, unit: str, *, short: bool = False) -> str:
    r"""Write a number with its unit and its interval, with the digits that the interval supports.

    Parameters
    ----------
    value, low, high : float
        The number and the ends of its interval, in the base unit. Both ends are NaN if no interval is known, and equal
        to the value if it is exact.
    unit : str
        One of `UNITS`.
    short : bool, default=False
        Whether to leave the interval out.

    Returns
    -------
    str
        A text such as "1.23 s (1.20 to 1.27)", with a no-break space before the symbol.

    Examples
    --------
    >>> from mlperf.quantities.units import written
    >>> written(1.234, 1.204, 1.271, "seconds")
    '1.23\xa0s (1.20 to 1.27)'
    >>> written(4.98, 4.9, 5.05, "ratio", short=True)
    '4.98×'
    """
    largest = max(abs(part) for part in (value, low, high) if not isnan(part))
    prefix, scale = prefix_of(unit, largest if largest == abs(value) or not value else abs(value))
    places = decimals(value, low, high, scale)
    symbol = prefix + UNITS[unit].symbol
    text = digits(value / scale, places) + (UNITS[unit].space + symbol if symbol else "")
    if short or isnan(low) or low == high:
        return text
    ends = [digits(end / scale, places) for end in (low, high)]
    return text if ends[0] == ends[1] else f"{text} ({ends[0]} to {ends[1]})"


def prefix_of(unit: str, size: float) -> tuple[str, float]:
    """Return the prefix that suits a number of this size, and the prefixed unit in base units.

    Parameters
    ----------
    unit : str
        One of `UNITS`.
    size : float
        The absolute value of the number, in the base unit.

    Returns
    -------
    prefix : str
        Empty if the unit takes none.
    scale : float
        The number divided by it is what is written.

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


def decimals(value: float, low: float, high: float, scale: float) -> int | None:
    """Return how many decimals the interval supports in units of `scale`.

    Parameters
    ----------
    value, low, high : float
        The number and the ends of its interval, in the base unit, as for `written`.
    scale : float
        The prefixed unit in base units.

    Returns
    -------
    int or None
        Negative if not even all digits before the decimal point are supported; None for an exact or infinite number.

    Examples
    --------
    >>> from mlperf.quantities.units import decimals
    >>> decimals(1.234, 1.2, 1.27, 1.0)
    2
    """
    value, low, high = value / scale, low / scale, high / scale
    if abs(value) == float("inf"):
        return None
    first = floor(log10(abs(value))) if value else 0
    if isnan(low) or isnan(high):
        return DIGITS_WITHOUT_INTERVAL - 1 - first
    if high == low:
        return None
    if high - low == float("inf"):
        return DIGITS_WITHOUT_INTERVAL - 1 - first
    places = min(-floor(log10((high - low) / 2)), MOST_DIGITS - 1 - max(first, floor(log10(high - low))))
    # However uncertain a number is, its first digit is shown: otherwise it would read as 0.
    return max(places, -first) if value else places


def digits(value: float, places: int | None) -> str:
    """Return a number with `places` decimals (None if it is exact), a comma at thousands, and a true minus sign.

    Parameters
    ----------
    value : float
        The number, in the unit in which it is written.
    places : int or None
        As `decimals` returns it.

    Returns
    -------
    str

    Examples
    --------
    >>> from mlperf.quantities.units import digits
    >>> digits(1234.567, 1)
    '1,234.6'
    """
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "\u2212∞"
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
