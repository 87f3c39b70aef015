"""The page "Make it yours" is carried out as it stands, and so is what CONTRIBUTING.md says of a new script."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "make_it_yours.rst").read_text()
BLOCK = re.compile(r"^\.\. code-block:: (?P<kind>\w+)\n(?P<options>(?: {3}:.*\n)*)\n(?P<body>(?:(?: {3}.*)?\n)+)", re.M)
FILES = {
    option[1]: dedent(block["body"])
    for block in BLOCK.finditer(PAGE)
    if (option := re.search(r":caption: (.+)", block["options"]))
}


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()

# As in a shell of a reader's, but on small settings.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("MLPERF_")}
ENVIRONMENT |= {"MLPERF_QUICK": "1", "PYTHONWARNINGS": "error"}


def carry_out(folder):
    """Run the page's commands in order, each file written where its folder is there."""
    said = ""
    for block in BLOCK.finditer(PAGE):
        caption = re.search(r":caption: (.+)", block["options"])
        if caption:
            (folder / "mine" / caption[1]).write_text(dedent(block["body"]))
        elif block["kind"] == "console" and "not-tested" not in block["options"]:
            commands = re.findall(r"^ {3}\$ (.+)$", block["body"], re.M)
            where = folder / "mine" if (folder / "mine").exists() else folder
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
    (folder / "docs").mkdir()
    (folder / "docs" / "_ext").symlink_to(ROOT / "docs" / "_ext")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder / "mine", carry_out(folder)


def test_its_commands_run_and_leave_the_results_that_it_names(carried_out):
    mine, _ = carried_out
    named = {"training_time.json", "my_models.json", "my_models.times.csv", "my_models.runs.svg"}
    assert named <= {path.name for path in mine.glob("results/*")}


def test_reading_the_result_back_says_verdict_and_statement(carried_out):
    _, said = carried_out
    assert re.search(r"(holds|does not hold|not distinguishable) - Boosting is fitted faster than a forest\. ", said)


def test_the_report_of_ones_own_shows_values_findings_figures_and_tables(carried_out):
    mine, _ = carried_out
    page = (mine / "report" / "_build" / "html" / "index.html").read_text()
    text = " ".join(BeautifulSoup(page, "html.parser").get_text().split())
    assert re.search(r"A forest takes \d[\d.]*\s[mµ]?s .*\. Divided by the time of boosting, this is \d[\d.]*×", text)
    assert "Boosting is fitted faster than a forest." in page
    assert "Time of one fit" in page
    assert re.search(r'<img alt="A forest takes \d[\d.]*× the time of boosting"', page)


def test_mistyped_name_fails_the_build_of_ones_own_report_and_suggests_the_nearest(carried_out):
    mine, _ = carried_out
    report = mine / "mistyped"
    report.mkdir()
    for name in ("conf.py", "index.rst"):
        (report / name).write_text((mine / "report" / name).read_text().replace("my_models.forest", "my_models.forst"))
    (report / "_ext").symlink_to(mine / "report" / "_ext")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "mistyped", "mistyped/_build"],
        cwd=mine,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode != 0
    assert "The nearest name is 'my_models.forest'." in built.stderr


@pytest.mark.parametrize("answered", [False, True])
def test_script_of_the_contributing_page_runs_and_publishes(answered, tmp_path):
    script, answer = re.findall(r"^```python\n(.*?)^```", CONTRIBUTING, re.M | re.S)
    if answered:
        script = script.replace('publish("my_question", tables={"runs": runs})\n', answer)
    (tmp_path / "plot_30_my_question.py").write_text(script)
    subprocess.run(
        [sys.executable, "plot_30_my_question.py"], cwd=tmp_path, env=ENVIRONMENT | {"MPLBACKEND": "agg"}, check=True
    )
    published = {path.name.removeprefix("my_question.") for path in tmp_path.glob("results/*")}
    assert published == {"json", "runs.csv"} | ({"times.csv", "runs.svg"} if answered else set())


def test_script_of_the_contributing_page_has_ten_lines_and_a_title():
    script = re.search(r"^```python\n(.*?)^```", CONTRIBUTING, re.M | re.S)[1]
    _, _, code = script.split('"""')
    assert len([line for line in code.splitlines() if line]) == 10


def test_contributing_page_names_every_room():
    rooms = {path.name for path in (ROOT / "mlperf").glob("*.py")} - {"__init__.py"}
    assert rooms - set(re.findall(r"\w+\.py", CONTRIBUTING)) == set()
