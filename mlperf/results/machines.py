"""Results of many machines: pack your own to contribute them, check those of others, and compare all of them."""

from __future__ import annotations

import getpass
import platform
import re
import shutil
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mlperf.quantities.checks import UNDECIDED, UNMEASURED
from mlperf.quantities.claims import Claim
from mlperf.quantities.quantity import Quantity
from mlperf.results.folder import ResultError, content_of, names_in
from mlperf.results.notices import machines
from mlperf.results.provenance import constants, moved
from mlperf.results.reading import Result, read
from mlperf.results.sealed import seal, unseal
from mlperf.results.shelf import Shelf
from mlperf.results.shown import claim_rows
from mlperf.results.sources import contents, published_names
from mlperf.results.tables import ratio_of

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
"""Valid names of the folder of a machine."""

# Home folders and e-mail addresses, which identify a person.
_FOLDERS = rb"(?<![\w.])(?:/home/|/Users/|/root/|[A-Za-z]:\\+Users\\+)[^\s\"',;:/\\]*"
_PRIVATE = re.compile(_FOLDERS + rb"|[\w.+-]+@[\w-]+\.[\w.]+")
# Names of users that do not identify a person.
_NOBODY = {"root", "user", "admin", "runner", "ubuntu", "debian", "jenkins", "localhost"}
# Settings of the protocol that may differ between published builds.
_FREE = {"mlperf.protocol.MODE", "mlperf.protocol.FULL", "mlperf.protocol.DEVICE"}
# Options of measurements. They count only for the results of scripts that use them.
_OPTIONS = {"mlperf.protocol.TIMED", "mlperf.protocol.UNTIMED", "mlperf.protocol.PROFILED"}

# Inputs that describe the machine itself.
_ITSELF = ("processor", "cores", "system")

EVERYWHERE = "the same on every machine"
DEPENDS = "depends on the machine"
OPEN = "undecided on some machines"
NOWHERE = "not measured"


class Across(NamedTuple):
    """A claim on all machines: its verdict on each (empty if it was not made there), and a summary of these."""

    result: str
    statement: str
    verdicts: dict[str, str]
    comes_to: str


def problems(
    folder: Path, scripts: Iterable[Path], private: Sequence[str] = (), *, accepted: bool = False
) -> list[str]:
    """Return the reasons to refuse the results of a machine, one sentence each; empty if they are accepted.

    Parameters
    ----------
    folder : Path
        The results of one machine; nothing is written to it.
    scripts : iterable of Path
        The scripts of the report, which tell which results there must be.
    private : sequence of str, default=()
        Words that must not occur in it, such as the names of user and host.
    accepted : bool, default=False
        Whether the folder was accepted before. Scripts may have been added or removed since, so the results need not be
        those of the present scripts.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from pathlib import Path
    >>> from mlperf.results.machines import problems
    >>> problems(Path("no-such-folder"), [])
    ['There are no results in no-such-folder.']
    """
    found = []
    scripts = list(scripts)
    if not NAME.fullmatch(folder.name):
        found.append(f"{folder.name!r} must be lower case letters, digits and hyphens.")
    results = []
    for name in names_in(folder):
        try:
            results.append(read(name, folder))
        except ResultError as error:
            found.append(str(error))
    if not results:
        return [*found, f"There are no results in {folder}."]
    if not accepted:
        found += _incomplete(names_in(folder), scripts)
    found += _other_protocols(results, scripts)
    where = machines(results)
    if len(where) > 1:
        found.append(f"The results are of several machines: {', '.join(where)}.")
    known = {file for result in results for file in _files(result)}
    for path in sorted(folder.iterdir()):
        if path.name in known:
            found += [f"{path.name} names a person or a place: {word!r}." for word in _named(path, private)]
        else:
            found.append(f"{path.name} is not a file of a result.")
    return found


