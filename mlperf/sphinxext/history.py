"""A directive for values over builds, which draws each value with its intervals and marks changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

from mlperf.quantities.quantity import Quantity
from mlperf.quantities.tables import Column
from mlperf.results.folder import ResultError
from mlperf.results.history import Point, series
from mlperf.results.kinds import describe, revive
from mlperf.results.publishing import name_of
from mlperf.results.references import parse
from mlperf.sphinxext.changes import changes
from mlperf.sphinxext.directives import PublishedDirective, plain

NONE_YET = (
    "There is no history yet. Each published build adds the values that it measured, and this page shows them from "
    "then on."
)


class HistoryDirective(PublishedDirective):
    """Values over published builds: each line of the content is a reference, followed by a title."""

    required_arguments = 0
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"name": directives.unchanged}

    def make(self) -> list[nodes.Node]:
        """Return a table of the values and a figure of each, or a sentence that there is no history yet."""
        values = titled(self.content)
        if not values:
            raise ResultError("results-history needs a value in each line: training_time.fit[Large, last] One fit")
        folder = self.domain.history
        for reference in values.values():  # an unknown name is an error; a label may be missing on this machine
            self.domain.find("values", parse(reference).name)
        found = {title: series(folder, reference) if folder else [] for title, reference in values.items()}
        if folder:
            self.domain.watch(folder)
        if not any(found.values()):
            return [plain(NONE_YET)]
        known = {title: points for title, points in found.items() if points}
        marks = {title: changed(points) for title, points in known.items()}
        return [self.overview(known, marks), *(self.drawn(title, known[title], marks[title]) for title in known)]

    def overview(self, known: dict[str, list[Point]], marks: dict[str, list[Point]]) -> nodes.Node:
        """Return a table with the latest value and the last change of each."""
        texts: dict[str, list[str]] = {
            "Value": list(known),
            "Latest": [str(points[-1].quantity) for points in known.values()],
            "Measured on": [points[-1].time[:10] for points in known.values()],
            "Builds": [str(len(points)) for points in known.values()],
            "Last change": [last_change(points, marks[title]) for title, points in known.items()],
        }
        numbers = {"Builds": [float(len(points)) for points in known.values()]}
        table = self.table([Column(name, column, numbers.get(name)) for name, column in texts.items()], [])
        self.make_target(table, self.options.get("name"))
        return table

    def drawn(self, title: str, points: list[Point], marks: list[Point]) -> nodes.Node:
        """Return the figure of a value over the builds."""
        folder = Path(self.env.doctreedir, "history")
        folder.mkdir(parents=True, exist_ok=True)
        entry, files = describe(draw(title, points, marks), title)
        paths = {ending: folder / f"{name_of(title)}.{ending}" for ending in files}
        for ending, content in files.items():
            paths[ending].write_bytes(content)
        return nodes.figure("", self.image(paths, revive(entry, files)), classes=["results"])


def titled(content: Iterable[str]) -> dict[str, str]:
    """Return the references to values in the lines of a directive's content, by their titles."""
    return dict(split(line.strip()) for line in content if line.strip())


def split(line: str) -> tuple[str, str]:
    """Return the title of a value and the reference to it; without a title, the reference stands for both."""
    end = line.find("]") + 1 if "[" in line.partition(" ")[0] else line.find(" ")
    reference, title = (line[:end], line[end:].strip()) if end > 0 else (line, "")
    return title or reference, reference


def changed(points: Sequence[Point]) -> list[Point]:
    """Return the builds at which a value changed, for each machine by itself."""
    found = []
    for machine in dict.fromkeys(point.machine for point in points):
        of_machine = [point for point in points if point.machine == machine]
        found += [of_machine[place] for place in changes([point.quantity for point in of_machine])]
    return sorted(found)


def last_change(points: Sequence[Point], marks: Sequence[Point]) -> str:
    """Return a text that says when a value changed last, from what to what, and between which commits."""
    return f"{told(points, marks[-1])}{commits(points, marks[-1])}" if marks else "none"


def told(points: Sequence[Point], change: Point) -> str:
    """Return a text that says when a value changed, and from what to what."""
    before = previous(points, change)
    return f"{change.time[:10]}: {before.quantity:short} to {change.quantity:short}"


def previous(points: Sequence[Point], change: Point) -> Point:
    """Return the last build on the same machine before a change."""
    of_machine = [point for point in points if point.machine == change.machine]
    return of_machine[of_machine.index(change) - 1]


def commits(points: Sequence[Point], change: Point) -> str:
    """Return a text that says between which commits a change lies; empty if they are unknown."""
    before = previous(points, change)
    return f", commit {before.commit} to {change.commit}" if before.commit and change.commit else ""


def draw(title: str, points: Sequence[Point], marks: Sequence[Point]) -> Any:
    """Return a figure of a value over the builds, with a dashed line at each change."""
    from matplotlib import pyplot as plt
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    from mlperf.quantities.drawing import COLORS, QUIET, headline, subplots
    from mlperf.quantities.labels import PLAIN
    from mlperf.quantities.scales import format_values

    latest = points[-1].quantity
    figure, axes = subplots(figsize=(6.5, 2.6))
    machines = list(dict.fromkeys(point.machine for point in points))
    for color, machine in zip(COLORS * (1 + len(machines) // len(COLORS)), machines, strict=False):
        of_machine = [point for point in points if point.machine == machine]
        times = [datetime.fromisoformat(point.time) for point in of_machine]
        values = [point.quantity.value for point in of_machine]
        axes.vlines(times, *ends([point.quantity for point in of_machine]), color=color, linewidth=1.2)
        axes.plot(times, values, "o-", color=color, markersize=4, linewidth=0.8, label=machine)
    for mark in marks:
        axes.axvline(datetime.fromisoformat(mark.time), color=QUIET, linestyle="--", linewidth=1)
    if len(points) > 1:
        locator = AutoDateLocator(maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        axes.set_xticks([datetime.fromisoformat(points[0].time)], [points[0].time[:10]])
    sizes = [point.quantity.value for point in points]
    label = format_values(axes.yaxis, sizes, name=latest.name, unit=latest.unit, log=False, n_ticks=4)
    axes.set_ylabel(label)
    if len(machines) > 1:
        for text in axes.legend(fontsize="small").get_texts():
            text.set(**PLAIN)
    builds = f"{len(points)} builds, no change found" if len(points) > 1 else "the only build so far"
    last = f"changed {told(points, marks[-1])}" if marks else builds
    headline(axes, f"{title}: {latest:short}; {last}")
    plt.close(figure)
    return figure


def ends(quantities: Sequence[Quantity]) -> tuple[list[float], list[float]]:
    """Return the ends of the intervals; for a value without an interval, the value itself."""
    low = [one.low if one.low == one.low else one.value for one in quantities]
    high = [one.high if one.high == one.high else one.value for one in quantities]
    return low, high


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("results-history", HistoryDirective)
