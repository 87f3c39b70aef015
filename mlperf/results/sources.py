"""What a script imports and publishes, determined without running it."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import mlperf

PACKAGE = Path(mlperf.__file__).parent
# Parts of this package that store and show numbers, but compute none: no result depends on them.
CARRIERS = ("mlperf/__init__.py", "mlperf/results/", "mlperf/sphinxext/")

_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_DEPENDS = re.compile(r"^[ \t]*#[ \t]*mlperf:[ \t]*depends on[ \t]+(.+?)[ \t]*$", re.MULTILINE)
_ONLY_FULL = re.compile(r"^#[ \t]*mlperf:[ \t]*only in a full build[ \t]*$", re.MULTILINE)
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


class Source(NamedTuple):
    """A file that a result depends on: its name among the inputs, its path, and the package that it is in."""

    name: str
    path: Path
    package: str = ""


class Contents(NamedTuple):
    """What a file contains, as far as it matters for results.

    Attributes
    ----------
    digest : str
        The digest of the file; of Python code, the digest of its syntax alone.
    imports : tuple of str
        The imported modules, and the names imported from them, as dotted names.
    published : tuple of str
        The names of the results that it publishes.
    data : tuple of str
        The data files that it declares.
    problem : str
        Why it cannot be read, or what cannot be determined without running it; empty if there is no problem.
    only_full : bool
        Whether it says that only full builds run it.
    """

    digest: str
    imports: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    problem: str = ""
    only_full: bool = False


def published_names(script: str | Path) -> list[str]:
    """Return the names of the results that a script publishes, according to its calls of `publish`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from mlperf.results.sources import published_names
    >>> with TemporaryDirectory() as folder:
    ...     script = Path(folder, "plot_fits.py")
    ...     written = script.write_text("import mlperf; mlperf.publish('my_fits', n=3)")
    ...     published_names(script)
    ['my_fits']
    """
    return list(contents(Path(script)).published)


def problem_of(script: str | Path) -> str:
    """Return what is wrong with a script, as a sentence; empty if nothing is.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from mlperf.results.sources import problem_of
    >>> with TemporaryDirectory() as folder:
    ...     script = Path(folder, "plot_fits.py")
    ...     written = script.write_text("print('Hello)")
    ...     problem_of(script)
    'plot_fits.py cannot be read as Python: unterminated string literal (detected at line 1) (line 1).'
    """
    problem = contents(Path(script)).problem
    return f"{Path(script).name} {problem}." if problem else ""


def sources(script: Path) -> Iterator[Source]:
    """Yield the script and every local module that it imports, directly or indirectly."""
    queue, seen, asked = [Source(script.name, script)], set(), set()
    while queue:
        source = queue.pop(0)
        if source.path in seen or not source.path.is_file():
            continue
        seen.add(source.path)
        yield source
        for module in contents(source.path, source.package).imports:
            if module not in asked:  # most modules are imported by many files
                asked.add(module)
                queue += locate(module, script.parent)


def locate(module: str, folder: Path) -> list[Source]:
    """Return the local files that run when a module is imported, including the packages that it is in.

    Parameters
    ----------
    module : str
        The name of a module, "helpers.plots", or of something in it, "helpers.plots.bars".
    folder : Path
        The folder of the script, which is searched first, as Python does.

    Returns
    -------
    list of Source
        Empty for the standard library and for installed packages.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mlperf.results.sources import locate
    >>> [source.name for source in locate("mlperf.claim", Path())]
    ['mlperf/quantities/__init__.py', 'mlperf/quantities/claims.py']
    """
    first, *rest = module.split(".")
    root = _root(first, folder)
    if root is None:
        return []
    if first == "mlperf" and rest and rest[0] in mlperf.PUBLIC and not (PACKAGE / rest[0]).exists():
        first, *rest = mlperf.PUBLIC[rest[0]].split(".")
    found, path, package = [], root / first, first
    for part in [*rest, ""]:
        if (path / "__init__.py").is_file():
            found.append((path / "__init__.py", package))
        elif not path.is_dir():
            # A style sheet is named like a module, as in plt.style.use("mlperf.quantities.report").
            files = [path.with_name(f"{path.name}{ending}") for ending in (".py", ".mplstyle")]
            found += [(file, package.rpartition(".")[0]) for file in files if file.is_file()]
            break
        path, package = path / part, f"{package}.{part}"
    named = [Source(file.relative_to(root).as_posix(), file, package) for file, package in found]
    return [source for source in named if not source.name.startswith(CARRIERS)]


def is_own(module: str, folder: Path) -> bool:
    """Return whether a module is local: beside the script, or installed in editable mode."""
    return _root(module, folder) is not None


def contents(path: Path, package: str = "") -> Contents:
    """Return what a file contains; each version of a file is read once."""
    about = path.stat()
    return _contents(path, package, (about.st_mtime_ns, about.st_ctime_ns, about.st_size))


@cache
def _contents(path: Path, package: str, _version: tuple[int, ...]) -> Contents:
    content = path.read_bytes()
    plain = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if path.suffix == ".mplstyle":
        return Contents(_digest(_settings(path)))
    if path.suffix != ".py":
        return Contents(plain)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
        nodes = list(ast.walk(tree))
        text = content.decode("utf-8-sig", "replace")
        data = tuple(dict.fromkeys(_DEPENDS.findall(text)))
        names, unknown = _published(nodes)
        problem = f"publishes in line {unknown} under a name that is not a literal, so that the report cannot find it"
        digest = _digest(_syntax(tree))
        return Contents(
            digest,
            tuple(_imports(nodes, package)),
            tuple(names),
            data,
            problem if unknown else "",
            _ONLY_FULL.search(text) is not None,
        )
    except _UNREADABLE as error:
        place = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        return Contents(plain, problem=f"cannot be read as Python: {said}{place}")


def _digest(value: Any) -> str:
    return f"sha256:{hashlib.sha256(ascii(value).encode()).hexdigest()}"


def _settings(path: Path) -> dict[str, str]:
    """Return the settings of a style sheet, without comments."""
    from matplotlib import rc_params_from_file

    return {key: ascii(value) for key, value in rc_params_from_file(path, use_default_template=False).items()}


def _syntax(node: Any) -> Any:
    """Return the syntax of a file without docstrings, in a form that is the same for all versions of Python."""
    if isinstance(node, list):
        return [_syntax(one) for one in node]
    if not isinstance(node, ast.AST):
        return ascii(node)
    if isinstance(node, ast.JoinedStr):
        return "JoinedStr", _joined(node.values)
    held = dict(ast.iter_fields(node))
    body = held.get("body")
    if isinstance(body, list) and not isinstance(node, ast.If | ast.For | ast.While) and body and _is_text(body[0]):
        held["body"] = body[1:]
    # Versions differ in which fields they have; the additional ones are empty.
    kept = [(name, _syntax(value)) for name, value in held.items() if value not in (None, []) and name != "kind"]
    return type(node).__name__, kept


def _joined(parts: list[ast.expr]) -> list[Any]:
    """Return the parts of an f-string; versions of Python split its text differently."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, ast.Constant) and joined and isinstance(joined[-1], str):
            joined[-1] += str(part.value)
        else:
            joined.append(str(part.value) if isinstance(part, ast.Constant) else _syntax(part))
    return [part for part in joined if part != ""]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imports(nodes: Sequence[ast.AST], package: str) -> list[str]:
    """Return the modules that a file imports, including those imported inside functions."""
    found: list[str] = []
    ours = {"mlperf"}
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
            ours |= {alias.asname for alias in node.names if alias.name == "mlperf" and alias.asname}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            # "from mlperf.quantities import units" imports a module, "from mlperf.quantities.units import written"
            # something in a module.
            names = [alias.name for alias in node.names]
            found += [base, *(f"{base}.{name}" for name in (mlperf.PUBLIC if names == ["*"] else names))]
        elif isinstance(node, ast.Constant) and re.fullmatch(r"mlperf(\.\w+)+", str(node.value)):
            found.append(str(node.value))
    # "import mlperf", and then "mlperf.measure(...)".
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ours:
            found.append(f"mlperf.{node.attr}")
    return list(dict.fromkeys(name for name in found if name))


