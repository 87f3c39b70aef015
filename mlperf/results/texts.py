"""Every claim in all of its texts, to be read through by those who write them."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template

from mlperf.quantities.checks import UNDECIDED, UNMEASURED
from mlperf.quantities.claims import SYMBOLS, Claim
from mlperf.results.folder import ResultError, names_in
from mlperf.results.reading import read
from mlperf.results.worlds import Said

HINT = "An arrow marks what is said now. A text marked * came up nowhere: its numbers are those of the present verdict."
# Why there is no text to show.
COUNTED = "Cannot come up: all numbers were counted, and none is uncertain."
ELSEWHERE = "Cannot be told from these results, in which it was not measured."
NOTHING = Said({}, [], [])

PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>All texts of all claims</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
dt { color: #555; }
.now { font-weight: bold; }
</style>
</head>
<body>
<h1>All texts of all claims</h1>
$hints
$claims
</body>
</html>
"""
)


def as_text(folder: Path, said: Said = NOTHING) -> str:
    """Return the texts of all claims in a folder for the terminal.

    Parameters
    ----------
    folder : Path
        A folder of results.
    said : Said, default=Said({}, [], [])
        What the scripts of the claims say where numbers fit the verdict; see `mlperf.results.worlds.said_in_worlds`.

    Returns
    -------
    str

    Raises
    ------
    ResultError
        If it holds no claims, or a result is broken.

    Examples
    --------
    >>> from mlperf import claim, exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.texts import as_text
    >>> publish("my_fits", few=claim("There are few steps.", exact(100) < 1_000))  # doctest: +ELLIPSIS
    ✓ holds: There are few steps.
    Published my_fits in ...results.
    >>> print(as_text(results_folder()))
    An arrow marks what is said now. A text marked * came up nowhere: its numbers are those of the present verdict.
    <BLANKLINE>
    my_fits.few: There are few steps.
    → ✓ holds: There are few steps.
      ✗ does not hold*: The claim “There are few steps” does not hold here.
      ≈ undecided*: It is open whether there are few steps.
      – not measured: The claim “There are few steps” was not put to the test here.
    """
    blocks = ["\n".join([HINT, *said.failed])]
    for name, one in _claims(folder):
        lines = [f"{name}: {one.statement}"]
        for verdict, symbol in SYMBOLS.items():
            arrow = "→" if verdict == one.verdict else " "
            text, star = _shown(name, one, verdict, said)
            lines.append(f"{arrow} {symbol} {verdict}{star}: {text}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def as_html(folder: Path, said: Said = NOTHING) -> str:
    """Return the same as a page of HTML.

    Parameters
    ----------
    folder : Path
        A folder of results.
    said : Said, default=Said({}, [], [])
        What the scripts of the claims say where numbers fit the verdict; see `mlperf.results.worlds.said_in_worlds`.

    Returns
    -------
    str

    Raises
    ------
    ResultError
        If it holds no claims, or a result is broken.

    Examples
    --------
    >>> from mlperf import claim, exact, publish
    >>> from mlperf.results.folder import results_folder
    >>> from mlperf.results.texts import as_html
    >>> publish("my_fits", few=claim("There are few steps.", exact(100) < 1_000))  # doctest: +ELLIPSIS
    ✓ holds: There are few steps.
    Published my_fits in ...results.
    >>> '<dt class="now">→ ✓ holds</dt>' in as_html(results_folder())
    True
    """
    blocks = []
    for name, one in _claims(folder):
        lines = [f"<h2>{escape(name)}</h2>", f"<p>{escape(one.statement)}</p>", "<dl>"]
        for verdict, symbol in SYMBOLS.items():
            kind, arrow = (' class="now"', "→ ") if verdict == one.verdict else ("", "")
            text, star = _shown(name, one, verdict, said)
            lines.append(f"<dt{kind}>{arrow}{symbol} {verdict}{star}</dt><dd>{escape(text)}</dd>")
        blocks.append("\n".join([*lines, "</dl>"]))
    hints = "\n".join(f"<p>{escape(line)}</p>" for line in [HINT, *said.failed])
    return PAGE.substitute(hints=hints, claims="\n".join(blocks))


def _shown(name: str, one: Claim, verdict: str, said: Said) -> tuple[str, str]:
    """Return the text for a verdict, and a star if it did not come up, so that its numbers do not fit."""
    fits = {one.verdict: one.text, **said.texts.get(name, {})}
    if verdict in fits:
        return fits[verdict], ""
    if verdict == UNDECIDED and name in said.counted:
        return COUNTED, ""
    if one.verdict == UNMEASURED:
        return ELSEWHERE, ""
    # What was not measured has no numbers.
    return one.texts[verdict], "" if verdict == UNMEASURED else "*"


def _claims(folder: Path) -> Iterator[tuple[str, Claim]]:
    found = False
    for name in names_in(folder):
        result = read(name, folder)
        for key in result.keys("claim"):
            found = True
            yield f"{name}.{key}", result[key]
    if not found:
        raise ResultError(f"There are no claims in {folder}.")
