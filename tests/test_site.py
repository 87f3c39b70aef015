"""The built site holds what the chapter promises, and every link and image in it leads somewhere."""

import ast
import json
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from mlperf import read
from mlperf.protocol import MODELS
from mlperf.quantities.checks import FAILS, HOLDS, UNDECIDED, UNMEASURED

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").rglob("plot_*.py"))
CHAPTER = (ROOT / "docs" / "performance.rst").read_text()
RESULTS = ROOT / "docs" / "_results" / "quick"
MARKS = {f"✓ {HOLDS}", f"✗ {FAILS}", f"≈ {UNDECIDED}", f"– {UNMEASURED}"}
# What stands beside the prose: tables, code, captions, sources, notices, headings' signs.
BESIDE = "table, pre, figcaption, .provenance, .measured, .admonition, .headerlink, .tab-strip, summary"


@cache
def parsed(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def pages(site):
    return [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]


@pytest.fixture(scope="module")
def chapter(site):
    return parsed(site / "performance.html")


def words(node):
    """Return the text of a node, its blanks as in a sentence."""
    return " ".join(node.get_text().split())


@pytest.mark.parametrize("name", ["index", "performance"])
def test_in_short_is_five_to_eight_composed_statements(site, name):
    article = parsed(site / f"{name}.html").article
    short = article.find(id="in-short") or article
    (points,) = short.find_all("ul")
    statements = [points.find_previous_sibling("p", class_=False), *points.find_all("li")]
    assert 5 <= len(statements) <= 8
    for statement in statements:
        composed = statement.find_all(class_=["value", "says", "tally"])
        assert composed, words(statement)
        assert all(words(part) for part in composed)
        assert words(statement).endswith(".")


def test_prose_of_the_chapter_is_read_in_ten_minutes(site):
    article = BeautifulSoup((site / "performance.html").read_text(encoding="utf-8"), "html.parser").article
    for node in article.select(BESIDE):
        node.extract()
    assert 800 < len(article.get_text(" ").split()) <= 2_200


def test_pages_show_what_was_published_and_no_error_in_its_place(pages):
    wrong = [
        (page.name, words(node)) for page in pages for node in parsed(page).select(".problematic, .system-message")
    ]
    assert wrong == []


def test_every_figure_of_the_chapter_is_there_with_number_caption_data_and_script(chapter):
    names = re.findall(r"results-figure:: \S+\n +:name: (\S+)", CHAPTER)
    assert len(names) >= 5
    for name in names:
        figure = chapter.find(id=name)
        assert figure.find(class_="caption-number").get_text().startswith("Fig.")
        assert figure.find(class_="caption-text").get_text().strip()
        source = figure.find_next("p", class_="provenance")
        assert any(link["href"].endswith(".csv") for link in source.find_all("a"))
        assert ".py" in source.get_text()


def test_every_table_of_the_chapter_is_there_with_number_and_rows(chapter):
    names = re.findall(r"results-table:: \S+\n +:name: (\S+)\n(?! +:tabs:)", CHAPTER)
    assert len(names) >= 5
    for name in names:
        table = chapter.find(id=name)
        assert table.find(class_="caption-number").get_text().startswith("Table")
        assert len(table.tbody.find_all("tr")) > 0


def test_each_profile_has_one_table_of_operators_for_every_model_and_sample_size(chapter):
    profiles = [tabs for tabs in chapter.find_all(class_="results-tabs") if "aten::" in tabs.get_text()]
    assert len(profiles) == 2
    for profile in profiles:
        tabs = profile.find_all(class_="results-tab")
        labels = {tuple(json.loads(tab["data-labels"])) for tab in tabs}
        assert len(tabs) == len(labels) == 9
        assert {model for model, _ in labels} == set(MODELS)
        for tab in tabs:
            (table,) = tab.find_all("table", class_="sortable")
            head = table.thead.get_text(" ", strip=True)
            assert all(text in head for text in ("Operator", "Calls", "Self CPU time", "CPU memory"))
            assert "aten::addmm" in table.tbody.get_text()


def rows_of(table):
    """Return the rows of a table, each a mapping from a column's header to the cell."""
    heads = [words(head) for head in table.thead.find_all("th")]
    return [dict(zip(heads, row.find_all("td"), strict=True)) for row in table.tbody.find_all("tr")]


def test_each_section_sets_what_the_original_said_beside_what_was_measured(chapter):
    tables = chapter.select("table.claims.original")
    assert len(tables) == 4
    of_sections = [row for table in tables[:-1] for row in rows_of(table)]
    everything = {words(row["The original said"]) for row in rows_of(tables[-1])}
    assert len(of_sections) >= 15
    assert {words(row["The original said"]) for row in of_sections} == everything
    for row in of_sections:
        assert list(row) == ["The original said", "Measured here", "Verdict", "Script"]
        assert words(row["Verdict"]) in MARKS
        assert words(row["Measured here"])
        assert row["Script"].a["href"].endswith(".html")


def test_page_of_all_claims_has_each_with_its_verdict_and_its_script(site):
    (table,) = parsed(site / "claims.html").select("table.claims.verdict-filter")
    rows = rows_of(table)
    published = {path.stem: read(path.stem, RESULTS) for path in RESULTS.glob("*.json")}
    assert len(rows) == sum(len(result.keys("claim")) for result in published.values())
    assert {words(row["Verdict"]) for row in rows} <= MARKS
    assert all(words(row["Statement"]) and words(row["Measured here"]) and row["Script"].a for row in rows)


def test_numbers_in_tables_are_right_aligned_and_sorted_by_what_they_are(chapter):
    cells = chapter.select("table.results tbody td.numeric")
    assert cells
    assert all(float(cell["data-sort"]) is not None for cell in cells if cell.get_text(strip=True))


def test_no_link_or_source_within_the_site_leads_nowhere(pages, site):
    broken = []
    for page in pages:
        for node in parsed(page).find_all(["a", "link", "img", "script", "source"]):
            for address in (node.get("href"), node.get("src")):
                url = urlsplit(address or "")
                if url.scheme or url.netloc or not address or node.get("rel") == ["canonical"]:
                    continue
                root = site if url.path.startswith("/") else page.parent
                target = (root / unquote(url.path).lstrip("/")).resolve() if url.path else page
                target = target / "index.html" if target.is_dir() else target
                if not target.is_file():
                    broken.append((page.name, address))
                elif url.fragment and target.suffix == ".html":
                    anchors = parsed(target)
                    if not (anchors.find(id=unquote(url.fragment)) or anchors.find(attrs={"name": url.fragment})):
                        broken.append((page.name, address))
    assert broken == []


def test_every_image_says_what_it_shows(pages, site):
    images = [(page, image) for page in pages for image in parsed(page).select("article img")]
    assert len(images) > 10
    # A thumbnail repeats the title beside it: its text is empty, so that nobody has to hear it twice.
    silent = [
        (page.name, image["src"])
        for page, image in images
        if not image.get("alt", "").strip()
        and not (image.get("alt") == "" and image.find_parent(class_="sphx-glr-thumbcontainer"))
    ]
    assert silent == []
    # A figure's text is from the data; its file's name or its script's would say nothing.
    figures = parsed(site / "performance.html").select("article figure img")
    assert all(re.search(r"\d|[a-z] [a-z]", image["alt"]) and ".svg" not in image["alt"] for image in figures)


def test_pages_ask_no_other_host_for_anything(pages):
    asked = [
        (page.name, address)
        for page in pages
        for node in parsed(page).find_all(["img", "script", "link", "iframe", "source"])
        for address in (node.get("src"), node.get("href"))
        if address and re.match(r"(https?:)?//", address) and node.get("rel") != ["canonical"]
    ]
    assert asked == []


def test_every_page_has_what_search_engines_and_messengers_show(site):
    for name in ("index.html", "performance.html", "make_it_yours.html"):
        page = parsed(site / name)
        tags = {tag["property"]: tag["content"] for tag in page.find_all("meta", property=True)}
        assert tags["og:title"]
        assert tags["og:description"]
        assert (site / "_images" / Path(urlsplit(tags["og:image"]).path).name).is_file()
        assert page.find("link", rel="icon")
    listed = (site / "sitemap.xml").read_text()
    assert "/performance.html" in listed
    assert "/api/quantities.html" in listed
    assert "/404.html" not in listed


def imported(script):
    """Return the names of the package that a script imports, as they are imported: "mlperf.measure"."""
    found = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{name.name}" for node in found for name in node.names if node.module.startswith("mlperf")}


def named(script):
    """Return the names that a script uses by themselves: the gallery takes ``MODELS.items`` for a name of its own."""
    nodes = list(ast.walk(ast.parse(script.read_text())))
    owners = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in owners}


