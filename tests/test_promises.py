"""The page "What it promises" names tests that are there, at least one for each promise."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = (ROOT / "docs" / "promises.rst").read_text()
NAMED = sorted(set(re.findall(r"``(tests/[\w/]+\.py)::(\w+)``", PROMISES)))
# A line that is not indented, followed by one that is.
CASES = re.findall(r"^(\S.*)\n((?: {3}.*\n)+)", PROMISES, re.M)


@cache
def names_of_tests(path):
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_test_behind_a_promise_is_there(path, test):
    assert test in names_of_tests(path)


@pytest.mark.parametrize(("case", "promise"), CASES, ids=[case for case, _ in CASES])
def test_each_promise_names_a_test(case, promise):
    assert re.search(r"^ {3}[A-Z].*", promise), case
    assert "``tests/" in promise
