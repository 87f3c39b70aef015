"""Directives for published tables, figures and claims, and for text that depends on a verdict."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mlperf.quantities.checks import UNDECIDED, UNMEASURED
from mlperf.quantities.claims import Claim
from mlperf.quantities.quantity import Quantity
from mlperf.quantities.tables import Column, columns, header
from mlperf.quantities.units import UNITS
from mlperf.results.folder import ONLY_FULL, LeftOutError, ResultError
from mlperf.results.kinds import Picture
from mlperf.results.shown import ClaimRow, claim_rows, ratios_to_other, table_of
from mlperf.results.tables import choose, parts, typed_words
from mlperf.sphinxext.domain import Found, published
from mlperf.sphinxext.nodes import data_links, folded, results_table, source_line, summary, tab, tables_in_tabs
from mlperf.sphinxext.sentences import parse_conditions
from mlperf.sphinxext.transforms import page_link

# Largest number of rows of a table on a page. Longer tables are cut, with a link to the data.
MOST_ROWS = 200


class PublishedDirective(SphinxDirective):
    """Base class of the directives: reports errors, and makes captions, tables, and links to data and script."""

    required_arguments = 1
    final_argument_whitespace = True  # spaces between labels
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"name": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Return the nodes to show; report an error if there are none."""
        self.domain = published(self.env)
        try:
            made = self.make()
        except LeftOutError as error:
            self.domain.note(error.name)
            return [plain(f"Not measured: {ONLY_FULL}.", "absent")]
        except (ResultError, ValueError) as error:
            self.domain.note(None)
            if self.domain.is_empty:  # reported once for all pages
                return []
            raise self.error(str(error)) from None
        return made

    def make(self) -> list[nodes.Node]:
        """Return the nodes to show."""
        raise NotImplementedError

    def caption(self, kind: type[nodes.TextElement], note: str = "") -> list[nodes.Node]:
        """Return the content as a caption, in which roles work, followed by a note in parentheses as plain text."""
        text = " ".join(self.content)
        if not text:
            return []
        parsed, messages = self.parse_inline(text, lineno=self.lineno)
        said = kind(text, "", *parsed)
        if note:
            said += nodes.inline("", f" ({note})", support_smartquotes=False)
        self.set_source_info(said)
        return [said, *messages]

    def source(self, found: Found, keys: Sequence[str] = ()) -> source_line:
        """Return links to the data, by the names of things in the result, and to the script."""
        line = source_line("", classes=["provenance"])
        links = [self.download(found._replace(key=key), key) for key in keys]
        if links:
            line += data_links("", "Data: ")
            for link in links:
                line[0].extend([link, nodes.Text(", ")])
            line[0][-1] = nodes.Text(". ")
        script = found.result.provenance["script"]
        if script:
            page = self.domain.page_of(found.result.name)
            link = page_link(script, page) if page else nodes.inline("", script, support_smartquotes=False)
            line.extend([nodes.Text("Script: "), link, nodes.Text(".")])
        return line

    def address(self, path: Path) -> str:
        """Return the path of a file relative to the source folder."""
        return "/" + os.path.relpath(path, self.env.srcdir)

    def download(self, found: Found, text: str) -> addnodes.download_reference:
        """Return a download link to the CSV file of a thing."""
        shown = nodes.literal("", text, classes=["xref", "download"])
        link = addnodes.download_reference("", "", shown, reftype="download", refexplicit=True)
        link["reftarget"] = self.address(found.result.paths(found.key)["csv"])
        link["refdoc"] = self.env.docname
        return link

    def image(self, paths: Mapping[str, Path], picture: Picture) -> nodes.image:
        """Return a picture whose files are at these paths: "svg", and for formats that prefer it "pdf"."""
        image = nodes.image(
            uri=self.address(paths["svg"]),
            alt=picture.alt,
            width=str(picture.width),
            height=str(picture.height),
            # Not linked: an SVG from elsewhere could run scripts if it was opened by itself.
            classes=["results-image", "no-scaled-link"],
        )
        if "pdf" in paths:
            image["pdf"] = self.address(paths["pdf"])
        self.set_source_info(image)
        return image

    def make_target(self, node: nodes.Element, name: str | None) -> None:
        """Make a node a target of references."""
        if name is not None:
            self.options["name"] = name
            self.add_name(node)  # this removes the option

    def table(self, columns: Sequence[Any], title: list[nodes.Node], **about: Any) -> results_table:
        """Return a table of laid-out columns."""
        if not columns:
            raise ValueError(f"There is nothing to show: {' '.join(self.arguments) or 'the table'} has no columns.")
        plain = [(column.header, list(column.texts), column.numbers) for column in columns]
        table = results_table("", *title, columns=plain, classes=["results", "sortable", "colwidths-auto"], **about)
        self.set_source_info(table)
        return table


