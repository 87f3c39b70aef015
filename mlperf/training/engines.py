"""The engines by name, and which of them suits a fit. All take the same steps; `mlperf.training.epochs` says how."""

from collections.abc import Sequence

from mlperf.machine import answer
from mlperf.training.compiled import compiled
from mlperf.training.cuda_graph import cuda_graph
from mlperf.training.eager import eager
from mlperf.training.epochs import Engine
from mlperf.training.fused import fused
from mlperf.training.kernel import source
from mlperf.training.library import check_compiler, is_kept, load

__all__ = ["ENGINES", "Engine", "available", "compiled", "cuda_graph", "eager", "fused", "suited"]

ENGINES: dict[str, Engine] = {"eager": eager, "fused": fused, "compiled": compiled, "cuda_graph": cuda_graph}
"""The engines by name."""

ONLY_ON = {"compiled": "cpu", "cuda_graph": "cuda"}
"""The device of each engine that works on one kind of device only."""


def available(device: str = "cpu") -> list[str]:
    """Return the names of the engines that can train on a device; the compiled one needs a C++ compiler.

    Parameters
    ----------
    device : {"cpu", "cuda", "mps"}, default="cpu"
        One of `mlperf.machine.devices`.

    Returns
    -------
    list of str
        Names from `ENGINES`.

    Examples
    --------
    >>> from mlperf.training.engines import available
    >>> available()[:2]
    ['eager', 'fused']
    """
    question = "engines" if device == "cpu" else f"engines on {device}"
    return list(answer(question, lambda: [name for name in ENGINES if _trains(name, device)]))


def _trains(engine: str, device: str) -> bool:
    return ONLY_ON.get(engine, device) == device and (engine != "compiled" or _compiler_works())


def suited(sizes: Sequence[int], n_steps: int, device: str = "cpu") -> str:
    """Return the name of the engine that ``engine="auto"`` takes.

    On a CUDA device that is ``cuda_graph``, on MPS ``fused``. On the CPU it is ``compiled`` if the network has been
    compiled before, or if a C++ compiler works and the steps of this fit save more time than compiling takes: a step is
    taken to save 20 µs for each layer, and compiling to take 0.3 s, and 0.12 s more for each layer.
    Otherwise it is ``fused``, so that no compiler is required. The choice of engine may change the last digits of the
    result.

    Parameters
    ----------
    sizes : sequence of int
        Features, units of each hidden layer, outputs.
    n_steps : int
        Steps of the whole fit: mini-batches times epochs.
    device : {"cpu", "cuda", "mps"}, default="cpu"
        Where it trains.

    Returns
    -------
    str
        One of `ENGINES`.

    Examples
    --------
    >>> from mlperf.training.engines import suited
    >>> suited((5, 31, 30, 1), n_steps=100)  # too few to compile for
    'fused'
    """
    if device != "cpu":
        return "cuda_graph" if device == "cuda" else "fused"
    n_layers = len(sizes) - 1
    pays = 20e-6 * n_layers * n_steps > 0.3 + 0.12 * n_layers
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
