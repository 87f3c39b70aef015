"""The page "Make it yours" is carried out as it stands, and so is what CONTRIBUTING.md says of a new script."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from bs4 import BeautifulSoup
from gallery_scripts import shell

import mlperf

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "make_it_yours.rst").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
BLOCK = re.compile(r"^\.\. code-block:: (?P<kind>\w+)\n(?P<options>(?: {3}:.*\n)*)\n(?P<body>(?:(?: {3}.*)?\n)+)", re.M)

# As in a shell of a reader's, with the environment activated, but on small settings.
ENVIRONMENT = shell(
    MLPERF_QUICK="1",
    MPLBACKEND="agg",
    PATH=f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
    PYTHONWARNINGS="error",
)


def changed(source, patch):
    """Return a text with the changes of a patch made, whose parts are set apart by a line "@@"."""
    for part in patch.split("@@\n"):
        lines = part.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
        assert source.count(before) == 1, f"This is not in the script, or not only once:\n{before}"
        source = source.replace(before, after)
    return source


def carry_out(folder, page=PAGE):
    """Run the page's commands in order, each file written or changed where its folder is there."""
    said = ""
    for block in BLOCK.finditer(page):
        caption = re.search(r":caption: (.+)", block["options"])
        where = folder / "mine" if (folder / "mine").exists() else folder
        body = dedent(block["body"]).rstrip("\n") + "\n"
        if caption:
            file = where / caption[1]
            file.write_text(changed(file.read_text(), body) if block["kind"] == "diff" else body)
        elif block["kind"] == "console" and "not-tested" not in block["options"]:
            commands = re.findall(r"^\$ (.+)$", body, re.M)
            done = subprocess.run(
                ["bash", "-euc", "\n".join(commands)],
                cwd=where,
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
            said += done.stdout
    return said


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder / "mine", carry_out(folder)


def text_of(page):
    """Return what a page says."""
    parsed = BeautifulSoup(page.read_text(), "html.parser")
    return " ".join(parsed.find("div", role="main").get_text().split())


def test_its_commands_run_and_leave_the_results_that_it_names(carried_out):
    mine, _ = carried_out
    named = {"training_time.json", "my_classifiers.json", "my_classifiers.fit.csv", "my_classifiers.times.svg"}
    assert named | {"my_numbers.json"} <= {path.name for path in mine.glob("results/*")}


def test_what_a_script_found_is_said_on_the_terminal(carried_out):
    _, said = carried_out
    assert "Published my_classifiers in results." in said
    assert "✓ holds: The new version is faster: 1.36× (" in said


def test_results_that_are_read_back_show_themselves(carried_out):
    _, said = carried_out
    assert "Result 'my_classifiers', measured 20" in said
    assert re.search(r"^\d[\d.,]*×", said, re.M)
    assert re.search(r"^validation +\d\.\d+$", said, re.M)
    assert re.search(r"^(✓ holds|✗ does not hold|≈ undecided): .*forest.*tree", said, re.M)


def test_three_classifiers_take_at_most_fifteen_changed_lines():
    (patch,) = (block["body"] for block in BLOCK.finditer(PAGE) if block["kind"] == "diff")
    lines = dedent(patch).splitlines()
    # A line that is edited is one that goes and one that comes.
    assert 0 < sum(line.startswith("+") for line in lines) <= 15
    assert sum(line.startswith("-") for line in lines) <= 15


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """What the section on a report of one's own makes, by itself, of an empty folder."""
    folder = tmp_path_factory.mktemp("empty")
    carry_out(folder, PAGE[PAGE.index(".. _own-report:") :])
    return folder


@pytest.mark.parametrize("name", ["index.html", "restructured.html"])
def test_report_of_ones_own_begins_in_an_empty_folder_and_shows_values_claims_figures_and_tables(name, own):
    page = own / "report" / "_build" / "html" / name
    text = text_of(page)
    assert re.search(r"A run takes 1\.9\d*\s?s \(.*\) with the old version, 1\.4\d*\s?s \(.*\) with the new one", text)
    assert "The new version is faster: 1.36× (" in text
    assert "The first runs." in text
    # A page that no other leads to has no numbers.
    assert ("Fig. 1 Bars are medians" in text) == (name == "index.html")
    assert 'alt="The new version is 1.36× as fast"' in page.read_text()
    assert re.search(r"The new version is faster\..*✓\sholds", text)


def test_both_formats_give_the_same_page(own):
    html = own / "report" / "_build" / "html"
    pages = (html / name for name in ("index.html", "restructured.html"))
    markdown, rst = (re.sub(r"(Fig\.|Table) \d+ ", "", text_of(page)) for page in pages)
    assert rst == markdown


def test_mistyped_name_fails_the_build_of_ones_own_report_and_suggests_the_nearest(own):
    report = own / "mistyped"
    report.mkdir()
    for name in ("conf.py", "index.md", "restructured.rst"):
        text = (own / "report" / name).read_text()
        (report / name).write_text(text.replace("my_numbers.time[old]", "my_numbers.tmie[old]"))
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "mistyped", "mistyped/_build"],
        cwd=own,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode != 0
    assert built.stderr.count("The nearest name is 'my_numbers.time'.") == 2


