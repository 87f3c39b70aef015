"""Re-run what is out of date, one build at a time, and say on each page when and on what it was measured."""

import os
from pathlib import Path
from typing import Any

from docutils import nodes
from filelock import FileLock, Timeout
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from mlperf.sphinxext.gallery import Gallery
from mlperf.results.publishing import ResultError, results_folder
from mlperf.results.shelf import Shelf


class Report:
    """The report that is being built: its results, and the gallery of the scripts behind them."""

    def start(self, app: Sphinx) -> None:
        """Lock the tree, and let the gallery run the scripts whose results are missing, broken or out of date."""
        self.lock = FileLock(Path(app.srcdir, "_build", ".lock"), blocking=False)
        try:
            self.lock.acquire()
        except Timeout:
            raise ExtensionError(f"Another build is under way in {app.srcdir}: wait until it is done.") from None
        # It stays when the build is killed: nothing then tells which of the pages were written.
        self.unfinished = Path(app.outdir, ".unfinished")
        self.anew = self.unfinished.exists()
        self.unfinished.touch()

        given = getattr(app.config, "sphinx_gallery_conf", {})
        self.gallery = Gallery(Path(app.srcdir), given.get("examples_dirs", []), given.get("gallery_dirs", []))
        self.gallery.tidy()
        self.runs = str(getattr(app.config, "plot_gallery", True)) not in ("0", "False")
        self.take_stock(app)
        if self.runs:
            # Where the pages look for results is where the scripts must leave them.
            os.environ["MLPERF_RESULTS"] = str(self.shelf.folder)
            self.gallery.refresh(self.shelf)

    def take_stock(self, app: Sphinx) -> None:
        """Read the results anew: before the scripts run, and when they have run."""
        folder, other = Path(app.srcdir, app.config.mlperf_results), app.config.mlperf_compare
        try:
            self.shelf = Shelf(folder.resolve(), self.gallery.pages, Path(other).resolve() if other else None)
        except ResultError as error:
            raise ExtensionError(str(error)) from None

    def after_scripts(self, app: Sphinx) -> None:
        self.take_stock(app)
        if self.runs:
            self.gallery.settle(self.shelf)

    def page_of(self, name: str) -> str | None:
        """Return the document that the gallery makes of the script behind a result, if it is there."""
        return self.gallery.page(self.shelf.scripts.get(name))

    def note(self, env: Any, *names: str | None) -> None:
        """Note which results a document shows, and their state; None stands for one that it could not show."""
        states = env.metadata[env.docname].setdefault("mlperf", {})
        states.update({name: self.shelf.state(name) if name else "" for name in names})

    def outdated(self, _app: Sphinx, env: Any, *_: Any) -> list[str]:
        """Read again what shows a result that changed or became stale, or could not show one."""
        if self.anew:
            return sorted(env.found_docs)
        return [
            doc
            for doc, about in env.metadata.items()
            if any(name is None or was != self.shelf.state(name) for name, was in about.get("mlperf", {}).items())
        ]

    def explain(self, app: Sphinx, doctree: nodes.document) -> None:
        """Put under a page's title what to beware of, and below its lead when and on what its numbers were measured."""
        self.note(app.env, *(name for name in self.shelf.scripts if self.page_of(name) == app.env.docname))
        lines, boxes = [], []
        for kind, title, texts in self.shelf.notices(app.env.metadata[app.env.docname]["mlperf"]):
            body = [nodes.paragraph("", text, classes=[kind]) for text in texts]
            classes = [kind, nodes.make_id(title)]
            boxes += [nodes.admonition("", nodes.title("", title), *body, classes=classes)] if title else []
            lines += [] if title else body
        for heading in list(doctree.findall(nodes.title))[:1]:
            at = heading.parent.index(heading) + 1
            lead = at + isinstance(heading.next_node(descend=False, siblings=True), nodes.paragraph)
            heading.parent[lead:lead], heading.parent[at:at] = lines, boxes

    def finish(self, app: Sphinx, exception: Exception | None) -> None:
        """Release the tree; fail where something could not be shown, even when warnings are no errors."""
        if any(None in about.get("mlperf", {}) for about in app.env.metadata.values()):
            app.statuscode = 1
        if exception is None:
            self.unfinished.unlink(missing_ok=True)
        self.lock.release()


report = Report()


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to the events: before the gallery at first, after it then."""
    app.add_config_value("mlperf_results", str(results_folder()), "env")
    app.add_config_value("mlperf_compare", os.environ.get("MLPERF_COMPARE", ""), "env")
    app.connect("builder-inited", report.start, priority=1)
    app.connect("builder-inited", report.after_scripts, priority=900)
    app.connect("env-get-outdated", report.outdated)
    app.connect("doctree-read", report.explain)
    app.connect("build-finished", report.finish, priority=900)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
