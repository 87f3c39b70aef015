"""Nodes of the extension, and how they are written in HTML.

In other formats, `mlperf.sphinxext.transforms.FitFormat` replaces each by the node of docutils from which it derives.
"""

from __future__ import annotations

import json
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


class results_table(nodes.table):  # noqa: N801 - docutils names nodes in lower case
    """A whole table as one node until a page is written: Sphinx loads a page again for each reference to it.

    Attributes: ``columns``, a list of (header, texts, numbers or None); ``pages``, the document to which each text of
    the last column links; ``rows``, a class for each row.
    """


class number(nodes.entry):  # noqa: N801
    """A cell with a number: right-aligned, and sorted by its value (``sort``) instead of its text."""


class tables_in_tabs(nodes.container):  # noqa: N801
    """Tables in tabs, of which one is visible at a time.

    Attributes: ``levels``, a list of (name, labels); ``group``, a name that is unique in the project. Its children have
    ``labels``, one for each level.
    """


class tab(nodes.container):  # noqa: N801
    """One table of `tables_in_tabs`."""


class folded(nodes.container):  # noqa: N801
    """A `summary` that is always visible, and content that unfolds below it."""


class summary(nodes.paragraph):  # noqa: N801
    """The part of `folded` that is always visible."""


class source_line(nodes.paragraph):  # noqa: N801
    """Links to the data and the script of a table or figure."""


class data_links(nodes.inline):  # noqa: N801
    """Links to files, which not every format supports."""


def visit_number(self: Any, node: number) -> None:
    """Write a cell with the value by which it is sorted."""
    node.parent.column += 1
    self.body.append(self.starttag(node, "td", "", CLASS="numeric", **{"data-sort": repr(node["sort"])}))
    self.context.append("</td>\n")


def depart_number(self: Any, node: number) -> None:
    """End the cell."""
    self.depart_entry(node)


def visit_tabs(self: Any, node: tables_in_tabs) -> None:
    """Write a row of buttons for each level. Without JavaScript, all tables are visible."""
    self.body.append(self.starttag(node, "div", CLASS="results-tabs"))
    for place, (name, labels) in enumerate(node["levels"]):
        self.body.append(f'<fieldset class="tab-strip"><legend>{self.encode(name)}</legend>')
        for label in labels:
            chosen = ' checked="checked"' if label == labels[0] else ""
            choice = f'<input type="radio" name="{node["group"]}-{place}" value="{self.attval(label)}"{chosen} />'
            self.body.append(f"<label>{choice}<span>{self.encode(label)}</span></label>")
        self.body.append("</fieldset>\n")


def visit_tab(self: Any, node: tab) -> None:
    """Write the box of one table."""
    self.body.append(self.starttag(node, "div", CLASS="results-tab", **{"data-labels": json.dumps(node["labels"])}))


def depart_box(self: Any, _node: nodes.Element) -> None:
    """End a box."""
    self.body.append("</div>\n")


def visit_folded(self: Any, node: folded) -> None:
    """Begin the box that unfolds."""
    self.body.append(self.starttag(node, "details"))


def depart_folded(self: Any, _node: folded) -> None:
    """End the box."""
    self.body.append("</details>\n")


def visit_summary(self: Any, node: summary) -> None:
    """Begin the part that is always visible."""
    self.body.append(self.starttag(node, "summary", ""))


def depart_summary(self: Any, _node: summary) -> None:
    """End that part."""
    self.body.append("</summary>\n")


PLAIN: dict[type[nodes.Element], type[nodes.Element]] = {
    number: nodes.entry,
    tables_in_tabs: nodes.container,
    tab: nodes.container,
    folded: nodes.container,
    summary: nodes.paragraph,
    source_line: nodes.paragraph,
    data_links: nodes.inline,
}
"""The node of docutils that replaces each node in formats without a counterpart."""


def setup(app: Sphinx) -> None:
    """Register the nodes."""
    app.add_enumerable_node(results_table, "table")
    app.add_node(number, html=(visit_number, depart_number))
    app.add_node(tables_in_tabs, html=(visit_tabs, depart_box))
    app.add_node(tab, html=(visit_tab, depart_box))
    app.add_node(folded, html=(visit_folded, depart_folded))
    app.add_node(summary, html=(visit_summary, depart_summary))
