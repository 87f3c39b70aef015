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

    That is ``compiled`` if the network has been compiled before, or if a C++ compiler works and the steps of this fit
    save at least twice what compiling takes. A step saves about 20 µs for each layer; compiling takes about 0.4 s, and
    0.1 s for each layer. In all other cases it is ``fused``; nobody is asked for a compiler. Which engine it is may
    change the last digits of what is learned.

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
    n_layers = len(sizes) - 1
    saved_seconds, compiling_seconds = 20e-6 * n_layers * n_steps, 0.4 + 0.1 * n_layers
    pays = saved_seconds >= 2 * compiling_seconds
    program = source(sizes)
    if not is_kept(program) and not (pays and _compiler_works()):
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
