"""The same pages in every format, from reStructuredText and from Markdown."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from jinja2 import Environment
from small_reports import CONF, begin, build, parsed, text

from mlperf import Quantity, Runs, claim, fact, publish
from mlperf.results.kinds import Picture

ROOT = Path(__file__).parents[2]

INDEX = """
Report
======

.. toctree::

   times
   claims
"""

TIMES = """
Times
=====

A fit takes :value:`fits.fit[Large, last]` (:numref:`the-times`, :numref:`the-bars`). :says:`fits.odd`

.. results-table:: fits.fit
   :name: the-times

   How *long* a fit takes

.. results-table:: fits.runs
   :tabs: model
   :columns: n_samples seconds

   Runs

.. results-figure:: fits.bars
   :name: the-bars

   Time by model
"""

CLAIMS = """
Claims
======

.. claims-table::
   :filter:

   All claims

.. claim:: fits.quick

.. when:: fits.quick does not hold

   .. results-figure:: fits.bars

      Hidden

.. when:: fits.quick holds

   It is *quick*, see :numref:`the-times`.
"""

MARKDOWN = """
# Times

A fit takes {value}`fits.fit[Large, last]` ({numref}`the-times`, {numref}`the-bars`). {says}`fits.odd`

```{results-table} fits.fit
:name: the-times

How *long* a fit takes
```

```{results-table} fits.runs
:tabs: model
:columns: n_samples seconds

Runs
```

```{results-figure} fits.bars
:name: the-bars

Time by model
```
"""

MARKDOWN_CLAIMS = """
# Claims

```{claims-table}
:filter:

All claims
```

```{claim} fits.quick
```

:::{when} fits.quick does not hold
```{results-figure} fits.bars

Hidden
```
:::

:::{when} fits.quick holds
It is *quick*, see {numref}`the-times`.
:::
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A report of three pages."""
    folder = tmp_path_factory.mktemp("formats")
    begin(folder)
    for name, content in (("index", INDEX), ("times", TIMES), ("claims", CLAIMS)):
        (folder / f"docs/{name}.rst").write_text(content)
    return folder


@pytest.fixture(scope="module")
def built(folder):
    """Return what a builder made of it; the pages are read once for all of them."""
    done = set()

    def built(builder):
        if builder not in done:
            build(folder, builder=builder)
            done.add(builder)
        return folder / "docs/_build" / builder

    return built


@pytest.mark.parametrize(("builder", "page"), [("html", "times.html"), ("dirhtml", "times/index.html")])
def test_html_has_tables_figures_and_numbers(built, page, builder):
    shown = parsed(built(builder) / page)
    assert text(shown.select_one("table#the-times caption")) == "Table 1 How long a fit takes¶"
    assert "10.0 (9.7 to 10.3)" in text(shown.table)
    assert "(Table 1, Fig. 1)" in text(shown.p)
    assert shown.select_one("figure#the-bars img")["src"].endswith("_images/fits.bars.svg")


def test_search_finds_what_tables_hold(built):
    index = (built("html") / "searchindex.js").read_text()
    terms = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))["terms"]
    assert {"valgrind", "small"} <= set(terms)


def test_one_page_of_all_has_every_number_once(built):
    shown = parsed(built("singlehtml") / "index.html")
    numbers = [text(number) for number in shown.select(".caption-number")]
    assert numbers == ["Table 1", "Table 2", "Table 3", "Fig. 1", "Table 4"]
    assert "see Table 1" in text(shown)


def test_latex_has_tables_aligned_captions_with_labels_and_figures_as_pdf(built):
    source = next(built("latex").glob("*.tex")).read_text()
    assert r"\sphinxcaption{How \sphinxstyleemphasis{long} a fit takes}\label{\detokenize{times:the-times}}" in source
    assert r"\begin{tabular}[t]{lrr}" in source
    assert "10.0 (9.7 to 10.3)" in source
    assert re.search(r"\\sphinxincludegraphics\[width=0?\.75\d*\\linewidth\]\{\{fits\.bars\}\.pdf\}", source)
    assert (built("latex") / "fits.bars.pdf").read_bytes().startswith(b"%PDF")
    assert r"Table \ref{\detokenize{times:the-times}}" in source
    assert r"It says \textasciigrave{}a\textasciigrave{}\_, \textless{}b\textgreater{}" in source
    assert "Data:" not in source, "there is nothing to download on paper"


def test_book_is_well_formed_and_its_tables_are_whole(built):
    """Tried: pages of an EPUB were no XML, which warnings as errors did not tell."""
    (book,) = built("epub").glob("*.epub")
    with zipfile.ZipFile(book) as archive:
        pages = {name: archive.read(name) for name in archive.namelist() if name.endswith(".xhtml")}
        assert any(name.endswith("fits.bars.svg") for name in archive.namelist())
    for page in pages.values():
        ElementTree.fromstring(page.replace(b"&copy;", b"").replace(b"&nbsp;", b""))
    times = pages["times.xhtml"].decode()
    assert "10.0 (9.7 to 10.3)" in times
    assert "radio" not in times, "nothing can be chosen without a script"


@pytest.mark.parametrize(
    "thing",
    [
        Quantity.from_estimates({"<a>": (2.0, 1.9, 2.1), "b & c": (3.0, 2.9, 3.1)}, by="model", unit="seconds"),
        Runs(pd.DataFrame({"model": ["<a>", None], "process": [0, 1], "seconds": [1.0, 2.0]}), by=["model"]),
        claim("It was <not> counted.", reason="valgrind & co. are not installed"),
        claim("It is so.", fact("one", True) & fact("another", False)),
        Picture(b"<svg/>", "Time & more", 640, 480),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_scripts_show_is_well_formed_in_a_book(thing):
    """Tried: 12 pages of the gallery, with a claim that has notes, were no XML in the report's EPUB."""
    ElementTree.fromstring(f"<div>{thing._repr_html_()}</div>")


