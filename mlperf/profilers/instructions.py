"""Instructions that a call takes, counted by Valgrind's Callgrind: a figure that no other load of the machine moves."""

import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd

PARTS = ("matrix products", "compiled step", "rest of torch", "Python", "memory and system")
"""What an instruction is spent on, by the function and the library that it belongs to."""
SYSTEM = ("libc.", "libc-", "ld-", "libm.", "libstdc++", "libgcc", "libpthread", "???")

# Valgrind knows no wider vectors; torch, and what it compiles, would use them where the processor has them.
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "TORCHINDUCTOR_CPP_MARCH": "x86-64-v3"}

# Imports run uninstrumented, several times faster; counting is switched on from outside when all is prepared. The
# switch is waited for in a loop, as a process that sleeps would have to be woken by a debugger.
CHILD = """
import os, pickle, subprocess, sys
import torch
with open(sys.argv[1], "rb") as file:
    prepare, cells, calls = pickle.load(file)
torch.set_num_threads(1)
prepared = [prepare(**cell) for cell in cells]
if "--prepare" in sys.argv:
    os._exit(0)
for call in prepared:
    for _ in range(3):
        call()
switch = subprocess.Popen(["callgrind_control", "-i", "on", str(os.getpid())], stdout=subprocess.DEVNULL)
while switch.poll() is None:
    pass
for call in prepared:
    torch._C._valgrind_toggle()
    for _ in range(calls):
        call()
    torch._C._valgrind_toggle_and_dump_stats()
os._exit(switch.returncode)
"""


class CountingError(RuntimeError):
    """Instructions cannot be counted here; the message says why."""


def instructions(prepare: Callable[..., Callable[[], object]], *, calls: int = 5, **grid: Any) -> pd.DataFrame:
    """Count the instructions of a call for every cell of a grid, in one child process under Callgrind.

    Parameters
    ----------
    prepare : callable
        Called as ``prepare(**cell)``; returns what is counted, a callable without arguments, which is called a
        few times before it counts. May be defined in a script. It is called in a process without Valgrind first:
        what it compiles and keeps on disk is there when it is called under Valgrind, where compiling takes hours.
    calls : int, default=5
        Counted calls of each cell.
    **grid : sequence or mapping
        The levels of each parameter of `prepare`, as in `mlperf.profilers.measure.measure`.

    Returns
    -------
    pandas.DataFrame
        One row for each cell and part: the grid's columns, ``part`` (one of `PARTS`; the products inside a compiled
        step are counted to that step) and ``instructions`` of one call. Valgrind imitates a processor with AVX2 at
        most, so that on a larger one torch takes another way through its products than outside.

    Raises
    ------
    CountingError
        If Valgrind is not installed, does not know this platform or cannot be switched on.

    Examples
    --------
    >>> from mlperf.profilers.instructions import CountingError, instructions
    >>> def prepare(n):
    ...     return lambda: sum(range(n))
    >>> try:
    ...     counted = instructions(prepare, calls=1, n=[1_000, 2_000])
    ... except CountingError as error:  # such as "valgrind and callgrind_control not installed"
    ...     counted = error
    """
    missing = [name for name in ("valgrind", "callgrind_control") if not shutil.which(name)]
    if missing:
        raise CountingError(f"{' and '.join(missing)} not installed")
    labelled = [_pairs(levels) for levels in grid.values()]
    cells = [dict(zip(grid, cell, strict=True)) for cell in itertools.product(*labelled)]
    given = [{name: level for name, (_, level) in cell.items()} for cell in cells]
    with tempfile.TemporaryDirectory() as folder:
        script, task, out = (Path(folder, name) for name in ("child.py", "task.pickle", "callgrind.out"))
        script.write_text(CHILD)
        task.write_bytes(cloudpickle.dumps((prepare, given, calls)))
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        tool += ["--instr-atstart=no", "--collect-atstart=no"]
        # A fixed seed for hashes, or dictionaries differ from one run to the next.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        if platform.machine() in ("x86_64", "AMD64"):
            environment |= AVX2
        child = [sys.executable, str(script), str(task)]
        _run("The preparation", [*child, "--prepare"], environment)
        stderr = _run("Callgrind", [*tool, *child], environment)
        dumps = [Path(f"{out}.{number + 1}") for number in range(len(cells))]
        if not all(dump.exists() for dump in dumps):
            raise CountingError(f"Callgrind wrote nothing: {_last_line(stderr)}")
        rows = []
        for cell, dump in zip(cells, dumps, strict=True):
            labels = {name: label for name, (label, _) in cell.items()}
            parts = Counter(dict.fromkeys(PARTS, 0))
            with dump.open(errors="replace") as lines:
                for library, function, count in self_counts(lines):
                    parts[_part(library, function)] += count
            rows += [{**labels, "part": part, "instructions": count / calls} for part, count in parts.items()]
    return pd.DataFrame(rows)


def self_counts(lines: Iterator[str]) -> Iterator[tuple[str, str, int]]:
    """Yield library, function and instructions of each cost line of a Callgrind file.

    What a function calls is not counted to it.

    References
    ----------
    Valgrind's manual, "Callgrind Format Specification", https://valgrind.org/docs/manual/cl-format.html.

    Examples
    --------
    >>> from mlperf.profilers.instructions import self_counts
    >>> list(self_counts(iter(["ob=(1) libc.so.6", "fn=(1) memcpy", "12 340"])))
    [('libc.so.6', 'memcpy', 340)]
    """
    names: dict[tuple[str, str], str] = {}
    library = function = ""
    for line in lines:
        if found := re.match(r"c?(ob|fn)=\((\d+)\)(?: (.*))?", line):
            kind, number, name = found.groups()
            # A name is written out where it first occurs, and is a number from then on.
            name = names.setdefault((kind, number), (name or "").strip())
            if line.startswith("ob"):
                library = name
            elif line.startswith("fn"):
                function = name
        elif line.startswith("calls="):
            next(lines)  # what the called function took
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            yield library, function, int(line.split()[1])


def _run(name: str, command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    if done.returncode:
        raise CountingError(f"{name} failed: {_last_line(done.stderr)}")
    return done.stderr


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]


def _pairs(levels: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, Any]]:
    return list(levels.items()) if isinstance(levels, Mapping) else [(level, level) for level in levels]


def _part(library: str, function: str) -> str:
    name = Path(library).name
    if re.fullmatch(r"step-\w+\.so", name):  # as mlperf.training.compiled keeps them
        return "compiled step"
    if re.search(r"gem[mv]", function):
        return "matrix products"
    if "python" in name:
        return "Python"
    return "memory and system" if name.startswith(SYSTEM) else "rest of torch"
