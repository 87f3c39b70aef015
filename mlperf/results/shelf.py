"""The results that a report shows: which script publishes which, what has moved since, what they compare with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from mlperf.results import tables
from mlperf.quantities.claims import Finding
from mlperf.results.provenance import inputs, moved, published_names
from mlperf.results.publishing import Result, ResultError, read
from mlperf.quantities.intervals import ratio_of_estimates
from mlperf.results.tables import Column
from mlperf.quantities.units import Quantity, factor

PREVIEW = "Measured with the quick protocol, on small settings, to see that everything works: not the report's numbers."


class Shelf:
    """The results of one report, each read once.

    Parameters
    ----------
    folder : Path
        Where the results are.
    scripts : iterable of Path, default=()
        The scripts that publish them.
    other : Path, default=None
        Other results to compare them with, from another machine or another day.

    Raises
    ------
    ResultError
        If `other` is not a folder with results, or one of them is broken.
    """

    def __init__(self, folder: Path, scripts: Iterable[Path] = (), other: Path | None = None) -> None:
        self.folder = folder
        self.other = other
        self.scripts = {name: script for script in scripts for name in published_names(script)}
        self._read: dict[tuple[str, Path], Result] = {}
        self._now: dict[Path, dict[str, str]] = {}
        if other and not [self.get(path.stem, other) for path in sorted(other.glob("*.json"))]:
            raise ResultError(f"There are no results to compare with in {other}.")

    @cached_property
    def names(self) -> list[str]:
        """The results that are there or should be, in the order of their scripts."""
        return list(dict.fromkeys([*self.scripts, *sorted(path.stem for path in self.folder.glob("*.json"))]))

    def named(self, names: list[str]) -> list[str]:
        """Return names; for "*", those of all scripts, or of all results where no script is known."""
        return (list(self.scripts) or self.names) if "*" in names else names

    def get(self, name: str, folder: Path | None = None) -> Result:
        """Return a result; a `ResultError` names the script to run."""
        key = name, folder or self.folder
        if key not in self._read:
            try:
                self._read[key] = read(*key)
            except ResultError as error:
                script = self.scripts.get(name)
                raise ResultError(f"{error} It is published by {script.name}." if script else str(error)) from None
        return self._read[key]

    def find(self, kind: str, reference: str) -> tuple[Result, str, Any]:
        """Return what a reference names.

        Parameters
        ----------
        kind : {"values", "tables", "figures", "findings"}
            What is looked for.
        reference : str
            The result and the name in it: "training_time.large_many".

        Returns
        -------
        tuple of Result, str and object
            The result, the name, and what it names.

        Raises
        ------
        ResultError
            If there is no such thing, with the nearest name; or if its result is missing or broken.
        """
        name, _, key = reference.partition(".")
        if name in self.names and key in (things := getattr(self.get(name), kind)):
            return self.get(name), key, things[key]
        known: list[str] = []
        for other in self.names:
            with suppress(ResultError):
                known += [f"{other}.{thing}" for thing in getattr(self.get(other), kind)]
        near = get_close_matches(reference, known, n=1, cutoff=0)
        hint = f" The nearest name is {near[0]!r}." if near else f" There are no results in {self.folder}."
        raise ResultError(f"Nothing named {reference!r} is published among the {kind}.{hint}")

    def beside(self, name: str) -> Result | None:
        """Return the result of this name of the others; None if they lack it or there is nothing to compare."""
        there = self.other and (self.other / f"{name}.json").is_file()
        return self.get(name, self.other) if there else None

    def compared(self, kind: str, name: str, key: str) -> Any:
        """Return the same thing of the other results; None if they lack it or there is nothing to compare."""
        other = self.beside(name)
        return getattr(other, kind).get(key) if other else None

    def say(self, kind: str, reference: str, form: str = "") -> tuple[Result, str]:
        """Return a result, and the text of one of its values or verdicts, beside that of the other results."""
        result, key, thing = self.find(kind, reference)
        other = self.compared(kind, result.name, key)
        said, beside = (_text(x, form) for x in (thing, other))
        if other is None:
            return result, said
        ratio = None
        if isinstance(thing, Quantity) and isinstance(other, Quantity) and thing.unit == other.unit:
            ratio = ratio_of_estimates(thing.estimate, other.estimate)
        return result, f"{said} [other results: {beside}{f', ratio {factor(ratio)}' if ratio else ''}]"

    def lay(
        self, result: Result, key: str, *, columns: str = "", unit: str | None = None, **choice: Any
    ) -> list[Column]:
        """Lay a table out with what `mlperf.results.tables.choose` leaves of it, and its ratio to that of the other results."""
        frame = tables.choose(result.table(key), show=columns, **choice)
        other = self.beside(result.name)
        ratio = tables.ratios(frame, other.table(key)) if other and key in other.tables else None
        return [*tables.columns(frame, unit), *([ratio] if ratio else [])]

    def moved(self, name: str) -> list[str]:
        """Say what differs between the inputs of a result and those of today, as far as its script is known."""
        script = self.scripts.get(name)
        if not script:
            return ["no script publishes it any more"] if self.scripts else []
        if script not in self._now:
            self._now[script] = inputs(script)
        return moved(self.get(name).inputs, self._now[script])

    def state(self, name: str) -> str:
        """Return a digest of all that can be shown of a result ("*": of all results), to tell when it changes."""
        if name == "*":
            return " ".join(map(self.state, self.named(["*"])))
        seen = [folder / f"{name}.json" for folder in (self.folder, self.other) if folder]
        parts = [path.read_bytes() if path.is_file() else b"" for path in seen]
        try:
            parts.append(" ".join(self.moved(name)).encode())
        except ResultError as error:
            parts.append(str(error).encode())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def notices(self, names: Iterable[str | None]) -> list[tuple[str, str, list[str]]]:
        """Return what a page that shows these results must say: when and on what they were measured, what is wrong.

        Parameters
        ----------
        names : iterable of str
            The results; "*" stands for all.

        Returns
        -------
        list of tuple
            The kind of each notice ("measured", "warning", "note"), its title and its lines.
        """
        results = {}
        for name in self.named([name for name in names if name]):
            with suppress(ResultError):  # said in the place where it is shown
                results[name] = self.get(name)
        if not results:
            return []
        said = [("measured", "", [f"{measured(*results.values())}."])]
        if any(result.provenance["protocol"]["MODE"] == "quick" for result in results.values()):
            said.append(("warning", "Preview numbers", [PREVIEW]))
        stale: dict[str, list[str]] = {}
        for name in results:
            stale.setdefault(", ".join(self.moved(name)), []).append(name)
        stale.pop("", None)
        if stale:
            lines = [
                f"Since {', '.join(those)} {'was' if len(those) == 1 else 'were'} measured, this has changed: {what}."
                for what, those in stale.items()
            ]
            said.append(("warning", "Out of date", lines))
        if len(machines(results.values())) > 1:
            said.append(("warning", "Different machines", ["Not all numbers here are from the same machine."]))
        if self.other:
            others = {name: other for name in results if (other := self.beside(name))}
            lines = ["The other results have nothing of this."]
            if others:
                differ = [what for name, other in others.items() for what in moved(other.inputs, results[name].inputs)]
                lines = [f"The other results: {measured(*others.values())}."]
                lines += [f"From there to here, this differs: {', '.join(dict.fromkeys(differ))}."] if differ else []
            said.append(("note", "Comparison", lines))
        return said

    def findings(self, names: list[str]) -> tuple[list[Column], list[Result]]:
        """Return the table of the findings of some results ("*": of all), and the result that each row is from."""
        rows = [
            (self.get(name), key, finding)
            for name in self.named(names)
            for key, finding in self.get(name).findings.items()
        ]
        if not rows:
            raise ResultError(f"There are no findings in {self.folder}.")
        laid = [
            Column("Statement", [finding.statement for *_, finding in rows], None),
            Column("Verdict", [finding.mark for *_, finding in rows], None),
        ]
        if self.other:
            pairs = [(finding, self.compared("findings", result.name, key)) for result, key, finding in rows]
            said = [f"{o.mark}{'' if o.verdict == f.verdict else ' (differs)'}" if o else "" for f, o in pairs]
            laid.append(Column("Other results", said, None))
        # Last, as on a phone it is out of sight.
        laid.append(Column("Measured here", [finding.evidence for *_, finding in rows], None))
        return laid, [result for result, *_ in rows]


def measured(*results: Result) -> str:
    """Say when and on what results were measured, and how often at most."""
    times = sorted(result.provenance["time"].replace("T", " ")[:16] for result in results)
    span = times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"
    about = results[-1].provenance
    threads = about["protocol"]["THREADS"]
    said = [f"{threads} thread{'s' * (threads != 1)}", f"torch {about['machine']['torch']}"]
    for what, plural in (("process", "processes"), ("repeat", "repeats")):
        most = max((table.get(what, 0) for result in results for table in result.tables.values()), default=0)
        said += [f"{most} {what if most == 1 else plural}"] if most else []
    return f"Measured {span} UTC on {' and '.join(machines(results))}, {', '.join(said)}"


def machines(results: Iterable[Result]) -> list[str]:
    """Return the machines that results were measured on, each once."""
    about = [result.provenance["machine"] for result in results]
    return list(dict.fromkeys(f"{one['processor']} ({one['cores']} cores, {one['system']})" for one in about))


def _text(thing: Any, form: str) -> str:
    if isinstance(thing, Finding):
        return thing.mark
    return format(thing, form) if isinstance(thing, Quantity) else str(thing)
