"""What scripts would say if their measurements had come out otherwise: a sentence of each claim for each verdict.

A world is the published runs of a script with other numbers in them, or with something missing; the first world is the
published one. The script runs on each, without measuring, and its claims say what they would say there.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

import mlperf
from mlperf import machine
from mlperf.quantities.checks import FAILS, HOLDS, UNDECIDED
from mlperf.quantities.claims import Claim
from mlperf.results import stored
from mlperf.results.altered import altered, measured
from mlperf.results.folder import ResultError, names_in
from mlperf.results.publishing import name_of
from mlperf.results.reading import read
from mlperf.results.recheck import settings
from mlperf.results.sources import published_names
from mlperf.results.undrawn import stop_drawing

MOST = 60
"""Worlds with other numbers, of a script whose claims do not get all verdicts in fewer."""


class Said(NamedTuple):
    """What scripts say in all worlds.

    Attributes
    ----------
    texts : dict
        The texts by verdict, by names of claims such as "training_time.grows".
    failed : list of str
        A sentence for each script that did not run in some worlds.
    """

    texts: dict[str, dict[str, str]]
    failed: list[str]


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
        return Said({}, [])
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
        self.problems: list[str] = []
        # What can be missing: columns, and labels of levels.
        self.columns: dict[str, None] = {}
        self.labels: dict[tuple[str, str], None] = {}

    def visit(self) -> str:
        """Run the script in all worlds; return a sentence about those in which it failed, if any."""
        machine.answers.clear()
        if not self._runs(self._look):
            return f"{self.script.name} does not run on these results: {self.problems[0]}"
        asked = {question: self.answers[question] for question in machine.answers if question in self.answers}
        tried = 0
        # Without runs, as in a simulation, all worlds are the first.
        most = MOST if self.columns else 0
        while tried < most and not all({HOLDS, FAILS, UNDECIDED} <= set(texts) for texts in self.texts.values()):
            tried += 1
            chance = np.random.default_rng(tried)
            self._runs(lambda frame, by: altered(frame, by, chance))  # noqa: B023
        failed = len(self.problems)
        # Scripts that always measure everything need not run where something is missing.
        if any(word in self.script.read_text(encoding="utf-8") for word in ("reason=", "not_measured(")):
            self._miss(asked)
        if not failed:
            return ""
        return f"{self.script.name} failed in {failed} of {tried} worlds, first with: {self.problems[0]}"

    def _look(self, frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
        self.columns |= dict.fromkeys(measured(frame, by))
        named = [level for level in by if not pd.api.types.is_numeric_dtype(frame[level])]
        self.labels |= {(level, str(label)): None for level in named for label in frame[level].unique()}
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

    def _runs(self, change: stored.Change, answers: dict[str, Any] | None = None) -> bool:
        """Run the script in a world, and keep what it says."""

        def keep(name: str, **things: Any) -> None:
            for key, thing in things.items():
                if isinstance(thing, Claim):
                    self.texts.setdefault(f"{name}.{name_of(key)}", {}).setdefault(thing.verdict, thing.text)

        mlperf.publish = keep
        stored.begin(change)
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


def _visit_all(scripts: Iterable[Path]) -> Said:
    stop_drawing()
    # Each result is read once, not in every world.
    vars(stored)["read"] = cache(read)
    said = Said({}, [])
    for script in tqdm(list(scripts), disable=None, unit="script"):
        worlds = _Worlds(script, Path(os.environ[stored.VARIABLE]))
        failed = worlds.visit()
        said.texts.update(worlds.texts)
        said.failed.extend([failed] if failed else [])
    return said


if __name__ == "__main__":
    print(json.dumps(_visit_all(map(Path, sys.argv[1:]))))
