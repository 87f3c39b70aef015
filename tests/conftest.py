"""What the tests share: quiet threads, an empty results folder, the quick site, built once, and a browser."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

# SciPy reads it when it is loaded; without it scikit-learn skips a check of array API input.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
import torch
from filelock import FileLock
from gallery_scripts import shell

ROOT = Path(__file__).parents[1]

# Doctests are looked for in every module, and of two with this name only one can be imported.
collect_ignore_glob = ["*conftest.py"]

# A shell that starts the tests in the background has them ignore Ctrl-C, and their children with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Two test processes with two threads each on two cores would mostly wait for each other.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """Results of a test go to a folder of its own."""
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture(scope="session")
def site():
    """The quick site, built as its users build it."""
    with FileLock(ROOT / ".venv" / "site.lock"):  # of several test processes the first builds it
        built = subprocess.run(
            ["make", "html", "QUICK=1"], cwd=ROOT, env=shell(), capture_output=True, text=True, check=False
        )
    assert built.returncode == 0, built.stdout[-3_000:] + built.stderr[-3_000:]
    return ROOT / "docs" / "_build" / "quick" / "html"


@pytest.fixture(scope="session")
def chromium():
    """Where the browser is."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("The browser tests need Chromium, and CI must not do without: apt-get install chromium")
        pytest.skip("There is no Chromium here: apt-get install chromium")
    return path
