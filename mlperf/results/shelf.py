"""All results of a report: their scripts, what has changed since they were measured, and other results to compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mlperf.quantities.checks import UNMEASURED
from mlperf.quantities.claims import Claim
from mlperf.quantities.quantity import Quantity, exact
from mlperf.quantities.tables import Column
from mlperf.quantities.units import unit_of
from mlperf.results import tables
from mlperf.results.atomic import staged
from mlperf.results.folder import ResultError, content_of, names_in
from mlperf.results.provenance import inputs, moved
from mlperf.results.reading import Result, read
from mlperf.results.references import cells, parse
from mlperf.results.sealed import digest
from mlperf.results.sources import problem_of, published_names

KINDS = {
    "values": ("quantity", "value"),
    "claims": ("claim",),
    "tables": ("table", "quantity"),
    "figures": ("figure",),
}
"""What pages can look for, with the kinds of published things that qualify."""
HERE, OTHER = "This machine", "Other results"
"""Names of the report's own results and of those it is compared with, where machines are set side by side."""


class ClaimRow(NamedTuple):
    """A row of the table of claims.

    Attributes
    ----------
    statement, original, measured, verdict : str
        The statement, what the original report said, what was measured, and the verdict with its symbol.
    other : str
        The verdict of the other results; empty if they lack the claim or there are none.
    result, key : str
        The result, and the name of the claim in it.
    script : str
        The file name of the script that published it.
    claim : Claim
        The claim itself.
    """

    statement: str
    original: str
    measured: str
    verdict: str
    other: str
    result: str
    key: str
    script: str
    claim: Claim


