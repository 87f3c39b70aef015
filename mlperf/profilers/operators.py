"""Operator-level profile of a call: torch.profiler's averages as one row per operator, and who calls one of them."""

import gc
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from torch.profiler import DeviceType, profile

from mlperf.profilers.profiled import profiled

MICROSECOND = 1e-6

COLUMNS = ("calls", "self_cpu_seconds", "cpu_seconds", "self_cpu_bytes", "cpu_bytes")

DEVICE_COLUMNS = ("self_device_seconds", "device_seconds", "self_device_bytes", "device_bytes")
"""Further columns, if a GPU ran something."""


def operators(
    call: Callable[[], object], *, memory: bool = True, trace: str | os.PathLike[str] | None = None
) -> pd.DataFrame:
    """Profile one call and return one row per operator.

    A CUDA device is profiled, too, if this process has used it before, as a warm-up does.

    Parameters
    ----------
    call : callable
        Called once without arguments under :class:`torch.profiler.profile`.
    memory : bool, default=True
        Record allocations too. The bytes are 0 otherwise.
    trace : path-like, optional
        Also write the timeline there, as a ``.json`` or ``.json.gz`` that Perfetto opens.

    Returns
    -------
    pandas.DataFrame
        What :meth:`torch.profiler.profile.key_averages` holds, most self CPU time first. Indexed by ``operator``;
        ``calls``, ``self_cpu_seconds`` (without the operators called inside), ``cpu_seconds`` (with them),
        ``self_cpu_bytes`` and ``cpu_bytes``. The bytes are signed sums of what was allocated and freed inside the
        operator, over all its calls: churn, not a peak. Empty if the call ran no operator.

        If a GPU ran something, the columns ``self_device_seconds``, ``device_seconds``, ``self_device_bytes`` and
        ``device_bytes`` follow: the GPU's time for what the operator launched, during which the CPU may have gone on,
        and its memory. What no operator launched, such as the kernels of a CUDA graph, is a row of its own.

    Raises
    ------
    ValueError
        If `trace` has another ending.
    FileNotFoundError
        If the folder of `trace` does not exist.

    Examples
    --------
    >>> import torch
    >>> from mlperf import operators
    >>> profiled = operators(lambda: torch.ones(4, 8) @ torch.ones(8, 2))
    >>> int(profiled.loc["aten::mm", "calls"]), int(profiled.loc["aten::mm", "self_cpu_bytes"])
    (1, 32)
    """
    path = None if trace is None else _checked(Path(trace))
    profiler = profiled(call, memory=memory)
    if path is not None:
        _write_trace(profiler, path)
    # torch makes an object for each call of an operator. Searching so many live objects for garbage would take as long
    # as the averaging itself.
    collecting = gc.isenabled()
    gc.disable()
    try:
        rows = _rows(profiler)
    finally:
        if collecting:
            gc.enable()
    names = pd.Index([name for name, *_ in rows], name="operator", dtype="str")
    averages = pd.DataFrame([values for _, *values in rows], index=names, columns=[*COLUMNS, *DEVICE_COLUMNS])
    if not averages[[*DEVICE_COLUMNS]].any(axis=None):
        averages = averages[[*COLUMNS]]
    return averages.sort_values("self_cpu_seconds", ascending=False, kind="stable")


def _rows(profiler: profile) -> list[tuple[Any, ...]]:
    """Return a name and the values of all columns for each operator, and for each kernel that no operator launched."""
    launched: defaultdict[str, list[float]] = defaultdict(list)
    for event in profiler.events() or []:
        for kernel in event.kernels:
            launched[kernel.name].append(kernel.duration)
    rows: list[tuple[Any, ...]] = []
    for event in profiler.key_averages():
        on_device = event.self_device_time_total
        if event.device_type == DeviceType.CPU:
            # For a named range, torch counts its whole span on the device, whatever ran there.
            span = on_device if event.is_user_annotation else 0
            rows.append(
                (
                    event.key,
                    event.count,
                    event.self_cpu_time_total * MICROSECOND,
                    event.cpu_time_total * MICROSECOND,
                    event.self_cpu_memory_usage,
                    event.cpu_memory_usage,
                    (on_device - span) * MICROSECOND,
                    (event.device_time_total - span) * MICROSECOND,
                    event.self_device_memory_usage,
                    event.device_memory_usage,
                )
            )
        elif not event.is_user_annotation and event.count > len(launched[event.key]):
            left = (on_device - sum(launched[event.key])) * MICROSECOND
            rows.append((event.key, event.count - len(launched[event.key]), 0.0, 0.0, 0, 0, left, left, 0, 0))
    return rows


def callers(call: Callable[[], object], operator: str) -> pd.DataFrame:
    """Profile one call on the CPU and return which functions are behind the calls of an operator.

    Parameters
    ----------
    call : callable
        Called once without arguments under :class:`torch.profiler.profile`, which records the stacks of Python.
    operator : str
        Name of the operator: ``"aten::empty_strided"``.

    Returns
    -------
    pandas.DataFrame
        One row per caller, the most frequent first. Indexed by ``function`` (the innermost Python function around the
        operator, as "file(first line): name"; empty if there is none) and ``operator`` (what that function called: the
        outermost operator around the given one, or that one itself); ``calls``. Empty if the operator did not run.

    Examples
    --------
    >>> import torch
    >>> from mlperf.profilers.operators import callers
    >>> made = callers(lambda: torch.ones(3) + torch.ones(3), "aten::empty")
    >>> made.droplevel("function")["calls"].to_dict()
    {'aten::ones': 2}
    """
    calls: Counter[tuple[str, str]] = Counter()
    for event in profiled(call, stacks=True).events() or []:
        if event.name == operator:
            outermost, above = operator, event.cpu_parent
            while above is not None and ".py(" not in above.name:
                outermost = above.name if above.name.startswith("aten::") else outermost
                above = above.cpu_parent
            calls["" if above is None else above.name, outermost] += 1
    rows = [(*caller, count) for caller, count in calls.most_common()]
    return pd.DataFrame(rows, columns=["function", "operator", "calls"]).set_index(["function", "operator"])


def _checked(path: Path) -> Path:
    """Return the path of a timeline once it is known to be writable: a long call must not be profiled in vain."""
    if not path.name.endswith((".json", ".json.gz")):
        raise ValueError(
            f"The 'trace' parameter of operators must be a path ending in .json or .json.gz. Got {str(path)!r} instead."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The 'trace' parameter of operators must be a path in an existing folder. There is no {path.parent}."
        )
    return path


def _write_trace(profiler: profile, path: Path) -> None:
    # Written beside its place and renamed, so that an interrupted export leaves no half of a trace.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        finished = Path(folder, path.name)
        profiler.export_chrome_trace(str(finished))
        finished.replace(path)
