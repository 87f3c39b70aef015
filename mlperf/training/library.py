"""Compile a C++ program to a shared library once, keep it on disk, and load it from there. Does not load torch.

Beside each library lies a record with its digest: a library that is truncated or damaged would crash the process that
loads it, and is compiled again instead. A process that compiles holds a lock, so any temporary folder that it finds
there was left by one that was killed.
"""

import ctypes
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from mlperf.training.cache import cache_folder, temporary_folder

OPTIONS = [
    "-std=c++20",
    "-O2",
    "-ftree-vectorize",
    "-ffp-contract=fast",  # a * b + c in one instruction
    "-fno-math-errno",  # a square root is one instruction
    "-fno-trapping-math",
    "-pthread",
    "-fPIC",
    "-shared",
]
X86 = platform.machine() in ("x86_64", "AMD64")
NATIVE = ["-march=native", "-mprefer-vector-width=512"] if X86 else ["-mcpu=native"]
"""Options for all instructions of this processor; left out if the compiler does not know them."""

LOCK_SECONDS = 300
"""Seconds after which a lock counts as held by a hanging process, and a folder as left by a killed one."""
ASIDE = "mlperf-compiling-"
"""Beginning of the names of temporary folders outside the cache."""


class Library(NamedTuple):
    """A loaded library, and how long it took to compile when that was done."""

    functions: ctypes.CDLL
    compile_seconds: float


_loaded: dict[Path, Library] = {}


def load(program: str) -> Library:
    """Return the compiled program, from the cache or else by compiling it.

    If the cache cannot be written to, or programs in it must not be run, each process compiles in a temporary folder.

    Parameters
    ----------
    program : str
        C++.

    Returns
    -------
    Library
        The same object for the same program, in all threads.

    Raises
    ------
    RuntimeError
        If it has to be compiled and no C++ compiler works, or what it compiled cannot be loaded from anywhere.

    Examples
    --------
    >>> from mlperf.training.library import load
    >>> load('extern "C" int answer() { return 42; }').functions.answer()  # doctest: +SKIP
    42
    """
    path = _path(program)
    if path not in _loaded:
        try:
            found = _kept(path) or _compiled_and_kept(program, path)
        except (OSError, NotImplementedError):  # the latter where files cannot be locked
            found = _compiled_aside(program)
        _loaded.setdefault(path, found)
    return _loaded[path]


def is_kept(program: str) -> bool:
    """Return whether the compiled program is loaded, or in the cache.

    Examples
    --------
    >>> from mlperf.training.library import is_kept
    >>> is_kept("a program that nobody has compiled")
    False
    """
    path = _path(program)
    return path in _loaded or _seconds_if_intact(path) is not None


def check_compiler() -> None:
    """Raise a RuntimeError that says what to do, unless a program can be compiled and loaded here.

    A program of one line is tried, once in a process for each compiler and its settings.

    Examples
    --------
    >>> from mlperf.training.library import check_compiler
    >>> try:
    ...     check_compiler()
    ... except RuntimeError as error:
    ...     advice = error
    """
    if complaint := _complaint(_compiler(), os.environ.get("CXXFLAGS", ""), os.environ.get("PATH", "")):
        raise RuntimeError(complaint)


def _compiler() -> str:
    return os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")


@cache
def _complaint(compiler: str, flags: str, search_path: str) -> str:  # noqa: ARG001
    """Return why nothing can be compiled with these settings; empty if it can."""
    try:
        _compiled_aside('extern "C" int mlperf_trial() { return 0; }\n')
    except RuntimeError as error:
        return str(error)
    return ""


def _compiled_and_kept(program: str, path: Path) -> Library:
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / "lock", timeout=LOCK_SECONDS):
        if found := _kept(path):  # somebody else has compiled it meanwhile
            return found
        for stale in path.parent.glob("compiling-*"):
            shutil.rmtree(stale, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="compiling-", dir=path.parent) as folder:
            made, record = Path(folder, path.name), Path(folder, "record")
            seconds = _compile(program, made)
            record.write_text(json.dumps({"sha256": _digest(made), "seconds": seconds}))
            made.replace(path)
            record.replace(path.with_suffix(".json"))
        return Library(ctypes.CDLL(str(path)), seconds)