def test_the_reference_says_nothing_twice(site):
    pages = list((site / "api").glob("*.html"))
    assert len(pages) >= 8
    assert not any("Alias for field number" in parsed(page).get_text() for page in pages)


def test_below_each_room_of_the_reference_are_the_scripts_that_use_it_unless_most_do(site):
    users = defaultdict(set)
    for script in SCRIPTS:
        for name in imported(script):
            users[name].add(script.stem)
    rooms = ("mlperf.quantities.", "mlperf.profilers.", "mlperf.training.")
    of_rooms = {name: used for name, used in users.items() if name.startswith(rooms) and len(used) < len(SCRIPTS) / 3}
    assert len(of_rooms) >= 10
    pages = [parsed(page) for page in (site / "api").glob("*.html")]
    for name, used in of_rooms.items():
        section = next(filter(None, (page.find(id=name) for page in pages))).find_parent("section")
        cards = {Path(link["href"]).stem for link in section.select(".sphx-glr-thumbcontainer a")}
        assert used - cards == set(), name


def test_every_name_in_the_code_of_a_script_leads_to_the_reference(site):
    for script in SCRIPTS:
        (page,) = site.glob(f"auto_examples*/**/{script.stem}.html")
        linked = {urlsplit(link["href"]).fragment for link in parsed(page).select(".highlight a[href]")}
        used = {name for name in imported(script) if name.rpartition(".")[2] in named(script)}
        assert used - linked == set(), script.name


