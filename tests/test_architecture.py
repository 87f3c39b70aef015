"""Imports point one way, and importing a part loads no more than the part needs."""

import subprocess
import sys
import tomllib
from pathlib import Path

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


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        mlperf.mesure  # noqa: B018