class Shelf:
    """The results of one report, each read once.

    Parameters
    ----------
    folder : Path
        The folder of results.
    scripts : iterable of Path, default=()
        The scripts that publish them.
    other : Path, default=None
        A folder of other results to compare with, from another machine or another day.
    machines : mapping of Path, default=None
        Folders with the results of other machines, by the name of the machine.

    Attributes
    ----------
    machines : dict of Path
        The folder of the results of each machine; this machine comes first, `other` last.
    scripts : dict of Path
        The script of each result, by the name of the result, in the order of the scripts.
    problems : list of str
        Problems with single scripts, one sentence each.

    Raises
    ------
    ResultError
        If `other`, or the folder of a machine, holds no results, or one of them is broken.

    Examples
    --------
    >>> from mlperf import exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.shelf import Shelf
    >>> publish("my_fits", steps=exact({"Small": 100, "Large": 2_000}, by="model"))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> result, text = Shelf(results_folder()).say("values", "my_fits.steps[Large]")
    >>> text
    '2,000'
    """

    def __init__(
        self,
        folder: Path,
        scripts: Iterable[Path] = (),
        other: Path | None = None,
        machines: Mapping[str, Path] | None = None,
    ) -> None:
        self.folder = folder
        self.machines = {HERE: folder, **(machines or {}), **({OTHER: other} if other else {})}
        self.other = other
        self.scripts: dict[str, Path] = {}
        self.problems: list[str] = []
        for script in scripts:
            self._add(script)
        self._read: dict[tuple[str, Path], Result] = {}
        self._now: dict[Path, dict[str, str]] = {}
        self._states: dict[str, str] = {}
        for place in list(self.machines.values())[1:]:
            if not [self.get(name, place) for name in names_in(place)]:
                raise ResultError(f"There are no results to compare with in {place}.")

    def _add(self, script: Path) -> None:
        if problem := problem_of(script):
            self.problems.append(problem)
        for name in published_names(script):
            first = self.scripts.setdefault(name, script)
            if first != script:
                self.problems.append(
                    f"{script.name} and {first.name} both publish {name!r}: each replaces what the other published."
                )

    @cached_property
    def names(self) -> list[str]:
        """The names of all results that exist or that a script publishes, in the order of the scripts."""
        return list(dict.fromkeys([*self.scripts, *names_in(self.folder)]))

    def named(self, names: Sequence[str]) -> list[str]:
        """Return names of results, with "*" replaced.

        Parameters
        ----------
        names : sequence of str
            If "*" is among them, it stands for all results that scripts publish, or for all that there are if no script
            is known.

        Returns
        -------
        list of str
        """
        return (list(self.scripts) or self.names) if "*" in names else list(names)

    def get(self, name: str, folder: Path | None = None) -> Result:
        """Return a result.

        Parameters
        ----------
        name : str
            Name of the result.
        folder : Path, default=None
            The folder of results; by default that of this machine.

        Returns
        -------
        Result

        Raises
        ------
        ResultError
            If it is missing or broken; the message names the script that publishes it.
        """
        key = name, folder or self.folder
        if key not in self._read:
            try:
                self._read[key] = read(*key)
            except ResultError as error:
                script = self.scripts.get(name)
                raise ResultError(f"{error} It is published by {script.name}." if script else str(error)) from None
        return self._read[key]

    def find(self, kind: str, reference: str) -> tuple[Result, str, Any]:
        """Return the thing that a reference names.

        Parameters
        ----------
        kind : {"values", "claims", "tables", "figures"}
            The kind of thing. A quantity is both a value and a table.
        reference : str
            Such as "training_time.fit[Large, last]"; see `mlperf.results.references.parse`.

        Returns
        -------
        tuple of Result, str and object
            The result, the name of the thing in it, and the thing itself.

        Raises
        ------
        ResultError
            If there is no such thing (the message says the nearest name), or its result is missing or broken.
        """
        asked = parse(reference)
        if asked.result in self.names and asked.key in (result := self.get(asked.result)).keys(*KINDS[kind]):
            thing = result[asked.key]
            if asked.labels and not isinstance(thing, Quantity):
                raise ResultError(f"{asked.name!r} has no cells to choose from. Got {reference!r}.")
            return result, asked.key, cells(thing, asked.labels, asked.name) if asked.labels else thing
        known: list[str] = []
        for name in self.names:
            with suppress(ResultError):
                known += [f"{name}.{key}" for key in self.get(name).keys(*KINDS[kind])]
        near = get_close_matches(asked.name, known, n=1, cutoff=0)
        hint = f" The nearest name is {near[0]!r}." if near else f" There are none in {self.folder}."
        raise ResultError(f"Nothing named {asked.name!r} is published among the {kind}.{hint}")

    def beside(self, name: str, machine: str = OTHER) -> Result | None:
        """Return the result of the same name from another machine.

        Parameters
        ----------
        name : str
            Name of the result.
        machine : str, default="Other results"
            Name of the machine.

        Returns
        -------
        Result or None
            None if there is no such result or machine.
        """
        folder = self.machines.get(machine)
        return self.get(name, folder) if folder and name in names_in(folder) else None

    def compared(self, kind: str, reference: str, machine: str = OTHER) -> Any:
        """Return the same thing from another machine.

        Parameters
        ----------
        kind, reference : str
            As for `find`.
        machine : str, default="Other results"
            Name of the machine.

        Returns
        -------
        object
            None if there is no such thing or machine.
        """
        asked = parse(reference)
        other = self.beside(asked.result, machine)
        if other is None or asked.key not in other.keys(*KINDS[kind]):
            return None
        thing = other[asked.key]
        try:
            return cells(thing, asked.labels, asked.name) if asked.labels else thing
        except (ResultError, AttributeError):
            return None

    def say(self, kind: str, reference: str, form: str = "") -> tuple[Result, str]:
        """Return a result and the text of a thing in it, followed by that of the other results, if there are any.

        Parameters
        ----------
        kind : {"values", "claims"}
            The kind of thing.
        reference : str
            See `mlperf.results.references.parse`.
        form : str, default=""
            For a value, "short" leaves out the interval. For a claim, "text" gives its text, and the default its
            verdict.

        Returns
        -------
        tuple of Result and str

        Raises
        ------
        ResultError
            As `find`.
        """
        result, _, thing = self.find(kind, reference)
        other = self.compared(kind, reference)
        said = _text(thing, form)
        if other is None:
            return result, said
        if isinstance(thing, Claim):
            same = form == "text" and isinstance(other, Claim) and other.verdict == thing.verdict
            return result, said if same else f"{said} [other results: {_text(other, '')}]"
        ratio = None
        if isinstance(thing, Quantity) and isinstance(other, Quantity) and len(thing) == len(other) == 1:
            ratio = tables.ratio_of(thing, other) if thing.unit == other.unit else None
        return result, f"{said} [other results: {_text(other, form)}{f', ratio {ratio}' if ratio else ''}]"

    def frame(self, reference: str) -> pd.DataFrame:
        """Return a table; a quantity becomes a table whose column names end in the unit.

        Parameters
        ----------
        reference : str
            See `mlperf.results.references.parse`.

        Returns
        -------
        DataFrame

        Raises
        ------
        ResultError
            As `find`.
        """
        return _framed(self.find("tables", reference)[2])

    def ratio(self, reference: str, frame: pd.DataFrame) -> Column | None:
        """Return a column with the ratios of some rows of a table to the same rows of the other results.

        Parameters
        ----------
        reference : str
            The table, as for `frame`.
        frame : DataFrame
            The chosen rows.

        Returns
        -------
        Column or None
            None if there are no other results, or nothing in them to compare with.
        """
        other = self.compared("tables", reference)
        return None if other is None else tables.ratios(frame, _framed(other))

    def claims(self, names: Sequence[str], *, original: bool = False) -> list[ClaimRow]:
        """Return the rows of the table of claims.

        Parameters
        ----------
        names : sequence of str
            The results; "*" stands for all.
        original : bool, default=False
            Whether to leave out claims that the original report did not make.

        Returns
        -------
        list of ClaimRow

        Raises
        ------
        ResultError
            If there are no claims, or a result is missing or broken.
        """
        rows = []
        for name in self.named(names):
            result = self.get(name)
            for key in result.keys("claim"):
                one: Claim = result[key]
                other = self.compared("claims", f"{name}.{key}")
                seen = one.statement, one.original, _measured(one), one.mark, other.mark if other else ""
                rows.append(ClaimRow(*seen, name, key, result.provenance["script"] or "", one))
        chosen = [row for row in rows if row.original] if original else rows
        if not chosen:
            raise ResultError(f"There are no claims in {self.folder}.")
        return chosen

    def moved(self, name: str) -> list[str]:
        """Return what differs between the inputs of a result and the present ones.

        Parameters
        ----------
        name : str
            Name of the result.

        Returns
        -------
        list of str
            Empty if nothing differs, or if no scripts are known.
        """
        script = self.scripts.get(name)
        if not script:
            return ["no script publishes it any more"] if self.scripts else []
        if script not in self._now:
            self._now[script] = inputs(script)
        return moved(self.get(name).inputs, self._now[script])

    def state(self, name: str) -> str:
        """Return a text that differs from that of an earlier shelf if anything that pages show of a result has changed.

        Parameters
        ----------
        name : str
            Name of the result; "*" stands for all.

        Returns
        -------
        str
        """
        if name == "*":
            return " ".join(map(self.state, self.named(["*"])))
        if name not in self._states:
            self._states[name] = self._state(name)
        return self._states[name]

    def _state(self, name: str) -> str:
        parts = []
        for folder in self.machines.values():
            for path in (folder / f"{name}.json", staged(folder, f"{name}.json")):
                try:
                    parts.append(content_of(path) or b"")
                except OSError as error:
                    parts.append(str(error).encode())
        try:
            parts.append(" ".join(self.moved(name)).encode())
        except ResultError as error:
            parts.append(str(error).encode())
        return digest(b"\0".join(parts))