def _published(nodes: Sequence[ast.AST]) -> tuple[list[str], int]:
    """Return the names of the published results, and the line of a name that is not a literal, or 0."""
    bound = {"publish": "mlperf.publish", "mlperf": "mlperf"}
    for node in nodes:
        if isinstance(node, ast.Import):
            bound |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            bound |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    names, unknown = [], 0
    for node in nodes:
        if not isinstance(node, ast.Call) or not _is_publish(node.func, bound):
            continue
        given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "name")]
        match given:
            case [ast.Constant(value=str(name))]:
                names.append(name)
            case [_]:
                unknown = unknown or node.lineno
    return list(dict.fromkeys(names)), unknown


def _is_publish(function: ast.expr, bound: dict[str, str]) -> bool:
    """Return whether a call is one of mlperf's `publish`, however that was imported."""
    parts = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name) or function.id not in bound:
        return False
    called = [bound[function.id], *reversed(parts)]
    return called[0].partition(".")[0] == "mlperf" and ".".join(called).endswith(".publish")


def _root(module: str, folder: Path) -> Path | None:
    """Return the folder that contains a local module; None if the module is not local."""
    if module == "mlperf":
        return PACKAGE.parent
    if (folder / f"{module}.py").is_file() or (folder / module).is_dir():
        return folder
    return None if module in sys.stdlib_module_names else _editable(module)


@cache
def _editable(module: str) -> Path | None:
    """Return the folder that contains a module installed in editable mode; None for others."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    places = [*(spec.submodule_search_locations or []), spec.origin or ""] if spec else []
    path = Path(places[0]).resolve() if places and places[0] else None
    if path is None or not path.exists() or any(path.is_relative_to(folder) for folder in _INSTALLED):
        return None
    return path.parent
