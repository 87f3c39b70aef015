"""A small report shows what was published, refuses what is broken, and re-runs what is out of date."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from textwrap import dedent

import pandas
import psutil
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from sphinx.cmd.build import build_main

from mlperf import protocol
from mlperf.quantities.claims import check, judge
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import Estimate
from mlperf.quantities.units import duration, number

EXTENSIONS = Path(__file__).parents[1] / "docs" / "_ext"

CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["published"]
numfig = True
mlperf_results = "../results"
"""

PAGE = """
Report
======

A fit takes :value:`fits.large`, roughly :value:`fits.large short`; that it is quick :verdict:`fits.quick`.

.. results-table:: fits.summary
   :name: the-times
   :unit: seconds

   How long a fit takes

.. results-figure:: fits.bars
   :name: the-bars

   Time by model

See :numref:`the-times` and :numref:`the-bars`.

.. finding:: fits.quick

.. findings::

   All findings
"""


def fits(monkeypatch, folder, *, seconds=10.0, processor=None):
    """Publish a small result as a script would."""
    monkeypatch.setenv("MLPERF_RESULTS", str(folder))
    large = duration(Estimate(seconds, 0.9 * seconds, 1.1 * seconds))
    figure = Figure()
    figure.subplots().set_title("Large takes longest")
    if processor:
        from mlperf.results import provenance

        machine = provenance.fingerprint()
        monkeypatch.setattr(provenance, "fingerprint", lambda: {**machine, "processor": processor})
    publish(
        "fits",
        tables={
            "runs": pandas.DataFrame({"process": [0, 0, 1, 1], "repeat": [0, 1, 2, 3], "seconds": [9.0, 10, 11, 12]}),
            "summary": pandas.DataFrame(
                {
                    "model": ["Small", "Large"],
                    "n_samples": [1000, 10000],
                    "median": [0.5 * seconds, seconds],
                    "low": [0.4 * seconds, 0.9 * seconds],
                    "high": [0.6 * seconds, 1.1 * seconds],
                }
            ),
        },
        values={"large": large, "small": number(3), "who": "torch"},
        findings={"quick": judge("A fit takes less than twenty seconds.", check("Large", large, below=20))},
        figures={"bars": figure},
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a folder with a report and its results."""
    source = tmp_path / "docs"
    source.mkdir()
    (source / "conf.py").write_text(CONF)
    (source / "index.rst").write_text(PAGE)
    fits(monkeypatch, tmp_path / "results")
    return tmp_path


def build(project, *options, fails=False):
    """Build the report, warnings being errors."""
    path, modules = sys.path[:], set(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = build_main(
            [
                "-b",
                "html",
                "-W",
                "-n",
                "--keep-going",
                *options,
                str(project / "docs"),
                str(project / "docs/_build/html"),
            ]
        )
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name == "conf":
            del sys.modules[name]
    assert bool(status) == fails
    page = project / "docs/_build/html/index.html"
    return BeautifulSoup(page.read_text(), "html.parser") if page.is_file() else None


def text(node):
    return " ".join(node.get_text().split())


def test_values_stand_in_sentences_with_their_interval(project):
    page = build(project)
    assert [text(node) for node in page.select("span.values")] == ["10 s (9 to 11)", "10 s"]
    assert [text(node) for node in page.select("span.findings")] == ["✓ holds"]


def test_table_is_numbered_with_units_in_its_header_and_numbers_to_sort_by(project):
    page = build(project)
    table = page.select_one("table#the-times")
    assert text(table.caption).startswith("Table 1 How long a fit takes")
    assert [text(cell) for cell in table.select("thead th")] == ["Model", "Samples", "Median (s)"]
    assert [text(cell) for cell in table.select("tbody tr")[1].select("td")] == ["Large", "10,000", "10 (9 to 11)"]
    assert [cell["data-sort"] for cell in table.select("tbody td.numeric")] == ["1000.0", "5.0", "10000.0", "10.0"]
    assert page.select_one("a.reference[href='#the-times']").get_text() == "Table 1"


def test_figure_is_numbered_and_described(project):
    page = build(project)
    figure = page.select_one("figure#the-bars")
    assert figure.img["alt"] == "Large takes longest"
    assert text(figure.figcaption).startswith("Fig. 1 Time by model")
    assert (project / "docs/_build/html" / figure.img["src"]).read_text().startswith("<?xml")


def test_data_behind_a_table_can_be_downloaded(project):
    page = build(project)
    (link,) = [a for a in page.select("p.provenance a.download")[:2] if text(a) == "runs"]
    downloaded = project / "docs/_build/html" / link["href"]
    assert downloaded.read_bytes() == (project / "results/fits.runs.csv").read_bytes()


def test_line_of_provenance_says_when_and_on_what_and_how_often(project):
    line = text(build(project).select_one("p.provenance"))
    pattern = (
        r"Measured \d{4}-\d\d-\d\d \d\d:\d\d UTC on .+ \(\d+ cores, .+\), 1 thread, torch \S+, "
        r"2 processes, 4 repeats\. Data \(CSV\): runs, summary\. Script: test_ext\.py\."
    )
    assert re.fullmatch(pattern, line)


def test_finding_shows_verdict_statement_and_evidence(project):
    page = build(project)
    box = page.select_one("div.finding.holds")
    assert text(box).startswith(
        "✓ holds: A fit takes less than twenty seconds. Large: 10 s (9 to 11), asked below 20 s."
    )
    row = page.select("table")[-1].select_one("tbody tr.holds")
    assert [text(cell) for cell in row.select("td")] == [
        "A fit takes less than twenty seconds.",
        "✓ holds",
        "Large: 10 s (9 to 11), asked below 20 s.",
        "test_ext.py",
    ]


def test_page_says_below_its_lead_when_it_was_measured(project):
    page = build(project)
    lead = page.h1.find_next_sibling("p")
    assert not text(lead).startswith("Measured ")
    assert text(lead.find_next_sibling()).startswith("Measured ")
    assert not page.select(".admonition")


def test_page_without_a_lead_says_under_its_title_when_it_was_measured(project):
    (project / "docs/index.rst").write_text("Report\n======\n\n.. finding:: fits.quick\n")
    page = build(project)
    assert text(page.h1.find_next_sibling()).startswith("Measured ")


def test_table_can_be_cut_and_ordered(project):
    options = ["   :columns: model, median", "   :where: n_samples=10000", "   :sort: -median", "   :limit: 1"]
    (project / "docs/index.rst").write_text(
        "\n".join(["Report", "======", "", ".. results-table:: fits.summary", *options])
    )
    rows = [text(row) for row in build(project).select("table tbody tr")]
    assert rows == ["Large 10"]


def test_table_can_be_shown_in_tabs(project):
    (project / "docs/conf.py").write_text(CONF + 'extensions.append("sphinx_design")\n')
    (project / "docs/index.rst").write_text(
        "Report\n======\n\n.. results-table:: fits.summary\n   :tabs: model, n_samples\n   :name: fits\n\n   Times\n"
    )
    page = build(project)
    assert [text(label) for label in page.select(".sd-tab-label")] == ["Small, 1,000 samples", "Large, 10,000 samples"]
    captions = [text(caption).rstrip("# ¶") for caption in page.select("table caption")]
    assert captions == ["Table 1 Times (Small, 1,000 samples)", "Table 2 Times (Large, 10,000 samples)"]


def test_page_of_the_method_shows_roles_and_directives_as_they_are_and_every_option(project, monkeypatch):
    (project / "results/fits.json").unlink()
    record = {"n_samples": [1000], "median": [1.0], "low": [0.9], "high": [1.1]}
    figure = Figure()
    figure.subplots().set_title("Large takes longest")
    monkeypatch.setenv("MLPERF_RESULTS", str(project / "results"))
    publish(
        "training_time",
        tables={"times": pandas.DataFrame({"model": ["Large"], **record})},
        values={"large_many": duration(1)},
        findings={"grows": judge("Time grows.", check("Large", number(2), above=1))},
        figures={"bars": figure},
    )
    method = (EXTENSIONS.parent / "method.rst").read_text()
    (shown,) = re.findall(r"code-block:: rst\n\n((?: {3}.*\n|\n)+)", method)
    (project / "docs/index.rst").write_text(f"Report\n======\n\n{dedent(shown)}")
    page = build(project)
    assert len(page.select("span.values, span.findings, figure.results, table.results, div.finding")) == 3 + 1 + 2 + 1
    published = sys.modules["published"]
    for directive in (published.TableDirective, published.FigureDirective, published.FindingsDirective):
        assert all(f"``:{option}:``" in method for option in directive.option_spec)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            ":value:`fits.larg`",
            "Nothing named 'fits.larg' is published among the values. The nearest name is 'fits.large'.",
        ),
        (
            ".. finding:: fit.quick",
            "Nothing named 'fit.quick' is published among the findings. The nearest name is 'fits.quick'.",
        ),
        (
            ".. results-table:: fits.summary\n   :columns: modell",
            "There is no column 'modell' in the table, only model, n_samples, median, low, high.",
        ),
        (
            ".. results-table:: fits.summary\n   :where: model=Huge",
            "No row of the table fits 'model=Huge'.",
        ),
    ],
)
def test_unknown_name_fails_every_build_until_it_is_corrected(project, capfd, typed, message):
    (project / "docs/index.rst").write_text(f"Report\n======\n\n{typed}\n")
    for _ in range(2):
        build(project, fails=True)
        assert message in capfd.readouterr().err
    (project / "docs/index.rst").write_text("Report\n======\n\n:value:`fits.who`\n")
    build(project)


def test_missing_result_fails_the_build_even_where_warnings_are_no_errors(project, capfd):
    (project / "results/fits.json").unlink()
    (project / "docs/index.rst").write_text("Report\n======\n\n:value:`fits.large`\n")
    arguments = ["-q", str(project / "docs"), str(project / "docs/_build/html")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert build_main(arguments) == 1
    assert "index.rst:4: ERROR: Nothing named 'fits.large' is published" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("fits.json", '{"format": 1', "The result 'fits' is corrupt"),
        ("fits.json", "{}", "is foreign: it is not a result 'fits' of this version of mlperf."),
        ("fits.summary.csv", "model\n", "fits.summary.csv is not the file that fits.json names. Run the script"),
        ("fits.summary.csv", None, "The result 'fits' is half-written"),
    ],
)
def test_broken_result_is_named_and_the_build_recovers_when_it_is_mended(
    project, monkeypatch, capfd, file, content, message
):
    build(project)
    path = project / "results" / file
    path.unlink() if content is None else path.write_text(content)
    (project / "docs/index.rst").touch()
    build(project, fails=True)
    assert message in capfd.readouterr().err
    fits(monkeypatch, project / "results")
    build(project)


def test_changed_result_rewrites_the_page_and_an_unchanged_one_does_not(project, monkeypatch):
    build(project)
    html = project / "docs/_build/html/index.html"
    before = html.stat().st_mtime_ns
    build(project)
    assert html.stat().st_mtime_ns == before
    fits(monkeypatch, project / "results", seconds=30.0)
    page = build(project)
    assert text(page.select_one("span.values")) == "30 s (27 to 33)"
    assert text(page.select_one("span.findings")) == "✗ does not hold"
    assert page.select_one("div.finding.does-not-hold")


def test_preview_numbers_are_marked(project, monkeypatch):
    monkeypatch.setattr(protocol, "MODE", "quick")
    fits(monkeypatch, project / "results")
    page = build(project)
    assert text(page.select_one(".admonition.warning.preview-numbers .admonition-title")) == "Preview numbers"


def test_other_results_stand_beside_ours(project, monkeypatch):
    fits(monkeypatch, project / "other", seconds=25.0, processor="Another CPU")
    monkeypatch.setenv("MLPERF_COMPARE", str(project / "other"))
    page = build(project)
    assert text(page.select_one("span.values")) == (
        "10 s (9 to 11) [other results: 25 s (22 to 28), ratio 0.40× (0.35 to 0.46)]"
    )
    assert text(page.select_one("span.findings")) == "✓ holds [other results: ✗ does not hold]"
    table = page.select_one("table#the-times")
    assert text(table.select("thead th")[-1]) == "Ratio to the other results"
    assert text(table.select("tbody tr")[1].select("td")[-1]) == "0.40× (0.35 to 0.46)"
    assert text(page.select("table")[-1].select("tbody td")[2]) == "✗ does not hold (differs)"
    assert "The other results differ: ✗ does not hold. Large: 25 s (22 to 28)" in text(page.select_one("div.finding"))
    note = text(page.select_one(".admonition.note.comparison"))
    assert "on Another CPU" in note
    assert "From there to here, this differs: processor Another CPU → " in note
    monkeypatch.delenv("MLPERF_COMPARE")
    assert not build(project).select(".comparison"), "the next build without OTHER compares no longer"


def test_make_compare_names_the_other_results():
    command = ["make", "-n", "compare", "OTHER=path/to/results"]
    printed = subprocess.run(command, cwd=EXTENSIONS.parents[1], capture_output=True, text=True, check=True).stdout
    assert 'MLPERF_COMPARE="path/to/results"' in printed
    silent = subprocess.run(["make", "compare"], cwd=EXTENSIONS.parents[1], capture_output=True, text=True, check=False)
    assert silent.returncode != 0
    assert "make compare OTHER=path/to/results" in silent.stderr


def test_results_to_compare_with_must_be_there_and_whole(project, monkeypatch, capfd):
    build(project, "-D", f"mlperf_compare={project / 'nowhere'}", fails=True)
    assert f"There are no results to compare with in {project / 'nowhere'}." in capfd.readouterr().err
    fits(monkeypatch, project / "other")
    (project / "other/fits.json").write_text("{")
    build(project, "-D", f"mlperf_compare={project / 'other'}", fails=True)
    assert f"The result 'fits' is corrupt: {project / 'other/fits.json'} cannot be read" in capfd.readouterr().err


def test_results_of_different_machines_on_one_page_are_pointed_out(project, monkeypatch):
    fits(monkeypatch, project / "results", processor="Another CPU")
    record = json.loads((project / "results/fits.json").read_text())
    monkeypatch.undo()
    fits(monkeypatch, project / "results")
    (project / "results/foreign.json").write_text(
        json.dumps({**record, "name": "foreign", "tables": {}, "figures": {}})
    )
    (project / "docs/index.rst").write_text("Report\n======\n\n:value:`fits.large` and :value:`foreign.large`\n")
    page = build(project)
    assert page.select(".admonition.warning.different-machines")


GALLERY = """
extensions.append("sphinx_gallery.gen_gallery")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": "helper",
    "image_scrapers": (),
    "show_memory": False,
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
}
exclude_patterns = ["sg_execution_times.rst", "auto_examples/sg_execution_times.rst"]
"""

SCRIPT = """
\"\"\"
What is {name}?
===============

