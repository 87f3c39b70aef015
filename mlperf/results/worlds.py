"""What scripts would say if their measurements had come out otherwise: a sentence of each claim for each verdict.

A world is the published runs of a script with other numbers in them, or with something missing; the first world is the
published one. The script runs on each, without measuring, and its claims say what they would say there. For a verdict
that comes up in no world of random numbers, `mlperf.results.aims` looks for a world.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from mlperf import machine
from mlperf.quantities.checks import FAILS, HOLDS, UNDECIDED, Comparison
from mlperf.quantities.claims import Claim
from mlperf.quantities.tables import label_text
from mlperf.results import stored
from mlperf.results.aims import Change, aimed
from mlperf.results.altered import Knob, altered, measured, stem_of
from mlperf.results.folder import ResultError, names_in
from mlperf.results.publishing import name_of
from mlperf.results.reading import read
from mlperf.results.recheck import settings
from mlperf.results.sources import published_names
from mlperf.results.undrawn import stop_drawing

MOST = 30
"""Worlds of random numbers, of a script whose claims do not get all verdicts in fewer."""


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


class _Worlds:
    """The worlds of one script, and what it says in them."""

    def __init__(self, script: Path, folder: Path) -> None:
        self.script = script
        self.answers = read(_first_name(folder, script), folder).provenance.get("answers", {})
        self.texts: dict[str, dict[str, str]] = {}
        self.counted: list[str] = []
        self.problems: list[str] = []
        # The claims of the last world.
        self.claims: dict[str, Claim] = {}
        # What can be missing: columns, and labels of levels; and the rows that can be multiplied.
        self.columns: dict[str, None] = {}
        self.labels: dict[tuple[str, str], None] = {}
        self.knobs: dict[Knob, None] = {}

    def visit(self) -> str:
        """Run the script in all worlds; return a sentence about those in which it failed, if any."""
        machine.answers.clear()
        if not self._runs(self._look):
            return f"{self.script.name} does not run on these results: {self.problems[0]}"
        asked = {question: self.answers[question] for question in machine.answers if question in self.answers}
        self.counted = [name for name, claim in self.claims.items() if _is_counted(claim)]
        tried = 0
        # Without runs, as in a simulation, all worlds are the first.
        most = MOST if self.columns else 0
        while tried < most and self._unsaid():
            tried += 1
            chance = np.random.default_rng(tried)
            self._runs(lambda frame, by: altered(frame, by, chance))  # noqa: B023
        failed = len(self.problems)
        if self.columns:
            for name, verdict in self._unsaid():
                if verdict not in self.texts[name]:
                    aimed(verdict, self.knobs, lambda change: self._claim_in(name, change))  # noqa: B023
        # Scripts that always measure everything need not run where something is missing.
        if any(word in self.script.read_text(encoding="utf-8") for word in ("reason=", "not_measured(")):
            self._miss(asked)
        if not failed:
            return ""
        return f"{self.script.name} failed in {failed} of {tried} worlds, first with: {self.problems[0]}"

    def _unsaid(self) -> list[tuple[str, str]]:
        """Return the claims that were measured, with each verdict that has not come up."""
        return [
            (name, verdict)
            for name, texts in self.texts.items()
            for verdict in (HOLDS, FAILS, UNDECIDED)
            if verdict not in texts and not (verdict == UNDECIDED and name in self.counted)
        ]

    def _look(self, frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
        self.columns |= dict.fromkeys(measured(frame, by))
        for level in by:
            labels = frame[level].unique()
            if not pd.api.types.is_numeric_dtype(frame[level]):
                self.labels |= {(level, str(label)): None for label in labels}
            for stem in dict.fromkeys(map(stem_of, measured(frame, by))):
                self.knobs |= {Knob(stem, level, label_text(level, label)): None for label in labels}
        return frame

    def _miss(self, asked: dict[str, Any]) -> None:
        """Run the script where one answer, column or label is missing."""
        for question, answer in asked.items():
            if isinstance(answer, list):
                without_one = [[one for one in answer if one != left] for left in answer]
                # An empty list says that nothing is missing; in another world, a tool is.
                for other in without_one or [["the tool"]]:
                    self._runs(lambda frame, _: frame, {question: other})
        for column in self.columns:
            self._runs(lambda frame, _: frame.drop(columns=column, errors="ignore"))  # noqa: B023
        for level, label in self.labels:
            self._runs(lambda frame, by: frame[frame[level].astype(str) != label] if level in by else frame)  # noqa: B023

    def _claim_in(self, name: str, change: Change) -> Claim | None:
        """Return a claim as it is in a world; None if the script fails there."""
        return self.claims.get(name) if self._runs(change) else None

    def _runs(self, change: Change, answers: dict[str, Any] | None = None) -> bool:
        """Run the script in a world, and keep what it says."""
        self.claims = {}

        def keep(name: str, **things: Any) -> None:
            for key, thing in things.items():
                if isinstance(thing, Claim):
                    claim = f"{name}.{name_of(key)}"
                    self.claims[claim] = thing
                    self.texts.setdefault(claim, {}).setdefault(thing.verdict, thing.text)

        stored.begin(stored.World(change, keep))
        os.environ[machine.ANSWERS] = json.dumps({**self.answers, **(answers or {})})
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                runpy.run_path(str(self.script))
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            return False
        finally:
            if "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close("all")
        return True


def _is_counted(claim: Claim) -> bool:
    """Return whether all numbers of a claim are exact."""
    if claim.check is None:
        return False
    return all(not isinstance(one, Comparison) or one.cell.is_exact for one in claim.check.comparisons())


def _visit_all(scripts: Iterable[Path]) -> Said:
    stop_drawing()
    said = Said({}, [], [])
    for script in tqdm(list(scripts), disable=None, unit="script"):
        worlds = _Worlds(script, Path(os.environ[stored.VARIABLE]))
        failed = worlds.visit()
        said.texts.update(worlds.texts)
        said.failed.extend([failed] if failed else [])
        said.counted.extend(worlds.counted)
    return said


if __name__ == "__main__":
    print(json.dumps(_visit_all(map(Path, sys.argv[1:]))))
