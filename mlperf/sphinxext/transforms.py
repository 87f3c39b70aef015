"""Transforms of pages: notices below the title, tables of docutils, and adaptations to each format."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

from mlperf.sphinxext.domain import published
from mlperf.sphinxext.nodes import PLAIN, data_links, number, results_table, source_line

# In LaTeX: characters in a line of a table, and most lines of a table that is kept on one page.
LINE = 90
MOST_LINES = 24
# Width of a figure in LaTeX, relative to the line: its text is then as large as the text around it.
PAPER_WIDTH = "75%"


class InsertNotices(SphinxTransform):
    """Put warnings below the title of a page, and below its first paragraph when and on what it was measured."""

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
        heading = next(iter(self.document.findall(nodes.title)), None)
        if heading is None:
            return
        below = heading.parent.index(heading) + 1
        has_lead = isinstance(heading.next_node(descend=False, siblings=True), nodes.paragraph)
        heading.parent.insert(below + has_lead, lines)
        heading.parent.insert(below, boxes)


class ExpandTables(SphinxPostTransform):
    """Replace each `results_table` by a table of docutils, with a node for each cell."""

    default_priority = 5  # before links are resolved

    def run(self, **_: Any) -> None:
        """Expand the tables."""
        for node in list(self.document.findall(results_table)):
            on_paper = published(self.env).builder.format == "latex"
            if on_paper and node.get("pages"):  # the last column only links to pages that LaTeX does not have
                node["columns"], node["pages"] = node["columns"][:-1], None
            columns = node["columns"]
            table = nodes.table("", *node.children, ids=node["ids"], names=node["names"], classes=node["classes"])
            if on_paper:
                # With it, all columns would have the same width; see `column_spec`.
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
    """Yield the rows of a table; texts of the last column may be links to pages."""
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
    """Return the width of each column in characters, for formats without automatic widths."""
    return [max(2, min(60, max(map(len, [header, *texts])))) for header, texts, _ in columns]


def column_shares(columns: list[Any]) -> list[int]:
    """Return a width for each column in characters that breaks no word, and no line of up to 40 characters."""
    words = [max(len(word) for text in [header, *texts] for word in text.split(" ")) for header, texts, _ in columns]
    widths = [max(map(len, texts), default=0) for _, texts, _ in columns]
    # The margins of a column are as wide as two characters.
    return [2 + max(word, min(width, 40)) for word, width in zip(words, widths, strict=True)]


def lines(columns: list[Any]) -> int:
    """Return roughly how many lines a table takes in LaTeX."""
    shares = column_shares(columns)
    room = [share * max(1, LINE / sum(shares)) for share in shares]
    cells = [[ceil(len(text) / width) for text in texts] for width, (_, texts, _) in zip(room, columns, strict=True)]
    return sum(map(max, zip(*cells, strict=True)))


def column_spec(columns: list[Any]) -> str:
    """Return the columns in LaTeX's notation: numbers right-aligned, and widths only if the table is wide."""
    widths = column_widths(columns)
    # Sphinx wraps columns that are wider than an equal share of the line.
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
    """Remove what a format does not support: downloads, interactive elements, and sizes in pixels."""

    default_priority = 6

    def run(self, **_: Any) -> None:
        """Adapt the page to the format."""
        builder = published(self.env).builder
        if not getattr(builder, "download_support", False):
            self.remove_links(builder)
        if not isinstance(builder, StandaloneHTMLBuilder) or builder.name == "epub":
            self.make_plain()
        if builder.format != "html":
            self.fit_images(builder)

    def remove_links(self, builder: Builder) -> None:
        """Remove the links to files, and what is empty without them."""
        for links in list(self.document.findall(data_links)):
            links.parent.remove(links)
        for line in list(self.document.findall(source_line)):
            if not line.children or builder.format == "latex":  # in LaTeX, the name of a script links to nothing
                line.parent.remove(line)
        for legend in list(self.document.findall(nodes.legend)):
            if not legend.children:
                legend.parent.remove(legend)

    def make_plain(self) -> None:
        """Replace the nodes of this extension by those of docutils."""
        for node in list(self.document.findall(lambda node: type(node) in PLAIN)):
            about = {"classes": node["classes"], "ids": node["ids"], "names": node["names"]}
            node.replace_self(PLAIN[type(node)]("", *node.children, **about))

    def fit_images(self, builder: Builder) -> None:
        """Adapt the sizes of images; where a format cannot show them, put their alternative text."""
        supported = set(builder.supported_image_types)
        for image in list(self.document.findall(is_ours)):
            del image["width"], image["height"]
            if builder.format == "latex":
                image["width"] = PAPER_WIDTH
            if builder.format == "text":  # on a line of its own, before the caption
                image.replace_self(nodes.paragraph("", f"[image: {image['alt']}]"))
            elif supported and not supported & set(image["candidates"]):
                image.replace_self(nodes.paragraph("", image["alt"]))


class NumberText(SphinxPostTransform):
    """Number captions in plain text, and the references to them.

    Sphinx's writer of plain text shows neither: captions have no number, and a reference is "Fig. %s", the template.
    """

    default_priority = 12  # after references are resolved
    formats = ("text",)

    def run(self, **_: Any) -> None:
        """Put the numbers into the text."""
        for reference in list(self.document.findall(addnodes.number_reference)):
            reference.replace_self(reference.children)
        standard = self.env.domains.standard_domain
        numbers = self.env.toc_fignumbers.get(self.env.docname, {})
        for node in list(self.document.findall(nodes.Element)):
            kind = standard.get_enumerable_node_type(node)
            if kind not in numbers or not node["ids"] or node["ids"][0] not in numbers[kind]:
                continue
            number = ".".join(map(str, numbers[kind][node["ids"][0]]))
            for caption in [part for part in node if isinstance(part, nodes.title | nodes.caption)]:
                caption.insert(0, nodes.Text(f"{self.config.numfig_format[kind] % number}: "))


def is_ours(node: nodes.Node) -> bool:
    """Return whether a node is the image of a published figure."""
    return isinstance(node, nodes.image) and "results-image" in node["classes"]


def offer_pdf(app: Sphinx, document: nodes.document) -> None:
    """Offer each figure as SVG and as PDF, after Sphinx has collected the images of a page."""
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
    app.add_post_transform(NumberText)
    app.connect("doctree-read", offer_pdf, priority=600)