Text.
\"\"\"
{imports}
from pathlib import Path
import pandas
from mlperf.results.publishing import publish

# %%
# Publish.
Path({log!r}).open("a").write("{name}\\n")
{body}
publish("{name}", values={{"x": 1}}, tables={{"runs": pandas.DataFrame({{"seconds": [1.0]}})}})
"""


@pytest.fixture
def gallery(tmp_path):
    """Return a report with a gallery of two scripts; the first imports a module beside it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "examples").mkdir()
    (tmp_path / "docs/conf.py").write_text(CONF + GALLERY)
    (tmp_path / "docs/index.rst").write_text(
        "Report\n======\n\n:value:`one.x` :value:`two.x`\n\n.. results-table:: one.runs\n\n"
        ".. toctree::\n\n   auto_examples/index\n"
    )
    (tmp_path / "examples/GALLERY_HEADER.rst").write_text("Gallery\n=======\n")
    (tmp_path / "examples/helper.py").write_text("SIZE = 1\n")
    script(tmp_path, "one", imports="import helper")
    script(tmp_path, "two")
    return tmp_path


def script(project, name, imports="", body=""):
    content = SCRIPT.format(name=name, imports=imports, body=body, log=str(project / "log"))
    (project / f"examples/plot_{name}.py").write_text(content.lstrip())


