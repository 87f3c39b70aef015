import os
import re
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from mlperf.profilers.instructions import PARTS, CountingError, instructions, self_counts

FILE = """\
# callgrind format
positions: line
events: Ir
summary: 1160

ob=(1) /lib/libtorch_cpu.so
fl=(1) ???
fn=(1) sgemm_kernel
10 100
+2 20
cob=(2) /lib/libpython3.11.so.1.0
cfn=(2) callback
calls=3 7
* 1000
* 5

ob=(2)
fn=(2)
7 35

ob=(1)
fn=(1)
-1 0
"""


def test_costs_of_called_functions_are_counted_to_them_alone():
    counted = list(self_counts(iter(FILE.splitlines(keepends=True))))
    assert counted == [
        ("/lib/libtorch_cpu.so", "sgemm_kernel", 100),
        ("/lib/libtorch_cpu.so", "sgemm_kernel", 20),
        ("/lib/libtorch_cpu.so", "sgemm_kernel", 5),
        ("/lib/libpython3.11.so.1.0", "callback", 35),
        ("/lib/libtorch_cpu.so", "sgemm_kernel", 0),
    ]


NEEDS_VALGRIND = pytest.mark.skipif(not shutil.which("callgrind_control"), reason="valgrind is not installed")


def test_missing_valgrind_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CountingError, match=r"^valgrind and callgrind_control not installed$"):
        instructions(lambda: lambda: None)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"calls": 0},
            ValueError,
            "The 'calls' parameter of instructions must be an int of at least 1. Got 0 instead.",
        ),
        ({"call": [3]}, TypeError, "no parameter 'call' that instructions could vary. Did you mean 'calls'?"),
        (
            {"n": 4},
            TypeError,
            "The 'n' parameter of instructions must be a list or a mapping of levels, such as n=[4].",
        ),
        ({"n": [4], "part": ["a"]}, ValueError, "The grid of instructions must not have a parameter 'part'"),
    ],
)
def test_a_slip_in_the_call_is_named(settings, error, message):
    with pytest.raises(error, match=re.escape(message)):
        instructions(lambda n=1: lambda: n, **settings)


@NEEDS_VALGRIND
def test_error_of_the_preparation_is_told():
    def prepare():
        raise LookupError("nothing to count")

    with pytest.raises(CountingError, match=r"^The preparation failed: LookupError: nothing to count$"):
        instructions(prepare)


@NEEDS_VALGRIND
def test_larger_product_takes_more_instructions_in_products_alone():
    def prepare(n):
        left, right = torch.rand(n, n), torch.rand(n, n)
        return lambda: torch.mm(left, right)

    counted = instructions(prepare, calls=2, n={"little": 4, "large": 128})
    assert counted.by == ("n", "part")
    counts = counted.frame.set_index(["n", "part"])["instructions"]
    assert counts.index.tolist() == [(n, part) for n in ("little", "large") for part in PARTS]
    # 2 * 128**3 operations, at most 16 in one instruction (a fused one on eight numbers).
    assert counts["large", "matrix products"] > 2 * 128**3 / 16
    assert counts["large", "matrix products"] > 100 * counts["little", "matrix products"]
    assert 0 < counts["large", "Python"] < 2 * counts["little", "Python"]


@NEEDS_VALGRIND
def test_instructions_are_counted_wherever_temporary_files_are(monkeypatch, tmp_path):
    """Tried: Valgrind ends at once where TMPDIR names no folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    counted = instructions(lambda: lambda: None, calls=1)
    assert counted.frame["instructions"].sum() > 0


SCRIPT = """
from mlperf.profilers.instructions import instructions
def prepare(n):
    def call():
        while True:
            pass
    return call
instructions(prepare, n=[1])
"""


def running(folder):
    """Processes that have something to do with a folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        told = " ".join(process.info["cmdline"] or [])
        if str(folder) in told and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(told)
    return found


@NEEDS_VALGRIND
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_while_counting_it_leaves_neither_process_nor_file(end, tmp_path):
    """The folder once stayed, and Valgrind ran on."""
    (tmp_path / "temporary").mkdir()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 60
    while not any("valgrind" in told for told in running(tmp_path)):
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(end)
    assert parent.wait(60) != 0
    while running(tmp_path) or list((tmp_path / "temporary").glob("mlperf-*")):
        assert time.monotonic() < deadline + 60
        time.sleep(0.05)
