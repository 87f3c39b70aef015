"""One optimiser step as one compiled function: forward, backward and Adam, over flat parameters."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn

from mlperf.training.parameters import layers

BETAS, EPSILON = (0.9, 0.999), 1e-8

LOOPED_PRODUCT = 8_000_000
"""Multiplications up to which a product becomes loops that Inductor compiles.

The right factor of a larger one does not stay in the cache, where the BLAS, which cuts it into blocks, is ahead.
"""

ROWS_AT_ONCE = 8
"""Rows of a looped product that are summed side by side: one sum alone waits for its own last addition."""

STACK_BYTES = 400 * 1024
"""Up to this much is kept on the stack: each tensor on the heap, and each view of one, costs tens of nanoseconds.

The smallest stack that a thread gets by default, on macOS, has 512 KiB.
"""

INDUCTOR = {
    "cpp.threads": 1,  # the products are too small to share
    "cpp.enable_floating_point_contract_flag": "fast",  # a * b + c in one instruction
    "aot_inductor.precompile_headers": False,  # they would be used once
    "cpp.vec_isa_ok": True,  # not tried out by compiling: whatever compiles headers of torch can do it
    "unroll_reductions_threshold": 1,  # a product over few features stays a loop
    "aot_inductor.allow_stack_allocation": True,
    "force_disable_caches": True,  # the library on disk is the cache
}
"""Settings of torch's compiler that differ from its own."""

Run = Callable[[list[Tensor]], object]


class Step(nn.Module):
    """One step of Adam on the mean squared error of one mini-batch, without autograd.

    Parameters
    ----------
    sizes : tuple of int
        Features, units of each hidden layer, outputs.

    Examples
    --------
    >>> from mlperf.training.compiled import Step
    >>> Step((5, 32, 1)).sizes
    (5, 32, 1)
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(
        self,
        flat: Tensor,
        mean: Tensor,
        square: Tensor,
        X: Tensor,
        y: Tensor,
        weight: Tensor,
        rates: Tensor,
        loss: Tensor,
    ) -> None:
        """Update `flat`, `mean`, `square` and `loss` in place.

        Parameters
        ----------
        flat, mean, square : Tensor of shape (n_parameters,)
            The parameters as `layers` cuts them, and Adam's running averages of their gradient and its square.
        X, y : Tensor of shape (batch_size, n_features) and (batch_size, n_outputs)
            The mini-batch; a short one is filled up with rows of weight 0.
        weight : Tensor of shape (batch_size, 1)
            What the squared error of each row counts: 1 / (rows x outputs), or 0.
        rates : Tensor of shape (2,)
            ``learning_rate / (1 - beta1**t)`` and ``1 / sqrt(1 - beta2**t)`` of this step t.
        loss : Tensor of shape ()
            Takes the mean squared error before the step.
        """
        cut = layers(flat, self.sizes)
        outputs = [X]
        for W, b in cut[:-1]:
            outputs.append(_stored((_product(outputs[-1], W) + b).relu()))
        W, b = cut[-1]
        error = _product(outputs[-1], W) + b - y
        loss.copy_((error * error * weight).sum())
        delta = error * (2 * weight)
        gradients: list[Tensor] = []
        for i in reversed(range(len(cut))):
            gradients[:0] = [_product(outputs[i].t(), delta).reshape(-1), delta.sum(0)]
            if i:
                delta = _stored(torch.where(outputs[i] > 0, _product(delta, _transposed(cut[i][0])), 0.0))
        gradient = torch.cat(gradients)
        new_mean = mean + (gradient - mean) * (1 - BETAS[0])
        new_square = square * BETAS[1] + gradient * gradient * (1 - BETAS[1])
        flat.sub_(rates[0] * new_mean / (new_square.sqrt() * rates[1] + EPSILON))
        mean.copy_(new_mean)
        square.copy_(new_square)


def _product(a: Tensor, b: Tensor) -> Tensor:
    n_rows, n_inner = a.shape
    n_columns = b.shape[1]
    if n_inner == 1:
        return a * b
    if n_rows * n_inner * n_columns > LOOPED_PRODUCT:
        return a @ b
    # Row by row the right factor is read along its columns, which Inductor does a vector at a time.
    together = 1 if n_columns == 1 else max(n for n in range(1, ROWS_AT_ONCE + 1) if n_rows % n == 0)
    return torch.cat([(rows[:, :, None] * b[None]).sum(1) for rows in a.chunk(together)])


def _transposed(W: Tensor) -> Tensor:
    # Stored, or each product would read it element by element out of the original.
    return W.t() if W.shape[1] == 1 else _stored(W.t().clone(memory_format=torch.contiguous_format))


def _stored(values: Tensor) -> Tensor:
    """Make Inductor compute the values once: otherwise each use of one, of which a product has many, would do so."""
    return values.as_strided(values.shape, values.stride())


def load(sizes: tuple[int, ...], batch_size: int) -> Run:
    """Return the compiled `Step`, from the cache on disk or else by compiling it.

    Parameters
    ----------
    sizes : tuple of int
        Features, units of each hidden layer, outputs.
    batch_size : int
        Rows in a mini-batch.

    Returns
    -------
    callable
        Takes the list of arguments of `Step.forward`.

    Raises
    ------
    RuntimeError
        If it has to be compiled and no C++ compiler works.

    Examples
    --------
    >>> from mlperf.training.compiled import load
    >>> step = load((5, 32, 1), 64)  # doctest: +SKIP
    """
    path = _path(sizes, batch_size)
    if not path.exists():
        check_compiler()
        _compile(sizes, batch_size, path)
    return _loaded(path)


@cache
def _loaded(path: Path) -> Run:
    # torch._inductor.aoti_load_package imports the whole compiler, which takes seconds, and unpacks the library into a
    # folder that a process which is ended leaves behind.
    loaded: Run = torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), 1).run
    return loaded


def compile_seconds(sizes: tuple[int, ...], batch_size: int) -> float:
    """Return how long it took to compile the step when that was done; parameters and errors are those of `load`.

    Examples
    --------
    >>> from mlperf.training.compiled import compile_seconds
    >>> compile_seconds((5, 32, 1), 64)  # doctest: +SKIP
    8.1
    """
    load(sizes, batch_size)
    return float(_path(sizes, batch_size).with_suffix(".seconds").read_text())


def cache_folder() -> Path:
    """Return where compiled steps are kept: ``mlperf`` in ``XDG_CACHE_HOME``, else in ``~/.cache``.

    Examples
    --------
    >>> from mlperf.training.compiled import cache_folder
    >>> cache_folder().name
    'mlperf'
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlperf"


