"""Instructions that a call executes, counted by Valgrind's Callgrind, whatever the load of the machine."""

import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from mlperf.machine import answer
from mlperf.profilers.child import Request
from mlperf.profilers.grid import cells
from mlperf.profilers.measure import check_count
from mlperf.profilers.pickling import pickled
from mlperf.profilers.process import Process, ProcessError
from mlperf.profilers.scratch import scratch
from mlperf.quantities.runs import Runs
from mlperf.results.stored import asked_for, stored_runs

PARTS = ("matrix products", "compiled step", "rest of torch", "Python", "memory and system")
"""What an instruction is spent on, by the function and the library that it belongs to."""
TOOLS = ("valgrind", "callgrind_control")
SYSTEM = ("libc.", "libc-", "ld-", "libm.", "libstdc++", "libgcc", "libpthread", "???")

# Valgrind knows no wider vectors, which torch and compiled programs would use where the processor has them.
NO_WIDER = {"ATEN_CPU_CAPABILITY": "avx2", "CXXFLAGS": "-march=x86-64-v3"}

# Imports run uninstrumented, several times faster; counting is switched on from outside when all is prepared. A loop
# waits for the switch, as a sleeping process would have to be woken by a debugger. torch has no public way to count
# part of a program: Timer.collect_callgrind counts the imports too, for each cell.
COUNTED = """
import os, pickle, subprocess, sys
with open(sys.argv[1], "rb") as file:
    sys.path[:], tasks, calls = pickle.load(file)
import torch
torch.set_num_threads(1)
prepared = []
for task in tasks:
    prepare, arguments, _ = pickle.loads(task)
    prepared.append(prepare(**arguments))
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


def instructions(prepare: Callable[..., Callable[[], object]], *, calls: int = 5, **grid: Any) -> Runs:
    """Count the instructions of a call, for every cell of a grid, in one process under Callgrind.

    Parameters
    ----------
    prepare : callable
        Called as ``prepare(**cell)``; returns the call to count, a callable without arguments, which is called a few
        times before it counts. May be defined in a script. It is first called in a process without Valgrind, so that
        what it compiles and keeps on disk is there when it is called under Valgrind, where compiling would take hours.
    calls : int, default=5
        Counted calls of each cell.
    **grid : sequence or mapping
        The levels of each parameter of `prepare`, as in `mlperf.measure`.

    Returns
    -------
    Runs
        The only run of each cell, by the parameters of the grid and ``part``, one of `PARTS`; ``instructions`` of one
        call. The products inside a compiled step count as part of that step. Valgrind emulates a processor with AVX2 at
        most: on one with wider vectors, torch computes its products by other code than outside Valgrind.

    Raises
    ------
    CountingError
        If Valgrind is not installed, does not know this platform or cannot be switched on, or if `prepare` fails.
        Neither a process nor a file is left, however it ends.
    TypeError, ValueError
        As in `mlperf.measure`.

    Examples
    --------
    >>> from mlperf.profilers.instructions import instructions
    >>> def prepare(n):
    ...     return lambda: sum(range(n))
    >>> counted = instructions(prepare, calls=1, n=[1_000, 2_000])  # doctest: +SKIP
    """
    calls = check_count("instructions", "calls", calls)
    todo = cells("instructions", prepare, grid, options=["calls"], taken=["part"])
    missing = answer("missing for counting", lambda: [name for name in TOOLS if not shutil.which(name)])
    if missing:
        raise CountingError(f"{' and '.join(missing)} not installed")
    asked = asked_for("instructions", [cell.labels for cell in todo], calls=calls)
    stored = stored_runs(sys._getframe(1).f_code.co_filename, asked)
    if stored is not None:
        return stored
    tasks = [pickled(prepare, cell.arguments) for cell in todo]
    with scratch() as folder:
        (folder / "counted.py").write_text(COUNTED)
        (folder / "task.pickle").write_bytes(pickle.dumps((sys.path, tasks, int(calls))))
        dumps = [folder / f"callgrind.out.{number + 1}" for number in range(len(todo))]
        stderr = _in_a_process(folder)
        if not all(dump.exists() for dump in dumps):
            raise CountingError(f"Callgrind wrote nothing: {_last_line(stderr)}")
        counts = [_by_part(dump, int(calls)) for dump in dumps]
    keys = [(*cell.labels.values(), part) for cell in todo for part in PARTS]
    frame = pd.DataFrame(keys, columns=[*grid, "part"])
    frame["instructions"] = [parts[part] for parts in counts for part in PARTS]
    runs = Runs(frame, by=[*grid, "part"])
    runs.asked = asked
    return runs


def _in_a_process(folder: Path) -> str:
    """Count in a process that ends with this one, as do those that it starts; then the folder goes too."""
    process = Process(threads=1)
    try:
        task = pickled(_count, {"folder": str(folder)})
        process.ask(Request("prepare", sys.path, str(folder), task, scratch=str(folder)))
        ((stderr, error),) = process.ask(Request("run"))["rows"]
    except ProcessError as failure:
        raise CountingError(f"Counting failed: {failure}") from None
    finally:
        process.end(kill=True)
    if error:
        raise CountingError(error)
    return str(stderr)


def _count(folder: str) -> dict[str, str]:
    """Run the task without Valgrind, then under it; return what Valgrind said last, and what went wrong."""
    # A fixed seed for hashes, or dictionaries differ from one run to the next.
    # Valgrind ends at once where TMPDIR names no folder; what it leaves there when it is killed goes with this one.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "TMPDIR": folder}
    if platform.machine() in ("x86_64", "AMD64"):
        flags = f"{environment.get('CXXFLAGS', '')} {NO_WIDER['CXXFLAGS']}".strip()
        environment |= NO_WIDER | {"CXXFLAGS": flags}
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind.out"]
    tool += ["--instr-atstart=no", "--collect-atstart=no"]
    task = [sys.executable, "-P", f"{folder}/counted.py", f"{folder}/task.pickle"]
    said = ""
    for name, command in {"The preparation": [*task, "--prepare"], "Callgrind": [*tool, *task]}.items():
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, cwd=folder, check=False
        )
        said = _last_line(done.stderr)
        if done.returncode:
            return {"stderr": said, "error": f"{name} failed: {said}"}
    return {"stderr": said, "error": ""}


def _by_part(dump: Path, calls: int) -> dict[str, float]:
    """Return the instructions of one call by the part that they belong to."""
    counts: Counter[str] = Counter()
    with dump.open(errors="replace") as lines:
        for library, function, count in self_counts(lines):
            counts[_part(library, function)] += count
    return {part: counts[part] / calls for part in PARTS}


def self_counts(lines: Iterator[str]) -> Iterator[tuple[str, str, int]]:
    """Yield library, function and instructions of each cost line of a Callgrind file.

    The instructions of the functions that it calls are not counted as its own.

    Parameters
    ----------
    lines : iterator of str
        The lines of the file.

    Yields
    ------
    library, function, instructions : str, str, int
        The library by its path.

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


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]


def _part(library: str, function: str) -> str:
    name = Path(library).name
    if re.fullmatch(r"step-\w+\.so", name):  # as mlperf.training.library keeps them
        return "compiled step"
    if re.search(r"gem[mv]", function):
        return "matrix products"
    if "python" in name:
        return "Python"
    return "memory and system" if name.startswith(SYSTEM) else "rest of torch"
