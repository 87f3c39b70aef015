"""Gallery scripts, run as their readers run them, and what each of their claims must say."""

import os
import re
import subprocess
import sys

from mlperf.quantities.claims import SYMBOLS


def shell(**settings):
    """Return the environment of a reader's shell: without the settings of the tests, and with these instead."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MLPERF_", "SCIPY_"))}
    return own | settings


def run_script(script, folder, **settings):
    """Run a script in a folder, without showing a figure; return the process when it has ended."""
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=shell(MPLBACKEND="agg", **settings),
        capture_output=True,
        text=True,
        check=False,
    )


def check_texts(result):
    """Check that every claim of a result has a sentence for every verdict."""
    for key in result.keys("claim"):
        assert set(result[key].texts) == set(SYMBOLS)
        for text in result[key].texts.values():
            assert re.fullmatch(r"[A-Z0-9].*\.", text, re.DOTALL), text
            assert not re.search(r"[{}]|\bnan\b|\binf\b| {2}|\.\.", text), text
