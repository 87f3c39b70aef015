"""What a script consists of is read without running it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mlperf
from mlperf.results import sources as module
from mlperf.results.sources import contents, locate, problem_of, published_names, sources

ROOT = Path(mlperf.__file__).parents[1]


@pytest.fixture
def script(tmp_path):
    """Write a script, and files beside it; return its path."""

    def written(text, **files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        path = tmp_path / "plot_fits.py"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def names(script):
    return [source.name for source in sources(script)]


@pytest.mark.parametrize(
    "text",
    [
        "from mlperf import measure",
        "from mlperf import measure as m",
        "import mlperf\nmlperf.measure(1)",
        "import mlperf as mp\ndef f():\n    return mp.measure",
        "from mlperf.profilers.measure import measure",
        "from mlperf.profilers import measure",
        "import mlperf.profilers.measure as m",
        "from mlperf import *",
    ],
)
def test_public_name_leads_to_the_module_that_defines_it(script, text):
    found = names(script(text))
    assert {"plot_fits.py", "mlperf/profilers/measure.py", "mlperf/quantities/runs.py"} <= set(found)


def test_what_is_not_imported_is_no_source(script):
    found = names(script("from mlperf import exact"))
    assert "mlperf/quantities/quantity.py" in found
    assert not [name for name in found if "profilers" in name or "training" in name]


def test_what_carries_numbers_and_makes_none_is_no_source(script):
    """Else a change of how results are written would measure everything anew."""
    found = names(script("from mlperf import measure, publish, read\nimport mlperf.sphinxext"))
    assert not [name for name in found if name.startswith(("mlperf/results/", "mlperf/sphinxext/"))]
    assert "mlperf/__init__.py" not in found


def test_packages_beside_the_script_are_sources(script):
    path = script(
        "from own.deep.work import run\nimport helper\nfrom space import thing",
        **{
            "own/__init__.py": "from .tools import hammer",
            "own/tools.py": "import json",
            "own/deep/__init__.py": "",
            "own/deep/work.py": "from ..tools import hammer\nfrom . import near\nfrom ... import too_far",
            "own/deep/near.py": "",
            "own/unused.py": "",
            "helper.py": "import plot_fits",
            "space/thing.py": "",
        },
    )
    assert sorted(names(path)) == [
        "helper.py",
        "own/__init__.py",
        "own/deep/__init__.py",
        "own/deep/near.py",
        "own/deep/work.py",
        "own/tools.py",
        "plot_fits.py",
        "space/thing.py",
    ]


def test_packages_installed_in_editable_mode_are_sources(script, tmp_path, monkeypatch):
    for name, text in {"__init__.py": "from .core import run", "core.py": ""}.items():
        path = tmp_path / "elsewhere" / "freshly_edited" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    found = names(script("import freshly_edited, numpy, json, no_such_thing"))
    assert found == ["plot_fits.py", "freshly_edited/__init__.py", "freshly_edited/core.py"]


def test_installed_packages_and_those_of_python_are_no_sources(tmp_path):
    assert [locate(name, tmp_path) for name in ("numpy.linalg", "json.decoder", "no_such_thing", "")] == [
        [],
        [],
        [],
        [],
    ]


def test_style_sheet_is_a_source_and_its_comments_are_not(script, tmp_path, monkeypatch):
    """Reported: a comment in the style sheet ran all scripts again."""
    package = tmp_path / "there" / "mlperf"
    package.mkdir(parents=True)
    style = package / "report.mplstyle"
    style.write_text("font.size: 9\naxes.prop_cycle: cycler('color', ['336699'])\n")
    monkeypatch.setattr(module, "PACKAGE", package)
    path = script('import matplotlib.pyplot as plt\nplt.style.use("mlperf.report")')
    assert names(path) == ["plot_fits.py", "mlperf/report.mplstyle"]
    before = contents(style).digest
    style.write_text("# A comment.\nfont.size: 9  # points\naxes.prop_cycle: cycler('color', ['336699'])\n")
    assert contents(style).digest == before
    style.write_text("font.size: 10\naxes.prop_cycle: cycler('color', ['336699'])\n")
    assert contents(style).digest != before


CODE = '''"""Say."""
x = 1


class A:
    """Hold."""

    def f(self):
        """Do."""
        return f"te{x:>{x}}xt"
'''


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (CODE.replace("Say", "Said").replace("Do", "Done").replace("Hold", "Held"), True),
        (CODE.replace('"""Say."""\n', ""), True),
        (CODE.replace("x = 1", "x = (1)  # one"), True),
        (CODE.replace("\n\n\n", "\n"), True),
        ("\ufeff" + CODE, True),
        (CODE.replace("\n", "\r\n"), True),
        (CODE.replace("x = 1", "x = 2"), False),
        (CODE.replace("x = 1", "x = 1.0"), False),
        (CODE.replace("te{", "Te{"), False),
        (CODE.replace("xt", "xT"), False),
        (CODE.replace("class A", "class B"), False),
        (CODE.replace("x = 1", "x = '1'"), False),
    ],
)
def test_comments_docstrings_and_layout_do_not_count_but_code_does(script, other, same):
    before = contents(script(CODE)).digest
    assert (contents(script(other)).digest == before) == same


def test_text_that_is_no_docstring_counts(script):
    assert contents(script("if x:\n    'a'\n")).digest != contents(script("if x:\n    'b'\n")).digest


def test_digests_are_the_same_for_each_version_of_python(tmp_path):
    """Reported: ``ast.dump`` differs between versions, so that a comparison across them named every module."""
    others = [path for path in sorted(Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python")) if path.exists()]
    code = (
        "import ast, hashlib, json, re, sys, types\n"
        "text = open(sys.argv[1]).read()\n"
        "parts = re.findall(r'^(?:def (?:_digest|_syntax|_joined|_is_text)\\(.*?)(?=^def |^@)', text, re.S | re.M)\n"
        "scope = {'ast': ast, 'hashlib': hashlib}\n"
        "exec('from __future__ import annotations\\n' + ''.join(parts), scope)\n"
        "found = {f: scope['_syntax'](ast.parse(open(f, 'rb').read())) for f in sys.argv[2:]}\n"
        "print(json.dumps({file: scope['_digest'](syntax) for file, syntax in found.items()}))"
    )
    odd = tmp_path / "odd.py"
    odd.write_text(CODE + 'y = f"{x!r:{x}.{x}}" f"a{{b" "c" u"d" rf"\\d{x=}"\ntry: pass\nexcept* ValueError: pass\n')
    files = [str(path) for path in [*sorted(ROOT.glob("mlperf/results/*.py")), odd]]
    found = [
        json.loads(
            subprocess.run([python, "-c", code, module.__file__, *files], capture_output=True, check=True).stdout
        )
        for python in [sys.executable, *others]
    ]
    assert found[0] == {file: contents(Path(file)).digest for file in files}
    assert all(one == found[0] for one in found)
    # Whichever version runs these tests: the oldest and the newest have computed this.
    assert found[0][str(odd)] == "sha256:1363198b911116c1804c19d11e982d2a450bd2b4eb56f65f70cbae1e42b3218a"


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ('from mlperf import publish\npublish("fits", n=1)', ["fits"]),
        ('from mlperf import publish\npublish(n=1, name="fits")', ["fits"]),
        ('import mlperf\nmlperf.publish("fits")\nmlperf.publish("more")', ["fits", "more"]),
        ('import mlperf as mp\nmp.publish("fits")', ["fits"]),
        ('from mlperf import publish as write\nwrite("fits")', ["fits"]),
        ('from mlperf import results\nresults.publish("fits")', ["fits"]),
        ('from mlperf.results import publish\npublish("fits")', ["fits"]),
        ('import mlperf.results as results\nresults.publish("fits")', ["fits"]),
        ('from mlperf import results\nresults.publishing.publish("fits")', ["fits"]),
        ('from mlperf.results import publishing\npublishing.publish("fits")', ["fits"]),
        ('import mlperf.results.publishing\nmlperf.results.publishing.publish("fits")', ["fits"]),
        ('def f():\n    from mlperf import publish\n    publish("fits")', ["fits"]),
        ('import paho\npaho.publish("topic")', []),
        ('from paho import publish\npublish("topic")', []),
        ('client.publish("topic")', []),
        ('"publish(\'x\')"  # publish("y")', []),
    ],
)
def test_names_of_results_are_read_from_calls_of_publish(script, text, published):
    """Tried: ``publish(name="x")`` was not seen."""
    path = script(text)
    assert published_names(path) == published
    assert problem_of(path) == ""


def test_computed_name_is_told(script):
    """Tried: results with computed names were not seen, and their scripts never run again."""
    path = script('from mlperf import publish\nNAME = "fits"\npublish(NAME)\npublish("more")')
    assert published_names(path) == ["more"]
    assert problem_of(path) == (
        "plot_fits.py publishes in line 3 under a name that is not a literal, so that the report cannot find it."
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def f(:\n", "plot_fits.py cannot be read as Python: invalid syntax (line 1)."),
        # Its words differ between versions of Python.
        (b"x = '\xff'\n", "plot_fits.py cannot be read as Python: "),
        (b"x = 1\0", "plot_fits.py cannot be read as Python: source code string cannot contain null bytes"),
        ("(" * 5_000, "plot_fits.py cannot be read as Python: too many nested parentheses"),
        ("-" * 200_000 + "1", "plot_fits.py cannot be read as Python: "),
    ],
)
def test_script_that_is_no_python_is_told_in_a_sentence_and_has_a_digest(script, text, problem):
    path = script(text)
    assert problem_of(path).startswith(problem)
    assert published_names(path) == []
    assert contents(path).digest.startswith("sha256:")


def test_odd_escapes_in_a_script_are_no_warnings(script):
    assert problem_of(script("x = '\\d'")) == ""


def test_script_with_a_byte_order_mark_is_read(script):
    assert published_names(script(b"\xef\xbb\xbffrom mlperf import publish\npublish('fits')\n")) == ["fits"]


def test_script_that_was_changed_is_read_anew(script):
    assert published_names(script("from mlperf import publish\npublish('a')")) == ["a"]
    assert published_names(script("from mlperf import publish\npublish('b')")) == ["b"]
