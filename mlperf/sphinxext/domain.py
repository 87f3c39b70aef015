"""What a project knows of its results: the results, which page shows which of them, and which page a script made."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sphinx.domains import Domain

from mlperf.results.folder import names_in
from mlperf.results.reading import Result
from mlperf.results.sealed import digest
from mlperf.results.shelf import Notice, Shelf

if TYPE_CHECKING:
    from sphinx.builders import Builder
    from sphinx.environment import BuildEnvironment

    from mlperf.sphinxext.gallery import Gallery


class Found(NamedTuple):
    """A published thing, the result that it is in, and its name there."""

    result: Result
    key: str
    thing: Any


class PublishedDomain(Domain):
    """The published results that pages show.

    Sphinx keeps ``data`` with the pages, takes out of it what belongs to a page that is read again, and merges what
    several processes read. The attributes are set anew in each build, before pages are read.

    Attributes
    ----------
    shelf : Shelf
        The results.
    gallery : Gallery
        The scripts behind them.
    builder : Builder
        What writes the pages.
    history : Path or None
        The values of former builds, where they are kept.
    machines : Path or None
        The folder with results of other machines.
    """

    name = "mlperf"
    label = "Published results"
    initial_data = {"shown": {}, "watched": {}, "titles": {}}  # noqa: RUF012 - Sphinx's name
    data_version = 3
    shelf: Shelf
    gallery: Gallery
    builder: Builder
    history: Path | None
    machines: Path | None

    @property
    def shown(self) -> dict[str, dict[str | None, str]]:
        """For each page the results that it shows, and the state that they were in."""
        return cast("dict[str, dict[str | None, str]]", self.data["shown"])

    def note(self, *names: str | None) -> None:
        """Note which results the page shows that is read; None stands for one that it could not show."""
        states = self.shown.setdefault(self.env.docname, {})
        states.update({name: self.shelf.state(name) if name else "" for name in names})

    @property
    def watched(self) -> dict[str, dict[str, str]]:
        """For each page the folders that it shows something of, and the state that they were in."""
        return cast("dict[str, dict[str, str]]", self.data["watched"])

    def watch(self, folder: Path) -> None:
        """Note that the page that is read shows what is in a folder, whatever that is."""
        self.watched.setdefault(self.env.docname, {})[str(folder)] = _state(folder)

    @property
    def is_empty(self) -> bool:
        """Whether there are no results at all, for one reason that is said once."""
        return not names_in(self.shelf.folder)

    def find(self, kind: str, reference: str) -> Found:
        """Return what a reference names, and note that the page shows it: see `mlperf.results.shelf.Shelf.find`."""
        found = Found(*self.shelf.find(kind, reference))
        self.note(found.result.name)
        return found

    def page_of(self, name: str) -> str | None:
        """Return the page that the gallery made of the script behind a result, if it is there."""
        return self.gallery.page(self.shelf.scripts.get(name))

    def notices(self, page: str) -> list[Notice]:
        """Return what a page must say of the results that it shows; on the page of a script, of all of that."""
        self.note(*(name for name in self.shelf.scripts if self.page_of(name) == page))
        notices = self.shelf.notices(self.shown.get(page, {}))
        if self.gallery.is_edited(page):
            notices.append(Notice("warning", "Out of date", ["The script was edited since this page was made."]))
        return notices

    def outdated(self) -> list[str]:
        """Return the pages that show a result that changed or became stale, or could not show one."""
        moved = [page for page, states in self.shown.items() if any(map(self._changed, states, states.values()))]
        folders = self.watched.items()
        return [*moved, *(page for page, was in folders if any(_state(Path(at)) != then for at, then in was.items()))]

    def _changed(self, name: str | None, was: str) -> bool:
        return name is None or was != self.shelf.state(name)

    def incomplete(self) -> bool:
        """Return whether some page could not show something."""
        return any(None in states for states in self.shown.values())

    def clear_doc(self, docname: str) -> None:
        """Forget a page."""
        self.shown.pop(docname, None)
        self.watched.pop(docname, None)

    def merge_domaindata(self, docnames: Set[str], otherdata: dict[str, Any]) -> None:
        """Take over what another process read."""
        for key, ours in self.data.items():
            if key != "version":
                ours.update({page: states for page, states in otherdata[key].items() if page in docnames})

    def resolve_any_xref(self, *_: Any) -> list[tuple[str, Any]]:
        """Nothing here is the target of a reference."""
        return []


def _state(folder: Path) -> str:
    """Return what tells when something in a folder changes: its files, their sizes and times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    about = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return digest(repr(about).encode())


def published(env: BuildEnvironment) -> PublishedDomain:
    """Return what a project knows of its results."""
    return cast("PublishedDomain", env.get_domain("mlperf"))
