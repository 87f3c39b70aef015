"""The published results of a project: which page shows which of them, and which page a script has."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sphinx.domains import Domain

from mlperf.results.folder import ONLY_FULL, names_in
from mlperf.results.notices import Notice, notices
from mlperf.results.reading import Result
from mlperf.results.sealed import digest
from mlperf.results.shelf import Shelf

if TYPE_CHECKING:
    from sphinx.builders import Builder
    from sphinx.environment import BuildEnvironment

    from mlperf.sphinxext.gallery import Gallery


class Found(NamedTuple):
    """A published thing, its result, and its name in the result."""

    result: Result
    key: str
    thing: Any


class PublishedDomain(Domain):
    """The published results that pages show, as a Sphinx domain.

    Sphinx stores ``data`` with the pages, removes the entries of pages that are read again, and merges the data of
    several processes. The attributes are set in each build before pages are read.

    Attributes
    ----------
    shelf : Shelf
        The results.
    gallery : Gallery
        The scripts that publish them.
    builder : Builder
        The builder that writes the pages.
    history : Path or None
        The folder with the values of former builds, if there is one.
    machines : Path or None
        The folder with the results of other machines, if there is one.
    """

    name = "mlperf"
    label = "Published results"
    initial_data = {"shown": {}, "watched": {}, "titles": {}, "names": {}}  # noqa: RUF012 - Sphinx's name
    data_version = 4
    shelf: Shelf
    gallery: Gallery
    builder: Builder
    history: Path | None
    machines: Path | None

    @property
    def shown(self) -> dict[str, dict[str | None, str]]:
        """For each page, the results that it shows, and their states at that time."""
        return cast("dict[str, dict[str | None, str]]", self.data["shown"])

    def note(self, *names: str | None) -> None:
        """Record results that the current page shows; None stands for something that it could not show."""
        states = self.shown.setdefault(self.env.docname, {})
        states.update({name: self.shelf.state(name) if name else "" for name in names})

    @property
    def watched(self) -> dict[str, dict[str, str]]:
        """For each page, the folders whose content it shows, and their states at that time."""
        return cast("dict[str, dict[str, str]]", self.data["watched"])

    def watch(self, folder: Path) -> None:
        """Record that the current page shows the content of a folder."""
        self.watched.setdefault(self.env.docname, {})[str(folder)] = _state(folder)

    @property
    def is_empty(self) -> bool:
        """Whether there are no results at all, which is reported only once."""
        return not names_in(self.shelf.folder)

    def find(self, kind: str, reference: str) -> Found:
        """Return the thing that a reference names, and record that the current page shows its result."""
        found = Found(*self.shelf.find(kind, reference))
        self.note(found.result.name)
        return found

    def page_of(self, name: str) -> str | None:
        """Return the gallery's page of the script that publishes a result; None if there is none."""
        return self.gallery.page(self.shelf.scripts.get(name))

    def notices(self, page: str) -> list[Notice]:
        """Return what a page must say about the results that it shows; on a script's page, about all of its results."""
        self.note(*(name for name in self.shelf.scripts if self.page_of(name) == page))
        found = notices(self.shelf, self.shown.get(page, {}))
        if self.gallery.is_edited(page):
            found.append(Notice("warning", "Out of date", ["The script was edited since this page was made."]))
        if self.gallery.left_out(page) and not found:
            found.append(Notice("note", "Not run", [f"This script was not run: {ONLY_FULL}."]))
        return found

    def outdated(self) -> list[str]:
        """Return the pages that show something that has changed or become stale, or could not show something."""
        found = []
        for page, states in self.shown.items():
            if any(self._changed(name, was) for name, was in states.items()):
                found.append(page)
        for page, folders in self.watched.items():
            if any(_state(Path(folder)) != was for folder, was in folders.items()):
                found.append(page)
        return found

    def _changed(self, name: str | None, was: str) -> bool:
        return name is None or was != self.shelf.state(name)

    def incomplete(self) -> bool:
        """Return whether there is a page that could not show something."""
        return any(None in states for states in self.shown.values())

    def clear_doc(self, docname: str) -> None:
        """Remove the entries of a page."""
        self.shown.pop(docname, None)
        self.watched.pop(docname, None)

    def merge_domaindata(self, docnames: Set[str], otherdata: dict[str, Any]) -> None:
        """Merge the entries of pages that another process read."""
        for key, ours in self.data.items():
            if key != "version":
                ours.update({page: states for page, states in otherdata[key].items() if page in docnames})

    def resolve_any_xref(self, *_: Any) -> list[tuple[str, Any]]:
        """Return nothing: this domain has no targets of references."""
        return []


def _state(folder: Path) -> str:
    """Return a digest of the names, sizes and times of the files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    about = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return digest(repr(about).encode())


def published(env: BuildEnvironment) -> PublishedDomain:
    """Return the domain of published results of a project."""
    return cast("PublishedDomain", env.get_domain("mlperf"))
