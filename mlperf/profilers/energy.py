"""Energy, where the processor has a meter that may be read: Linux shows those of Intel and AMD, called RAPL."""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the meters. Since 2020 most systems let only the administrator read them."""


def joules(call: Callable[[], object], *, folder: str | Path = POWERCAP) -> float:
    """Measure the energy that the machine's processors use during one call.

    Parameters
    ----------
    call : callable
        Called once without arguments; its result is dropped.
    folder : str or Path, default=POWERCAP
        Where the meters are.

    Returns
    -------
    float
        Joules of all processor packages, including idle cores and other programs. NaN if there is no meter that may be
        read.

    Notes
    -----
    A meter advances about once a millisecond, and overflows to zero after minutes to hours; a call must not take longer
    than that.

    Examples
    --------
    >>> from mlperf.profilers.energy import joules
    >>> joules(lambda: None, folder="there are no meters here")
    nan
    """
    meters = _meters(Path(folder))
    before = [_microjoules(meter) for meter in meters]
    call()
    if not meters:
        return math.nan
    used = 0
    for meter, start in zip(meters, before, strict=True):
        used += (_microjoules(meter) - start) % _microjoules(meter, "max_energy_range_uj")
    return used / 1e6


def _meters(folder: Path) -> list[Path]:
    """Return the meters of whole packages: those of their parts would count twice."""
    meters = []
    for name in sorted(folder.glob("intel-rapl:*/name")):
        with suppress(OSError):
            if name.read_text().startswith("package"):
                _microjoules(name.parent)
                meters.append(name.parent)
    return meters


def _microjoules(meter: Path, what: str = "energy_uj") -> int:
    return int((meter / what).read_text())
