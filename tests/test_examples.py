"""Every gallery script runs alone, in an empty folder, and leaves its results there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlperf.results.provenance import published_names
from mlperf.results.publishing import read

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.rglob("plot_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_runs_alone_and_leaves_its_results(script, tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLPERF_", "SCIPY_"))}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**environment, "MLPERF_QUICK": "1", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    names = published_names(script)
    assert names
    for name in names:
        result = read(name, tmp_path / "results")
        assert result.provenance["script"] == script.name
        assert result.provenance["protocol"]["MODE"] == "quick"
        assert result.figures
        assert result.tables


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_asks_a_question_and_stays_a_lesson(script):
    text = script.read_text()
    title = text.splitlines()[1]
    assert title.endswith("?")
    for word in ("argparse", "__main__", "__file__", "sys.path", "os.environ", "savefig"):
        assert word not in text


def test_a_slower_and_a_wrong_model_change_the_numbers_shown(tmp_path):
    source = (EXAMPLES / "plot_09_your_model.py").read_text()
    slower = source.replace("    def predict(self, X):", "    def predict(self, X):\n        time.sleep(0.3)")
    wrong = slower.replace("(X, dtype=torch.float32))[:, 0].numpy()", "(X, dtype=torch.float32))[:, 0].numpy() + 1e6")
    assert source != slower != wrong
    # Not "copy.py": it would take the place of Python's own module of that name.
    (tmp_path / "mine.py").write_text(
        wrong.replace("import matplotlib.pyplot", "import time\n\nimport matplotlib.pyplot")
    )
    environment = {**os.environ, "MLPERF_QUICK": "1", "MPLBACKEND": "agg", "MLPERF_RESULTS": str(tmp_path)}
    command = [sys.executable, "mine.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    summary = read("your_model", tmp_path).table("summary").set_index("model")
    assert summary.predict_seconds["torch"] >= 0.3
    assert summary.predict_seconds["scikit-learn"] < 0.3
    assert summary.test_mse["torch"] > 1e11
