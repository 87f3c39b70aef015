"""Where a result comes from: what its script depends on, and what of it has moved since."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from mlperf import protocol
from mlperf.machine import fingerprint

PACKAGE = Path(__file__).parent
EDITED = "sha256: edited while it was measured"
_STARTED = time.time_ns()


def inputs(script: str | Path, *, measured: bool = False) -> dict[str, str]:
    """Return everything that a script's result depends on.

    Parameters
    ----------
    script : str or Path
        A Python file.
    measured : bool, default=False
        Whether the result comes from this process. A file that was edited since the process started is then not
        what was measured, and gets a digest that no file has: the result is out of date from the start.

    Returns
    -------
    dict of str
        The machine and its threads, the protocol, the version of every package that the script imports, itself
        or through `mlperf` and the modules beside it; and a digest for the script and each of those modules. A
        digest ignores comments, docstrings and layout: none of them moves a number.
    """
    script = Path(script)
    known = {**fingerprint(), "threads": str(protocol.THREADS), "protocol": protocol.MODE}
    for path in _sources(script):
        name = f"mlperf/{path.relative_to(PACKAGE).as_posix()}" if path.is_relative_to(PACKAGE) else path.name
        known[name] = EDITED if measured and path.stat().st_mtime_ns > _STARTED else _contents(path).digest
        for first in {module.partition(".")[0] for module in _contents(path).imports}:
            if not (script.parent / f"{first}.py").is_file():
                known.update(_version(first))
    return known


def moved(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """Say what differs between the inputs of a result and those of today, empty if nothing does.

    Examples
    --------
    >>> moved({"torch": "2.12.0", "model.py": "sha256:1"}, {"torch": "2.13.0", "model.py": "sha256:2"})
    ['torch 2.12.0 → 2.13.0', 'model.py']
    """
    found = []
    for name in dict.fromkeys([*then, *now]):
        old, new = then.get(name, "none"), now.get(name, "none")
        if old != new:
            digest = "sha256:" in old + new
            found.append(name if digest else f"{name} {old} → {new}")
    return found


def provenance(script: str | Path) -> dict[str, Any]:
    """Return when, where and with what a result was measured, ready for JSON."""
    script = Path(script)
    constants = {name: value for name, value in vars(protocol).items() if name.isupper()}
    return {
        "script": script.name if script.is_file() else None,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": fingerprint(),
        "protocol": json.loads(json.dumps(constants, default=str)),
        "commit": _commit(script.parent),
    }


def published_names(script: str | Path) -> list[str]:
    """Return the names of the results that a script publishes, read from its calls of `publish`."""
    return _contents(Path(script)).published


class _Contents(NamedTuple):
    """What is read from a file: a digest, the modules that it imports, the results that it publishes."""

    digest: str
    imports: list[str]
    published: list[str]


def _contents(path: Path) -> _Contents:
    return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, _modified: int) -> _Contents:
    if path.suffix != ".py":
        return _Contents("sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(), [], [])
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    imports = list(dict.fromkeys(_imports(tree, PACKAGE.name if path.is_relative_to(PACKAGE) else "")))
    published = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="publish"), args=[ast.Constant(value=str(name)), *_]):
                published.append(name)
            case object(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_]):
                docstring.value = ""
    return _Contents("sha256:" + hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports, published)


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the modules that a file of a package imports, also those imported inside its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}.{node.module or ''}".strip(".") if node.level else str(node.module)
            yield base
            # "from mlperf.quantities import intervals" names a module, "from mlperf.quantities.intervals import ratio" does not: no such file.
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(rf"{PACKAGE.name}(\.\w+)+", str(node.value)):
            yield str(node.value)


def _sources(script: Path) -> Iterator[Path]:
    """Yield the script and every module of ours that it imports, directly or not."""
    queue, seen = [script], set()
    while queue:
        path = queue.pop(0)
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        yield path
        for module in _contents(path).imports:
            first, *rest = module.split(".")
            if first == PACKAGE.name:
                queue += [PACKAGE / "__init__.py", PACKAGE.joinpath(*rest).with_suffix(".py")]
                # A style sheet is named like a module: plt.style.use("mlperf.report").
                queue += [PACKAGE.joinpath(*rest).with_suffix(".mplstyle")]
            else:
                queue.append(script.parent / f"{first}.py")


_distributions = cache(metadata.packages_distributions)


@cache
def _version(module: str) -> dict[str, str]:
    """Return the version of the package that a module belongs to; nothing for Python's own and for ours."""
    if module in sys.stdlib_module_names or module == PACKAGE.name:
        return {}
    names = _distributions().get(module)
    return {name: metadata.version(name) for name in sorted(set(names))} if names else {module: "not installed"}


@cache
def _commit(folder: Path) -> str | None:
    """Return the commit checked out in a folder, with a plus sign if its files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
