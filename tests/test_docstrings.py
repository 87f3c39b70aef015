"""The reference says what happens: every public name shows an example, and every example runs."""

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The rooms of the reference, and the names that it shows of each: all, where it names none.
ROOMS = dict(re.findall(r"automodule:: (mlperf\.\w+)\n +:members:(.*)\n", (ROOT / "docs" / "api.rst").read_text()))
EXAMPLES = [
    example
    for path in sorted((ROOT / "mlperf").glob("*.py"))
    for example in doctest.DocTestFinder().find(import_module(f"mlperf.{path.stem}"))
    if example.examples
]


@pytest.mark.parametrize("room", ROOMS)
def test_every_function_and_class_of_the_reference_shows_an_example(room):
    shown = ROOMS[room].replace(",", " ").split()
    silent = [
        name
        for name, thing in vars(import_module(room)).items()
        if (name in shown if shown else not name.startswith("_"))
        and (inspect.isfunction(thing) or (inspect.isclass(thing) and not issubclass(thing, Exception)))
        and thing.__module__ == room
        and ">>>" not in (thing.__doc__ or "")
    ]
    assert silent == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_of_a_docstring_says_what_happens(example):
    said = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(example, out=said.append)
    assert not failed, "".join(said)
