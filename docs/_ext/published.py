"""Roles and directives that show published values, verdicts, tables, figures and findings."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from freshness import note, page_of, path_of, shelf
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from mlperf.results import Result, ResultError
from mlperf.shelf import measured
from mlperf.tables import Column, choose, columns, levels, ratios


class sort_entry(nodes.entry):  # noqa: N801 - docutils names nodes so
    """A table cell that carries the number behind its text, for scripts that sort."""


def visit_sort_entry(self: Any, node: sort_entry) -> None:
    at = len(self.body)
    self.visit_entry(node)
    self.body[at] = self.body[at].replace("<td", f'<td data-sort="{node["number"]!r}"', 1)


class SayRole(SphinxRole):
    """A published value or verdict in a sentence: ``training_time.large_many``, or that and ``short``."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        reference, _, form = self.text.partition(" ")
        try:
            result, text = shelf(self.env).say(self.kind, reference, form)
        except (ResultError, ValueError) as error:
            note(self.env, None)
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        note(self.env, result.name)
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
            note(self.env, None)
            raise self.error(str(error)) from None
        self.add_name(made[0])
        return made

    def make(self) -> list[Any]:
        found = shelf(self.env).find(self.kind, self.arguments[0])
        note(self.env, found[0].name)
        return self.show(*found)

    def show(self, result: Result, key: str, thing: Any) -> list[Any]:
        raise NotImplementedError

    def text(self, kind: type[nodes.TextElement], text: str, *classes: str) -> list[Any]:
        parsed = self.parse_inline(text, lineno=self.lineno)[0]
        return [kind(text, "", *parsed, classes=list(classes))] if text else []

    def caption(self, kind: type[nodes.TextElement]) -> list[Any]:
        return self.text(kind, " ".join(self.content))

    def script(self, result: Result) -> str:
        page, name = page_of(self.env, result.name), result.provenance["script"]
        return f":doc:`{name} </{page}>`" if page else str(name)

    def source(self, result: Result) -> list[Any]:
        files = {key: path_of(self.env, result.folder / about["file"]) for key, about in result.tables.items()}
        data = ", ".join(f":download:`{key} <{path}>`" for key, path in files.items())
        line = f"{measured(result)}. {f'Data (CSV): {data}. ' if data else ''}Script: {self.script(result)}."
        return self.text(nodes.paragraph, line, "provenance")


class TableDirective(Published):
    """A published table, numbered; with ``tabs``, one for each level of the columns named there."""

    kind = "tables"
    option_spec: dict[str, Any] = {  # noqa: RUF012
        **Published.option_spec,
        **dict.fromkeys(("columns", "where", "sort", "unit", "tabs"), directives.unchanged),
        "limit": directives.positive_int,
    }

    def show(self, result: Result, key: str, thing: Any) -> list[Any]:  # noqa: ARG002
        given = self.options
        if "tabs" in given:
            return self.tabs(result, key)
        picked = {option: given[option] for option in ("where", "sort", "limit") if option in given}
        frame = choose(result.table(key), show=given.get("columns", ""), **picked)
        laid = columns(frame, given.get("unit"))
        if shelf(self.env).compared(self.kind, result.name, key):
            column = ratios(frame, shelf(self.env).get(result.name, shelf(self.env).other).table(key))
            laid += [column] if column else []
        return [lay(laid, self.caption(nodes.title)), *self.source(result)]

    def tabs(self, result: Result, key: str) -> list[Any]:
        given, by = self.options.copy(), self.options["tabs"].replace(",", " ").split()
        frame = choose(result.table(key), where=given.get("where", ""))
        given.setdefault("columns", " ".join(column for column in frame.columns if column not in by))
        lines = [".. tab-set::"]
        for label, where in levels(frame, " ".join(by)).items():
            tab = given | {"where": f"{where} {given.get('where', '')}", "name": f"{given.get('name', key)} {label}"}
            lines += ["", f"   .. tab-item:: {label}", "", f"      .. results-table:: {self.arguments[0]}"]
            lines += [f"         :{option}: {value}" for option, value in tab.items() if option != "tabs"]
            lines += ["", f"         {' '.join(self.content)} ({label})"]
        self.options.pop("name", None)
        return self.parse_text_to_nodes("\n".join(lines))


def lay(laid: list[Column], title: list[Any]) -> nodes.table:
    """Return a table; numbers are aligned right and carry what to sort by."""
    head, body = nodes.thead(), nodes.tbody()
    for i in range(-1, len(laid[0].texts)):
        row = nodes.row()
        for column in laid:
            sortable = column.numbers is not None and i >= 0
            cell = sort_entry(number=column.numbers[i]) if sortable and column.numbers else nodes.entry()
            cell["classes"] += ["numeric"] if column.numbers else []
            cell += nodes.paragraph("", column.header if i < 0 else column.texts[i])
            row += cell
        (head if i < 0 else body).append(row)
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in laid), head, body, cols=len(laid))
    return nodes.table("", *title, group, classes=["results", "sortable", "colwidths-auto"])


def size_of(svg: Path) -> dict[str, str]:
    """Return the size that keeps a figure's place free while it is fetched: in pixels, of which 4 are 3 points."""
    found = dict(re.findall(r'\b(width|height)="([\d.]+)pt"', svg.read_text(encoding="utf-8")[:2_000]))
    return {side: f"{float(points) * 4 / 3:.0f}" for side, points in found.items()}


class FigureDirective(Published):
    """A published figure, numbered; its title says what is seen, for those who do not see it."""

    kind = "figures"

    def show(self, result: Result, key: str, thing: Any) -> list[Any]:  # noqa: ARG002
        file = result.folder / thing["file"]
        image = nodes.image(uri=path_of(self.env, file), alt=thing["alt"], **size_of(file))
        return [nodes.figure("", image, *self.caption(nodes.caption), classes=["results"]), *self.source(result)]


class FindingDirective(Published):
    """One finding in place: verdict, statement, evidence."""

    kind = "findings"

    def show(self, result: Result, key: str, thing: Any) -> list[Any]:
        verdict = nodes.strong("", thing.mark, classes=["verdict"])
        said = nodes.paragraph("", "", verdict, nodes.Text(f": {thing.statement}"))
        box = nodes.container("", said, classes=["finding", nodes.make_id(thing.verdict)])
        box += nodes.paragraph("", thing.evidence, classes=["evidence"])
        other = shelf(self.env).compared(self.kind, result.name, key)
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
        names = " ".join(self.arguments).replace(",", " ").split()
        note(self.env, *(names or ["*"]))
        laid, results = shelf(self.env).findings(names)
        verdicts = laid[2].texts
        if "short" in self.options:
            del laid[1]  # what was measured; the script's page, one click away, has it
        table = lay([*laid, Column("Evidence", ["" for _ in results], None)], self.caption(nodes.title))
        (body,) = table.findall(nodes.tbody)
        for row, result, verdict in zip(body, results, verdicts, strict=True):
            row["classes"].append(nodes.make_id(verdict[2:]))
            row[-1][:] = self.text(nodes.paragraph, self.script(result))
        return [table]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register roles and directives; the extension ``freshness`` keeps what they read."""
    app.setup_extension("freshness")
    app.add_node(sort_entry, html=(visit_sort_entry, lambda self, node: self.depart_entry(node)))
    app.add_role("value", SayRole("values"))
    app.add_role("verdict", SayRole("findings"))
    app.add_directive("results-table", TableDirective)
    app.add_directive("results-figure", FigureDirective)
    app.add_directive("finding", FindingDirective)
    app.add_directive("findings", FindingsDirective)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
