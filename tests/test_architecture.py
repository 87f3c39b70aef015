"""Imports point one way, importing a part loads no more than the part needs, and torch is used by its public names."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import mlperf

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PARTS = sorted(
    path.stem for path in (ROOT / "mlperf").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
)
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-logo', '--no-cache'])"


def lint(folder):
    return subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def package(tmp_path):
    """A package of the same parts, all of them empty but for the one import that the contracts let pass."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / "mlperf").mkdir()
    for part in PARTS:
        (tmp_path / "mlperf" / f"{part}.py").write_text("import torch\n" if part == "machine" else "")
    return tmp_path


def test_every_part_of_the_package_has_its_place_in_a_contract():
    placed = set()
    for contract in CONTRACTS:
        for layer in contract.get("layers", ()):
            placed |= set(layer.split(" | "))
        placed |= {name.removeprefix("mlperf.") for name in contract.get("source_modules", ())}
    assert set(PARTS) - {"__init__"} == placed


@pytest.mark.parametrize(
    "line",
    [
        "quantities: from mlperf import results",
        "quantities: from mlperf import machine",
        "results: import mlperf.profilers",
        "results: import mlperf.sphinxext",
        "profilers: import mlperf.sphinxext",
        "profilers: from mlperf.model import MLPRegressor",
        "profilers: import mlperf.training",
        "protocol: import mlperf.data",
        "training: import mlperf.model",
        "training: import mlperf.rivals",
        "rivals: import mlperf.training",
        "model: import mlperf.profilers",
        "training: import mlperf.results",
        "quantities: import torch",
        "results: import torch.nn",
        "sphinxext: def f(): import torch",
        "data: import torch",
    ],
)
def test_an_import_the_wrong_way_is_refused(package, line):
    part, statement = line.split(": ", maxsplit=1)
    (package / "mlperf" / f"{part}.py").write_text(statement + "\n")
    done = lint(package)
    assert done.returncode != 0
    assert "BROKEN" in done.stdout


def test_imports_the_right_way_are_accepted(package):
    for part, statement in {
        "results": "import mlperf.quantities, mlperf.machine, mlperf.protocol",
        "profilers": "import mlperf.results, mlperf.quantities, torch",
        "sphinxext": "import mlperf.results",
        "model": "import mlperf.training, torch",
        "rivals": "import mlperf.protocol, torch",
    }.items():
        (package / "mlperf" / f"{part}.py").write_text(statement + "\n")
    done = lint(package)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("mlperf", {"torch", "pandas", "numpy", "matplotlib"}),
        ("mlperf.protocol", {"torch", "pandas", "numpy"}),
        ("mlperf.quantities.quantity", {"torch"}),
        ("mlperf.results", {"torch", "pandas", "numpy"}),
        ("mlperf.results.reading", {"torch"}),
        ("mlperf.results.publishing", {"torch"}),
        ("mlperf.sphinxext", {"torch"}),
    ],
)
def test_what_is_not_needed_is_not_loaded(module, unwanted):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert unwanted & set(done.stdout.split()) == set()


@pytest.mark.parametrize("name", mlperf.PUBLIC)
def test_every_public_name_is_there(name):
    assert getattr(mlperf, name).__module__ == mlperf.PUBLIC[name]
    assert name in dir(mlperf)


def test_folder_of_results_has_its_public_names():
    from mlperf import results

    assert results.publish is mlperf.publish
    assert results.read is mlperf.read
    assert {"publish", "read"} <= set(dir(results))


@pytest.mark.parametrize("module", ["mlperf", "mlperf.results"])
def test_a_name_that_is_not_there_is_an_attribute_error(module):
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'mesure'"):
        importlib.import_module(module).mesure  # noqa: B018


USERS_OF_TORCH = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for folder in ("mlperf", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "torch" in path.read_text()
}
# What torch has no public way for, and where the reason is given.
WITHOUT_A_PUBLIC_WAY = {
    "torch._C._valgrind_toggle": "mlperf/profilers/instructions.py",
    "torch._C._valgrind_toggle_and_dump_stats": "mlperf/profilers/instructions.py",
}


def test_nothing_private_to_torch_is_used_but_what_it_has_no_public_way_for():
    """A newer torch moves and removes what is private. In the text, since children run code that is a string here."""
    found = {
        name: path
        for path, text in USERS_OF_TORCH.items()
        for name in re.findall(r"\btorch(?:\.\w+)*\._(?!_)[\w.]+", text)
    }
    assert found == WITHOUT_A_PUBLIC_WAY
    for path in WITHOUT_A_PUBLIC_WAY.values():
        assert re.search(r"# .*torch has no public way", USERS_OF_TORCH[path])


@pytest.mark.parametrize("path", USERS_OF_TORCH)
def test_what_is_imported_from_torch_is_what_it_exports(path):
    """`DeviceType` was taken from a module that only happens to have it."""
    for node in ast.walk(ast.parse(USERS_OF_TORCH[path])):
        if isinstance(node, ast.ImportFrom) and re.match(r"torch\b", node.module or ""):
            module = importlib.import_module(node.module)
            # What it does not have yet is one of its modules.
            things = {alias.name: getattr(module, alias.name, module) for alias in node.names}
            names = {name for name, thing in things.items() if not isinstance(thing, ModuleType)}
            assert not [name for name in names if name.startswith("_")]
            assert names <= set(getattr(module, "__all__", names)), node.module
