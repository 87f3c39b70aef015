import os
import re
import subprocess

import pytest
import torch

from mlperf.profilers import libxsmm
from mlperf.profilers.libxsmm import is_installed, product

here = pytest.mark.skipif(not is_installed(), reason="libxsmm is not installed")


@here
@pytest.mark.parametrize("shape", [(1, 1, 1), (64, 5, 32), (5, 64, 33), (64, 128, 64), (300, 200, 100)])
def test_its_products_are_those_of_torch(shape):
    n_rows, n_inner, n_columns = shape
    left, right = torch.randn(n_rows, n_inner), torch.randn(n_inner, n_columns)
    out = torch.full((n_rows, n_columns), torch.nan)
    product(left, right, out)()
    torch.testing.assert_close(out, left @ right, rtol=1e-4, atol=1e-4)


@here
@pytest.mark.parametrize(
    ("left", "right"),
    [
        (torch.ones(2, 3), torch.ones(4, 5)),
        (torch.ones(3, 2).t(), torch.ones(3, 5)),
        (torch.ones(2, 3).double(), torch.ones(3, 5)),
    ],
)
def test_matrices_that_it_would_read_wrongly_are_refused(left, right):
    with pytest.raises(ValueError, match="must be contiguous, float32, and of shapes that fit"):
        product(left, right, torch.empty(2, 5))


@here
def test_processes_started_after_it_are_not_bound_to_one_core():
    """Tried: after the tests of it, both workers of a Dask cluster kept to the same core, as another machine."""
    product(torch.ones(2, 3), torch.ones(3, 4), torch.empty(2, 4))
    started = subprocess.run("echo ${OMP_PROC_BIND-not set}", shell=True, capture_output=True, text=True, check=True)
    assert started.stdout.strip() == os.environ.get("OMP_PROC_BIND", "not set")


def test_it_counts_as_missing_where_it_cannot_be_linked(monkeypatch):
    """Tried: no folder for temporary files could be written to."""
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: None)
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    monkeypatch.setattr(libxsmm, "_library", libxsmm._library.__wrapped__)
    assert not is_installed()


def test_whoever_lacks_it_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: None)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr(libxsmm, "_library", libxsmm._library.__wrapped__)
    assert not is_installed()
    message = "libxsmm is not installed; on Debian 'apt-get install libxsmm-dev' installs it."
    with pytest.raises(RuntimeError, match=re.escape(message)):
        product(*3 * [torch.ones(1, 1)])
