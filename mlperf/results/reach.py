"""A digest of everything that the result of a function depends on: its code, and all that it refers to."""

from __future__ import annotations

import dis
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

import mlperf
from mlperf.results.provenance import inputs

INSTALLED = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
# Attributes that every class has.
BOOKKEEPING = {"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__"}


def reach(value: Any, script: str) -> str | None:
    """Return a digest of a value and of everything that it refers to.

    Parameters
    ----------
    value : object
        A function, its arguments, or a tuple of these. For a function that is defined in the script, its code counts,
        and the values of the global names in it. Comments, docstrings and layout do not count, nor does the rest of the
        script.
    script : str
        The file of the script. For functions and classes from other local files, these files count with all that they
        import, the machine and the protocol; for installed packages, the version.

    Returns
    -------
    str or None
        A hexadecimal digest, the same in each process. None if it cannot be computed, or if a file was edited after it
        was loaded.

    Examples
    --------
    >>> from mlperf.results.reach import reach
    >>> reach((1, "text"), "script.py") == reach((1, "text"), "script.py")
    True
    >>> reach((1, "text"), "script.py") == reach((1.0, "text"), "script.py")
    False
    """
    try:
        digest = _Digest(script)
        digest.add(value)
    except Exception:  # inspecting an object may run any code
        return None
    return digest.hash.hexdigest()


