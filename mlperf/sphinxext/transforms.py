"""What happens to a page on its way: notices under its title, figures for each format, tables as docutils has them."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

from mlperf.sphinxext.domain import published
from mlperf.sphinxext.nodes import PLAIN, data_links, number, results_table, source_line

# Characters that a line of a page on paper holds in a table, and lines of one that is not divided between pages.
LINE = 90
MOST_LINES = 24
# Of the line that a figure takes on paper: its text is as large there as the text around it.
PAPER_WIDTH = "75%"


class InsertNotices(SphinxTransform):
    """Put under a page's title what to beware of, and below its lead when and on what its numbers were measured."""

    default_priority = 880

    def apply(self, **_: Any) -> None:
        """Insert the notices."""
        lines: list[nodes.Node] = []
        boxes: list[nodes.Node] = []
        for kind, title, texts in published(self.env).notices(self.env.docname):
            body = [nodes.paragraph("", text, classes=[kind], support_smartquotes=False) for text in texts]
            if title:
                boxes.append(nodes.admonition("", nodes.title("", title), *body, classes=[kind, nodes.make_id(title)]))
            else:
                lines += body
        for heading in list(self.document.findall(nodes.title))[:1]:
            at = heading.parent.index(heading) + 1
            lead = at + isinstance(heading.next_node(descend=False, siblings=True), nodes.paragraph)
            heading.parent[lead:lead], heading.parent[at:at] = lines, boxes


class ExpandTables(SphinxPostTransform):
    """Make a docutils table of each `results_table`, with a node for each cell."""

    default_priority = 5  # before links are resolved

    def run(self, **_: Any) -> None:
        """Expand the tables."""
        for node in list(self.document.findall(results_table)):
            on_paper = published(self.env).builder.format == "latex"
            if on_paper and node.get("pages"):  # which only leads to pages that are not there
                node["columns"], node["pages"] = node["columns"][:-1], None
            columns = node["columns"]
            table = nodes.table("", *node.children, ids=node["ids"], names=node["names"], classes=node["classes"])
            if on_paper:
                # Each column would have the same part of the line; see `column_spec`.
                table["classes"].remove("colwidths-auto")
                if lines(columns) > MOST_LINES:
                    table["classes"].append("longtable")
            head = nodes.row("", *(entry(header, numeric=numbers is not None) for header, _, numbers in columns))
            body = nodes.tbody("", *rows(node))
            widths = [nodes.colspec(colwidth=width) for width in column_widths(columns)]
            table += nodes.tgroup("", *widths, nodes.thead("", head), body, cols=len(columns))
            table.source, table.line = node.source, node.line
            node.replace_self([addnodes.tabular_col_spec(spec=column_spec(columns)), table])


def rows(node: results_table) -> Iterator[nodes.row]:
    """Yield the rows of a table; a text of the last column may lead to a page."""
    columns, pages, classes = node["columns"], node.get("pages"), node.get("rows")
    for place in range(len(columns[0][1])):
        row = nodes.row(classes=[classes[place]] if classes else [])
        for _, texts, numbers in columns:
            value = numbers[place] if numbers is not None else None
            row += entry(texts[place], numeric=numbers is not None, value=value)
        if pages and pages[place]:
            paragraph = row[-1][0]
            paragraph.children = []
            paragraph += page_link(texts[place], pages[place])
        yield row


def entry(text: str, *, numeric: bool, value: float | None = None) -> nodes.entry:
    """Return a cell of a table."""
    paragraph = nodes.paragraph("", text) if text else nodes.paragraph()
    if value is not None:
        return number("", paragraph, sort=value)
    return nodes.entry("", paragraph, classes=["numeric"] if numeric else [])


def page_link(text: str, page: str) -> addnodes.pending_xref:
    """Return a link to another page of the project."""
    return addnodes.pending_xref(
        "",
        nodes.inline("", text, classes=["xref", "std", "std-doc"]),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{page}",
        refdoc="",
        refexplicit=True,
        refwarn=True,
    )


