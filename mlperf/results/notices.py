"""What a page must say about its results: when and on what machine they were measured, and warnings."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from mlperf.results.folder import ResultError
from mlperf.results.provenance import moved
from mlperf.results.publishing import PREVIEW
from mlperf.results.reading import Result
from mlperf.results.shelf import Shelf

# Where more sentences would have to say what has changed, a page says only that something has.
MOST_SENTENCES = 3


class Notice(NamedTuple):
    """Something that a page must say about its results.

    Attributes
    ----------
    kind : {"measured", "warning", "note"}
        The line about the measurement, a warning, or a note.
    title : str
        Empty for the line that says when and on what machine they were measured.
    lines : list of str
        The sentences of the notice.
    """

    kind: str
    title: str
    lines: list[str]


def notices(shelf: Shelf, names: Iterable[str | None]) -> list[Notice]:
    """Return what a page with these results must say: when and on what they were measured, and any warnings.

    Parameters
    ----------
    shelf : Shelf
        All results of the report.
    names : iterable of str or None
        The results on the page; "*" stands for all, and None is ignored.

    Returns
    -------
    list of Notice

    Examples
    --------
    >>> from mlperf import publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.notices import notices
    >>> from mlperf.results.shelf import Shelf
    >>> publish("my_fits", n=3)  # doctest: +ELLIPSIS
    Published my_fits in ...results.
    >>> first, *_ = notices(Shelf(results_folder()), ["my_fits"])
    >>> first.lines[0].startswith("Measured ")
    True
    """
    results = {}
    shown = [name for name in names if name]
    for name in shelf.named(shown):
        with suppress(ResultError):  # the error is reported where the result is used
            results[name] = shelf.get(name)
    if not results:
        return []
    said = [Notice("measured", "", [f"{measured(*results.values())}."])]
    if any(result.provenance["protocol"]["MODE"] == "quick" for result in results.values()):
        said.append(Notice("warning", "Preview numbers", [PREVIEW]))
    there = [name for name, result in results.items() if "device" in result.inputs]
    if 0 < len(there) < len(results):
        line = f"Measured on the device: {', '.join(there)}. All other results here: on the CPU alone."
        said.append(Notice("note", "Devices", [line]))
    if stale := _stale(shelf, results):
        said.append(Notice("warning", "Out of date", stale))
    if len(machines(results.values())) > 1:
        said.append(Notice("warning", "Different machines", ["Not all numbers here are from the same machine."]))
    if shelf.other:
        said.append(Notice("note", "Comparison", _comparison(shelf, results)))
    return said


def _stale(shelf: Shelf, results: Iterable[str]) -> list[str]:
    """Return sentences about the results that something has changed for, those of the same changes in one sentence."""
    changed: dict[str, list[str]] = {}
    for name in results:
        changed.setdefault(", ".join(shelf.moved(name)), []).append(name)
    changed.pop("", None)
    if len(changed) > MOST_SENTENCES:
        n_stale = sum(map(len, changed.values()))
        return [
            f"{n_stale} of the results on this page are older than something that they depend on. The pages of their "
            "scripts say what has changed."
        ]
    return [
        f"Since {', '.join(those)} {'was' if len(those) == 1 else 'were'} measured, this has changed: {what}."
        for what, those in changed.items()
    ]


def _comparison(shelf: Shelf, results: dict[str, Result]) -> list[str]:
    """Return what is said of the other results that these are compared with."""
    others = {name: other for name in results if (other := shelf.beside(name))}
    if not others:
        return ["The other results contain none of these."]
    differ: dict[str, None] = {}
    for name, other in others.items():
        differ |= dict.fromkeys(moved(other.inputs, results[name].inputs))
    lines = [f"The other results: {measured(*others.values())}."]
    return [*lines, f"Differences from there to here: {', '.join(differ)}."] if differ else lines


def measured(*results: Result) -> str:
    """Return a text that says when and on what machine results were measured, and how often at most."""
    times = sorted(result.provenance["time"].replace("T", " ")[:16] for result in results)
    span = times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"
    about = results[-1].provenance
    threads = about["protocol"]["THREADS"]
    said = [f"{threads} thread{'s' * (threads != 1)}", f"torch {about['machine']['torch']}"]
    there = list(dict.fromkeys(result.inputs.get("accelerator", "none") for result in results))
    if there != ["none"]:
        said.insert(0, f"with {' and '.join(name for name in there if name != 'none')}")
    elif about["protocol"].get("DEVICE", "cpu") != "cpu":
        said.insert(0, "the CPU alone")
    for what, plural in (("process", "processes"), ("repeat", "repeats")):
        counts = {result.most(what) for result in results} - {0}
        if counts:
            most = max(counts)
            said.append(f"{'up to ' * (len(counts) > 1)}{most} {what if most == 1 else plural}")
    return f"Measured {span} UTC on {' and '.join(machines(results))}, {', '.join(said)}"


def machines(results: Iterable[Result]) -> list[str]:
    """Return the distinct machines that results were measured on."""
    about = [result.provenance["machine"] for result in results]
    return list(dict.fromkeys(f"{one['processor']} ({one['cores']} cores, {one['system']})" for one in about))