@pytest.mark.parametrize("answered", [False, True], ids=["measured", "answered"])
def test_script_of_the_contributing_page_runs_and_publishes(answered, tmp_path):
    script, answer = re.findall(r"^```python\n(.*?)^```", CONTRIBUTING, re.M | re.S)
    if answered:
        body, _, _ = script.partition("publish(")
        script = body + answer
    (tmp_path / "plot_30_my_question.py").write_text(script)
    subprocess.run([sys.executable, "plot_30_my_question.py"], cwd=tmp_path, env=ENVIRONMENT, check=True)
    published = {path.name.removeprefix("my_question.") for path in tmp_path.glob("results/*")}
    assert published == {"json", "fit.csv"} | (
        {"runs.csv", "longer.csv", "bars.svg", "bars.pdf"} if answered else set()
    )


def test_script_of_the_contributing_page_has_ten_lines_at_most_and_a_title():
    script = re.search(r"^```python\n(.*?)^```", CONTRIBUTING, re.M | re.S)[1]
    _, text, code = script.split('"""')
    assert text.splitlines()[1].endswith("?")
    assert len([line for line in code.splitlines() if line]) <= 10


def test_contributing_page_names_every_folder_and_module_of_the_package():
    package = ROOT / "mlperf"
    folders = {f"mlperf/{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.name for path in package.glob("[a-z]*.py")}
    named = set(re.findall(r"`(mlperf/\w+/|(?:mlperf/)?\w+\.py)`", CONTRIBUTING))
    assert {*folders, *modules} <= {name.removeprefix("mlperf/") if name.endswith(".py") else name for name in named}


README = (ROOT / "README.md").read_text()


def test_readme_has_under_a_hundred_lines():
    assert len(README.splitlines()) < 100


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_what_the_first_pages_name_is_there(text):
    paths = re.findall(r"`((?:docs|examples|mlperf|tests|\.ci)/[\w./]*)`|\]\(([\w./]+)\)", text)
    named = {"".join(path) for path in paths} - {"examples/plot_30_my_question.py"}
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"make ([a-z]+)", re.sub(r"`make`", "", text))) <= set(targets)


def test_estimator_of_the_readme_trains():
    (code,) = re.findall(r"^ {4}(from mlperf import MLPRegressor\n(?:(?: {4}.*)?\n)+)", README, re.M)
    X, y, *_ = mlperf.generate_samples(100)
    exec(dedent(f"    {code}"), {"X": X, "y": y})


def test_measured_quantities_of_the_readme_are_what_they_say():
    (code,) = re.findall(r"^ {4}(runs = measure.*\n(?:(?: {4}.*)?\n)+)", README, re.M)
    names = {name: getattr(mlperf, name) for name in ("measure", "claim")}
    settings = {"run": lambda model: {"fit_seconds": 1.0 + len(model)}, "MODELS": ["torch", "scikit-learn"]}
    exec(dedent(f"    {code}"), {**names, **settings, "TIMED": {"processes": 1, "fresh": False}})
