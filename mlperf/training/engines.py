"""The engines by name, and which of them suits a fit. All take the same steps; `mlperf.training.epochs` says how."""

from collections.abc import Sequence

from mlperf.training.compiled import compiled
from mlperf.training.eager import eager
from mlperf.training.epochs import Engine
from mlperf.training.fused import fused
from mlperf.training.kernel import source
from mlperf.training.library import check_compiler, is_kept, load

__all__ = ["ENGINES", "Engine", "available", "compiled", "eager", "fused", "suited"]

ENGINES: dict[str, Engine] = {"eager": eager, "fused": fused, "compiled": compiled}
"""The engines by name."""

SAVED_SECONDS = 10e-6
"""What a compiled step takes less than a fused one, at least, for each layer: calls of operators."""

COMPILING_SECONDS = 1.5
"""What it takes to compile a program."""


def available() -> list[str]:
    """Return the names of the engines that can train here; the compiled one needs a C++ compiler.

    Examples
    --------
    >>> from mlperf.training.engines import available
    >>> available()[:2]
    ['eager', 'fused']
    """
    return [name for name in ENGINES if name != "compiled" or _compiler_works()]


def suited(sizes: Sequence[int], n_steps: int) -> str:
    """Return the name of the engine that ``engine="auto"`` takes.

    That is ``compiled`` if the network has been compiled before, or if a C++ compiler works and compiling takes at most
    half of what the steps of this fit save, 10 µs for each layer of each step. It is ``fused`` otherwise, and whenever
    ``compiled`` fails to load.

    Parameters
    ----------
    sizes : sequence of int
        Features, units of each hidden layer, outputs.
    n_steps : int
        Steps of the whole fit: mini-batches times epochs.

    Examples
    --------
    >>> from mlperf.training.engines import suited
    >>> suited((5, 31, 30, 1), n_steps=100)  # too few to compile for
    'fused'
    """
    saved = SAVED_SECONDS * (len(sizes) - 1) * n_steps
    program = source(sizes)
    if not is_kept(program) and (saved < 2 * COMPILING_SECONDS or not _compiler_works()):
        return "fused"
    try:
        load(program)
    except RuntimeError:
        return "fused"
    return "compiled"


def _compiler_works() -> bool:
    try:
        check_compiler()
    except RuntimeError:
        return False
    return True
