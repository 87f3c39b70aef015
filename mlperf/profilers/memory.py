"""Peak memory, from the inside out: predicted from shapes, of live tensors, of the heap, of the whole process."""

import json
import logging
import platform
import resource
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mlperf.profilers.profiled import profiled
from mlperf.profilers.scratch import scratch
from mlperf.profilers.work import n_parameters

FLOAT32 = 4
INT64 = 8

# In a trace of torch.profiler: the name of a memory event, and the categories of the events that can enclose it.
MEMORY = "[memory]"
RANGES = ("cpu_op", "user_annotation")

CATEGORIES = ("data", "parameters", "activations", "gradients", "optimiser")
"""What a tensor is for, see `live_tensors`."""

# The operators that make the tensors of a category; all others are made by the forward pass.
_MADE_BY = {
    "optimiser": ("Optimizer.step",),
    "gradients": ("autograd::engine",),
    "data": ("aten::new_empty", "aten::index", "aten::randperm"),
    "parameters": ("aten::empty", "aten::uniform_", "prims::uniform"),
}


def predicted_bytes(layer_sizes: Sequence[int], n_rows: int, *, batch_size: int) -> dict[str, int]:
    """Predict from shapes alone what training holds in memory at once.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs.
    n_rows : int
        Training samples.
    batch_size : int
        Rows in a mini-batch.

    Returns
    -------
    dict of int
        Bytes of each of `CATEGORIES`: the shuffled copy of the data and its order, the parameters, the output of every
        layer for one mini-batch, one gradient for each parameter and for the widest hidden layer's output, before ReLU
        and after it, and Adam's two moments of each parameter. Of more than 1,024 mini-batches the engines shuffle only
        so many at a time, and hold less than is predicted.

    Examples
    --------
    >>> from mlperf.profilers.memory import predicted_bytes
    >>> predicted_bytes([5, 32, 1], 600, batch_size=64)["parameters"]
    900
    """
    parameters = n_parameters(layer_sizes)
    return {
        "data": n_rows * (INT64 + FLOAT32 * (layer_sizes[0] + layer_sizes[-1])),
        "parameters": FLOAT32 * parameters,
        "activations": FLOAT32 * min(batch_size, n_rows) * sum(layer_sizes[1:]),
        "gradients": FLOAT32 * (parameters + 2 * min(batch_size, n_rows) * max(layer_sizes[1:-1], default=0)),
        "optimiser": 2 * FLOAT32 * parameters,
    }


def live_tensors(call: Callable[[], object]) -> pd.DataFrame:
    """Follow the memory of torch's tensors through one call.

    Parameters
    ----------
    call : callable
        Called once without arguments under :class:`torch.profiler.profile`.

    Returns
    -------
    pandas.DataFrame
        One row for each time that torch allocated or freed memory, in order: ``seconds`` since the first; ``bytes``
        allocated (negative if freed); ``live_bytes`` held in all after it; ``operator``, the innermost one running, so
        that sums of ``bytes`` by operator are the profiler's column "Self CPU Mem"; and ``category``, one of
        `CATEGORIES`, by where the memory was allocated: inside the optimiser's step, inside the backward pass, by the
        shuffling of the data, by the making of parameters, or else by the forward pass. Memory allocated before the
        call is not seen, nor that of arrays which torch only borrows.

    Examples
    --------
    >>> import torch
    >>> from mlperf.profilers.memory import live_tensors
    >>> int(live_tensors(lambda: torch.ones(1_000))["live_bytes"].max())
    4000
    """
    profiler = profiled(call, memory=True)
    with scratch() as folder:
        trace = folder / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_bytes())["traceEvents"]
    rows: list[dict[str, Any]] = []
    held: dict[int, tuple[int, str]] = {}
    live = 0
    for event, enclosing in _inside(events):
        size, address = event["args"]["Bytes"], event["args"]["Addr"]
        if size > 0:
            held[address] = size, _category(enclosing)
        elif address not in held:
            continue  # allocated before the call
        category = held[address][1] if size > 0 else held.pop(address)[1]
        live += size
        rows.append(
            {
                "seconds": event["ts"] * 1e-6,
                "bytes": size,
                "live_bytes": live,
                "operator": enclosing[-1] if enclosing else "",
                "category": category,
            }
        )
    frame = pd.DataFrame(rows, columns=["seconds", "bytes", "live_bytes", "operator", "category"])
    frame["seconds"] -= frame["seconds"].min()
    return frame


def heap_peak(call: Callable[[], object]) -> int | None:
    """Measure by how much a call raised the peak of the heap, of torch, NumPy, Python and all else together.

    Parameters
    ----------
    call : callable
        Called once without arguments under memray's tracker, which slows it.

    Returns
    -------
    int or None
        Bytes at the peak, not counting what was allocated before the call; None if memray is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.profilers.memory import heap_peak
    >>> peak = heap_peak(lambda: np.ones(1_000_000))
    >>> peak is None or peak >= 8_000_000
    True
    """
    try:
        import memray
    except ImportError:
        return None
    # With some builds of Python it tells at each start where it found the allocator.
    memray.set_log_level(logging.ERROR)  # type: ignore[attr-defined] # its hints lack it
    with scratch() as folder:
        record = folder / "heap.bin"
        with memray.Tracker(record):
            call()
        with memray.FileReader(record) as reader:
            peak = int(reader.metadata.peak_memory)
    return peak


def process_peak(call: Callable[[], object]) -> int:
    """Measure by how much a call raised the memory of this process at its peak.

    Parameters
    ----------
    call : callable
        Called once without arguments.

    Returns
    -------
    int
        Bytes of physical memory at the peak, above what the process held before. On Linux the recorded peak is reset
        before the call. Elsewhere it is that of the whole life of the process, and a call that stays below an earlier
        peak gives 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.profilers.memory import process_peak
    >>> process_peak(lambda: np.ones(1_000_000)) >= 0
    True
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to what is held now
    except OSError:
        before = _highest()
    else:
        before = _status("VmRSS")
    call()
    return max(0, _highest() - before)


def _highest() -> int:
    if platform.system() == "Linux":
        return _status("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else 1024 * peak


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return 1024 * int(value.split()[0])
    raise OSError(f"/proc/self/status has no {field}.")


def _inside(events: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Yield each memory event of a trace with the names of the operators that it lies in, outermost first."""
    timed = [event for event in events if event.get("name") == MEMORY or event.get("cat") in RANGES]
    stack: list[tuple[float, str]] = []
    for event in sorted(timed, key=lambda event: (event["ts"], -event.get("dur", 0), event["args"]["Ev Idx"])):
        while stack and stack[-1][0] < event["ts"]:
            stack.pop()
        if event["name"] == MEMORY:
            yield event, [name for _, name in stack]
        else:
            stack.append((event["ts"] + event["dur"], event["name"]))


def _category(enclosing: Sequence[str]) -> str:
    for category, makers in _MADE_BY.items():
        if any(name.startswith(makers) for name in enclosing):
            return category
    return "activations"
