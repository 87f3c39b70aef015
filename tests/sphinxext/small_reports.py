"""Small reports, built as their users build them."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from sphinx.cmd.build import build_main

from mlperf import Quantity, Runs, claim, fact, publish

CONF = """
extensions = ["mlperf.sphinxext"]
project, author, copyright, version, release = "Report", "Someone", "2026, Someone", "1", "1"
numfig = True
mlperf_results = "../results"
"""


def publish_fits(*, factor=1.0):
    """Publish a small result as a script would: two models, two sizes, six processes."""
    spread = np.linspace(0.97, 1.03, 6)
    rows = [
        {"model": model, "n_samples": n, "process": process, "seconds": factor * base * n / 1_000 * spread[process]}
        for model, base in (("Small", 0.5), ("Large", 1.0))
        for n in (1_000, 10_000)
        for process in range(6)
    ]
    runs = Runs(pd.DataFrame(rows), by=["model", "n_samples"])
    estimates = {
        (model, n): (size, 0.97 * size, 1.03 * size)
        for model, base in (("Small", 0.5), ("Large", 1.0))
        for n in (1_000, 10_000)
        for size in (factor * base * n / 1_000,)
    }
    fit = Quantity.from_estimates(estimates, by=["model", "n_samples"], unit="seconds", name="seconds")
    figure = Figure()
    figure.subplots().set_title("Large takes longest")
    publish(
        "fits",
        runs=runs,
        fit=fit,
        scores=pd.DataFrame(
            {"model": ["Small", "Large"], "mse": [2.0, 1.0], "mse_low": [1.9, 0.9], "mse_high": [2.1, 1.1]}
        ),
        long=pd.DataFrame({"row": range(80_000)}),
        library="torch",
        bars=figure,
        quick=claim(
            "A fit takes less than twenty seconds.",
            fit["Large", 10_000] < 20,
            otherwise=f"A fit takes {fit['Large', 10_000]:short}.",
            original="Fits are quick.",
        ),
        grows=claim("The time grows with the samples.", fit[:, 10_000] / fit[:, 1_000] > 1),
        level=claim("Both models are level.", fit["Large"] < fit["Small"], otherwise="Large takes longer."),
        counted=claim("It was not counted.", reason="valgrind is not installed"),
        odd=claim('It says `a`_, <b> and "engine" -- |x|.', fact("it is so", True)),
    )


def begin(folder, settings=""):
    """Begin a report: its configuration, with these settings too, and a small result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPERF_RESULTS", str(folder / "results"))
        publish_fits()
    (folder / "docs").mkdir()
    (folder / "docs/conf.py").write_text(f"{CONF}{settings}")


def build(project, *options, builder="html", fails=False):
    """Build the report, warnings being errors; return its first page in HTML."""
    path, modules = sys.path[:], set(sys.modules)
    output = Path(project, "docs/_build", builder)
    arguments = ["-q", "-W", "-n", "--keep-going", "-b", builder, "-d", f"{project}/docs/_build/doctrees", *options]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = build_main([*arguments, f"{project}/docs", str(output)])
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name == "conf":
            del sys.modules[name]
    assert bool(status) == fails
    return parsed(output / "index.html")


def page(project, *lines, options=(), **settings):
    """Write the only page of a report and build it."""
    (project / "docs/index.rst").write_text("\n".join(["Report", "======", "", *lines, ""]))
    return build(project, *options, **settings)


def parsed(path):
    return BeautifulSoup(path.read_text(), "html.parser") if path.is_file() else None


def text(node):
    return " ".join(node.get_text().split())
