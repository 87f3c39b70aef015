import shutil

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


def test_missing_valgrind_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CountingError, match=r"^valgrind and callgrind_control not installed$"):
        instructions(lambda: lambda: None)


def test_error_of_the_preparation_is_told():
    if not shutil.which("callgrind_control"):
        pytest.skip("valgrind is not installed")

    def prepare():
        raise LookupError("nothing to count")

    with pytest.raises(CountingError, match=r"^The preparation failed: LookupError: nothing to count$"):
        instructions(prepare)


def test_larger_product_takes_more_instructions_in_products_alone():
    if not shutil.which("callgrind_control"):
        pytest.skip("valgrind is not installed")

    def prepare(n):
        left, right = torch.rand(n, n), torch.rand(n, n)
        return lambda: torch.mm(left, right)

    counted = instructions(prepare, calls=2, n={"little": 4, "large": 128})
    assert list(counted["part"]) == [*PARTS, *PARTS]
    counts = counted.set_index(["n", "part"])["instructions"]
    # 2 * 128**3 operations, at most 16 in one instruction (a fused one on eight numbers).
    assert counts["large", "matrix products"] > 2 * 128**3 / 16
    assert counts["large", "matrix products"] > 100 * counts["little", "matrix products"]
    assert 0 < counts["large", "Python"] < 2 * counts["little", "Python"]
