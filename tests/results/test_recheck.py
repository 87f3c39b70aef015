"""Every script of the gallery can be checked from what it published, and a machine answers for the one that checks."""

import json
from pathlib import Path

import pytest

from mlperf import publish, read
from mlperf.machine import ANSWERS, answer
from mlperf.results.recheck import recheck

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").rglob("plot_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_all_that_a_script_of_the_gallery_published_follows_again_from_its_runs(script, site):
    folder = site.parents[2] / "_results" / "quick"
    report = recheck(folder, script)
    assert report.agrees, "\n".join(report.lines)


ASKS = """
from mlperf import publish
from mlperf.machine import answer
libraries = answer("libraries", lambda: ["one that is installed here"])
publish("fits", libraries=", ".join(libraries))
"""


def test_where_runs_are_checked_again_their_machine_answers(tmp_path, results):
    (tmp_path / "plot_fits.py").write_text(ASKS)
    answer("libraries", lambda: ["one that is not installed here"])
    publish("fits", libraries="one that is not installed here")
    assert read("fits").provenance["answers"]["libraries"] == ["one that is not installed here"]
    report = recheck(results, tmp_path / "plot_fits.py")
    assert report.lines == ["plot_fits.py: agrees. 1 value follows again."]


def test_a_machine_is_asked_only_what_is_not_answered_for_it(monkeypatch):
    monkeypatch.setenv(ANSWERS, json.dumps({"cores": 64}))
    assert answer("cores", lambda: 2) == 64
    assert answer("threads", lambda: 2) == 2
