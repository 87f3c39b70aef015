"""What scripts would say if their measurements had come out otherwise: a sentence of each claim for each verdict.

A world is the published runs of a script with other numbers in them, or with something missing; the first world is the
published one. The script runs in each, without measuring, and its claims say what they would say there. For a verdict
that comes up in no world of random numbers, `mlperf.results.aims` looks for a world.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from mlperf import machine
from mlperf.quantities.checks import FAILS, HOLDS, UNDECIDED, Comparison
from mlperf.quantities.claims import Claim
from mlperf.results import stored
from mlperf.results.aims import aimed
from mlperf.results.altered import altered
from mlperf.results.factors import Numbers
from mlperf.results.folder import ResultError, names_in
from mlperf.results.knobs import knobs_of
from mlperf.results.reading import read
from mlperf.results.recheck import settings
from mlperf.results.sources import published_names
from mlperf.results.stored import Change
from mlperf.results.trials import Trials
from mlperf.results.undrawn import stop_drawing

MOST = 30
"""Worlds of random numbers that a script is run in at most; fewer if its claims get all verdicts in fewer."""


class Said(NamedTuple):
    """What scripts say in all worlds.

    Attributes
    ----------
    texts : dict
        The texts by verdict, by names of claims such as "training_time.grows".
    failed : list of str
        A sentence for each script that did not run in some worlds.
    counted : list of str
        The claims whose numbers are exact, so that they are never undecided.
    """

    texts: dict[str, dict[str, str]]
    failed: list[str]
    counted: list[str]


def said_in_worlds(folder: Path, scripts: Sequence[Path]) -> Said:
    """Return for each claim of some scripts a text for each verdict that it got in some world.

    The worlds are the same in each call.

    Parameters
    ----------
    folder : Path
        The results of the scripts, of one build. It is only read.
    scripts : sequence of Path
        The scripts, which run in a process of their own.

    Returns
    -------
    Said

    Raises
    ------
    ResultError
        If a script has no results in the folder, or the process ends early.
    """
    names = [_first_name(folder, script) for script in scripts]
    if not names:
        return Said({}, [], [])
    environment = {**os.environ, **settings(read(names[0], folder)), stored.VARIABLE: str(folder.resolve())}
    done = subprocess.run(
        [sys.executable, "-m", __name__, *(str(script.resolve()) for script in scripts)],
        env={**environment, "MPLBACKEND": "agg"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ResultError("The process of the scripts ended early.")
    return Said(*json.loads(done.stdout.splitlines()[-1]))


def _first_name(folder: Path, script: Path) -> str:
    for name in published_names(script):
        if name in names_in(folder):
            return name
    raise ResultError(f"{script.name}: none of its results is in {folder}.")


Published = list[tuple[pd.DataFrame, list[str]]]
"""The runs that a script asks for, each time with the columns that identify a cell."""


def _visit_all(scripts: Iterable[Path]) -> Said:
    stop_drawing()
    said = Said({}, [], [])
    for script in tqdm(list(scripts), disable=None, unit="script"):
        one = _visit(script, Path(os.environ[stored.VARIABLE]))
        said.texts.update(one.texts)
        said.failed.extend(one.failed)
        said.counted.extend(one.counted)
    return said


def _visit(script: Path, folder: Path) -> Said:
    """Return what one script says: in the published world first, and then in as many others as it takes."""
    trials = Trials(script, read(_first_name(folder, script), folder).provenance.get("answers", {}))
    published: Published = []

    def look(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
        published.append((frame, by))
        return frame

    machine.answers.clear()
    claims = trials.claims_in(look)
    if claims is None:
        return Said(trials.texts, [f"{script.name} does not run on these results: {trials.errors[0]}"], [])
    asked = [question for question in machine.answers if question in trials.answers]
    counted = [name for name, claim in claims.items() if _is_counted(claim)]
    failed = []
    # Without runs, as in a simulation, all worlds are the first.
    if published:
        n_worlds = _visit_random(trials, counted)
        if trials.errors:
            n_errors = len(trials.errors)
            failed = [f"{script.name} failed in {n_errors} of {n_worlds} worlds, first with: {trials.errors[0]}"]
        _aim(trials, counted, published)
    # Scripts that always measure everything need not run where something is missing.
    if any(word in script.read_text(encoding="utf-8") for word in ("reason=", "not_measured(")):
        _visit_poorer(trials, asked, published)
    return Said(trials.texts, failed, counted)


def _unsaid(trials: Trials, counted: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names of the claims with each verdict that has not come up."""
    return [
        (name, verdict)
        for name, texts in trials.texts.items()
        for verdict in (HOLDS, FAILS, UNDECIDED)
        if verdict not in texts and not (verdict == UNDECIDED and name in counted)
    ]


def _visit_random(trials: Trials, counted: Sequence[str]) -> int:
    """Visit worlds of random numbers until all claims had all verdicts, and return how many there were."""
    for n_worlds in range(MOST):
        if not _unsaid(trials, counted):
            return n_worlds
        trials.claims_in(partial(altered, chance=np.random.default_rng(n_worlds + 1)))
    return MOST


def _aim(trials: Trials, counted: Sequence[str], published: Published) -> None:
    """Look for a world for each verdict that has not come up."""
    knobs = dict.fromkeys(knob for frame, by in published for knob in knobs_of(frame, by))

    def claim_in(name: str, change: Change) -> Claim | None:
        claims = trials.claims_in(change)
        return claims.get(name) if claims else None

    for name, verdict in _unsaid(trials, counted):
        # It may have come up on the way to another one.
        if verdict not in trials.texts[name]:
            aimed(verdict, knobs, partial(claim_in, name))


def _visit_poorer(trials: Trials, asked: Sequence[str], published: Published) -> None:
    """Visit worlds in each of which one thing is missing: an engine or the like, a column, or a label."""
    for question in asked:
        for answer in _poorer(trials.answers[question]):
            trials.claims_in(_as_it_is, {question: answer})
    columns: dict[str, None] = {}
    labels: dict[tuple[str, str], None] = {}
    for frame, by in published:
        for of_one_number in Numbers(frame, by).columns.values():
            columns |= dict.fromkeys(of_one_number)
        for level in by:
            if not pd.api.types.is_numeric_dtype(frame[level]):
                labels |= {(level, str(label)): None for label in frame[level].unique()}
    for column in columns:
        trials.claims_in(partial(_without_column, column))
    for level, label in labels:
        trials.claims_in(partial(_without_label, level, label))


def _poorer(answer: Any) -> list[Any]:
    """Return the same answer of machines that lack one thing; an empty list says that nothing is missing."""
    if not isinstance(answer, list):
        return []
    if not answer:
        return [["the tool"]]
    return [[one for one in answer if one != left_out] for left_out in answer]


def _as_it_is(frame: pd.DataFrame, _by: list[str]) -> pd.DataFrame:
    return frame


def _without_column(column: str, frame: pd.DataFrame, _by: list[str]) -> pd.DataFrame:
    return frame.drop(columns=column, errors="ignore")


def _without_label(level: str, label: str, frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return frame[frame[level].astype(str) != label] if level in by else frame


def _is_counted(claim: Claim) -> bool:
    """Return whether all numbers of a claim are exact."""
    if claim.check is None:
        return False
    return all(not isinstance(one, Comparison) or one.cell.is_exact for one in claim.check.comparisons())


if __name__ == "__main__":
    print(json.dumps(_visit_all(map(Path, sys.argv[1:]))))
