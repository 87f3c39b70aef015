"""The chapter reads well whatever was measured: with all verdicts turned, all undecided, and nothing measured."""

import re
import shutil
import sys
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from sphinx.cmd.build import build_main

from mlperf.quantities.claims import FAILS, HOLDS, UNDECIDED, UNMEASURED
from mlperf.results.folder import names_in
from mlperf.results.sealed import seal, unseal

ROOT = Path(__file__).parents[1]
PAGES = ("index", "performance", "larger", "claims")
# What these pages lead to is not built with them.
CONF = """
extensions = ["mlperf.sphinxext", "sphinx_design"]
project, author, copyright, version, release = "Report", "Someone", "2026, Someone", "1", "1"
numfig = True
html_theme = "basic"
mlperf_results = "../results"
suppress_warnings = ["ref.doc", "ref.ref", "toc.not_readable"]
"""

VERDICTS = {
    "turned": lambda verdict: {HOLDS: FAILS, FAILS: HOLDS}.get(verdict, verdict),
    "all hold": lambda _: HOLDS,
    "none holds": lambda _: FAILS,
    "undecided": lambda _: UNDECIDED,
    "not measured": lambda _: UNMEASURED,
}


def alter(folder, change):
    """Give every claim in a folder another verdict; its comparisons take part in it."""
    for name in names_in(folder):
        path = folder / f"{name}.json"
        record = unseal(path.read_bytes())
        for thing in record["things"].values():
            if thing["kind"] != "claim":
                continue
            thing["verdict"] = verdict = change(thing["verdict"])
            for one in thing["evidence"]:
                one["verdict"] = verdict
            if verdict == UNMEASURED:
                thing["evidence"], thing["advice"] = [], "Not measured: no compiler works."
        path.write_bytes(seal(record))


def build(project):
    """Build the pages, warnings being errors."""
    path = sys.path[:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = build_main(["-q", "-W", "--keep-going", f"{project}/docs", f"{project}/html"])
    sys.path[:] = path
    sys.modules.pop("conf", None)
    assert status == 0


@pytest.fixture(scope="module", params=VERDICTS)
def variant(request):
    """The name of what becomes of the verdicts."""
    return request.param


@pytest.fixture(scope="module")
def pages(variant, site, tmp_path_factory):
    """The pages, with every verdict changed."""
    project = tmp_path_factory.mktemp("chapter")
    shutil.copytree(site.parents[2] / "_results" / "quick", project / "results")
    alter(project / "results", VERDICTS[variant])
    (project / "docs" / "auto_examples").mkdir(parents=True)
    (project / "docs" / "auto_examples" / "index.rst").write_text("Scripts\n=======\n")
    (project / "docs" / "conf.py").write_text(CONF)
    for name in (*(f"{page}.rst" for page in PAGES), "in_short.inc"):
        shutil.copy(ROOT / "docs" / name, project / "docs")
    (project / "mlperf").symlink_to(ROOT / "mlperf")
    build(project)
    return {page: BeautifulSoup((project / "html" / f"{page}.html").read_text(), "html.parser") for page in PAGES}


def text(node):
    return " ".join(node.get_text().split())


def blocks(pages):
    """Return the paragraphs, captions and cells of tables."""
    return [node for page in pages.values() for node in page.select(".body p, .body td, .body .caption-text")]


def test_every_verdict_is_the_one_that_was_put_in(pages, variant):
    marks = Counter(text(node).replace("\u00a0", " ")[2:] for node in pages["claims"].select("td:nth-last-child(2)"))
    expected = {"all hold": HOLDS, "none holds": FAILS, "undecided": UNDECIDED, "not measured": UNMEASURED}
    assert sum(marks.values()) > 50
    assert ("No verdict was decided." in text(pages["claims"])) == (variant in ("undecided", "not measured"))
    assert set(marks) == ({expected[variant]} if variant in expected else set(marks))


def test_what_claims_say_is_a_sentence_or_a_clause(pages):
    said = [text(node) for page in pages.values() for node in page.select(".says")]
    assert len(said) > 30
    for one in said:
        assert re.fullmatch(r"[A-Z0-9].*\.|[a-z].*[^.]", one), one


def test_nothing_is_empty_missing_or_stopped_twice(pages):
    shown = [text(node) for node in blocks(pages)]
    assert len(shown) > 200
    for one in shown:
        assert not re.search(r"\bNone\b(?! of)|\b(nan|inf)\b|[.:] ?[.:]( |$)| [.,;]|[{}]|“”|(?<!\w)\(\)", one), one
    filled = [node for page in pages.values() for node in page.select("table.claims td, .says, .tally")]
    assert all(map(text, filled))


def test_no_claim_is_quoted_twice_in_a_paragraph(pages):
    for node in blocks(pages):
        quoted = Counter(re.findall("“([^”]*)”", text(node)))
        assert not quoted or max(quoted.values()) == 1, text(node)
        said = [text(one) for one in node.select(".says")]
        assert all(one != following for one, following in pairwise(said)), said