def pack(folder: Path, target: Path, scripts: Iterable[Path]) -> list[str]:
    """Copy the results of this machine into a folder to contribute, if `problems` accepts them.

    Figures are left out: they make up most of the bytes, and their scripts can draw them again from the runs.

    Parameters
    ----------
    folder : Path
        The results.
    target : Path
        A folder that does not exist yet, such as docs/machines/my-machine.
    scripts : iterable of Path
        As in `problems`.

    Returns
    -------
    list of str
        The reasons to refuse the results. If there are any, the target is removed again.

    Raises
    ------
    ResultError
        If there are no results, one is broken, or the target already exists.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from mlperf import exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.machines import pack
    >>> publish("my_fits", steps=exact(100))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> with TemporaryDirectory() as folder:
    ...     pack(results_folder(), Path(folder, "my-machine"), scripts=[])
    ["The result 'my_fits' is none of the report's."]
    """
    if target.exists():
        raise ResultError(f"{target} already exists. Remove it, or choose another name.")
    results = [read(name, folder) for name in names_in(folder)]
    if not results:
        raise ResultError(f"There are no results in {folder}.")
    target.mkdir(parents=True)
    for result in results:
        record = unseal((folder / f"{result.name}.json").read_bytes())
        record["things"] = {key: thing for key, thing in record["things"].items() if thing["kind"] != "figure"}
        (target / f"{result.name}.json").write_bytes(seal(record))
        for key in record["things"]:
            for path in result.paths(key).values():
                shutil.copyfile(path, target / path.name)
    found = problems(target, scripts, _private())
    if found:
        shutil.rmtree(target)
    return found


def folders(place: Path) -> dict[str, Path]:
    """Return the folders of machines in a folder, by name."""
    found = sorted(place.iterdir()) if place.is_dir() else []
    return {path.name: path for path in found if path.is_dir() and NAME.fullmatch(path.name)}


def across(shelf: Shelf, *, original: bool = False) -> list[Across]:
    """Return every claim with its verdict on each machine, those that depend on the machine first.

    Parameters
    ----------
    shelf : Shelf
        The results.
    original : bool, default=False
        Whether to leave out claims that the original report did not make.

    Returns
    -------
    list of Across

    Examples
    --------
    >>> from mlperf import claim, exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.machines import across
    >>> from mlperf.results.shelf import Shelf
    >>> publish("my_fits", few=claim("There are few steps.", exact(100) < 1_000))  # doctest: +ELLIPSIS
    ✓ holds: There are few steps.
    Published my_fits in ...results.
    >>> (row,) = across(Shelf(results_folder()))
    >>> row.verdicts, row.comes_to
    ({'This machine': '✓ holds'}, 'the same on every machine')
    """
    rows = []
    for row in claim_rows(shelf, ["*"], original=original):
        found: dict[str, Claim] = _by_machine(shelf, "claims", f"{row.result}.{row.key}")
        # Where the statement has been changed since, the verdict there is on another claim.
        same = {name: claim for name, claim in found.items() if claim.statement == row.claim.statement}
        marks = {name: same[name].mark if name in same else "" for name in shelf.machines}
        comes_to = _comes_to({claim.verdict for claim in same.values()})
        rows.append(Across(row.result, row.claim.statement, marks, comes_to))
    order = [DEPENDS, OPEN, EVERYWHERE, NOWHERE]
    return sorted(rows, key=lambda row: order.index(row.comes_to))


def differences(shelf: Shelf, machine: str) -> list[str]:
    """Return what differs from the results of a machine to those of this one, apart from the machine itself.

    Parameters
    ----------
    shelf : Shelf
        The results.
    machine : str
        Name of the machine.

    Returns
    -------
    list of str
        In how many results the code differs, and each other input, such as a version, with both values.

    Examples
    --------
    >>> from mlperf import exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.machines import differences
    >>> from mlperf.results.shelf import HERE, Shelf
    >>> publish("my_fits", steps=exact(100))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> differences(Shelf(results_folder()), HERE)
    []
    """
    found = []
    for name in names_in(shelf.folder):
        other = shelf.beside(name, machine)
        if other is not None:
            found.append(moved(other.inputs, shelf.get(name).inputs))
    edited = 0
    versions: dict[str, None] = {}
    for changes in found:
        # A version is told with both values; a digest of code has none to show.
        of_versions = [what for what in changes if "→" in what]
        if len(of_versions) < len(changes):
            edited += 1
        versions |= {what: None for what in of_versions if what.partition(" ")[0] not in _ITSELF}
    said = [f"code of {edited} of {len(found)} results"] if edited else []
    return [*said, *versions]