class TableDirective(PublishedDirective):
    """A published table or quantity as a numbered table; with ``tabs``, one for each combination of labels."""

    option_spec: ClassVar[dict[str, Any]] = {
        **PublishedDirective.option_spec,
        **dict.fromkeys(("columns", "where", "sort", "tabs"), directives.unchanged),
        "limit": directives.positive_int,
        "unit": lambda unit: directives.choice(unit, tuple(UNITS)),
    }

    def make(self) -> list[nodes.Node]:
        """Return the table, or the tables in tabs, with links to data and script."""
        found = self.domain.find("tables", self.arguments[0])
        frame = plain_frame(table_of(self.domain.shelf, self.arguments[0]))
        rows = choose(frame, where=self.options.get("where", ""))
        by = typed_words(self.options.get("tabs", ""))
        if not by:
            return [*self.shown(found, rows, self.options.get("name")), self.source(found, [found.key])]
        several = parts(rows, by)
        labels = [list(dict.fromkeys(part[place] for part in several)) for place in range(len(by))]
        group = nodes.make_id(f"{self.env.docname}-tabs-{self.env.new_serialno('mlperf-tabs')}")
        box = tables_in_tabs(levels=list(zip(map(header, by), labels, strict=True)), group=group)
        name = self.options.get("name")
        for place, (part, some) in enumerate(several.items()):
            # The first table has the given name; the others add their labels to it.
            own = f"{name} {', '.join(part)}" if name and place else name
            # A caption contains the labels. Without a caption, formats without tabs need them above the table.
            named = [] if self.content else [plain(", ".join(part), "tab-labels")]
            box += tab("", *named, *self.shown(found, rows.loc[some.index], own, by, part), labels=list(part))
        return [box, self.source(found, [found.key])]

    def shown(
        self,
        found: Found,
        rows: pd.DataFrame,
        name: str | None,
        by: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> list[nodes.Node]:
        """Return a table of some rows, and a note if not all of them are shown."""
        rows = choose(rows, sort=self.options.get("sort", ""))
        limit = self.options.get("limit", len(rows))
        cut = rows.head(min(limit, MOST_ROWS))
        # The number of runs behind a quantity is in the data file.
        hidden = [*by, *(["runs"] if isinstance(found.thing, Quantity) else [])]
        names = typed_words(self.options.get("columns", "")) or [name for name in rows.columns if name not in hidden]
        laid = columns(cut[with_ends(names, cut)], self.options.get("unit"))
        ratio = ratios_to_other(self.domain.shelf, self.arguments[0], cut)
        table = self.table([*laid, *([ratio] if ratio else [])], self.caption(nodes.title, ", ".join(labels)))
        self.make_target(table, name)
        return [table, *(self.cut(found, len(cut), len(rows)) if len(cut) < min(limit, len(rows)) else [])]

    def cut(self, found: Found, shown: int, rows: int) -> list[nodes.Node]:
        """Return a note that says how many rows are shown, with a link to all of them."""
        link = self.download(found, f"{found.result.name}.{found.key}.csv")
        said = nodes.paragraph("", f"The first {shown:,} of {rows:,} rows.", classes=["cut"])
        said += data_links("", "", nodes.Text(" All of them: "), link, nodes.Text("."))
        return [said]


class FigureDirective(PublishedDirective):
    """A published figure, numbered; its title is the alternative text."""

    def make(self) -> list[nodes.Node]:
        """Return the figure, with links to data and script."""
        found = self.domain.find("figures", self.arguments[0])
        image = self.image(found.result.paths(found.key), found.thing)
        links = self.source(found, found.result.keys("table") or found.result.keys("quantity"))
        legend = nodes.legend("", links)
        figure = nodes.figure("", image, *self.caption(nodes.caption), legend, classes=["results"])
        self.set_source_info(figure)
        self.make_target(figure, self.options.get("name"))
        return [figure]


class ClaimDirective(PublishedDirective):
    """One claim: its verdict and its text, with the evidence in a part that unfolds."""

    has_content = False

    def make(self) -> list[nodes.Node]:
        """Return the claim."""
        found = self.domain.find("claims", self.arguments[0])
        claim: Claim = found.thing
        verdict = nodes.strong("", claim.mark, classes=["verdict"])
        box = folded(classes=["claim", nodes.make_id(claim.verdict)])
        box += summary("", "", verdict, nodes.Text(f": {claim.text}"), support_smartquotes=False)
        items = [nodes.list_item("", plain(one.sentence)) for one in claim.deciding]
        if items:
            box += nodes.bullet_list("", *items, classes=["evidence"])
        other = self.domain.shelf.compared("claims", self.arguments[0])
        if other is not None and other.verdict != claim.verdict:
            box += plain(f"The other results differ: {other.mark}. {other.text}", "compared")
        if claim.advice:
            box += plain(claim.advice, "advice")
        box += self.source(found)
        self.make_target(box, self.options.get("name"))
        return [box]


class ClaimsDirective(PublishedDirective):
    """A table of the claims of some results, or of all."""

    required_arguments, optional_arguments = 0, 1
    option_spec: ClassVar[dict[str, Any]] = {
        **PublishedDirective.option_spec,
        "original": directives.flag,
        "filter": directives.flag,
    }

    def make(self) -> list[nodes.Node]:
        """Return the table."""
        original = "original" in self.options
        names = " ".join(self.arguments).replace(",", " ").split() or ["*"]
        self.domain.note(*names)
        rows = claim_rows(self.domain.shelf, names, original=original)
        shown = {
            # With the option, the original's words beside the claim's text; otherwise, statement and evidence.
            "The original said": [row.claim.original for row in rows] if original else [],
            "Statement": [] if original else [row.claim.statement for row in rows],
            "Measured here": [answer(row.claim) if original else row.measured for row in rows],
            "Verdict": [row.claim.mark.replace(" ", "\u00a0") for row in rows],  # on one line
            "Other results": [other_verdict(row) for row in rows] if self.domain.shelf.other else [],
            "Script": [row.result.replace("_", " ") for row in rows],
        }
        table = self.table(
            [Column(heading, texts, None) for heading, texts in shown.items() if texts],
            self.caption(nodes.title),
            pages=[self.domain.page_of(row.result) for row in rows],
            rows=[nodes.make_id(row.claim.verdict) for row in rows],
        )
        flags = {"original": "original", "filter": "verdict-filter"}
        table["classes"] += ["claims", *(flags[option] for option in flags if option in self.options)]
        self.make_target(table, self.options.get("name"))
        return [table]


class WhenDirective(PublishedDirective):
    """Content that appears only for some verdicts: ``training_time.linear holds or is undecided``."""

    option_spec: ClassVar[dict[str, Any]] = {}

    def make(self) -> list[nodes.Node]:
        """Return the parsed content, or nothing; content that is left out takes no number and defines no label."""
        verdicts = [self.verdict(name) in words for name, words in parse_conditions(self.arguments[0])]
        return self.parse_content_to_nodes(allow_section_headings=True) if all(verdicts) else []

    def verdict(self, name: str) -> str:
        """Return the verdict on a claim; that of a claim that is left out here is "not measured"."""
        try:
            return self.domain.find("claims", name).thing.verdict
        except LeftOutError as error:
            self.domain.note(error.name)
            return UNMEASURED


def plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its index as columns, if the index has a name, and with a plain range as index."""
    frame = frame.reset_index(drop=all(name is None for name in frame.index.names), allow_duplicates=True)
    if isinstance(frame.columns, pd.MultiIndex):  # the same names as in the CSV file
        frame.columns = [" ".join(map(str, labels)).rstrip() for labels in frame.columns]
    return frame


def with_ends(names: Sequence[str], frame: pd.DataFrame) -> list[str]:
    """Return the columns to show: the chosen ones, each followed by the ends of its interval.

    Raises
    ------
    ResultError
        If there is no such column.
    """
    found: list[str] = []
    for name in choose(frame, columns=" ".join(shlex.quote(str(name)) for name in names)).columns:
        ends = [end for end in (f"{name}_low", f"{name}_high") if end in frame.columns]
        found += [column for column in (name, *ends) if column not in found]
    return found


def answer(claim: Claim) -> str:
    """Return the text of a claim; if it is undecided, followed by what would decide it."""
    return f"{claim.text} {claim.advice}" if claim.verdict == UNDECIDED and claim.advice else claim.text


def other_verdict(row: ClaimRow) -> str:
    """Return the verdict of the other results, marked if it differs."""
    return f"{row.other} (differs)" if row.other and row.other != row.claim.mark else row.other


def plain(text: str, *classes: str) -> nodes.paragraph:
    """Return a paragraph of plain text."""
    return nodes.paragraph("", text, classes=list(classes), support_smartquotes=False)


def setup(app: Sphinx) -> None:
    """Register the directives."""
    app.add_directive("results-table", TableDirective)
    app.add_directive("results-figure", FigureDirective)
    app.add_directive("claim", ClaimDirective)
    app.add_directive("claims-table", ClaimsDirective)
    app.add_directive("when", WhenDirective)
