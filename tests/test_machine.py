import platform
import re
import subprocess
import sys

import joblib
import pytest
import torch

from mlperf import machine
from mlperf.model import MLPRegressor


def test_the_machine_is_described_in_full():
    known = machine.machine()
    assert {"Processor", "Physical cores", "Logical cores usable here", "L1 data cache", "Memory"} <= set(known)
    assert {"Operating system", "Python", "torch", "BLAS of torch", "Threads of torch"} <= set(known)
    assert all(isinstance(value, str) and value for value in known.values())
    assert known["Python"].endswith(platform.python_version())


def test_cores_are_those_that_may_be_used_here(monkeypatch):
    machine.fingerprint.cache_clear()
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    try:
        assert machine.fingerprint()["cores"] == str(joblib.cpu_count()) == "1"
    finally:
        machine.fingerprint.cache_clear()


def test_the_fingerprint_does_not_load_torch():
    code = "import sys; from mlperf.machine import fingerprint; fingerprint(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Other"])
def test_what_cannot_be_read_says_so(system, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(machine, "_output", lambda *_: "")
    machine.fingerprint.cache_clear()
    try:
        known = machine.machine()
        assert known["Processor"] == known["L2 cache"] == machine.UNREADABLE
    finally:
        machine.fingerprint.cache_clear()


def test_macos_is_asked_in_its_own_way(monkeypatch):
    answers = {"hw.l1dcachesize": "131072", "hw.l2cachesize": "16777216", "machdep.cpu.brand_string": "Apple M2"}
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(machine, "_output", lambda *command: answers.get(command[-1], ""))
    assert machine.cache_bytes() == {"L1d": 131_072, "L2": 16_777_216}
    assert machine._processor() == "Apple M2"


def test_sizes_are_shown_in_binary_units():
    assert [machine._readable(size) for size in (None, 512, 32 * 1024, 2**20, 25 * 2**30)] == [
        machine.UNREADABLE,
        "512 B",
        "32 KiB",
        "1 MiB",
        "25.0 GiB",
    ]


def test_variables_that_change_what_computes_are_told(monkeypatch):
    """A variable of OpenBLAS halved the rate of its products, and no page said so."""
    for name in list(machine.environment()):
        monkeypatch.delenv(name)
    machine.fingerprint.cache_clear()
    assert machine.fingerprint()["environment"] == "nothing set"
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/somewhere")
    machine.fingerprint.cache_clear()
    try:
        assert machine.fingerprint()["environment"] == "DNNL_MAX_CPU_ISA=AVX2, OPENBLAS_CORETYPE=Haswell"
        known = machine.machine()
        assert known["OPENBLAS_CORETYPE"] == "Haswell"
        assert "OMP_NUM_THREADS" not in known
    finally:
        machine.fingerprint.cache_clear()


def test_the_kernel_of_a_loaded_blas_is_told(monkeypatch):
    import threadpoolctl

    openblas = {"user_api": "blas", "internal_api": "openblas", "version": "0.3.31", "architecture": "SkylakeX"}
    mkl = {"user_api": "blas", "internal_api": "mkl", "version": None}  # threadpoolctl does not know its kernel
    openmp = {"user_api": "openmp", "internal_api": "openmp", "version": None}
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [openmp, openblas, openblas, mkl])
    assert machine.blas() == "mkl; openblas 0.3.31 SkylakeX"
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [openmp])
    assert machine.blas() == "none"


def found(device):
    return lambda check_available: torch.device(device)  # noqa: ARG005


def test_devices_are_the_processor_and_the_accelerator_of_torch(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", found("cuda"))
    assert machine.devices() == ["cpu", "cuda"]
    monkeypatch.setattr(torch.accelerator, "current_accelerator", found("mps"))
    assert machine.devices() == ["cpu", "mps"]
    monkeypatch.setattr(torch.accelerator, "current_accelerator", found("xpu"))
    assert machine.devices() == ["cpu"]
    machine.answers.clear()


def test_auto_is_the_accelerator_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", found("mps"))
    assert machine.check_device("auto") == "mps"
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)  # noqa: ARG005
    assert machine.check_device("auto") == "cpu"


@pytest.mark.parametrize(
    ("device", "built", "why"),
    [
        ("cuda", False, "torch here was built without CUDA"),
        ("cuda", True, "torch finds no CUDA device that works"),
        ("mps", False, "torch here was built without MPS"),
        ("mps", True, "torch finds no MPS device that works"),
        ("gpu", False, "devices are named 'cpu', 'cuda', 'mps' or 'auto'"),
    ],
)
def test_absent_device_is_refused_with_what_is_there_and_why(device, built, why, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)  # noqa: ARG005
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: built)
    message = "The 'device' parameter of MLPRegressor must be a device of this machine: 'cpu'."
    message += f" Got {device!r} instead; {why}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        machine.check_device(device)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MLPRegressor((2,), max_iter=1, device=device).fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize(
    ("system", "printed", "name"),
    [
        ("Linux", "NVIDIA H100, 550.54\nNVIDIA H100, 550.54\n", "NVIDIA H100, driver 550.54"),
        ("Linux", "", ""),
        ("Darwin", "Apple M2", "Apple M2 (MPS)"),
    ],
)
def test_accelerator_is_named_as_its_driver_names_it(system, printed, name, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(machine, "_output", lambda *_: printed)
    machine.accelerator.cache_clear()
    try:
        assert machine.accelerator() == name
    finally:
        machine.accelerator.cache_clear()


@pytest.fixture
def identity_of(monkeypatch):
    """Return the identity that this machine would have under another host's name and other variables."""

    def ask(host, **variables):
        with monkeypatch.context() as patch:
            patch.setattr(platform, "node", lambda: host)
            for name, value in variables.items():
                patch.setenv(name, value)
            machine.fingerprint.cache_clear()
            machine.identity.cache_clear()
            return machine.identity()

    yield ask
    machine.fingerprint.cache_clear()
    machine.identity.cache_clear()


def test_identity_tells_machines_apart_and_names_no_host(identity_of):
    assert identity_of("node-seventeen") == identity_of("node-seventeen")
    assert identity_of("node-seventeen") != identity_of("node-eighteen")
    assert identity_of("node-seventeen") != identity_of("node-seventeen", MKL_CBWR="COMPATIBLE")
    assert "node" not in identity_of("node-seventeen").removeprefix(machine.fingerprint()["processor"])