def column_widths(columns: list[Any]) -> list[int]:
    """Return a width for each column in characters, for formats without automatic widths."""
    return [max(2, min(60, max(map(len, [header, *texts])))) for header, texts, _ in columns]


def column_shares(columns: list[Any]) -> list[int]:
    """Return a width for each column in characters: none breaks a number or a word, long texts share what is left."""
    words = [max(len(word) for text in [header, *texts] for word in text.split(" ")) for header, texts, _ in columns]
    widths = [max(map(len, texts), default=0) for _, texts, _ in columns]
    # A column's edges take the room of two characters.
    return [2 + max(word, min(width, 40)) for word, width in zip(words, widths, strict=True)]


def lines(columns: list[Any]) -> int:
    """Return about how many lines a table takes on paper."""
    shares = column_shares(columns)
    room = [share * max(1, LINE / sum(shares)) for share in shares]
    cells = [[ceil(len(text) / width) for text in texts] for width, (_, texts, _) in zip(room, columns, strict=True)]
    return sum(map(max, zip(*cells, strict=True)))


def column_spec(columns: list[Any]) -> str:
    """Return the columns in the notation of LaTeX: numbers to the right, long texts sharing what the others leave."""
    widths = column_widths(columns)
    # Sphinx breaks what is longer than an equal part of the line.
    if sum(widths) <= LINE and max(widths) <= LINE / len(columns):
        return "".join("r" if numbers is not None else "l" for _, _, numbers in columns)
    shares = column_shares(columns)
    line = max(LINE, sum(shares))
    kinds = [
        (r">{\raggedleft\arraybackslash}" if numbers is not None else r">{\raggedright\arraybackslash}")
        + rf"\X{{{share}}}{{{line}}}"
        for share, (_, _, numbers) in zip(shares, columns, strict=True)
    ]
    return "".join(kinds)


class FitFormat(SphinxPostTransform):
    """Leave out what a format does not have: files to download, what is chosen on a screen, sizes in pixels."""

    default_priority = 6

    def run(self, **_: Any) -> None:
        """Leave it out."""
        builder = published(self.env).builder
        if not getattr(builder, "download_support", False):
            for links in list(self.document.findall(data_links)):
                links.parent.remove(links)
            for line in list(self.document.findall(source_line)):
                if not line.children or builder.format == "latex":  # on paper, a script's name leads nowhere
                    line.parent.remove(line)
            for legend in [legend for legend in self.document.findall(nodes.legend) if not legend.children]:
                legend.parent.remove(legend)
        if not isinstance(builder, StandaloneHTMLBuilder) or builder.name == "epub":
            for node in list(self.document.findall(lambda node: type(node) in PLAIN)):
                about = {"classes": node["classes"], "ids": node["ids"], "names": node["names"]}
                node.replace_self(PLAIN[type(node)]("", *node.children, **about))
        if builder.format != "html":
            for image in list(self.document.findall(is_ours)):
                del image["width"], image["height"]
                if builder.format == "latex":
                    image["width"] = PAPER_WIDTH
                if builder.supported_image_types and not set(image["candidates"]) & set(builder.supported_image_types):
                    image.replace_self(nodes.paragraph("", image["alt"]))


def is_ours(node: nodes.Node) -> bool:
    """Return whether a node is the image of a published figure."""
    return isinstance(node, nodes.image) and "results-image" in node["classes"]


def offer_pdf(app: Sphinx, document: nodes.document) -> None:
    """Let each format choose between SVG and PDF, once Sphinx has collected the images of a page."""
    for image in document.findall(is_ours):
        image["candidates"] = {"image/svg+xml": image["uri"]}
        if "pdf" in image:
            pdf, _ = app.env.relfn2path(image["pdf"], app.env.docname)
            app.env.note_dependency(pdf)
            app.env.images.add_file(app.env.docname, pdf)
            image["candidates"]["application/pdf"] = pdf


def setup(app: Sphinx) -> None:
    """Register the transforms."""
    app.add_transform(InsertNotices)
    app.add_post_transform(ExpandTables)
    app.add_post_transform(FitFormat)
    app.connect("doctree-read", offer_pdf, priority=600)