def side_by_side(shelf: Shelf, reference: str, chosen: str) -> dict[str, str]:
    """Return a value on every machine as text, with its ratio to the value on a chosen machine.

    Parameters
    ----------
    shelf : Shelf
        The results.
    reference : str
        One value: "training_time.fit[Large, last]".
    chosen : str
        The machine to which the ratios refer.

    Returns
    -------
    dict of str
        By machine; empty text for a machine that lacks the value.

    Raises
    ------
    ResultError
        If there is no such machine or value, or the reference names several values.

    Examples
    --------
    >>> from mlperf import exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.machines import side_by_side
    >>> from mlperf.results.shelf import HERE, Shelf
    >>> publish("my_fits", steps=exact(100))  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> side_by_side(Shelf(results_folder()), "my_fits.steps", HERE)
    {'This machine': '100'}
    """
    if chosen not in shelf.machines:
        raise ResultError(f"There is no machine {chosen!r}, only {', '.join(shelf.machines)}.")
    shelf.find("values", reference)
    found = _by_machine(shelf, "values", reference)
    values = {name: thing for name, thing in found.items() if isinstance(thing, Quantity)}
    if any(len(value) != 1 for value in values.values()):
        raise ResultError(f"Machines are compared by single values. {reference!r} names several.")
    texts = dict.fromkeys(shelf.machines, "")
    for name, value in values.items():
        texts[name] = str(value)
        if name == chosen or chosen not in values:
            continue
        ratio = ratio_of(value, values[chosen])
        if ratio:
            texts[name] += f"; {ratio}"
    return texts


def _by_machine(shelf: Shelf, kind: str, reference: str) -> dict[str, Any]:
    """Return what a reference names on each machine that has it; `kind` is one of `mlperf.results.shelf.KINDS`."""
    found = {name: shelf.compared(kind, reference, name) for name in shelf.machines}
    return {name: thing for name, thing in found.items() if thing is not None}


def _comes_to(verdicts: set[str]) -> str:
    known = verdicts - {UNMEASURED}
    if not known:
        return NOWHERE
    if len(known) == 1:
        return EVERYWHERE
    return DEPENDS if len(known - {UNDECIDED}) > 1 else OPEN


def _incomplete(there: Sequence[str], scripts: Iterable[Path]) -> list[str]:
    """Return which results are missing, except for those that only full builds measure, and which are foreign."""
    expected, asked_for = [], []
    for script in scripts:
        names = published_names(script)
        expected += names
        if not contents(script).only_full:
            asked_for += names
    missing = [name for name in asked_for if name not in there]
    foreign = [name for name in there if name not in expected]
    return [
        *(f"The result {name!r} is missing: all results of the report belong together." for name in missing),
        *(f"The result {name!r} is none of the report's." for name in foreign),
    ]


def _other_protocols(results: Iterable[Result], scripts: Iterable[Path]) -> list[str]:
    """Say which results have another protocol than the published one of today, those with the same one together."""
    imports: dict[str, Collection[str]] = {}
    for script in scripts:
        imports |= dict.fromkeys(published_names(script), contents(script).imports)
    names: dict[str, list[str]] = {}
    for result in results:
        used = imports.get(result.name, _OPTIONS)  # all, if its script is gone
        difference = _other_protocol(result, _FREE | _OPTIONS.difference(used))
        names.setdefault(difference, []).append(result.name)
    names.pop("", None)
    found = []
    for difference, those in names.items():
        which = f"The result {those[0]!r}" if len(those) == 1 else f"{len(those)} results"
        found.append(f"{which}: {difference}")
    return found


def _other_protocol(result: Result, free: set[str]) -> str:
    """Say how the protocol of a result differs from the published one of today; empty if it does not."""
    theirs = result.provenance["protocol"]
    if theirs["MODE"] != "published":
        return f"measured by the {theirs['MODE']} protocol, not by the published one."
    ours = constants()
    differ = [name for name in ours if f"mlperf.protocol.{name}" not in free and theirs.get(name) != ours[name]]
    return f"its protocol differs from today's in {', '.join(differ)}." if differ else ""


def _files(result: Result) -> list[str]:
    return [f"{result.name}.json", *(path.name for key in result for path in result.paths(key).values())]


def _named(path: Path, private: Sequence[str]) -> list[str]:
    content = content_of(path) or b""
    # A PDF file is compressed; what it shows is also in the SVG file beside it.
    matches = [] if path.suffix == ".pdf" else _PRIVATE.finditer(content)
    words = {match[0].decode(errors="replace") for match in matches}
    for word in private:
        if re.search(rb"(?<![A-Za-z0-9])" + re.escape(word.encode()) + rb"(?![A-Za-z0-9])", content):
            words.add(word)
    return sorted(words)


def _private() -> list[str]:
    """Return the names of this user and this host that could identify a person."""
    known = {platform.node(), platform.node().partition(".")[0], Path.home().name}
    with suppress(OSError, KeyError, ImportError):
        known.add(getpass.getuser())
    return sorted(word for word in known if len(word) > 3 and word.lower() not in _NOBODY)