def check_compiler() -> None:
    """Raise a RuntimeError that says what to install unless the C++ compiler compiles a trial program.

    Examples
    --------
    >>> from mlperf.training.compiled import check_compiler
    >>> try:
    ...     check_compiler()
    ... except RuntimeError as error:
    ...     advice = error
    """
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    found = shutil.which(compiler)
    if found:
        command = [found, "-x", "c++", "-fsyntax-only", "-"]
        if subprocess.run(command, input="#include <vector>\n", text=True, capture_output=True).returncode == 0:
            return
    install = "xcode-select --install" if sys.platform == "darwin" else "apt-get install g++"
    raise RuntimeError(
        f"The engine 'compiled' needs a C++ compiler, and {compiler!r} "
        f"{'does not compile a trial program' if found else 'was not found'}. Install one (for example "
        f"'{install}') or name another in the environment variable CXX. The engine 'fused' needs none."
    )


def _compile(sizes: tuple[int, ...], batch_size: int, path: Path) -> None:
    start = time.perf_counter()
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    shapes = [(n_parameters,)] * 3 + [(batch_size, width) for width in (sizes[0], sizes[-1], 1)] + [(2,), ()]
    example = tuple(torch.zeros(shape, dtype=torch.float32, device="cpu") for shape in shapes)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and moved: another process never loads half a library.
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as folder,
        torch.no_grad(),
        warnings.catch_warnings(),
        patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=folder),  # torch leaves what it writes on the way
        patch("torch._inductor.codegen.cpp_wrapper_cpu_array_ref.MAX_STACK_ALLOCATION_SIZE", STACK_BYTES),
    ):
        warnings.simplefilter("ignore")  # torch's own, about torch
        program = torch.export.export(Step(sizes), example)
        package = torch._inductor.aoti_compile_and_package(
            program,
            package_path=f"{folder}/step.pt2",
            inductor_configs=dict(INDUCTOR),  # torch writes into it
        )
        with zipfile.ZipFile(package) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".so")]
            library = Path(archive.extract(name, folder))
        seconds = Path(folder, "seconds")
        seconds.write_text(repr(time.perf_counter() - start))
        seconds.replace(path.with_suffix(".seconds"))
        library.replace(path)  # last: where it is, its seconds are


def _path(sizes: tuple[int, ...], batch_size: int) -> Path:
    asked = [os.environ.get(name) for name in ("ATEN_CPU_CAPABILITY", "TORCHINDUCTOR_CPP_MARCH")]  # older instructions
    choices = (LOOPED_PRODUCT, ROWS_AT_ONCE, STACK_BYTES, INDUCTOR, asked, torch.get_default_dtype())
    digest = hashlib.sha256(f"{sizes} {batch_size} {choices} {_platform()}".encode())
    return cache_folder() / f"step-{digest.hexdigest()[:24]}.so"


@cache
def _platform() -> str:
    # Machine code of one processor may not run on another that shares the home folder.
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line for line in lines if line.startswith(("flags", "Features"))), processor)
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return f"{torch.__version__} {platform.platform()} {processor} {source}"
