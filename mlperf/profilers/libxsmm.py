"""The library libxsmm, which writes a program for each shape of a small matrix product, where it is installed."""

import ctypes
import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from mlperf.profilers.scratch import scratch


@cache
def _library() -> ctypes.CDLL | None:
    path = ctypes.util.find_library("xsmm")
    return ctypes.CDLL(path) if path else _linked()


def _linked() -> ctypes.CDLL | None:
    """Return what a compiler links from static libraries, which are all that Debian's package has."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        return None
    whole = ["-Wl,--whole-archive", "-l:libxsmm.a", "-Wl,--no-whole-archive"]
    try:
        with scratch() as folder:
            shared = folder / "libxsmm.so"
            command = [compiler, "-shared", "-o", str(shared), *whole, "-lxsmmnoblas", "-lpthread", "-ldl", "-lm"]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return None
            return ctypes.CDLL(str(shared))
    except OSError:  # such as where temporary files cannot be written, or nothing in them may be executed
        return None


def is_installed() -> bool:
    """Return whether libxsmm can be loaded; Debian has it in the package ``libxsmm-dev``, to be linked by a compiler.

    Examples
    --------
    >>> from mlperf.profilers.libxsmm import is_installed
    >>> is_installed() in (True, False)
    True
    """
    return _library() is not None


def product(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], object]:
    """Return a function that multiplies two matrices by a program that libxsmm writes for their shapes, now.

    Parameters
    ----------
    left, right, out : Tensor of shape (n_rows, n_inner), (n_inner, n_columns) and (n_rows, n_columns), float32
        The factors, and where the product is written to, each row after row.

    Returns
    -------
    callable
        Takes nothing. It computes in one thread.

    Raises
    ------
    RuntimeError
        If libxsmm is not installed, or writes no program for this processor or these shapes.
    ValueError
        If the matrices do not fit together, or lie in memory in another way.

    Examples
    --------
    >>> import torch
    >>> from mlperf.profilers.libxsmm import product
    >>> left, right, out = torch.ones(2, 3), torch.ones(3, 4), torch.empty(2, 4)
    >>> product(left, right, out)()  # doctest: +SKIP
    >>> out[0].tolist()  # doctest: +SKIP
    [3.0, 3.0, 3.0, 3.0]
    """
    library = _library()
    if library is None:
        raise RuntimeError("libxsmm is not installed; on Debian 'apt-get install libxsmm-dev' installs it.")
    (n_rows, n_inner), n_columns = left.shape, right.shape[1]
    # The program reads and writes memory as it is told to.
    fits = (right.shape[0], tuple(out.shape)) == (n_inner, (n_rows, n_columns))
    if not fits or not all(matrix.is_contiguous() and matrix.dtype == torch.float32 for matrix in (left, right, out)):
        raise ValueError(
            "The 'left', 'right' and 'out' parameters of product must be contiguous, float32, and of shapes that fit. "
            f"Got {tuple(left.shape)}, {tuple(right.shape)} and {tuple(out.shape)} instead."
        )
    library.libxsmm_init()
    if "OMP_PROC_BIND" not in os.environ:
        os.unsetenv("OMP_PROC_BIND")  # which it sets: every process started from here would keep to one core
    library.libxsmm_smmdispatch.restype = ctypes.c_void_p
    # It takes matrices column after column: what is there row after row is transposed to it, and so the factors change
    # places. With a beta of 0 the product takes the place of what was there.
    written = library.libxsmm_smmdispatch(
        *(ctypes.c_int(size) for size in (n_columns, n_rows, n_inner)),
        *(None, None, None),  # columns lie one right after the other
        *(ctypes.byref(ctypes.c_float(factor)) for factor in (1.0, 0.0)),
        *(None, None),  # neither transposed nor fetched ahead
    )
    if not written:
        raise RuntimeError(f"libxsmm writes no program here for a product of {n_rows} x {n_inner} x {n_columns}.")
    call = ctypes.CFUNCTYPE(None, *3 * [ctypes.c_void_p])(written)
    return lambda: call(right.data_ptr(), left.data_ptr(), out.data_ptr())
