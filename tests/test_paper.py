"""The chapter on paper, made by LaTeX: its text is read back from the PDF, and its pages are looked at."""

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from bs4 import BeautifulSoup
from filelock import FileLock
from gallery_scripts import shell
from PIL import Image

ROOT = Path(__file__).parents[1]
TOOLS = ("latexmk", "xelatex", "pdftotext", "pdftoppm")
# Of a page, in points: an inch is 72 of them. Sphinx leaves one on each side.
MARGIN = 60
LANDMARKS = (
    "In short",
    "Training time",
    "Memory usage profiling",
    "Accuracy metrics",
    "Verdicts",
    "All claims",
    "Method",
)


@pytest.fixture(scope="module")
def paper(site):
    """The PDF of the quick results, made as its users make it."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"The PDF needs {', '.join(missing)}, and CI must not do without: see .ci/run")
        pytest.skip(f"There is no {', '.join(missing)} here: make pdf says what to install")
    with FileLock(ROOT / ".venv" / "site.lock"):
        built = subprocess.run(
            ["make", "--no-print-directory", "pdf", "QUICK=1"],
            cwd=ROOT,
            env=shell(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert built.returncode == 0, built.stdout[-3_000:] + built.stderr[-3_000:]
    assert built.stdout.strip().endswith("docs/_build/quick/latex/performance.pdf")
    return site.parent / "latex" / "performance.pdf"


def read(paper, *options):
    return subprocess.run(["pdftotext", *options, str(paper), "-"], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def text(paper):
    return read(paper, "-layout")


def letters(text):
    """Return the letters and digits of a text: what stays when lines are broken and words hyphenated elsewhere."""
    return re.sub(r"[\W_]+", "", text)


def test_sections_and_appendices_follow_each_other(text):
    body = text[text.index("Release") :]
    found = [re.search(rf"^\s*[0-9A-D]\.? +{title}\s*$", body, re.MULTILINE) for title in LANDMARKS]
    assert all(found), dict(zip(LANDMARKS, found, strict=True))
    assert all(one.start() < other.start() for one, other in pairwise(found))


def test_figures_and_tables_are_numbered_without_a_gap(text):
    for kind in ("Fig.", "Table"):
        numbers = sorted({int(number) for number in re.findall(rf"^\s*{kind} (\d+): ", text, re.MULTILINE)})
        assert len(numbers) > 8
        assert numbers == list(range(1, len(numbers) + 1))


def test_every_claim_is_whole_on_paper_as_on_the_screen(paper, site):
    page = BeautifulSoup((site / "claims.html").read_text(), "html.parser")
    printed = letters(read(paper, "-raw"))
    # The last column leads to pages that are not on paper.
    rows = [[cell.get_text() for cell in row.select("td")[:-1]] for row in page.select("table.claims tbody tr")]
    assert len(rows) > 50
    # Where a page ends between them, its number stands there.
    assert [cell for row in rows for cell in row if letters(cell)[:60] not in printed] == []


def test_no_word_reaches_into_the_margin(paper):
    pages = ElementTree.fromstring(read(paper, "-bbox")).iter("{http://www.w3.org/1999/xhtml}page")
    outside = [
        word.text
        for page in pages
        for word in page
        if float(word.get("xMin")) < MARGIN or float(word.get("xMax")) > float(page.get("width")) - MARGIN
    ]
    assert outside == []


def test_nothing_of_another_format_is_left_in_the_chapter(text):
    chapter, appendices = re.split(r"^\s*A +All claims\s*$", text, flags=re.MULTILINE)
    assert len(chapter) > len(appendices) / 2
    left = re.findall(r"</?\w+>|:(?:value|says|answer|tally|doc|ref):|\\\w+|\?\?|Data: |\bnan\b", chapter)
    assert left == []


def test_every_link_leads_somewhere(paper):
    log = paper.with_suffix(".log").read_text(errors="replace")
    assert re.findall(r".*undefined.*|.*multiply defined.*|Missing character.*", log) == []


def test_no_page_is_empty_or_printed_to_its_edge(paper, tmp_path):
    subprocess.run(["pdftoppm", "-r", "40", "-gray", str(paper), str(tmp_path / "page")], check=True)
    pages = [np.asarray(Image.open(page)) < 200 for page in sorted(tmp_path.glob("page*"))]
    assert len(pages) > 20
    for number, ink in enumerate(pages, 1):
        assert ink.mean() > 0.002, f"page {number} is nearly empty"
        assert not ink[:, :20].any(), f"page {number} is printed to its left edge"
        assert not ink[:, -20:].any(), f"page {number} is printed to its right edge"
        assert not ink[-15:].any(), f"page {number} is printed to its lower edge"
