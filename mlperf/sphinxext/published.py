"""Roles and directives that show published values, verdicts, tables, figures and findings."""

import os
import re
from html import escape
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from freshness import report
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from mlperf.results.publishing import Result, ResultError
from mlperf.results.shelf import measured
from mlperf.results.tables import Column, choose, levels


class SayRole(SphinxRole):
    """A published value or verdict in a sentence: ``training_time.large_many``, or that and ``short``."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        reference, _, form = self.text.partition(" ")
        try:
            result, text = report.shelf.say(self.kind, reference, form)
        except (ResultError, ValueError) as error:
            report.note(self.env, None)
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        report.note(self.env, result.name)
        return [nodes.inline(self.rawtext, text, classes=[self.kind])], []


class Published(SphinxDirective):
    """What the directives share: the lookup and its errors, the caption, and the line of provenance."""

    required_arguments = 1
    has_content = True
    option_spec: dict[str, Any] = {"name": directives.unchanged}  # noqa: RUF012 - docutils' way
    kind = ""

    def run(self) -> list[nodes.Node]:
        try:
            made = self.make()
        except (ResultError, ValueError) as error:
            report.note(self.env, None)
            raise self.error(str(error)) from None
        self.add_name(made[0])
        return made

    def make(self) -> list[Any]:
        found = report.shelf.find(self.kind, self.arguments[0])
        report.note(self.env, found[0].name)
        return self.show(*found)

    def show(self, result: Result, key: str, thing: Any) -> list[Any]:
        raise NotImplementedError

    def text(self, kind: type[nodes.TextElement], text: str, *classes: str) -> list[Any]:
        return [kind(text, "", *self.parse_inline(text, lineno=self.lineno)[0], classes=list(classes))] if text else []

    def caption(self, kind: type[nodes.TextElement]) -> list[Any]:
        return self.text(kind, " ".join(self.content))

    def address(self, result: Result, about: dict[str, Any]) -> str:
        return "/" + os.path.relpath(result.folder / about["file"], self.env.srcdir)

    def script(self, result: Result) -> str:
        page, name = report.page_of(result.name), result.provenance["script"]
        return f":doc:`{name} </{page}>`" if page else str(name)

    def source(self, result: Result) -> list[Any]:
        files = [f":download:`{key} <{self.address(result, about)}>`" for key, about in result.tables.items()]
        data = f"Data (CSV): {', '.join(files)}. " if files else ""
        return self.text(nodes.paragraph, f"{measured(result)}. {data}Script: {self.script(result)}.", "provenance")


class TableDirective(Published):
    """A published table, numbered; with ``tabs``, one for each level of the columns named there."""

    kind = "tables"
    option_spec: dict[str, Any] = {  # noqa: RUF012
        **Published.option_spec,
        **dict.fromkeys(("columns", "where", "sort", "unit", "tabs"), directives.unchanged),
        "limit": directives.positive_int,
    }

    def show(self, result: Result, key: str, thing: Any) -> list[Any]:  # noqa: ARG002
        if "tabs" in self.options:
            return self.tabs(result.table(key), key)
        options = {option: given for option, given in self.options.items() if option != "name"}
        return [lay(report.shelf.lay(result, key, **options), self.caption(nodes.title)), *self.source(result)]

    def tabs(self, frame: Any, key: str) -> list[Any]:
        by, where, name = (self.options.pop(option, "") for option in ("tabs", "where", "name"))
        rest = [column for column in frame.columns if column not in by.replace(",", " ").split()]
        lines = [".. tab-set::"]
        for label, part in levels(choose(frame, where=where), by).items():
            options = {"columns": " ".join(rest), **self.options, "where": f"{part} {where}"}
            lines += ["", f"   .. tab-item:: {label}", "", f"      .. results-table:: {self.arguments[0]}"]
            lines += [f"         :{option}: {given}" for option, given in options.items()]
            lines += [f"         :name: {name or key} {label}", "", f"         {' '.join(self.content)} ({label})"]
        return self.parse_text_to_nodes("\n".join(lines))


def lay(laid: list[Column], title: list[Any]) -> nodes.table:
    """Return a table; numbers are aligned right and carry what to sort by."""
    head, body = nodes.thead(), nodes.tbody()
    for i in range(-1, len(laid[0].texts)):
        # Sphinx reads a page anew for every number that it refers to: a node for every cell would take seconds.
        cells = nodes.raw("", "\n".join(cell(column, i) for column in laid), format="html")
        (head if i < 0 else body).append(nodes.row("", cells))
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in laid), head, body, cols=len(laid))
    return nodes.table("", *title, group, classes=["results", "sortable", "colwidths-auto"])


def cell(column: Column, i: int) -> str:
    if i < 0:
        return f'<th class="head{" numeric" if column.numbers else ""}">{escape(column.header)}</th>'
    numeric = f' class="numeric" data-sort="{column.numbers[i]!r}"' if column.numbers else ""
    return f"<td{numeric}>{escape(column.texts[i])}</td>"


class FigureDirective(Published):
    """A published figure, numbered; its title says what is seen, for those who do not see it."""

    kind = "figures"

    def show(self, result: Result, key: str, thing: Any) -> list[Any]:  # noqa: ARG002
        image = nodes.image(uri=self.address(result, thing), alt=thing["alt"], **thing.get("size", {}))
        return [nodes.figure("", image, *self.caption(nodes.caption), classes=["results"]), *self.source(result)]


class FindingDirective(Published):
    """One finding in place: verdict, statement, evidence."""

    kind = "findings"

    def show(self, result: Result, key: str, thing: Any) -> list[Any]:
        verdict = nodes.strong("", thing.mark, classes=["verdict"])
        said = nodes.paragraph("", "", verdict, nodes.Text(f": {thing.statement}"))
        box = nodes.container("", said, classes=["finding", nodes.make_id(thing.verdict)])
        box += nodes.paragraph("", thing.evidence, classes=["evidence"])
        other = report.shelf.compared(self.kind, result.name, key)
        if other and other.verdict != thing.verdict:
            differs = f"The other results differ: {other.mark}. {other.evidence}"
            box += nodes.paragraph("", differs, classes=["compared"])
        box += self.text(nodes.paragraph, f"Script: {self.script(result)}.", "provenance")
        return [box]


class FindingsDirective(Published):
    """The table of all findings, or of those of the results named."""

    required_arguments, optional_arguments, final_argument_whitespace = 0, 1, True
    option_spec: dict[str, Any] = {**Published.option_spec, "short": directives.flag}  # noqa: RUF012

    def make(self) -> list[Any]:
        names = " ".join(self.arguments).replace(",", " ").split() or ["*"]
        report.note(self.env, *names)
        laid, results = report.shelf.findings(names)
        if "short" in self.options:
            laid.pop()  # what was measured; the script's page, one click away, has it
        table = lay(laid, self.caption(nodes.title))
        head, *rows = table.findall(nodes.row)
        head += nodes.entry("", nodes.Text("Evidence"))
        for row, result, verdict in zip(rows, results, laid[1].texts, strict=True):
            row["classes"].append(nodes.make_id(verdict[2:]))
            row += nodes.entry("", *self.text(nodes.inline, self.script(result)))
        return [table]


def mark_sentences(_app: Sphinx, _docname: str, source: list[str]) -> None:  # in the tables that scripts show
    source[0] = re.sub(r"<td>(?=[^<]{40})", '<td class="sentence">', source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register roles and directives; the extension ``freshness`` keeps what they read."""
    app.setup_extension("freshness")
    app.connect("source-read", mark_sentences)
    app.add_role("value", SayRole("values"))
    app.add_role("verdict", SayRole("findings"))
    app.add_directive("results-table", TableDirective)
    app.add_directive("results-figure", FigureDirective)
    app.add_directive("finding", FindingDirective)
    app.add_directive("findings", FindingsDirective)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
