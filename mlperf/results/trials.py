"""Run a script on changed runs in place of measuring, and keep what its claims say."""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from mlperf import machine
from mlperf.quantities.claims import Claim
from mlperf.results import stored
from mlperf.results.publishing import name_of
from mlperf.results.stored import Change


class Trials:
    """Trials of one script, in this process, which takes its runs from `mlperf.results.stored.VARIABLE`.

    Parameters
    ----------
    script : Path
        The script.
    answers : mapping
        What the machine answered when the runs were measured, by question; see `mlperf.machine.answer`.

    Attributes
    ----------
    texts : dict of dict of str
        The texts by verdict, by names of claims such as "training_time.grows": of each verdict the first one.
    errors : list of str
        The errors of the trials in which the script failed.
    """

    def __init__(self, script: Path, answers: Mapping[str, Any]) -> None:
        self.script = script
        self.answers = dict(answers)
        self.texts: dict[str, dict[str, str]] = {}
        self.errors: list[str] = []

    def claims_in(self, change: Change, other_answers: Mapping[str, Any] | None = None) -> dict[str, Claim] | None:
        """Run the script once.

        Parameters
        ----------
        change : callable
            Makes the runs that the script gets of the published ones.
        other_answers : mapping, default=None
            What the machine answers otherwise.

        Returns
        -------
        dict of Claim or None
            The claims by name; None if the script fails.
        """
        claims: dict[str, Claim] = {}

        def keep(name: str, **things: Any) -> None:
            for key, thing in things.items():
                if isinstance(thing, Claim):
                    claims[f"{name}.{name_of(key)}"] = thing

        stored.begin(stored.World(change, keep))
        os.environ[machine.ANSWERS] = json.dumps({**self.answers, **(other_answers or {})})
        error = self._run()
        for name, claim in claims.items():
            self.texts.setdefault(name, {}).setdefault(claim.verdict, claim.text)
        if error:
            self.errors.append(error)
            return None
        return claims

    def _run(self) -> str:
        """Run the script silently; return its error as text, empty if there is none."""
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                runpy.run_path(str(self.script))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            if "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close("all")
        return ""
