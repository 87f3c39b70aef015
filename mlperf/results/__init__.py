"""Results: a journal of runs, publishing and reading, provenance, freshness, comparison, history, other machines.

``publish`` and ``read`` are public names of the package, and of this folder: ``from mlperf import results`` and then
``results.publish(...)``. They are loaded when they are first used.
"""

from importlib import import_module
from typing import Any

from mlperf import PUBLIC

__all__ = [name for name, module in PUBLIC.items() if module.startswith(f"{__name__}.")]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
