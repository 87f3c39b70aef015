"""Run the scripts that are out of date again, and read the pages again that show something that has changed."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.util import logging

from mlperf.results import publishing
from mlperf.results.folder import ResultError
from mlperf.results.history import INDEX, append, names
from mlperf.results.machines import folders
from mlperf.results.shelf import Shelf
from mlperf.sphinxext.domain import published
from mlperf.sphinxext.gallery import Gallery
from mlperf.sphinxext.parallel import Parallel

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)


class Build:
    """One build of a project, from before the scripts run until the pages are written."""

    def start(self, app: Sphinx) -> None:
        """Lock the project, and make the gallery run the scripts whose results are missing, broken or out of date."""
        self._lock(app)
        # This file is left behind when a build is killed or fails. Which pages were written is then unknown, and the
        # next build reads all of them again; so do builds of other formats, which share the pages that were read.
        folder = Path(app.doctreedir)
        folder.mkdir(parents=True, exist_ok=True)
        self.anew = any(folder.glob("*.unfinished"))
        self.unfinished = folder / f"{app.builder.name}.unfinished"
        self.unfinished.touch()

        given = getattr(app.config, "sphinx_gallery_conf", {})
        self.gallery = Gallery(Path(app.srcdir), given.get("examples_dirs", []), given.get("gallery_dirs", []))
        self.gallery.tidy()
        self._leave_out(given)
        self.history: Path | None = None
        self.runs = str(getattr(app.config, "plot_gallery", True)) not in ("0", "False")
        self.take_stock(app)
        if self.runs:
            # Scripts must publish to the folder that the pages read.
            self.folder_before = os.environ.get("MLPERF_RESULTS")
            os.environ["MLPERF_RESULTS"] = str(self.shelf.folder)
            self.gallery.refresh(self.shelf)
        else:
            self.gallery.keep()
        self.parallel = Parallel(given, folder / "gallery.warnings")
        self.parallel.start(len(self.gallery.waiting()) if self.runs else 0)
        if "filename_pattern" in given:
            given["filename_pattern"] = self.gallery.runs(given["filename_pattern"])

    def _lock(self, app: Sphinx) -> None:
        lock = Path(app.srcdir, "_build", ".lock")
        self.lock = FileLock(lock)
        try:
            lock.parent.mkdir(exist_ok=True)
            self.lock.acquire(blocking=False)
        except Timeout:
            # An exception of Sphinx would print a long report about Sphinx.
            raise SystemExit(f"Another build is under way in {app.srcdir}: wait until it is done.") from None
        except (NotImplementedError, OSError) as error:
            logger.info("Other builds at the same time are not prevented: %s cannot be locked (%s).", lock, error)

    def _leave_out(self, conf: dict[str, Any]) -> None:
        """Exclude from the gallery hidden files, and scripts that would end the build."""
        left_out = [r"^\."]
        for file in self.gallery.hidden:
            logger.info("%s is left out: hidden files belong to editors and notebooks.", file.name)
        for script, problem in self.gallery.unreadable().items():
            logger.warning("%s is left out: %s.", script.name, problem, type="mlperf", subtype="script")
            left_out.append(f"^{re.escape(script.name)}$")
        if "ignore_pattern" in conf:
            conf["ignore_pattern"] = "|".join([conf["ignore_pattern"], *left_out])

    def take_stock(self, app: Sphinx) -> None:
        """Read the results, once before and once after the scripts run."""
        folder, other = Path(app.srcdir, app.config.mlperf_results).resolve(), app.config.mlperf_compare
        machines = Path(app.srcdir, app.config.mlperf_machines).resolve() if app.config.mlperf_machines else None
        with suppress(OSError):  # a read-only folder can still be read
            publishing.finish(folder)
        try:
            others = folders(machines) if machines else {}
            self.shelf = Shelf(folder, self.gallery.pages, Path(other).resolve() if other else None, others)
        except ResultError as error:
            self.lock.release()
            raise SystemExit(str(error)) from None
        domain = published(app.env)
        domain.shelf, domain.gallery, domain.builder = self.shelf, self.gallery, app.builder
        domain.machines = machines
        domain.history = Path(app.srcdir, app.config.mlperf_history).resolve() if app.config.mlperf_history else None

    def after_scripts(self, app: Sphinx) -> None:
        """Read the results that the scripts published, and warn of problems with scripts."""
        self.parallel.end()
        self.take_stock(app)
        left_out = tuple(script.name for script in self.gallery.unreadable())
        for problem in self.shelf.problems:
            if not problem.startswith(left_out or ("\0",)):
                logger.warning(problem, type="mlperf", subtype="script")
        self.gallery.release()
        self.history = published(app.env).history
        if self.history:
            self._remember(self.history)
        if self.runs:
            self.gallery.settle(self.shelf)
            if self.folder_before is None:
                del os.environ["MLPERF_RESULTS"]
            else:
                os.environ["MLPERF_RESULTS"] = self.folder_before

    def _remember(self, folder: Path) -> None:
        """Add the results that were measured since the last build to the history."""
        for name in self.shelf.names:
            try:
                result = self.shelf.get(name)
            except ResultError:  # it is missing or broken, which is reported where it is used
                continue
            try:
                append(folder, result)
            except (ResultError, OSError) as error:
                logger.warning(
                    "The history of %s could not be updated: %s", name, error, type="mlperf", subtype="history"
                )

    def outdated(self, _app: Sphinx, env: BuildEnvironment, *_: Any) -> list[str]:
        """Return the pages that have to be read again."""
        published(env).shelf.state("*")  # once, instead of in each of the processes that read pages
        return sorted(env.found_docs) if self.anew else published(env).outdated()

    def say_what_is_missing(self, _app: Sphinx, env: BuildEnvironment) -> None:
        """Report once that there are no results, instead of at every place that shows one."""
        domain = published(env)
        pages = [page for page, states in domain.shown.items() if None in states]
        if pages and domain.is_empty:
            logger.error(
                "There are no results in %s, but %s shows some. Run the scripts that publish them, or name their "
                "folder in conf.py, as in mlperf_results = '../results'.",
                domain.shelf.folder,
                pages[0] if len(pages) == 1 else f"each of {len(pages)} pages",
            )

    def list_anew(self, _app: Sphinx, env: BuildEnvironment) -> list[str]:
        """Return all pages if one, or a name of the reference, was added, removed or renamed.

        The navigation of each page lists the others, and code on any page leads to the names in the reference.
        """
        data = published(env).data
        before = data["titles"], data["names"]
        data["titles"] = {page: title.astext() for page, title in env.titles.items()}
        data["names"] = {name: page for name, _, _, page, _, _ in env.get_domain("py").get_objects()}
        return [] if (data["titles"], data["names"]) == before else sorted(data["titles"])

    def excuse(self, app: Sphinx, _domain: Any, node: Element) -> bool | None:
        """Suppress warnings about missing labels if there are no results: what is not shown has no label."""
        domain = published(app.env)
        return True if domain.is_empty and domain.incomplete() and node.get("refdomain") == "std" else None

    def finish(self, app: Sphinx, exception: Exception | None) -> None:
        """Unlock the project; fail if something could not be shown, even if warnings are not errors."""
        if published(app.env).incomplete():
            app.statuscode = 1
        failed_on_warnings = getattr(app, "_fail_on_warnings", False) and app._warncount
        if exception is None and not app.statuscode and not failed_on_warnings:
            self.unfinished.unlink(missing_ok=True)
        if exception is None:
            self._remove_former_pages(app)
            self._give_along(app)
        self.lock.release()

    def _give_along(self, app: Sphinx) -> None:
        """Copy the history into the site, from which a later build on another machine can take it."""
        if self.history and self.history.is_dir() and app.builder.format == "html":
            for name in (INDEX, *(f"{name}.csv" for name in names(self.history))):
                target = Path(app.outdir, "_history", name)
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(self.history / name, target)

    def _remove_former_pages(self, app: Sphinx) -> None:
        """Remove the pages of scripts that no longer exist, which Sphinx leaves and search engines would find."""
        if not isinstance(app.builder, StandaloneHTMLBuilder) or app.builder.name not in ("html", "dirhtml"):
            return
        written = {Path(app.builder.get_outfilename(page)) for page in app.env.found_docs}
        for folder in self.gallery.targets:
            for file in set(Path(app.outdir, folder).rglob("*.html")) - written:
                file.unlink()


def setup(app: Sphinx) -> None:
    """Connect to the events: before sphinx-gallery to start with, and after it."""
    build = Build()
    app.connect("builder-inited", build.start, priority=1)
    app.connect("builder-inited", build.after_scripts, priority=900)
    app.connect("env-get-outdated", build.outdated)
    app.connect("env-updated", build.say_what_is_missing)
    app.connect("env-updated", build.list_anew)
    app.connect("warn-missing-reference", build.excuse)
    app.connect("build-finished", build.finish, priority=900)
