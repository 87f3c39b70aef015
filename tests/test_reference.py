"""What the pages say of the project is so: the tests that they name are there, and so is each role and option."""

import ast
import re
from functools import cache
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from mlperf.sphinxext import directives, roles

ROOT = Path(__file__).parents[1]
PROMISES = (ROOT / "docs" / "promises.rst").read_text()
METHOD = (ROOT / "docs" / "method.rst").read_text()
NAMED = sorted(set(re.findall(r"``(tests/[\w/]+\.py)::(\w+)``", PROMISES)))
# A line that is not indented, followed by one that is.
CASES = re.findall(r"^(\S.*)\n((?: {3}.*\n)+)", PROMISES, re.M)


@cache
def names_of_tests(path):
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def registered(part, kind):
    """Return what a part of the extension registers with Sphinx, by its name."""
    app = MagicMock()
    part.setup(app)
    return {call.args[0]: call.args[1] for call in getattr(app, kind).call_args_list}


ROLES = registered(roles, "add_role")
DIRECTIVES = registered(directives, "add_directive")
OPTIONS = {(name, option) for name, directive in DIRECTIVES.items() for option in directive.option_spec or {}}


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_test_behind_a_promise_is_there(path, test):
    assert test in names_of_tests(path)


@pytest.mark.parametrize(("case", "promise"), CASES, ids=[case for case, _ in CASES])
def test_each_promise_names_a_test(case, promise):
    assert re.search(r"^ {3}[A-Z].*", promise), case
    assert "``tests/" in promise


@pytest.mark.parametrize("role", sorted(ROLES))
def test_method_describes_each_role(role):
    assert re.search(rf"^   \* - ``:{role}:`", METHOD, re.M)


@pytest.mark.parametrize("directive", sorted(DIRECTIVES))
def test_method_describes_each_directive_with_an_example(directive):
    assert f"   .. {directive}:: " in METHOD
    assert re.search(rf"^``{directive}``\n   ", METHOD, re.M)


@pytest.mark.parametrize(("directive", "option"), sorted(OPTIONS))
def test_method_describes_each_option(directive, option):
    (described,) = re.findall(rf"^``{directive}``\n((?: {{3}}.*\n|\n)+)", METHOD, re.M)
    everywhere = METHOD[METHOD.index("Directives\n~~~") :].partition(".. code-block")[0]
    assert f"``:{option}:``" in described + everywhere
