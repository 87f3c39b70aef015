"""What is installed is whole, and needs no more than it declares."""

import ast
import importlib.metadata
import itertools
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mlperf

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {extra: [Requirement(line) for line in lines] for extra, lines in PROJECT["optional-dependencies"].items()}
PINS = {
    canonicalize_name(pin.name): pin
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
    for pin in [Requirement(line)]
}
# Which parts may import what is declared for an extra.
OF_EXTRA = {"sphinx": "sphinxext/", "rivals": "rivals/", "memory": "profilers/memory"}
BUILT_ON = {"docutils": "sphinx"}  # comes with it, in versions that it names
BUILD = """
from setuptools.build_meta import build_sdist, build_wheel
build_sdist("archives")
build_wheel("archives")
"""
# Runs a script with nothing but what is declared: whatever else is installed here cannot be imported.
ALONE = """
import importlib, importlib.metadata, json, re, runpy, sys

allowed, modules, script = json.loads(sys.argv[1])
owners = importlib.metadata.packages_distributions()


class Undeclared:
    def find_spec(self, name, path=None, target=None):
        names = {re.sub("[-_.]+", "-", owner).lower() for owner in owners.get(name.partition(".")[0], ())}
        if names and not names & set(allowed):
            raise ModuleNotFoundError(f"{name} is installed here, but not declared", name=name)


sys.meta_path.insert(0, Undeclared())
for module in modules:
    importlib.import_module(module)
assert sys.modules["mlperf"].__file__.startswith(sys.argv[2]), sys.modules["mlperf"].__file__
sys.argv[:] = [script]
runpy.run_path(script, run_name="__main__")
"""


def files_of_the_package():
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mlperf").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The folder in which a wheel and a source archive were built from a copy of what is there."""
    folder = tmp_path_factory.mktemp("source")
    for name in {"pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"} | files_of_the_package():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "tests").mkdir()
    (folder / "tests" / "test_something.py").write_text("")
    (folder / "archives").mkdir()
    built = subprocess.run([sys.executable, "-c", BUILD], cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "archives"


@pytest.fixture(scope="module")
def wheel(archives):
    (path,) = archives.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return importlib.metadata.PathDistribution(zipfile.Path(wheel, name).parent).metadata


def test_a_wheel_has_every_file_of_the_package_and_nothing_else(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == files_of_the_package()


def test_the_name_to_install_is_not_that_of_another_project_and_no_python_to_come_is_refused(metadata):
    assert metadata["Name"] == "mlperf-report"
    assert metadata["Version"] == mlperf.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    described = " ".join(metadata.get_payload().split())
    assert "The distribution `mlperf` on PyPI is another project with the same import name" in described


def test_the_description_says_on_which_systems_it_works(metadata):
    """Tried: torch has no builds for Macs with Intel processors; set-up and Makefile need a Unix."""
    described = " ".join(metadata.get_payload().split())
    assert "on Linux, on macOS with Apple silicon" in described
    assert "on Windows inside WSL" in described


def test_a_source_archive_has_the_package_and_no_tests_that_could_not_run(archives):
    """Tried: it had tests without what they need."""
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert files_of_the_package() | {"README.md", "LICENSE", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith("tests")]


def test_what_packaging_leaves_is_ignored():
    """Tried: `build/` and `dist/` showed as new files of the checkout."""
    assert {"/build/", "/dist/", "*.egg-info/"} <= set((ROOT / ".gitignore").read_text().splitlines())


def imported():
    """Return the distributions that each module imports, anywhere in it."""
    owners = importlib.metadata.packages_distributions()
    for name in sorted(files_of_the_package()):
        if not name.endswith(".py"):
            continue
        tops = set()
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Import):
                tops |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                tops.add(node.module.partition(".")[0])
        for top in tops - set(sys.stdlib_module_names) - {"mlperf"}:
            yield name, {canonicalize_name(owner) for owner in owners.get(top, [top])}


def test_everything_imported_is_declared():
    """`matplotlib` was imported by a package that did not declare it."""
    missing = []
    for name, owners in imported():
        allowed = {canonicalize_name(requirement.name) for requirement in DECLARED}
        for extra, part in OF_EXTRA.items():
            if name.startswith(f"mlperf/{part}"):
                allowed |= {canonicalize_name(requirement.name) for requirement in EXTRAS[extra]}
        if not allowed & {BUILT_ON.get(owner, owner) for owner in owners}:
            missing.append((name, owners))
    assert missing == []


def test_everything_declared_is_imported():
    """`py-cpuinfo` was declared and never used."""
    used = set().union(*(owners for _, owners in imported()))
    assert [requirement.name for requirement in DECLARED if canonicalize_name(requirement.name) not in used] == []


def test_everything_declared_is_pinned_within_its_range_but_the_rivals():
    of_extras = [requirement for extra in ("sphinx", "memory", "dask", "slurm") for requirement in EXTRAS[extra]]
    for requirement in [*DECLARED, *(one for one in of_extras if one.name != "paramiko")]:  # for a command of Dask's
        (pin,) = PINS[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "=="
        assert pin.version in requirement.specifier, requirement.name


def test_no_version_to_come_is_refused():
    """Tried: Python 3.14 was refused, though every pin resolves to wheels for it."""
    for requirement in itertools.chain(DECLARED, *EXTRAS.values()):
        assert {clause.operator for clause in requirement.specifier} <= {">="}, requirement.name


def closure(requirements):
    """Return the distributions that an installation of requirements brings along."""
    found, waiting = {"mlperf-report"}, [requirement.name for requirement in requirements]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    return sorted(found)


SCRIPT = """
from mlperf import measure, publish, read, seconds


def run(n):
    return {"seconds": seconds(lambda: sum(range(n)))}


runs = measure(run, processes=2, n=[1_000, 2_000])
publish("sums", runs=runs, sums=runs["seconds"])
print(read("sums")["sums"])
"""


def test_a_script_in_an_empty_folder_needs_no_more_than_what_is_declared(wheel, tmp_path):
    """Tried: matplotlib was missing where only the declared dependencies were installed."""
    wheel.extractall(tmp_path / "installed")
    modules = [
        re.sub(r"(/__init__)?\.py$", "", name).replace("/", ".")
        for name in sorted(files_of_the_package())
        if name.endswith(".py") and not name.startswith(("mlperf/sphinxext/", "mlperf/rivals/"))
    ]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sums.py").write_text(SCRIPT)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            ALONE,
            json.dumps([closure(DECLARED), modules, "sums.py"]),
            str(tmp_path / "installed"),
        ],
        cwd=tmp_path / "mine",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "MLPERF_RESULTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"sums.py", "results"}
