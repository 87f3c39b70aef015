"""Which script makes which page of a gallery, and which of them must run again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mlperf.results.folder import ResultError
from mlperf.results.provenance import inputs
from mlperf.results.shelf import Shelf
from mlperf.sphinxext.outputs import carry_over, is_same_code


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
            for script in _scripts((source / folder).resolve())
        }
        self.hidden = [
            file
            for folder in examples
            for file in sorted((source / folder).resolve().rglob("*.py"))
            if _is_hidden(file.relative_to((source / folder).resolve()))
        ]
        # What each page was made from, while the gallery is kept from making it again.
        self._kept: dict[Path, str] = {}
        # The former pages of scripts of which only the text was edited.
        self._former: dict[Path, str] = {}

    def page(self, script: Path | None) -> str | None:
        """Return the document that was made of a script, if it is there."""
        page = self.pages.get(script) if script else None
        return page if page and self._file(page, ".rst").is_file() else None

    def unreadable(self) -> dict[Path, str]:
        """Return the scripts that sphinx-gallery would end the build at, and why."""
        problems = {script: _problem(script) for script in self.pages}
        return {script: problem for script, problem in problems.items() if problem}

    def tidy(self) -> None:
        """Remove what was made of scripts that are gone: nothing would lead to it."""
        made = {self._file(page, ".py.md5") for page in self.pages.values()}
        for target in self.targets:
            for left in set((self.source / target).rglob("*.py.md5")) - made:
                for file in _files_of(left.parent, left.name.removesuffix(".py.md5")):
                    file.unlink(missing_ok=True)

    def refresh(self, shelf: Shelf) -> None:
        """Make the gallery run each script again whose result is missing, broken or out of date."""
        for script in self.pages:
            names = [name for name, publisher in shelf.scripts.items() if publisher == script]
            current = all(self._current(name, script, shelf) for name in names) if names else self._unmoved(script)
            if not (current and self._carries_over(script)):
                # sphinx-gallery skips a script by this file alone.
                self._file(self.pages[script], ".py.md5").unlink(missing_ok=True)

    def keep(self) -> None:
        """Keep the gallery, which is to run nothing, from making pages without tables and figures."""
        for script, page in self.pages.items():
            known = self._file(page, ".py.md5")
            if known.is_file() and self.page(script) and not self._carries_over(script):
                self._kept[known] = known.read_text()
                known.write_text(_md5(script))

    def _carries_over(self, script: Path) -> bool:
        """Return whether a page is that of its script, or can be made so without running it."""
        page, known = (self._file(self.pages[script], suffix) for suffix in (".rst", ".py.md5"))
        if not known.is_file() or known.read_text() == _md5(script):
            return True
        former = page.read_text(encoding="utf-8")
        if not is_same_code(former, script):
            return False
        self._former[script] = former
        return True

    def runs(self, pattern: str) -> str:
        """Return a pattern for the scripts that are run: those of a pattern, without those whose text was edited."""
        edited = "|".join(re.escape(script.name) for script in self._former)
        return rf"^(?!.*(?:{edited})$)(?=.*{pattern})" if edited else pattern

    def release(self) -> None:
        """Give edited pages their outputs, and let the gallery make again what it was kept from."""
        for script, former in self._former.items():
            page = self._file(self.pages[script], ".rst")
            made = carry_over(former, page.read_text(encoding="utf-8"))
            page.unlink()  # it is read-only
            page.write_text(made, encoding="utf-8")
            self._file(self.pages[script], ".py.md5").write_text(_md5(script))
        for known, was in self._kept.items():
            known.write_text(was)

    def is_edited(self, page: str) -> bool:
        """Return whether a page shows an earlier version of its script."""
        return self._file(page, ".py.md5") in self._kept

    def settle(self, shelf: Shelf) -> None:
        """Make each page as new as its result: the gallery leaves a page alone whose text did not change."""
        for name, script in shelf.scripts.items():
            with suppress(FileNotFoundError):  # nothing was made of the script
                page, result = self._times(name, script, shelf)
                if page < result:
                    # Not now: a result may be dated in the future.
                    os.utime(self._file(self.pages[script], ".rst"), ns=(result, result))
        for script in set(self.pages) - set(shelf.scripts.values()):
            if self.page(script):
                self._file(self.pages[script], ".py.inputs").write_text(_digest(script))

    def _current(self, name: str, script: Path, shelf: Shelf) -> bool:
        try:
            # A page that is older than its result was not written: the build was killed in between.
            page, result = self._times(name, script, shelf)
            return not shelf.moved(name) and page >= result and not self._is_empty(script)
        except (ResultError, FileNotFoundError):
            return False

    def _unmoved(self, script: Path) -> bool:
        """Return whether a script that publishes nothing is what its page was made from."""
        known = self._file(self.pages[script], ".py.inputs")
        return known.is_file() and known.read_text() == _digest(script) and not self._is_empty(script)

    def _is_empty(self, script: Path) -> bool:
        page = self._file(self.pages[script], ".rst")
        return not page.is_file() or page.stat().st_size == 0

    def _times(self, name: str, script: Path, shelf: Shelf) -> tuple[int, int]:
        files = self._file(self.pages[script], ".rst"), shelf.folder / f"{name}.json"
        page, result = (file.stat().st_mtime_ns for file in files)
        return page, result

    def _file(self, page: str, suffix: str) -> Path:
        return self.source / f"{page}{suffix}"


def _scripts(folder: Path) -> list[Path]:
    """Return the scripts of a folder before those of the folders in it, as the gallery shows them; nothing hidden."""
    found = [path for path in folder.rglob("*.py") if not _is_hidden(path.relative_to(folder))]
    return sorted(found, key=lambda path: (len(path.parts), path))


def _problem(script: Path) -> str:
    try:
        content = script.read_text(encoding="utf-8")
        if content.startswith("\ufeff"):
            return "it begins with a byte-order mark"
        ast.parse(content)
    except (OSError, ValueError, SyntaxError) as error:
        place = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        return f"it cannot be read as Python in UTF-8 ({getattr(error, 'msg', error)}{place})"
    return ""


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _files_of(folder: Path, stem: str) -> Iterator[Path]:
    """Yield what the gallery made of a script."""
    yield from folder.glob(f"{stem}.*")
    picture = re.compile(rf"sphx_glr_{re.escape(stem)}_(\d{{3}}|thumb)\b.*")
    yield from (path for path in (folder / "images").rglob("sphx_glr_*") if picture.fullmatch(path.name))


def _md5(script: Path) -> str:
    """Return what sphinx-gallery tells versions of a script apart by: ends of lines do not count."""
    content = script.read_text(encoding="utf-8", errors="surrogateescape")
    return hashlib.md5(content.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def _digest(script: Path) -> str:
    return hashlib.sha256(json.dumps(inputs(script), sort_keys=True).encode()).hexdigest()