def _compiled_aside(program: str) -> Library:
    """Compile in a temporary folder that can be written to and whose programs can be run."""
    refused = []
    for parent in (temporary_folder(), cache_folder()):
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _clear_what_was_left(parent)
            with tempfile.TemporaryDirectory(prefix=ASIDE, dir=parent, ignore_cleanup_errors=True) as folder:
                path = Path(folder, _path(program).name)
                seconds = _compile(program, path)
                return Library(ctypes.CDLL(str(path)), seconds)  # once loaded, it does not need the file any longer
        except OSError as error:
            refused.append(str(error))
    raise RuntimeError(
        f"The engine 'compiled' cannot load what it compiles: {'; '.join(refused)}. Set the environment variable "
        "TMPDIR or XDG_CACHE_HOME to a folder that can be written to and whose programs may be run. "
        "The engine 'fused' needs none."
    )


def _clear_what_was_left(parent: Path) -> None:
    """Remove the folders of killed processes; there is no lock here, so they are recognised by their age."""
    for folder in parent.glob(f"{ASIDE}*"):
        with suppress(OSError):
            about = folder.lstat()
            if about.st_uid == os.getuid() and time.time() - about.st_mtime > LOCK_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _compile(program: str, path: Path) -> float:
    """Compile a program, for this very processor if the compiler knows it, and return the seconds that it took."""
    start = time.perf_counter()
    compiler = _compiler()
    name, *arguments = shlex.split(compiler)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(_advice(f"{compiler!r} was not found"))
    said = ""
    for native in (NATIVE, []):
        options = [*OPTIONS, *native, *shlex.split(os.environ.get("CXXFLAGS", ""))]
        command = [found, *arguments, *options, "-x", "c++", "-", "-o", str(path)]
        # What a compiler writes on the way goes with the folder; TMPDIR may name one that cannot be used.
        environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(path.parent)}
        done = subprocess.run(command, input=program, text=True, capture_output=True, check=False, env=environment)
        if done.returncode == 0 and path.exists():
            return time.perf_counter() - start
        if full := re.search("No space left on device|Disk quota exceeded", done.stderr):
            raise OSError(f"{path.parent}: {full[0]}")
        said = next((f" ({line})" for line in done.stderr.splitlines() if "error" in line), said)
    raise RuntimeError(_advice(f"{compiler!r} does not compile its program{said}"))


def _advice(complaint: str) -> str:
    install = "xcode-select --install" if sys.platform == "darwin" else "apt-get install g++"
    return (
        f"The engine 'compiled' needs a C++ compiler, and {complaint}. Install one (for example '{install}') "
        "or name another in the environment variable CXX. The engine 'fused' needs none."
    )


def _kept(path: Path) -> Library | None:
    seconds = _seconds_if_intact(path)
    return None if seconds is None else Library(ctypes.CDLL(str(path)), seconds)


def _seconds_if_intact(path: Path) -> float | None:
    try:
        record = json.loads(path.with_suffix(".json").read_text())
        return float(record["seconds"]) if record["sha256"] == _digest(path) else None
    except (OSError, ValueError, KeyError, TypeError):  # nothing there, or no record
        return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _path(program: str) -> Path:
    settings = [_compiler(), os.environ.get("CXXFLAGS"), OPTIONS, NATIVE, _processor()]
    digest = hashlib.sha256(f"{settings}\n{program}".encode()).hexdigest()
    return cache_folder() / f"step-{digest[:24]}.so"


@cache
def _processor() -> str:
    """Describe the processor: code compiled for one may not run on another that shares the home folder."""
    instructions = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        instructions = next((line for line in lines if line.startswith(("flags", "Features"))), instructions)
    return f"{platform.system()} {platform.machine()} {instructions}"
