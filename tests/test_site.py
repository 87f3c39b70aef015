"""The built site holds what the chapter promises, and every link and image in it leads somewhere."""

import ast
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from mlperf.protocol import MODELS

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").rglob("plot_*.py"))
CHAPTER = (ROOT / "docs" / "performance.rst").read_text()


@cache
def parsed(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def pages(site):
    return [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]


@pytest.fixture(scope="module")
def chapter(site):
    return parsed(site / "performance.html")


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
    sets = [tabs for tabs in chapter.find_all(class_="sd-tab-set") if "aten::" in tabs.get_text()]
    profiles = [tabs.find_all(class_="sd-tab-label") for tabs in sets]
    assert len(profiles) == 2
    for labels in profiles:
        assert len(labels) == 9
        assert {label.get_text().split(",")[0].strip() for label in labels} == set(MODELS)
        tables = labels[0].parent.find_all("table", class_="sortable")
        assert len(tables) == 9
        for table in tables:
            head = table.thead.get_text(" ", strip=True)
            assert all(words in head for words in ("Operator", "Calls", "Self CPU"))
            assert "aten::addmm" in table.tbody.get_text()


def test_the_verdicts_cover_every_statement_and_say_one_of_three_words(chapter):
    (table,) = [t for t in chapter.find_all("table") if "Verdict" in (t.thead.get_text() if t.thead else "")]
    at = [cell.get_text(strip=True) for cell in table.thead.find_all("th")].index("Verdict")
    rows = [row.find_all("td") for row in table.tbody.find_all("tr")]
    assert len(rows) >= 15
    assert all(
        re.fullmatch(r"[✓✗≈] (holds|does not hold|not distinguishable)", row[at].get_text(strip=True)) for row in rows
    )
    assert all(row[-1].find("a") for row in rows)


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
    assert "/404.html" not in listed


def imported(script):
    """Return the modules of the package that a script takes names from, and the names."""
    found = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)]
    return [(node.module, name.name) for node in found for name in node.names if node.module.startswith("mlperf.")]


def named(script):
    """Return the names that a script uses by themselves: the gallery takes ``MODELS.items`` for a name of its own."""
    nodes = list(ast.walk(ast.parse(script.read_text())))
    owners = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in owners}


def test_the_reference_says_nothing_twice(site):
    assert "Alias for field number" not in parsed(site / "api.html").get_text()


def test_below_each_room_of_the_reference_are_the_scripts_that_use_it(site):
    cards = {
        section["id"]: {Path(link["href"]).stem for link in section.select(".sphx-glr-thumbcontainer a")}
        for section in parsed(site / "api.html").find_all("section", id=re.compile(r"^module-mlperf\."))
    }
    used = {(module, script.stem) for script in SCRIPTS for module, _ in imported(script)}
    assert used
    assert {(module, script) for module, script in used if script not in cards[f"module-{module}"]} == set()


def test_every_name_in_the_code_of_a_script_leads_to_the_reference(site):
    for script in SCRIPTS:
        (page,) = site.glob(f"auto_examples*/**/{script.stem}.html")
        linked = {urlsplit(link["href"]).fragment for link in parsed(page).select(".highlight a[href]")}
        used = {f"{module}.{name}" for module, name in imported(script) if name in named(script)}
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


def test_findings_are_whole_sentences_on_the_page_of_their_script(site):
    pages = [parsed(page) for page in site.glob("auto_examples*/**/plot_*.html")]
    cells = [cell for page in pages for cell in page.select("table.dataframe td")]
    assert any(cell.get_text().startswith("Training time grows with the number of samples") for cell in cells)
    assert not any(cell.get_text().endswith("...") and len(cell.get_text()) > 3 for cell in cells)
    assert all("sentence" in cell.get("class", []) for cell in cells if len(cell.get_text()) > 40)


def test_thumbnails_tell_the_scripts_apart(site):
    (gallery,) = site.glob("auto_examples*/index.html")
    thumbs = [
        (gallery.parent / image["src"]).resolve() for image in parsed(gallery).select(".sphx-glr-thumbcontainer img")
    ]
    assert len(thumbs) > 5
    assert len({thumb.read_bytes() for thumb in thumbs}) == len(thumbs)
