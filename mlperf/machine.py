"""What machine this is and which versions do the work."""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import psutil

UNREADABLE = "not readable here"

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas")
"""Packages whose version can change a measured number."""


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
"""Prefixes of the environment variables that numerical libraries, their thread pools and allocators read."""

LEFT_OUT = ("_NUM_THREADS", "_DIR", "_PATH", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")
"""Endings of those left out: numbers of threads, set by `mlperf.measure`; folders; two that scikit-learn sets."""

VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES",
    "GLIBC_TUNABLES",
    "JAX_PLATFORMS",
    "LD_PRELOAD",
    "NVIDIA_TF32_OVERRIDE",
    "PYTHONMALLOC",
)
"""Further environment variables that change how fast, where or what a process computes. They are never cleared."""


ANSWERS = "MLPERF_ANSWERS"
"""Environment variable with the answers of another machine, as JSON, while the runs of that machine are rechecked."""

answers: dict[str, Any] = {}
"""The answers given in this process, by question."""


def answer(question: str, ask: Callable[[], Any]) -> Any:
    """Ask this machine a question that decides what is measured, and keep the answer.

    Answers are published with the measurements. When these are rechecked, perhaps on another machine with other
    libraries, the published answers are taken and the machine is not asked.

    Parameters
    ----------
    question : str
        A name for the question, such as "engines".
    ask : callable
        Called without arguments; returns the answer, which must be of a type that JSON has.

    Returns
    -------
    object
        The answer.

    Examples
    --------
    >>> from mlperf.machine import answer, answers
    >>> answer("cores", lambda: 2), answers.pop("cores")
    (2, 2)
    """
    given = json.loads(os.environ.get(ANSWERS) or "{}")
    answers[question] = given[question] if question in given else ask()
    return answers[question]


@functools.cache
def fingerprint() -> dict[str, str]:
    """Describe what tells this machine and its versions from others, without loading torch.

    Returns
    -------
    dict of str
        Processor, usable cores, operating system, Python, the version of each of `PACKAGES`, and the environment
        variables that change how libraries compute (see `environment`).

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


@functools.cache
def identity() -> str:
    """Return a name that tells this machine from others without revealing its host name.

    Returns
    -------
    str
        The processor, and eight hexadecimal digits of a digest of the host name, the installation and the
        `fingerprint`. With other versions, or other variables that change how libraries compute, it counts as another
        machine.

    Examples
    --------
    >>> from mlperf.machine import fingerprint, identity
    >>> identity().startswith(fingerprint()["processor"])
    True
    """
    try:
        installed = Path("/etc/machine-id").read_text()
    except OSError:
        installed = ""
    told = json.dumps([platform.node(), installed, fingerprint()])
    return f"{_processor()} ({hashlib.sha256(told.encode()).hexdigest()[:8]})"


def environment() -> dict[str, str]:
    """Return the environment variables that are set here and change how numerical libraries compute.

    Returns
    -------
    dict of str
        Those that choose a kernel, a memory layout, a thread policy or an allocator, in alphabetical order. The numbers
        of threads are not among them, as `mlperf.measure` sets them itself, nor are folders.

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


def blas() -> str:
    """Name the BLAS libraries that this process has loaded, and the kernel that each of them runs.

    Returns
    -------
    str
        The name and version of each library, and the processor that its kernel is written for, as threadpoolctl reports
        them; "none" if there are none. Libraries linked into another one, as MKL is into torch and Eigen into JAX, are
        not seen.

    Examples
    --------
    >>> from mlperf.machine import blas
    >>> isinstance(blas(), str)
    True
    """
    from threadpoolctl import threadpool_info

    loaded = [library for library in threadpool_info() if library["user_api"] == "blas"]
    parts = [(each["internal_api"], each["version"], each.get("architecture")) for each in loaded]
    return "; ".join(sorted({" ".join(filter(None, each)) for each in parts})) or "none"


def machine() -> dict[str, str]:
    """Describe the machine for people.

    Returns
    -------
    dict of str
        Processor; cores, and how many of them this process may use, given the limits of its container and its affinity;
        caches, memory, operating system, Python, versions; BLAS, vector instructions and threads of torch; GPU; and the
        environment variables that change how libraries compute. A value that cannot be read is "not readable here".

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
        "Device": accelerator() or "none but the processor",
        **environment(),
    }


DEVICES = ("cpu", "cuda", "mps")
"""Devices that a network can be trained on, by torch's names."""


def devices() -> list[str]:
    """Return those of `DEVICES` that torch can use here: the CPU, and a GPU if there is one.

    Returns
    -------
    list of str
        ``"cpu"``, and then ``"cuda"`` or ``"mps"``.

    Examples
    --------
    >>> from mlperf.machine import devices
    >>> devices()[0]
    'cpu'
    """
    return list(answer("devices", _devices))


def _devices() -> list[str]:
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return ["cpu", *([found.type] if found is not None and found.type in DEVICES else [])]


def check_device(device: str, *, owner: str = "MLPRegressor") -> str:
    """Return the device that a name stands for, if this machine has it.

    Parameters
    ----------
    device : {"cpu", "cuda", "mps", "auto"}
        Where to train. ``"auto"`` stands for the GPU if there is one, otherwise for the CPU.
    owner : str, default="MLPRegressor"
        The class or function that has the parameter, for the error message.

    Returns
    -------
    str
        One of `devices`.

    Raises
    ------
    ValueError
        If there is no such device here; the message names those that there are.

    Examples
    --------
    >>> from mlperf.machine import check_device
    >>> check_device("cpu")
    'cpu'
    """
    here = _devices()
    if device == "auto":
        return here[-1]
    if device in here:
        return device
    raise ValueError(
        f"The 'device' parameter of {owner} must be a device of this machine: "
        f"{' or '.join(map(repr, here))}. Got {device!r} instead; {_why_not(device)}."
    )


def _why_not(device: object) -> str:
    """Say why a device is missing."""
    import torch

    if device == "cuda":
        built = torch.backends.cuda.is_built()
        return "torch finds no CUDA device that works" if built else "torch here was built without CUDA"
    if device == "mps":
        built = torch.backends.mps.is_built()
        return "torch finds no MPS device that works" if built else "torch here was built without MPS"
    return "devices are named 'cpu', 'cuda', 'mps' or 'auto'"


@functools.cache
def accelerator() -> str:
    """Name the GPU and its driver, without loading torch.

    Returns
    -------
    str
        As the driver names it; several of one kind are named once. Empty if no GPU is found.

    Examples
    --------
    >>> from mlperf.machine import accelerator
    >>> accelerator() == accelerator()
    True
    """
    if platform.system() == "Darwin":
        return f"{_processor()} (MPS)" if platform.machine() == "arm64" else ""
    seen = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines()
    return "; ".join(dict.fromkeys(line.strip().replace(", ", ", driver ") for line in seen))


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
    return dict(answer("caches", _cache_bytes))


def _cache_bytes() -> dict[str, int]:
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
        # Untranslated output: labels are searched by their English names.
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
