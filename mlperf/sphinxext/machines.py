"""Directives that set all machines side by side: a list of them, each claim on each machine, values with ratios."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

from mlperf.quantities.tables import Column
from mlperf.results.folder import ResultError, names_in
from mlperf.results.machines import DEPENDS, EVERYWHERE, NOWHERE, OPEN, across, differences, side_by_side
from mlperf.results.notices import measured
from mlperf.results.shelf import HERE
from mlperf.sphinxext.directives import PublishedDirective, plain
from mlperf.sphinxext.history import titled

ALONE = (
    "There are no results of other machines yet. As soon as there are some, this page compares them with those of this "
    "machine."
)
NO_OTHER = "There is no other machine to compare with yet."


class MachinesDirective(PublishedDirective):
    """A table of all machines; a sentence if there is only one."""

    required_arguments = 0

    def make(self) -> list[nodes.Node]:
        """Return the nodes to show."""
        shelf = self.domain.shelf
        self.domain.note("*")
        if self.domain.machines:
            self.domain.watch(self.domain.machines)
        return self.together() if len(shelf.machines) > 1 else self.alone()

    def alone(self) -> list[nodes.Node]:
        """Return the nodes to show if there is only one machine."""
        return [plain(ALONE)]

    def together(self) -> list[nodes.Node]:
        """Return the nodes to show if there are several machines."""
        shelf = self.domain.shelf
        said = {}
        for machine, folder in shelf.machines.items():
            results = [shelf.get(name, folder) for name in names_in(folder)]
            said[machine] = f"{measured(*results)}." if results else "Nothing has been measured."
            if differ := differences(shelf, machine):
                said[machine] += f" Differences from there to here: {', '.join(differ)}."
        shown = [Column("Machine", list(said), None), Column("Its results", list(said.values()), None)]
        return [self.named(self.table(shown, self.caption(nodes.title)))]

    def named(self, table: nodes.Element) -> nodes.Element:
        """Return a table as a target of references."""
        self.make_target(table, self.options.get("name"))
        return table


class MachineClaimsDirective(MachinesDirective):
    """A table with the verdict of every claim on each machine."""

    option_spec: ClassVar[dict[str, Any]] = {**PublishedDirective.option_spec, "original": directives.flag}

    def alone(self) -> list[nodes.Node]:
        """Return a sentence: for a single machine, a table of claims says more."""
        return [plain(NO_OTHER)]

    def together(self) -> list[nodes.Node]:
        """Return a sentence with the numbers of claims, and the table."""
        shelf = self.domain.shelf
        rows = across(shelf, original="original" in self.options)
        counts = {what: sum(row.comes_to == what for row in rows) for what in (EVERYWHERE, DEPENDS, OPEN, NOWHERE)}
        said = (
            f"Claims with the same verdict on every machine that measured them: {counts[EVERYWHERE]}. Claims that "
            f"depend on the machine: {counts[DEPENDS]}. Undecided on some machines: {counts[OPEN]}. Not measured on "
            f"any machine: {counts[NOWHERE]}."
        )
        shown = [
            Column("Statement", [row.statement for row in rows], None),
            Column("On all", [row.comes_to for row in rows], None),
        ]
        for machine in shelf.machines:
            verdicts = [row.verdicts[machine].replace(" ", "\u00a0") for row in rows]
            shown.append(Column(machine, verdicts, None))
        shown.append(Column("Script", [row.result.replace("_", " ") for row in rows], None))
        pages = [self.domain.page_of(row.result) for row in rows]
        return [plain(said), self.named(self.table(shown, self.caption(nodes.title), pages=pages))]


class MachineValuesDirective(MachinesDirective):
    """A table of values on each machine, with their ratios to those of a chosen machine."""

    option_spec: ClassVar[dict[str, Any]] = {**PublishedDirective.option_spec, "relative-to": directives.unchanged}

    def alone(self) -> list[nodes.Node]:
        """Return a sentence; raise an error if a value does not exist."""
        for reference in titled(self.content).values():
            self.domain.find("values", reference)
        return [plain(NO_OTHER)]

    def together(self) -> list[nodes.Node]:
        """Return the table."""
        shelf = self.domain.shelf
        chosen = self.options.get("relative-to", HERE)
        values = titled(self.content)
        if not values:
            raise ResultError("machines-values needs a value in each line: training_time.fit[Large, last] One fit")
        rows = {title: side_by_side(shelf, reference, chosen) for title, reference in values.items()}
        shown = [Column("Value", list(rows), None)]
        shown += [Column(machine, [row[machine] for row in rows.values()], None) for machine in shelf.machines]
        return [self.named(self.table(shown, []))]


def setup(app: Sphinx) -> None:
    """Register the directives."""
    app.add_directive("machines-table", MachinesDirective)
    app.add_directive("machines-claims", MachineClaimsDirective)
    app.add_directive("machines-values", MachineValuesDirective)