def test_every_gallery_page_has_script_notebook_run_time_tags_and_picture(site):
    assert SCRIPTS
    (gallery,) = site.glob("auto_examples*/index.html")
    tagged = {Path(card.a["href"]).stem for card in parsed(gallery).select("[data-sgtags]")}
    assert tagged == {script.stem for script in SCRIPTS}
    for script in SCRIPTS:
        (page,) = site.glob(f"auto_examples*/**/{script.stem}.html")
        links = [link["href"] for link in parsed(page).select("a.download")]
        assert any(link.endswith(f"{script.stem}.py") for link in links)
        assert any(link.endswith(f"{script.stem}.ipynb") for link in links)
        assert "Total running time of the script" in parsed(page).get_text()


def test_page_of_a_script_says_every_claim_in_whole_sentences(site):
    for script in SCRIPTS:
        name = re.sub(r"plot_\d+_", "", script.stem)
        (page,) = site.glob(f"auto_examples*/**/{script.stem}.html")
        said = " ".join(words(output) for output in parsed(page).select(".sphx-glr-script-out, table.claims"))
        result = read(name, RESULTS)
        for key in result.keys("claim"):
            assert " ".join(result[key].text.split()) in said, f"{name}.{key}"


def test_thumbnails_tell_the_scripts_apart(site):
    (gallery,) = site.glob("auto_examples*/index.html")
    thumbs = [
        (gallery.parent / image["src"]).resolve() for image in parsed(gallery).select(".sphx-glr-thumbcontainer img")
    ]
    assert len(thumbs) > 5
    assert len({thumb.read_bytes() for thumb in thumbs}) == len(thumbs)