def sphinx(project, *options):
    """Return the command line of a build, and its environment: conf.py alone says where the results are."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", *options, "docs", "docs/_build/html"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLPERF_")}
    return {
        "args": command,
        "cwd": project,
        "env": {**environment, "MPLBACKEND": "agg"},
        "stderr": subprocess.PIPE,
        "text": True,
    }


def ran(project, *options, fails=False):
    """Build with the gallery and return the scripts that were run."""
    log = project / "log"
    log.unlink(missing_ok=True)
    done = subprocess.run(**sphinx(project, *options), check=False)
    assert bool(done.returncode) == fails, done.stderr
    return log.read_text().split() if log.exists() else []


def page_text(project, name):
    return text(BeautifulSoup((project / f"docs/_build/html/{name}.html").read_text(), "html.parser"))


def test_only_scripts_whose_inputs_moved_are_run_again(gallery):
    assert ran(gallery) == ["one", "two"]
    assert "Measured " in page_text(gallery, "auto_examples/plot_one")
    index = BeautifulSoup((gallery / "docs/_build/html/index.html").read_text(), "html.parser")
    assert index.select_one("p.provenance a:not(.download)")["href"] == "auto_examples/plot_one.html"
    assert ran(gallery) == []
    (gallery / "examples/helper.py").write_text("SIZE = 1  # a comment moves no number\n")
    assert ran(gallery) == []
    (gallery / "examples/helper.py").write_text("SIZE = 2\n")
    assert ran(gallery) == ["one"]
    assert ran(gallery) == []


def test_missing_and_broken_results_and_those_of_other_versions_threads_and_protocols_are_measured_again(gallery):
    ran(gallery)
    one, two = gallery / "results/one.json", gallery / "results/two.json"
    two.unlink()
    assert ran(gallery) == ["two"]
    two.write_text("{")
    assert ran(gallery) == ["two"]
    record = json.loads(one.read_text())
    one.write_text(json.dumps(record | {"inputs": record["inputs"] | {"torch": "0.1"}}))
    assert ran(gallery) == ["one"]
    for path, other in ((one, {"threads": "64"}), (two, {"protocol": "another"})):
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"inputs": record["inputs"] | other}))
    assert ran(gallery) == ["one", "two"]


def test_build_that_runs_nothing_shows_what_is_stale_and_leaves_it_alone(gallery):
    ran(gallery)
    result = (gallery / "results/one.json").read_bytes()
    (gallery / "examples/helper.py").write_text("SIZE = 2\n")
    assert ran(gallery, "-D", "plot_gallery=0") == []
    assert (gallery / "results/one.json").read_bytes() == result
    for page in ("index", "auto_examples/plot_one"):
        assert "Since one was measured, this has changed: helper.py." in page_text(gallery, page)
    assert "Since" not in page_text(gallery, "auto_examples/plot_two")
    assert ran(gallery) == ["one"]
    for page in ("index", "auto_examples/plot_one"):
        assert "Since" not in page_text(gallery, page)


def test_results_of_another_machine_are_pointed_out_and_measured_again(gallery):
    ran(gallery)
    path = gallery / "results/one.json"
    record = json.loads(path.read_text())
    here = record["inputs"]["processor"]
    for known in (record["inputs"], record["provenance"]["machine"]):
        known["processor"] = "Another CPU"
    path.write_text(json.dumps(record))
    assert ran(gallery, "-D", "plot_gallery=0") == []
    assert f"this has changed: processor Another CPU → {here}." in page_text(gallery, "index")
    assert "Not all numbers here are from the same machine." in page_text(gallery, "index")
    assert "on Another CPU" in page_text(gallery, "auto_examples/plot_one")
    assert ran(gallery) == ["one"]
    assert "Another CPU" not in page_text(gallery, "index")


def test_page_of_a_script_that_is_gone_goes_too(gallery):
    ran(gallery)
    (gallery / "examples/plot_two.py").unlink()
    index = gallery / "docs/index.rst"
    index.write_text(index.read_text().replace(":value:`two.x`", ""))
    assert ran(gallery) == []
    assert not (gallery / "docs/auto_examples/plot_two.rst").exists()


MEASURING = """
def run(folder, n):
    import os, time
    (folder / str(os.getpid())).touch()
    time.sleep(300)
