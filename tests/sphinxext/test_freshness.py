"""Pages are written anew when what they show changed, and a build that failed is not taken for a whole one."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from small_reports import build, page, parsed, publish_fits, text
from sphinx.cmd.build import build_main

from mlperf import publish

ROOT = Path(__file__).parents[2]

# Builds twice: with next to no room for what is built, and with enough.
TWICE = """
mount -t tmpfs -o size=$ROOM tmpfs docs/_build || exit
"$@"; echo $? > first
mount -o remount,size=100m docs/_build
"$@"; echo $? > second
cp docs/_build/html/index.html .
"""
CAN_MOUNT = shutil.which("unshare") and subprocess.call(["unshare", "-rm", "true"], stderr=subprocess.DEVNULL) == 0


def test_changed_result_rewrites_the_page_and_an_unchanged_one_does_not(project):
    page(project, ":value:`fits.fit[Large, last]` :verdict:`fits.quick` :says:`fits.quick`")
    html = project / "docs/_build/html/index.html"
    before = html.stat().st_mtime_ns
    build(project)
    assert html.stat().st_mtime_ns == before
    publish_fits(factor=3.0)
    shown = build(project)
    assert text(shown.select_one("span.value")) == "30.0 s (29.1 to 30.9)"
    assert text(shown.select_one("span.verdict")) == "✗ does not hold"
    assert text(shown.select_one("span.says")) == "A fit takes 30.0 s."


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("fits.json", '{"format": 1', "The result 'fits' is corrupt"),
        ("fits.json", "{}", "is foreign: it is not a result 'fits' of this version of mlperf."),
        ("fits.fit.csv", "model\n", "fits.fit.csv is not the file that fits.json names. Run the script"),
        ("fits.fit.csv", None, "The result 'fits' is half-written"),
    ],
)
def test_broken_result_is_named_and_the_build_recovers_when_it_is_mended(project, capfd, file, content, message):
    page(project, ":value:`fits.library`")
    path = project / "results" / file
    path.unlink() if content is None else path.write_text(content)
    (project / "docs/index.rst").touch()
    build(project, fails=True)
    assert message in capfd.readouterr().err
    publish_fits()
    build(project)


def test_missing_result_fails_the_build_even_where_warnings_are_no_errors(project, capfd):
    (project / "docs/index.rst").write_text("Report\n======\n\n:value:`other.large`\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert build_main(["-q", str(project / "docs"), str(project / "docs/_build/html")]) == 1
    assert "index.rst:4: ERROR: Nothing named 'other.large' is published" in capfd.readouterr().err


def test_missing_folder_of_results_is_told_once(project, capfd):
    """Nine errors, one a role, hid what was wrong; so did a warning for each reference to what could not be shown."""
    option = ("-D", "mlperf_results=../nowhere")
    lines = [
        *[":value:`fits.library` :says:`fits.quick`"] * 5,
        "See :numref:`the-times`.",
        "",
        ".. results-table:: fits.fit",
        "   :name: the-times",
        "",
        "   Times",
        "",
        ".. claims-table::",
    ]
    for _ in range(2):
        page(project, *lines, options=option, fails=True)
        said = capfd.readouterr().err
        assert (said.count("ERROR"), said.count("WARNING")) == (1, 0)
        assert f"There are no results in {project / 'nowhere'}, but index shows some." in said
        assert "mlperf_results = '../results'" in said
    (project / "results").rename(project / "nowhere")
    build(project, *option)


def test_project_that_shows_no_result_needs_none(project):
    page(project, "Text.", options=("-D", "mlperf_results=../nowhere"))


def test_build_that_failed_on_a_warning_fails_until_it_is_mended_in_every_format(project, capfd):
    """Sphinx does not read the page of a warning again: the second build passed."""
    (project / "docs/other.rst").write_text(":orphan:\n\nOther\n=====\n\n:ref:`nowhere`\n")
    page(project, "Text.", fails=True)
    assert "undefined label: 'nowhere'" in capfd.readouterr().err
    build(project, fails=True)
    assert "undefined label: 'nowhere'" in capfd.readouterr().err
    build(project, builder="text", fails=True)
    assert "undefined label: 'nowhere'" in capfd.readouterr().err
    (project / "docs/other.rst").write_text(":orphan:\n\nOther\n=====\n")
    build(project)


def test_pages_that_a_killed_build_did_not_write_are_written_by_the_next(project):
    """Tried: a build was killed between reading and writing."""
    page(project, ":value:`fits.library`")
    (project / "docs/_build/html/index.html").write_text("<html>half")
    (project / "docs/_build/doctrees/html.unfinished").touch()
    assert "torch" in text(build(project))
    assert not list((project / "docs/_build/doctrees").glob("*.unfinished"))


@pytest.mark.skipif(not CAN_MOUNT, reason="a full disk cannot be had here")
@pytest.mark.parametrize("room", ["20k", "200k"])
def test_full_folder_of_pages_fails_the_build_and_the_next_one_is_whole(project, room):
    """Tried: the disk was filled while pages were written."""
    before = {path: path.read_bytes() for path in (project / "results").iterdir()}
    (project / "docs/_build").mkdir()
    (project / "docs/index.rst").write_text("Report\n======\n\n:value:`fits.library`\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "docs", "docs/_build/html"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", TWICE, "sh", *command],
        cwd=project,
        env={**os.environ, "ROOM": room, "TMPDIR": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (project / "first").read_text() != "0\n", done.stderr
    assert "No space left on device" in done.stderr
    assert (project / "second").read_text() == "0\n", done.stderr
    assert "torch" in text(parsed(project / "index.html"))
    assert {path: path.read_bytes() for path in (project / "results").iterdir()} == before


def test_sitemap_lists_the_pages_that_were_not_written_anew(project):
    """Reported: after an edit of one page it held 2 of 34 addresses."""
    with (project / "docs/conf.py").open("a") as conf:
        conf.write(f"import runpy\nwrite_sitemap = runpy.run_path({str(ROOT / 'docs/conf.py')!r})['write_sitemap']\n")
        conf.write("def setup(app):\n    app.connect('build-finished', write_sitemap)\n")
    (project / "docs/other.rst").write_text(":orphan:\n\nOther\n=====\n")
    with pd.option_context("display.max_colwidth", None):
        for words in ("Text.", "Other text."):
            page(project, words)
            listed = (project / "docs/_build/html/sitemap.xml").read_text()
            assert re.findall(r"/(\w+\.html)</loc>", listed) == ["index.html", "other.html"]


def test_second_build_at_once_refuses_in_one_line(project):
    """Tried: it refused in thirty lines with a traceback."""
    page(project, "Text.")
    with FileLock(project / "docs/_build/.lock"), pytest.raises(SystemExit) as refused:
        build(project)
    assert refused.value.code == f"Another build is under way in {project / 'docs'}: wait until it is done."
    build(project)


def test_pages_are_read_by_several_processes_and_each_is_known_to_show_what_it_shows(project):
    publish("other", x=1)
    names = [f"page{number}" for number in range(12)]
    for name in names:
        shown = "other.x" if name == "page7" else "fits.fit[Large, last]"
        (project / f"docs/{name}.rst").write_text(f":orphan:\n\n{name}\n======\n\n:value:`{shown}`\n")
    page(project, "Text.", options=("-j", "2"))
    written = {name: project / f"docs/_build/html/{name}.html" for name in names}
    before = {name: path.stat().st_mtime_ns for name, path in written.items()}
    publish("other", x=2)
    build(project, "-j", "2")
    assert [name for name, path in written.items() if path.stat().st_mtime_ns != before[name]] == ["page7"]
    assert text(parsed(written["page7"]).select_one("span.value")) == "2"