def test_page_for_unknown_addresses_is_well_formed_in_a_book():
    """Tried: it was no XML in the report's EPUB."""
    page = Environment().from_string((ROOT / "docs/_templates/404.html").read_text()).render(gallery="auto_examples")
    ElementTree.fromstring(page)


def test_text_has_tables_and_what_is_seen_in_figures(built):
    times = (built("text") / "times.txt").read_text()
    assert "| Large | 10,000  | 10.0 (9.7 to 10.3)  |" in times
    assert "[image: Large takes longest]\n" in times
    assert "10.0 s (9.7 to 10.3) (Table 1, Fig. 1)." in " ".join(times.replace("\u00a0", " ").split())
    assert "Table 1: How *long* a fit takes" in times
    assert "Fig. 1: Time by model" in times
    assert "see Table 1" in (built("text") / "claims.txt").read_text()
    assert 'It says `a`_, <b> and "engine" -- |x|.' in " ".join(times.split())
    assert "It is *quick*" in (built("text") / "claims.txt").read_text()
    assert "Hidden" not in (built("text") / "claims.txt").read_text()


def test_pages_that_were_read_hold_one_node_for_a_table(folder, built):
    built("html")
    sizes = {page: (folder / f"docs/_build/doctrees/{page}.doctree").stat().st_size for page in ("times", "claims")}
    assert max(sizes.values()) < 12_000


def test_markdown_gives_the_same_pages(folder, built, tmp_path):
    pytest.importorskip("myst_parser")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/conf.py").write_text(
        CONF.replace("../results", str(folder / "results"))
        + 'extensions.append("myst_parser")\nmyst_enable_extensions = ["colon_fence"]\n'
    )
    (tmp_path / "docs/index.rst").write_text(INDEX)
    (tmp_path / "docs/times.md").write_text(MARKDOWN)
    (tmp_path / "docs/claims.md").write_text(MARKDOWN_CLAIMS)
    build(tmp_path)
    for name in ("times", "claims"):
        pair = [
            parsed(path / f"{name}.html").select_one("div.body")
            for path in (built("html"), tmp_path / "docs/_build/html")
        ]
        ours, markdown = (re.sub(r"_downloads/\w+/", "", page.prettify()) for page in pair)
        assert markdown == ours


def test_labels_with_commas_are_chosen_in_markdown_too(tmp_path, monkeypatch):
    """Tried: options are YAML there, which takes one pair of quotes away."""
    pytest.importorskip("myst_parser")
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "results"))
    publish("odd", table=pd.DataFrame({"a model": ["My own, wide", "Small"], "n": [1, 2]}))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/conf.py").write_text(CONF + 'extensions.append("myst_parser")\n')
    options = """:where: "'a model=My own, wide'"\n:columns: "'a model'"\n"""
    (tmp_path / "docs/index.md").write_text(f"# Odd\n\n```{{results-table}} odd.table\n{options}```\n")
    assert [text(cell) for cell in build(tmp_path).select("td")] == ["My own, wide"]


def test_extension_loads_neither_torch_nor_the_libraries_of_scripts():
    code = (
        "import sys; import mlperf.sphinxext.directives, mlperf.sphinxext.roles, mlperf.sphinxext.freshness;"
        "print({'torch', 'sklearn', 'matplotlib', 'loky'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