def _measured(claim: Claim) -> str:
    """Return what was measured, in words or by the first deciding comparison, for the column beside the statement."""
    if claim.verdict == UNMEASURED or not claim.evidence:
        return claim.advice or claim.text
    statement = claim.statement.removesuffix(".")
    said = claim.text.removeprefix(f"{statement}: ")
    if statement in said:  # the text only repeats the statement
        first, *further = claim.deciding
        said = (
            f"{first.sentence} And {len(further)} more comparison{'s' * (len(further) > 1)}."
            if further
            else first.sentence
        )
    said = f"{said[0].upper()}{said[1:]}"
    return f"{said} {claim.advice}" if claim.advice else said


def _framed(thing: pd.DataFrame | Quantity) -> pd.DataFrame:
    if not isinstance(thing, Quantity):
        return thing
    frame = thing.frame()
    if unit_of(thing.name) == thing.unit:
        return frame
    return frame.rename(
        columns={f"{thing.name}{end}": f"{thing.name}_{thing.unit}{end}" for end in ("", "_low", "_high")}
    )


def _text(thing: Any, form: str) -> str:
    if isinstance(thing, Claim):
        return thing.text if form == "text" else thing.mark
    if isinstance(thing, bool):
        return "yes" if thing else "no"
    if isinstance(thing, int | float):
        thing = exact(thing)
    return format(thing, form) if isinstance(thing, Quantity) else str(thing)
