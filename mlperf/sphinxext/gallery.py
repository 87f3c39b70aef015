"""Which script makes which page of a gallery, and which of them must run again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mlperf.results.publishing import ResultError
from mlperf.results.shelf import Shelf


class Gallery:
    """The scripts that sphinx-gallery runs, and the pages that it makes of them.

    Parameters
    ----------
    source : Path
        The folder of the report's sources.
    examples, targets : str or list of str
        The folders of the scripts and those of their pages, as sphinx-gallery is given them
        (``examples_dirs``, ``gallery_dirs``).
    """

    def __init__(self, source: Path, examples: str | list[str], targets: str | list[str]) -> None:
        self.source = source
        examples, self.targets = ([folder] if isinstance(folder, str) else folder for folder in (examples, targets))
        self.pages = {
            script: Path(target, script.relative_to((source / folder).resolve())).with_suffix("").as_posix()
            for folder, target in zip(examples, self.targets, strict=True)
            # The scripts of a folder before those of the folders in it, as the gallery shows them.
            for script in sorted((source / folder).resolve().rglob("*.py"), key=lambda path: (len(path.parts), path))
        }

    def page(self, script: Path | None) -> str | None:
        """Return the document that was made of a script, if it is there."""
        page = self.pages.get(script) if script else None
        return page if page and self._file(page, ".rst").is_file() else None

    def tidy(self) -> None:
        """Remove the pages of scripts that are gone: nothing would lead to them."""
        made = {self._file(page, ".py.md5") for page in self.pages.values()}
        for left in {file for target in self.targets for file in (self.source / target).rglob("*.py.md5")} - made:
            left.unlink()
            left.with_suffix("").with_suffix(".rst").unlink(missing_ok=True)

    def refresh(self, shelf: Shelf) -> None:
        """Make the gallery run each script again whose result is missing, broken or out of date."""
        for name, script in shelf.scripts.items():
            if not self._current(name, script, shelf):
                # sphinx-gallery skips a script by this file alone.
                self._file(self.pages[script], ".py.md5").unlink(missing_ok=True)

    def settle(self, shelf: Shelf) -> None:
        """Make each page as new as its result: the gallery leaves a page alone whose text did not change."""
        for name, script in shelf.scripts.items():
            with suppress(FileNotFoundError):  # nothing was made of the script
                if self._older(name, script, shelf):
                    self._file(self.pages[script], ".rst").touch()

    def _current(self, name: str, script: Path, shelf: Shelf) -> bool:
        try:
            # A page that is older than its result was not written: the build was killed in between.
            return not shelf.moved(name) and not self._older(name, script, shelf)
        except (ResultError, FileNotFoundError):
            return False

    def _older(self, name: str, script: Path, shelf: Shelf) -> bool:
        page, result = self._file(self.pages[script], ".rst"), shelf.folder / f"{name}.json"
        return page.stat().st_mtime < result.stat().st_mtime

    def _file(self, page: str, suffix: str) -> Path:
        return self.source / f"{page}{suffix}"
