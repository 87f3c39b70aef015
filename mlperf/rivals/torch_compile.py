"""``torch.compile`` of the whole training step: forward, backward and Adam in one graph, called once a mini-batch.

Compiling only the module, or a step that calls ``backward()``, leaves several graphs with Python between them. So the
gradient comes from ``torch.func.grad`` and Adam is written out, under ``fullgraph=True``. All parameters lie in one
tensor, since every input tensor is checked at each call; Adam then is one loop. ``cpp_wrapper`` calls the kernels from
C++ instead of Python, and ``dynamic=False`` compiles the short last mini-batch for its own size instead of both for any
size. One ``randperm`` an epoch draws the order, and the mini-batches are slices: a DataLoader would take several times
as long as the step.
"""

import math
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mlperf.protocol import BATCH_SIZE, LEARNING_RATE
from mlperf.rivals import Regressor
from mlperf.training.cache import folder_of

if TYPE_CHECKING:
    import torch

NAME = "torch.compile"
REQUIRES = ("torch",)


def available() -> bool:
    """Return whether the C++ compiler that torch would call exists, and a folder that it can work in.

    Returns
    -------
    bool
        Whether `regressor` can be used.

    Examples
    --------
    >>> from mlperf.rivals.torch_compile import available
    >>> available() in (True, False)
    True
    """
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    return shutil.which(compiler) is not None and _folder() is not None


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return a torch regressor whose training step is compiled; parameters as in `mlperf.rivals.dataloader`."""
    if folder := _folder():
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    import torch
    from torch.nn.utils import parameters_to_vector, vector_to_parameters

    from mlperf.rivals._torch import TorchRegressor

    @torch.no_grad()
    def train(module: torch.nn.Module, X: torch.Tensor, y: torch.Tensor) -> int:
        step = _compiled_step((X.shape[1], *hidden_layer_sizes, 1), torch.get_num_threads())
        parameters = parameters_to_vector(module.parameters())
        mean, square = torch.zeros_like(parameters), torch.zeros_like(parameters)
        n_steps = torch.zeros(())
        for _ in range(max_iter):
            order = torch.randperm(len(X))
            for X_batch, y_batch in zip(X[order].split(batch_size), y[order].split(batch_size), strict=True):
                step(parameters, mean, square, n_steps, X_batch, y_batch)
        vector_to_parameters(parameters, module.parameters())
        return int(n_steps)

    return TorchRegressor(train, hidden_layer_sizes)


def _folder() -> str | Path | None:
    """Return the folder in which torch compiles: the one that the user chose, or else one that will do."""
    return os.environ.get("TORCHINDUCTOR_CACHE_DIR") or folder_of("torch_compile")


@cache
def _make_linkable() -> None:
    """Quote the path to torch's libraries: before 2.14, torch split it at spaces."""
    import torch
    from torch.utils import cpp_extension

    if torch.__version__ < "2.14":
        cpp_extension.TORCH_LIB_PATH = shlex.quote(cpp_extension.TORCH_LIB_PATH)


@cache
def _compiled_step(sizes: tuple[int, ...], n_threads: int) -> Callable[..., None]:
    """Return the compiled step of one network; kept, as compiling takes seconds even if it is in the cache."""
    import torch
    from torch.func import grad
    from torch.nn.functional import linear, mse_loss, relu

    _make_linkable()
    shapes = [shape for n_in, n_out in pairwise(sizes) for shape in ((n_out, n_in), (n_out,))]
    lengths = [math.prod(shape) for shape in shapes]
    decay, square_decay = 0.9, 0.999

    def loss_of(parameters: "torch.Tensor", X: "torch.Tensor", y: "torch.Tensor") -> "torch.Tensor":
        cut = [part.view(shape) for part, shape in zip(parameters.split(lengths), shapes, strict=True)]
        *hidden, (W, b) = zip(cut[::2], cut[1::2], strict=True)
        for W_hidden, b_hidden in hidden:
            X = relu(linear(X, W_hidden, b_hidden))
        return mse_loss(linear(X, W, b), y)

    def step(
        parameters: "torch.Tensor",
        mean: "torch.Tensor",
        square: "torch.Tensor",
        n_steps: "torch.Tensor",
        X: "torch.Tensor",
        y: "torch.Tensor",
    ) -> None:
        gradient = grad(loss_of)(parameters, X, y)
        n_steps.add_(1)
        mean.lerp_(gradient, 1 - decay)
        square.lerp_(gradient.square(), 1 - square_decay)
        unbiased_mean = mean / (1 - decay**n_steps)
        unbiased_square = square / (1 - square_decay**n_steps)
        parameters.sub_(LEARNING_RATE * unbiased_mean / (unbiased_square.sqrt() + 1e-8))

    return torch.compile(  # type: ignore[call-overload] # torch's hints lack an option
        step,
        fullgraph=True,
        dynamic=False,
        isolate_recompiles=True,  # or the networks of one process would share one limit of recompilations
        options={"cpp_wrapper": True, "cpp.threads": n_threads},
    )