class _Digest:
    def __init__(self, script: str) -> None:
        self.script = script
        self.hash = hashlib.sha256()
        # References are kept, so that ids are not used again.
        self.seen: dict[int, tuple[int, Any]] = {}
        self.files: set[Path] = set()

    def put(self, *parts: str | bytes) -> None:
        for part in parts:
            content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self.hash.update(b"%d:" % len(content) + content)

    def add(self, value: Any) -> None:
        """Add a value of any kind."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self.put(type(value).__name__, repr(value))
            return
        if id(value) in self.seen and not isinstance(value, tuple):
            self.put("seen", str(self.seen[id(value)][0]))
            return
        self.seen[id(value)] = len(self.seen), value
        if isinstance(value, CodeType):
            self.code(value)
        elif isinstance(value, FunctionType):
            self.function(value)
        elif isinstance(value, type):
            self.type(value)
        elif isinstance(value, ModuleType):
            self.module(value.__name__)
        elif isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType | None):
            self.several("method", value.__self__, value.__name__)
        elif isinstance(value, MethodType):
            self.several("method", value.__self__, value.__func__)
        elif isinstance(value, staticmethod | classmethod):
            self.several(type(value).__name__, value.__func__)
        elif isinstance(value, property):
            self.several("property", value.fget, value.fset, value.fdel)
        elif isinstance(getattr(value, "__wrapped__", None), FunctionType):
            self.several("wrapped", value.__wrapped__)
        else:
            self.data(value)

    def several(self, kind: str, *values: Any) -> None:
        self.put(kind, str(len(values)))
        for value in values:
            self.add(value)

    def data(self, value: Any) -> None:
        """Add data."""
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            self.several("tensor", type(value), str(value.device), value.requires_grad, value.detach().cpu().numpy())
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            self.put("array", repr(value.dtype), str(value.shape), np.ascontiguousarray(value).tobytes())
        elif type(value) in (tuple, list):
            self.several(type(value).__name__, *value)
        elif type(value) is dict:
            self.several("dict", *value.keys(), *value.values())
        elif isinstance(value, set | frozenset):
            self.several("set", type(value), *sorted(reach(part, self.script) or "" for part in value))
        elif isinstance(value, BuiltinFunctionType) or hasattr(value, "__objclass__"):
            self.put("builtin", str(value.__module__ if hasattr(value, "__module__") else ""), value.__qualname__)
        else:
            self.reduced(value)

    def reduced(self, value: Any) -> None:
        """Add an object by its state, as a pickle does."""
        made = value.__reduce_ex__(4)
        if isinstance(made, str):
            self.several("global", made, type(value))
            return
        call, arguments, *rest = made
        state, items, pairs = [*rest, None, None, None][:3]
        self.several("object", call, arguments, state, list(items or ()), list(pairs or ()))

    def function(self, function: FunctionType) -> None:
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        self.several("function", function.__qualname__, function.__defaults__, function.__kwdefaults__, cells)
        path = function.__code__.co_filename
        if path == self.script or function.__module__ == "__main__" or not Path(path).is_file():
            self.add(function.__code__)
            self.names(function)
        else:
            self.source(function.__module__, Path(path))

    def code(self, code: CodeType) -> None:
        flags = code.co_flags & ~getattr(inspect, "CO_HAS_DOCSTRING", 0)
        self.put("code", repr((code.co_names, code.co_varnames, code.co_freevars, flags)))
        for instruction in dis.get_instructions(code):
            self.put(instruction.opname)
            if instruction.opcode in dis.hasconst:
                self.add(instruction.argval)  # not its index, which changes with a docstring
            else:
                self.put(str(instruction.arg))

    def names(self, function: FunctionType) -> None:
        """Add the values of the global names in a function, and the modules that it imports."""
        for name in dict.fromkeys(_global_names(function.__code__)):
            if name in function.__globals__:
                self.put("name", name)
                self.add(function.__globals__[name])
        for name in dict.fromkeys(_imported(function.__code__)):
            self.module(name)

    def type(self, made: type) -> None:
        self.put("type", made.__module__, made.__qualname__)
        file = getattr(sys.modules.get(made.__module__), "__file__", None)
        if made.__module__ != "__main__" and file != self.script:
            self.module(made.__module__)
            return
        content = {name: value for name, value in sorted(vars(made).items()) if name not in BOOKKEEPING}
        self.several("class", *made.__bases__, *content, *content.values())

    def module(self, name: str) -> None:
        """Add a module, by its source or its version."""
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if module is None:
            spec = _found(name)
            file = spec.origin if spec else None
        self.source(name, Path(file) if file else None)

    def source(self, name: str, path: Path | None) -> None:
        first = name.partition(".")[0]
        self.put("module", name)
        # mlperf/__init__.py only loads the public names; the modules behind them are added by themselves.
        if path is None or not path.is_file() or first in sys.stdlib_module_names or name == "mlperf":
            return
        if any(path.is_relative_to(folder) for folder in INSTALLED):
            self.put(_version(first))
        else:
            self.file(path)

    def file(self, path: Path) -> None:
        """Add a local source file with everything that it imports, the machine and the protocol."""
        if path in self.files:
            return
        self.files.add(path)
        known = inputs(path)
        if known != inputs(path, measured=True):
            raise RuntimeError(f"{path} or what it imports was edited after it was loaded.")
        self.put(*(f"{name}={value}" for name, value in sorted(known.items())))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those of the functions and classes in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _global_names(code: CodeType) -> Iterator[str]:
    for inner in _codes(code):
        for instruction in dis.get_instructions(inner):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                yield instruction.argval


def _imported(code: CodeType) -> Iterator[str]:
    """Yield the modules that a function imports when it is called."""
    for inner in _codes(code):
        base = ""
        for instruction in dis.get_instructions(inner):
            if instruction.opname == "IMPORT_NAME":
                base = instruction.argval
                yield base
            elif instruction.opname == "IMPORT_FROM":
                # "from mlperf import MLPRegressor" loads the module that defines MLPRegressor.
                public = mlperf.PUBLIC.get(instruction.argval) if base == "mlperf" else None
                inside = public or f"{base}.{instruction.argval}"
                if _found(inside):
                    yield inside


def _found(name: str) -> Any:
    """Return the spec of a module, None if there is none. Its parent packages are imported for that."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


@cache
def _version(module: str) -> str:
    """Return the version of the installed package that a module belongs to."""
    told = getattr(sys.modules.get(module), "__version__", None)
    if isinstance(told, str):
        return told
    names = metadata.packages_distributions().get(module, [])
    return " ".join(f"{name} {metadata.version(name)}" for name in sorted(set(names)))
