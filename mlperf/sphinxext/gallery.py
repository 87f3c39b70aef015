"""The scripts of a gallery and their pages, and which scripts must run again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mlperf.results.folder import ResultError, names_in
from mlperf.results.provenance import inputs, is_left_out
from mlperf.results.shelf import Shelf
from mlperf.sphinxext.outputs import carry_over, is_same_code

BARE = "not run"
"""What takes the place of the digest by which sphinx-gallery recognises a script, if its page was made without it."""


class Gallery:
    """The scripts that sphinx-gallery runs, and the pages that it generates from them.

    Parameters
    ----------
    source : Path
        The source folder of the Sphinx project.
    examples, targets : str or list of str
        The folders of the scripts and of their pages, as in sphinx-gallery's settings ``examples_dirs`` and
        ``gallery_dirs``.

    Attributes
    ----------
    pages : dict of str
        The document name of the page of each script.
    hidden : list of Path
        Hidden files, which are left out.
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
        # The former digest files of pages that the gallery is prevented from generating again.
        self._kept: dict[Path, str] = {}
        # The former pages of scripts in which only the text was edited.
        self._former: dict[Path, str] = {}
        # Scripts whose pages are made without running them.
        self._bare: list[Path] = []

    def page(self, script: Path | None) -> str | None:
        """Return the document name of the page of a script; None if there is no such page yet."""
        page = self.pages.get(script) if script else None
        return page if page and self._file(page, ".rst").is_file() else None

    def left_out(self, page: str) -> bool:
        """Return whether a page is that of a script that only full builds run, where this one is none."""
        return any(page == page_of_script and is_left_out(script) for script, page_of_script in self.pages.items())

    def unreadable(self) -> dict[Path, str]:
        """Return the scripts at which sphinx-gallery would end the build, with the reasons."""
        problems = {script: _problem(script) for script in self.pages}
        return {script: problem for script, problem in problems.items() if problem}

    def tidy(self) -> None:
        """Remove the generated files of scripts that no longer exist."""
        made = {self._file(page, ".py.md5") for page in self.pages.values()}
        for target in self.targets:
            for left in set((self.source / target).rglob("*.py.md5")) - made:
                for file in _files_of(left.parent, left.name.removesuffix(".py.md5")):
                    file.unlink(missing_ok=True)

    def refresh(self, shelf: Shelf) -> None:
        """Make sphinx-gallery run the scripts whose results are missing, broken or out of date."""
        there = names_in(shelf.folder)
        for script in self.pages:
            names = [name for name, publisher in shelf.scripts.items() if publisher == script]
            if is_left_out(script):
                if any(name in there for name in names) and self._has_outputs(script):
                    self._keep(script)
                else:
                    self._bare.append(script)
                continue
            current = all(self._current(name, script, shelf) for name in names) if names else self._unmoved(script)
            if not (current and self._has_outputs(script) and self._carries_over(script)):
                # sphinx-gallery skips a script if this file holds its digest.
                self._file(self.pages[script], ".py.md5").unlink(missing_ok=True)

    def waiting(self) -> list[Path]:
        """Return the scripts that sphinx-gallery will run, after `refresh`."""
        known = {script: self._file(page, ".py.md5") for script, page in self.pages.items()}
        return [
            script
            for script, file in known.items()
            if not (script in self._former or is_left_out(script))
            and not (file.is_file() and file.read_text() == _md5(script))
        ]

    def keep(self) -> None:
        """In a build that runs no scripts, prevent sphinx-gallery from generating pages without their outputs."""
        for script, page in self.pages.items():
            if self._file(page, ".py.md5").is_file() and not self._has_outputs(script):
                self._bare.append(script)
            else:
                self._keep(script)

    def _has_outputs(self, script: Path) -> bool:
        """Return whether the page of a script was made by running it, as far as is known."""
        known = self._file(self.pages[script], ".py.md5")
        return known.is_file() and known.read_text() != BARE

    def _keep(self, script: Path) -> None:
        known = self._file(self.pages[script], ".py.md5")
        if known.is_file() and self.page(script) and not self._carries_over(script):
            self._kept[known] = known.read_text()
            known.write_text(_md5(script))

    def _carries_over(self, script: Path) -> bool:
        """Return whether a page is up to date, or can be brought up to date without running its script."""
        page, known = (self._file(self.pages[script], suffix) for suffix in (".rst", ".py.md5"))
        if not known.is_file() or known.read_text() == _md5(script):
            return True
        former = page.read_text(encoding="utf-8")
        if not is_same_code(former, script):
            return False
        self._former[script] = former
        return True

    def runs(self, pattern: str) -> str:
        """Return a pattern for the scripts to run, without those with only edited text or only for full builds."""
        others = [script for script in self.pages if script in self._former or is_left_out(script)]
        names = "|".join(re.escape(script.name) for script in others)
        return rf"^(?!.*(?:{names})$)(?=.*{pattern})" if names else pattern

    def release(self) -> None:
        """Put the former outputs into edited pages, restore what `keep` replaced, and mark pages without outputs."""
        for script, former in self._former.items():
            page = self._file(self.pages[script], ".rst")
            made = carry_over(former, page.read_text(encoding="utf-8"))
            page.unlink()  # the file is read-only
            page.write_text(made, encoding="utf-8")
            self._file(self.pages[script], ".py.md5").write_text(_md5(script))
        for known, was in self._kept.items():
            known.write_text(was)
        for script in self._bare:
            self._file(self.pages[script], ".py.md5").write_text(BARE)

    def is_edited(self, page: str) -> bool:
        """Return whether a page shows an earlier version of its script."""
        return self._file(page, ".py.md5") in self._kept

    def settle(self, shelf: Shelf) -> None:
        """Make each page at least as new as its result: sphinx-gallery leaves a page alone if its text is unchanged."""
        for name, script in shelf.scripts.items():
            with suppress(FileNotFoundError):  # the script has no page or result
                page, result = self._times(name, script, shelf)
                if page < result:
                    # The time of the result, not the present: a result may be dated in the future.
                    os.utime(self._file(self.pages[script], ".rst"), ns=(result, result))
        for script in set(self.pages) - set(shelf.scripts.values()):
            if self.page(script) and not is_left_out(script):
                self._file(self.pages[script], ".py.inputs").write_text(_digest(script))

    def _current(self, name: str, script: Path, shelf: Shelf) -> bool:
        try:
            # If a page is older than its result, the build was killed before the page was written.
            page, result = self._times(name, script, shelf)
            return not shelf.moved(name) and page >= result and not self._is_empty(script)
        except (ResultError, FileNotFoundError):
            return False

    def _unmoved(self, script: Path) -> bool:
        """Return whether the page of a script that publishes nothing is up to date."""
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
    """Return the scripts of a folder before those of its subfolders, as in the gallery, without hidden files."""
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
    """Yield the files that sphinx-gallery generated from a script."""
    yield from folder.glob(f"{stem}.*")
    picture = re.compile(rf"sphx_glr_{re.escape(stem)}_(\d{{3}}|thumb)\b.*")
    yield from (path for path in (folder / "images").rglob("sphx_glr_*") if picture.fullmatch(path.name))


def _md5(script: Path) -> str:
    """Return the digest by which sphinx-gallery recognises a script, which ignores the kind of line breaks."""
    content = script.read_text(encoding="utf-8", errors="surrogateescape")
    return hashlib.md5(content.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def _digest(script: Path) -> str:
    return hashlib.sha256(json.dumps(inputs(script), sort_keys=True).encode()).hexdigest()
