"""Publish what a script measured, with its provenance.

A result is a JSON file and the CSV, SVG and PDF files that it lists with their digests, so that missing, half-written,
corrupt and foreign files are recognised.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlperf.quantities.runs import Runs
from mlperf.quantities.stability import Instability, instabilities
from mlperf.results import atomic, journal, stored
from mlperf.results.folder import KEY, NAME, content_of, names_in, results_folder
from mlperf.results.kinds import describe
from mlperf.results.provenance import inputs, provenance
from mlperf.results.reading import FORMAT, Result, listed
from mlperf.results.sealed import digest, seal

WIDTH = 88
"""Width of the printed lines in characters, the same as that of code on a page."""

PREVIEW = "Measured with the quick protocol, to check that everything works. These are not the numbers of the report."
"""What pages and scripts say about results of the quick protocol."""


def publish(name: str, **things: Any) -> None:
    """Publish what a script measured: write a result to the results folder, in place of the script's former one.

    The claims with their verdicts, and warnings about unstable measurements, are printed. The script's journal of runs,
    from which an interrupted script continues, is removed, so that the next start measures anew.

    Parameters
    ----------
    name : str
        The name of the result: lower-case letters, digits and underscores, such as "training_time". Write it as a
        literal, so that the report can tell, without running a script, which results it publishes.
    **things : object
        The things to publish, by name; pages refer to them as "training_time.fit". `Runs` and data frames become
        tables (CSV), a `Quantity` becomes values and a table (CSV), and a `Claim` a verdict with its texts. A
        matplotlib Figure, its Axes, or an array or list of them become a figure (SVG and PDF); the figure must have a
        title, which is its alternative text. Text, numbers and booleans are kept unchanged. Unpack a mapping of claims:
        ``**claims``. A name such as "scikit-learn" becomes "scikit_learn".

    Raises
    ------
    TypeError
        If a thing is of a type that cannot be published.
    ValueError
        If a name is invalid, a thing cannot be restored from a file, or a figure has no title. In both cases nothing is
        written.
    OSError
        If the folder cannot be written to. The former result then stays unchanged.

    Examples
    --------
    >>> from mlperf import claim, exact, publish
    >>> steps = exact({"Small": 100, "Large": 100}, by="model")
    >>> few = claim("There are fewer than a thousand steps.", steps < 1_000)
    >>> publish("my_fits", steps=steps, few=few)  # doctest: +ELLIPSIS
    ✓ holds: There are fewer than a thousand steps.
    Published my_fits in ...results.
    """
    if stored.world:
        stored.world.publish(name, **things)
        return
    script = Path(sys._getframe(1).f_code.co_filename)
    _check_name(name)
    record: dict[str, Any] = {"format": FORMAT, "name": name, "things": {}}
    files: dict[str, bytes] = {}
    for key, thing in _named(things).items():
        entry, made = describe(thing, f"{name}.{key}")
        known = {ending: digest(content) for ending, content in made.items()}
        record["things"][key] = {**entry, "files": known} if made else entry
        files |= {f"{name}.{key}.{ending}": content for ending, content in made.items()}
    record |= {"provenance": provenance(script), "inputs": inputs(script, measured=True)}
    folder = results_folder()
    result = _checked(name, folder, record, files)
    files[f"{name}.json"] = seal(record)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic.writing(folder):
            _finish(folder, name)
            atomic.stage(folder, files)
            _finish(folder, name)
    except OSError as error:
        raise OSError(
            error.errno, f"The result {name!r} cannot be written to {folder}: {error.strerror or error}"
        ) from error
    journal.clear(script)
    _tell(result, [warning for thing in things.values() if isinstance(thing, Runs) for warning in instabilities(thing)])


def finish(folder: str | Path | None = None) -> None:
    """Complete interrupted calls of `publish`: give their files the final names, and remove leftovers.

    Reading works without it, but links to the files do not. Call it only for a folder that you may write to.

    Parameters
    ----------
    folder : str or Path, default=None
        The folder of results; by default `mlperf.results.folder.results_folder`.

    Raises
    ------
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> from mlperf.results.publishing import finish
    >>> finish()
    """
    folder = results_folder() if folder is None else Path(folder)
    if not folder.is_dir():
        return
    with atomic.writing(folder):
        for name in names_in(folder):
            _finish(folder, name)


def _finish(folder: Path, name: str) -> None:
    def waiting() -> list[str] | None:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            content = content_of(atomic.staged(folder, f"{name}.json"))
            return None if content is None else list(listed(name, content))
        return None

    atomic.finish(folder, name, waiting)


def name_of(text: str) -> str:
    """Return a text as a name: "scikit-learn" becomes "scikit_learn"; empty if no letter or digit is left.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str

    Examples
    --------
    >>> from mlperf.results.publishing import name_of
    >>> name_of("scikit-learn"), name_of("Large, 10K")
    ('scikit_learn', 'large_10k')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "_", plain).strip("_")


def _check_name(name: str) -> None:
    if isinstance(name, str) and NAME.fullmatch(name):
        return
    near = name_of(name) if isinstance(name, str) else ""
    hint = f" Did you mean {near!r}?" if NAME.fullmatch(near) else ""
    raise ValueError(
        "The 'name' parameter of publish must be lower case letters, digits and underscores, a letter first. Got "
        f"{name!r} instead.{hint}"
    )


def _named(things: Mapping[str, Any]) -> dict[str, Any]:
    """Return the things by names that are valid in names of files."""
    named: dict[str, Any] = {}
    for given, thing in things.items():
        key = given if KEY.fullmatch(given) else name_of(given)
        if not KEY.fullmatch(key):
            raise ValueError(f"The names of things in publish must be Latin letters and digits. Got {given!r} instead.")
        if key in named:
            raise ValueError(f"The names of things in publish must differ in letters and digits. Got {key!r} twice.")
        named[key] = thing
    return named


def _checked(name: str, folder: Path, record: dict[str, Any], files: dict[str, bytes]) -> Result:
    """Return the result as it will be read back; if that fails, refuse it before anything is written."""
    try:
        return Result(name, folder, record, files)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"The result {name!r} could not be read back: {error}.") from error


def _tell(result: Result, unstable: Sequence[Instability]) -> None:
    claims = [result[key] for key in result.keys("claim")]
    # The shorter of the relative and the absolute path.
    place = min(os.path.relpath(result.folder), str(result.folder), key=len)
    lines = [_wrapped(f"{one.mark}: {one.text}") for one in claims]
    lines.append(f"Published {result.name} in {place}.")
    if result.provenance["protocol"]["MODE"] == "quick":
        lines.append(_wrapped(f"A preview. {PREVIEW}"))
    else:
        lines += [_wrapped(f"Unstable: {one}") for one in unstable]
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with suppress(OSError, ValueError):  # standard output may be closed
        print("\n".join(lines).encode(encoding, "replace").decode(encoding))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
