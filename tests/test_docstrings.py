"""The reference says what happens: it has every public name, each shows an example, and every example runs."""

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import mlperf

ROOT = Path(__file__).parents[1]
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs" / "api").glob("*.rst"))}
# The modules of the reference, and the names that it shows of each: all, where it names none.
DOCUMENTED = {
    module: names.replace(",", " ").split()
    for page in PAGES.values()
    for module, names in re.findall(r"automodule:: (mlperf[\w.]*)\n +:members:(.*)\n", page)
}
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "mlperf").rglob("*.py")
    if path.stem == "__init__" or not path.stem.startswith("_")
)
EXAMPLES = [
    example
    for module in MODULES
    for example in doctest.DocTestFinder(exclude_empty=True).find(import_module(module))
    if example.examples
]


@pytest.mark.parametrize("module", DOCUMENTED)
def test_every_function_of_the_reference_shows_an_example(module):
    shown = DOCUMENTED[module]
    silent = [
        name
        for name, thing in vars(import_module(module)).items()
        if (name in shown if shown else not name.startswith("_"))
        and inspect.isfunction(thing)
        and thing.__module__ == module
        and ">>> " not in (thing.__doc__ or "")
    ]
    assert silent == []


@pytest.mark.parametrize("name", sorted(mlperf.PUBLIC))
def test_public_name_shows_an_example(name):
    assert ">>> " in inspect.getdoc(getattr(mlperf, name))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_of_a_docstring_says_what_happens(example, tmp_path, monkeypatch):
    # Some write files to the current folder.
    monkeypatch.chdir(tmp_path)
    said = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF | doctest.ELLIPSIS).run(example, out=said.append)
    assert not failed, "".join(said)


def test_page_of_public_names_lists_each_of_them():
    listed = re.findall(r"^ {3}~(mlperf[\w.]*)\.(\w+)$", PAGES["public"], re.MULTILINE)
    assert {name: module for module, name in listed} == mlperf.PUBLIC


@pytest.mark.parametrize("name", sorted(mlperf.PUBLIC))
def test_public_name_leads_to_the_module_that_documents_it(name):
    # The code of the gallery imports it from the package, and is linked to what it is called there.
    page = next(page for page in PAGES.values() if f"automodule:: {mlperf.PUBLIC[name]}\n" in page)
    before, _ = page.split(f"automodule:: {mlperf.PUBLIC[name]}\n")
    section = before.rpartition("---\n")[2]
    named = re.search(r"py:(?:function|class):: ((?:\w+\s+)*?)" + rf"{name}\n(?: +\w+\n)*   :module: mlperf\n", section)
    assert named


@pytest.mark.parametrize(
    "folder", [path.name for path in (ROOT / "mlperf").iterdir() if (path / "__init__.py").exists()]
)
def test_each_folder_has_a_page_of_the_reference(folder):
    assert f"automodule:: mlperf.{folder}" in PAGES[folder]


@pytest.mark.parametrize("module", [path.stem for path in (ROOT / "mlperf").glob("[a-z]*.py")])
def test_each_module_beside_the_folders_is_in_the_reference(module):
    assert f"automodule:: mlperf.{module}\n" in PAGES["modules"]


@pytest.mark.parametrize("module", DOCUMENTED)
def test_fields_of_tuples_are_described_once(module):
    """A field has no docstring but Python's own, "Alias for field number 0": the class describes it."""
    (page,) = (page for page in PAGES.values() if f"automodule:: {module}\n" in page)
    options = page.split(f"automodule:: {module}\n")[1].partition("\n\n")[0]
    left_out = set(re.findall(r"\w+", options.partition(":exclude-members:")[2]))
    shown = DOCUMENTED[module]
    fields = {
        field
        for name, thing in vars(import_module(module)).items()
        if (name in shown if shown else not name.startswith("_"))
        and inspect.isclass(thing)
        and thing.__module__ == module
        for field in getattr(thing, "_fields", ())
    }
    assert fields - left_out == set()
