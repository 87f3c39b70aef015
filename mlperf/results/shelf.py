"""All results of a report: their scripts, what has changed since they were measured, and those of other machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from mlperf.quantities.quantity import Quantity
from mlperf.results.atomic import staged
from mlperf.results.folder import LeftOutError, ResultError, content_of, names_in
from mlperf.results.provenance import inputs, is_left_out, moved
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
    >>> result, key, steps = Shelf(results_folder()).find("values", "my_fits.steps[Large]")
    >>> key, str(steps)
    ('steps', '2,000')
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
        LeftOutError
            If it is missing because only a full build measures it.
        """
        key = name, folder or self.folder
        if key not in self._read:
            try:
                self._read[key] = read(*key)
            except ResultError as error:
                script = self.scripts.get(name)
                if script and is_left_out(script) and name not in names_in(key[1]):
                    raise LeftOutError(name) from None
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
