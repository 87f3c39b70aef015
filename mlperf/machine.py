"""What machine this is and which versions do the work."""

import functools
import importlib.metadata
import json
import os
import platform
import re
import subprocess

import joblib
import psutil

UNREADABLE = "not readable here"

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas")
"""Packages whose version can move a measured number."""


PREFIXES = (
    "ATEN_",
    "BLIS_",
    "DNNL_",
    "GOMP_",
    "GOTO_",
    "JAX_",
    "KMP_",
    "MALLOC_",
    "MKL_",
    "NPY_",
    "NUMBA_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "PYTORCH_",
    "TORCHINDUCTOR_",
    "VECLIB_",
    "XLA_",
)
"""Of environment variables: those that numerical libraries, their threads and allocators read begin so."""

LEFT_OUT = ("_NUM_THREADS", "_DIR", "_PATH", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")
"""Of these, names that end so are left out: `mlperf.measure` sets the threads, scikit-learn the last two itself."""

VARIABLES = ("GLIBC_TUNABLES", "LD_PRELOAD", "PYTHONMALLOC")
"""Further environment variables that change how fast or what a process computes."""


@functools.cache
def fingerprint() -> dict[str, str]:
    """Return what tells this machine and its versions from others, without loading torch.

    Returns
    -------
    dict of str
        Processor, usable cores, operating system, Python, the version of each package that can move a number, and
        the environment variables that can (see `environment`).

    Examples
    --------
    >>> from mlperf.machine import fingerprint
    >>> list(fingerprint())[:4]
    ['processor', 'cores', 'system', 'python']
    """
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "processor": _processor(),
        "cores": str(joblib.cpu_count()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **versions,
        "environment": ", ".join(f"{name}={value}" for name, value in environment().items()) or "nothing set",
    }


def environment() -> dict[str, str]:
    """Return the environment variables that are set here and change how numerical libraries compute.

    Returns
    -------
    dict of str
        Those that choose a kernel, a layout, a policy of threads or an allocator, in alphabetical order. The numbers of
        threads are not among them, as `mlperf.measure` sets them itself, nor are folders.

    Examples
    --------
    >>> import os
    >>> from mlperf.machine import environment
    >>> os.environ["MKL_CBWR"] = "COMPATIBLE"
    >>> environment()["MKL_CBWR"]
    'COMPATIBLE'
    >>> del os.environ["MKL_CBWR"]
    """
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if (name in VARIABLES or name.startswith(PREFIXES)) and not name.endswith(LEFT_OUT)
    }


def machine() -> dict[str, str]:
    """Describe the machine for people.

    Returns
    -------
    dict of str
        Processor, cores (those that this process may use: limits of a container and of affinity count), caches,
        memory, operating system, Python, versions, torch's BLAS, vector instructions and threads, and the
        environment variables that change how libraries compute. What cannot be read says so.

    Examples
    --------
    >>> from mlperf.machine import machine
    >>> list(machine())[:3]
    ['Processor', 'Physical cores', 'Logical cores']
    """
    import torch

    known = fingerprint()
    configuration = torch.__config__.show()
    blas = re.search(r"BLAS_INFO=(\w+)", configuration)
    library = re.search(r"(Intel\(R\)[^\n]*Math Kernel Library Version \S+|OpenBLAS \S+)", configuration)
    return {
        "Processor": known["processor"],
        "Physical cores": str(psutil.cpu_count(logical=False) or UNREADABLE),
        "Logical cores": str(psutil.cpu_count() or UNREADABLE),
        "Logical cores usable here": known["cores"],
        **{name: _readable(cache_bytes().get(level)) for level, name in CACHES.items()},
        "Memory": _readable(psutil.virtual_memory().total),
        "Operating system": known["system"],
        "Python": known["python"],
        **{name: known[name] for name in PACKAGES},
        "BLAS of torch": library[1] if library else blas[1] if blas else UNREADABLE,
        "Vector instructions of torch": torch.backends.cpu.get_cpu_capability(),
        "Threads of torch": str(torch.get_num_threads()),
        **environment(),
    }


CACHES = {"L1d": "L1 data cache", "L2": "L2 cache", "L3": "L3 cache"}


def cache_bytes() -> dict[str, int]:
    """Return the size of each cache that one core can reach.

    Returns
    -------
    dict of int
        Bytes of ``"L1d"``, ``"L2"`` and ``"L3"``; those that cannot be read are left out.

    Examples
    --------
    >>> from mlperf.machine import cache_bytes
    >>> set(cache_bytes()) <= {"L1d", "L2", "L3"}
    True
    """
    sizes: dict[str, int] = {}
    if platform.system() == "Linux":
        listed = _output("lscpu", "--caches=NAME,ONE-SIZE", "--bytes", "--json")
        for cache in json.loads(listed)["caches"] if listed else []:
            if cache["name"] in CACHES:
                sizes[cache["name"]] = int(cache["one-size"])
    elif platform.system() == "Darwin":
        for level, key in {"L1d": "hw.l1dcachesize", "L2": "hw.l2cachesize", "L3": "hw.l3cachesize"}.items():
            size = _output("sysctl", "-n", key)
            if size.isdigit() and int(size):
                sizes[level] = int(size)
    return sizes


def _processor() -> str:
    if platform.system() == "Linux":
        found = re.search(r"^Model name:\s*(.+)$", _output("lscpu"), re.MULTILINE)
        return found[1].strip() if found else platform.processor() or UNREADABLE
    if platform.system() == "Darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or UNREADABLE
    return platform.processor() or UNREADABLE


def _output(*command: str) -> str:
    try:
        # Untranslated: labels are looked for by their English names.
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _readable(size: float | None) -> str:
    if not size:
        return UNREADABLE
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