folder = Path({folder!r})
folder.mkdir()
measure(run, repeats=1, warmup=False, n_jobs=2, folder=[folder], n=[1, 2])
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_build_leaves_no_process_and_is_completed_without_repeating_what_was_finished(gallery, how):
    children = gallery / "children"
    script(gallery, "two", "from mlperf.profilers.measure import measure", MEASURING.format(folder=str(children)))
    build = subprocess.Popen(**sphinx(gallery))
    wait_until(lambda: children.exists() and len(list(children.iterdir())) == 2, build)
    one = (gallery / "results/one.json").read_bytes()
    build.send_signal(how)
    build.communicate(timeout=30)
    assert build.returncode != 0
    wait_until(lambda: not any(psutil.pid_exists(int(path.name)) for path in children.iterdir()))
    script(gallery, "two")
    assert ran(gallery) == ["two"]
    assert (gallery / "results/one.json").read_bytes() == one
    assert ran(gallery) == []


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS"])
def test_full_or_read_only_results_folder_is_named_and_costs_no_finished_result(gallery, error):
    refuse = f"def refuse(*_):\n    raise OSError(errno.{error}, os.strerror(errno.{error}))\nPath.write_bytes = refuse"
    script(gallery, "two", "import errno, os", refuse)
    said = subprocess.run(**sphinx(gallery), check=False).stderr
    reason = os.strerror(getattr(errno, error))
    assert f"The result 'two' cannot be written to {gallery / 'results'}: {reason}" in said
    assert sorted(path.name for path in (gallery / "results").iterdir()) == ["one.json", "one.runs.csv"]
    script(gallery, "two")
    assert ran(gallery) == ["two"]


