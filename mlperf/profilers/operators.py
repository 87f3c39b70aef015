"""Operator-level profile of a call: torch.profiler's averages as one row per operator, and who calls one of them."""

import gc
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

MICROSECOND = 1e-6

# The profiler's library prints a line at every start and stop, at a level above its errors.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")


def operators(
    call: Callable[[], object], *, memory: bool = True, trace: str | os.PathLike[str] | None = None
) -> pd.DataFrame:
    """Profile one call on the CPU and return one row per operator.

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
        What :meth:`torch.profiler.profile.key_averages` holds, most self CPU time first: ``operator`` (name),
        ``calls``, ``self_cpu_seconds`` (without the operators called inside), ``cpu_seconds`` (with them),
        ``self_cpu_bytes`` and ``cpu_bytes``. The bytes are signed sums of what was allocated and freed inside
        the operator, over all its calls: churn, not a peak.

    Raises
    ------
    ValueError
        If `trace` has another ending.

    Examples
    --------
    >>> import torch
    >>> from mlperf.profilers.operators import operators
    >>> profiled = operators(lambda: torch.ones(4, 8) @ torch.ones(8, 2)).set_index("operator")
    >>> int(profiled.loc["aten::mm", "calls"]), int(profiled.loc["aten::mm", "self_cpu_bytes"])
    (1, 32)
    """
    if trace is not None and not os.fspath(trace).endswith((".json", ".json.gz")):
        raise ValueError(
            f"The 'trace' parameter of operators must be a path ending in .json or .json.gz. Got {trace!r} instead."
        )
    with profile(activities=[ProfilerActivity.CPU], profile_memory=memory) as profiler:
        call()
    if trace is not None:
        _write_trace(profiler, Path(trace))
    # The averages are made of an object for each call of an operator; hunting for garbage among so many that all
    # live takes as long as the work itself.
    collecting = gc.isenabled()
    gc.disable()
    try:
        events = profiler.key_averages()
    finally:
        if collecting:
            gc.enable()
    averages = pd.DataFrame.from_records(
        [
            {
                "operator": event.key,
                "calls": event.count,
                "self_cpu_seconds": event.self_cpu_time_total * MICROSECOND,
                "cpu_seconds": event.cpu_time_total * MICROSECOND,
                "self_cpu_bytes": event.self_cpu_memory_usage,
                "cpu_bytes": event.cpu_memory_usage,
            }
            for event in events
        ]
    )
    return averages.sort_values("self_cpu_seconds", ascending=False, ignore_index=True)


def callers(call: Callable[[], object], operator: str) -> pd.DataFrame:
    """Profile one call on the CPU and return on whose behalf it calls an operator.

    Parameters
    ----------
    call : callable
        Called once without arguments under :class:`torch.profiler.profile`, which records the stacks of Python.
    operator : str
        Name of the operator: ``"aten::empty_strided"``.

    Returns
    -------
    pandas.DataFrame
        One row per caller, the most frequent first: ``function`` (the first of Python above the operator, as
        "file(line where it begins): name"; empty if there is none), ``operator`` (what that function called: the
        outermost operator on the way down to the asked one, or that one itself) and ``calls``.

    Examples
    --------
    >>> import torch
    >>> from mlperf.profilers.operators import callers
    >>> callers(lambda: torch.ones(3) + torch.ones(3), "aten::empty")[["operator", "calls"]]
         operator  calls
    0  aten::ones      2
    """
    with profile(activities=[ProfilerActivity.CPU], with_stack=True) as profiler:
        call()
    calls: Counter[tuple[str, str]] = Counter()
    for event in profiler.events() or []:
        if event.name == operator:
            outermost, above = operator, event.cpu_parent
            while above is not None and ".py(" not in above.name:
                outermost = above.name if above.name.startswith("aten::") else outermost
                above = above.cpu_parent
            calls["" if above is None else above.name, outermost] += 1
    rows = [(*caller, count) for caller, count in calls.most_common()]
    return pd.DataFrame(rows, columns=["function", "operator", "calls"])


def _write_trace(profiler: torch.profiler.profile, path: Path) -> None:
    # Written beside its place and renamed, so that an interrupted export leaves no half of a trace.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        finished = Path(folder, path.name)
        profiler.export_chrome_trace(str(finished))
        finished.replace(path)