def test_build_killed_between_publishing_and_its_page_repeats_that_script(gallery):
    ran(gallery)
    page = gallery / "docs/auto_examples/plot_one.rst"
    os.utime(page, (0, 0))
    assert ran(gallery, "-D", "plot_gallery=0") == []
    assert ran(gallery) == ["one"]


def test_pages_that_a_killed_build_did_not_write_are_written_by_the_next(gallery):
    ran(gallery)
    (gallery / "docs/_build/html/index.html").write_text("<html>half")
    (gallery / "docs/_build/html/.unfinished").touch()
    assert ran(gallery) == []
    assert "Measured" in page_text(gallery, "index")


def test_second_build_at_once_refuses_in_one_line(gallery):
    script(gallery, "one", imports="import time", body="time.sleep(60)")
    first = subprocess.Popen(**sphinx(gallery))
    wait_until((gallery / "log").exists, first)
    second = subprocess.run(**sphinx(gallery), check=False)
    first.kill()
    first.communicate(timeout=30)
    assert second.returncode != 0
    assert f"Another build is under way in {gallery / 'docs'}: wait until it is done." in second.stderr


def wait_until(condition, process=None):
    """Wait until something is so, while a process runs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_roles_and_directives_stay_small():
    assert sum(len(path.read_text().splitlines()) for path in EXTENSIONS.glob("*.py")) < 300
