"""Every gallery script runs alone, in an empty folder, leaves its results there, and reads as a lesson."""

import re
from pathlib import Path

import pytest
from gallery_scripts import check_texts, run_script

from mlperf import read
from mlperf.quantities.claims import FAILS, HOLDS, UNDECIDED
from mlperf.results.sources import published_names

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.rglob("plot_*.py"))
YOUR_MODEL = EXAMPLES / "plot_09_your_model.py"
WIDEST = 88

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)

# "2.3×", "15 ms", "93 %": how a measured number is written.
MEASURED = re.compile(r"\d(×|\N{NO-BREAK SPACE})")


def start(script, folder):
    """Run a script in a folder, as a preview, and return the process when it has ended."""
    return run_script(script, folder, MLPERF_QUICK="1")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a function that runs a script once for all tests, and returns the process and its folder."""
    known = {}

    def run(script):
        if script not in known:
            folder = tmp_path_factory.mktemp(script.stem)
            known[script] = start(script, folder), folder
        return known[script]

    return run


@pytest.fixture
def results_of(ran):
    """Return a function that reads what a script has published."""

    def results(script):
        done, folder = ran(script)
        assert done.returncode == 0, done.stderr[-3_000:]
        return [read(name, folder / "results") for name in published_names(script)]

    return results


@every_script
def test_a_script_runs_alone_and_leaves_its_results_beside_itself(script, ran, results_of):
    results = results_of(script)
    assert results
    for result in results:
        assert result.provenance["script"] == script.name
        assert result.provenance["protocol"]["MODE"] == "quick"
        assert result.keys("figure")
    done, folder = ran(script)
    assert [path.name for path in folder.iterdir()] == ["results"]
    assert not [path.name for path in (folder / "results").iterdir() if path.name.startswith(".")]
    assert "A preview" in done.stdout


@every_script
def test_every_claim_has_a_sentence_for_every_verdict(script, results_of):
    for result in results_of(script):
        check_texts(result)


@every_script
def test_a_statement_is_put_to_the_test_without_the_numbers_that_were_measured(script, results_of):
    for result in results_of(script):
        for key in result.keys("claim"):
            assert not MEASURED.search(result[key].statement), f"{result.name}.{key}"


@every_script
def test_what_is_said_with_a_number_is_said_with_it_for_every_verdict(script, results_of):
    for result in results_of(script):
        for key in result.keys("claim"):
            texts = result[key].texts
            if MEASURED.search(texts[HOLDS]):
                for verdict in (FAILS, result[key].verdict):
                    assert re.search(r"\d", texts[verdict]), f"{result.name}.{key}"


def test_a_claim_says_what_was_measured(results_of):
    # Else the tests above would pass whatever the claims said.
    (claim,) = [result[key] for result in results_of(YOUR_MODEL) for key in result.keys("claim")]
    assert claim.verdict == UNDECIDED
    for verdict in (HOLDS, FAILS, UNDECIDED):
        assert MEASURED.search(claim.texts[verdict])


@every_script
def test_a_script_asks_a_question_and_stays_a_lesson(script):
    lines = script.read_text().splitlines()
    assert lines[1].endswith("?")
    assert lines[2] == "=" * len(lines[1])
    assert [line for line in lines if len(line) > WIDEST] == []
    for word in ("argparse", "__main__", "__file__", "sys.path", "os.environ", "savefig"):
        assert word not in script.read_text()


@every_script
def test_a_sentence_stands_before_every_cell(script):
    lines = script.read_text().splitlines()
    after = [lines[number + 1] for number, line in enumerate(lines) if line == "# %%"]
    assert after
    assert all(re.match(r"# \w", line) for line in after)


def changed(source, **replacements):
    """Return the source with replacements, each of a text that is there once."""
    for old, new in replacements.values():
        assert source.count(old) == 1
        source = source.replace(old, new)
    return source


def with_models(settings):
    """Return a copy of the script for one's own model, with other lines for the data and the models."""
    before, rest = YOUR_MODEL.read_text().split("SAMPLES = ", 1)
    _, after = rest.split('MODELS = {"torch": TorchModel(), "scikit-learn": sklearn_model}\n')
    return before + settings + after


def your_model(source, folder):
    """Run a copy of the script for one's own model and return what it published."""
    # Not "copy.py": it would take the place of Python's own module of that name.
    script = folder / "mine.py"
    script.write_text(source)
    done = start(script, folder)
    assert done.returncode == 0, done.stderr[-3_000:]
    return read("your_model", folder / "results")


def test_a_slower_and_a_wrong_model_change_the_numbers_shown(tmp_path):
    source = changed(
        YOUR_MODEL.read_text(),
        imported=("import warnings\n", "import time\nimport warnings\n"),
        slower=("    def predict(self, X):\n", "    def predict(self, X):\n        time.sleep(0.3)\n"),
        wrong=("[:, 0].numpy()", "[:, 0].numpy() + 1e6"),
    )
    result = your_model(source, tmp_path)
    assert result["predict"]["torch"].value >= 0.3
    assert result["predict"]["scikit-learn"].value < 0.3
    scores = result["scores"].set_index(["model", "split"])
    assert scores.mse["torch", "test"] > 1e11
    assert scores.mse["scikit-learn", "test"] < 1e11


def test_five_classifiers_on_data_of_one_s_own_take_few_changed_lines(tmp_path):
    settings = """\
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from mlperf import split
SAMPLES = split(*load_iris(return_X_y=True))
MODELS = {
    "shallow tree": DecisionTreeClassifier(max_depth=1, random_state=0),
    "tree": DecisionTreeClassifier(random_state=0),
    "few steps": LogisticRegression(max_iter=500, C=0.1),
    "logistic": LogisticRegression(max_iter=500),
    "guess": DummyClassifier(),
}
"""
    assert len(settings.splitlines()) <= 15
    result = your_model(with_models(settings), tmp_path)
    names = ["shallow tree", "tree", "few steps", "logistic", "guess"]
    assert result["fit"].labels("model") == names
    assert result.keys("claim") == [
        "faster_than_tree",
        "faster_than_few_steps",
        "faster_than_logistic",
        "faster_than_guess",
    ]
    scores = result["scores"].set_index(["model", "split"])
    assert scores.accuracy_fraction["guess", "test"] == pytest.approx(1 / 3)
    assert scores.accuracy_fraction["logistic", "test"] > 0.8
    assert 0.8 < scores.accuracy_fraction_low["logistic", "training"] < 1


def test_one_model_is_enough(tmp_path):
    settings = """\
generate_samples(500)
from sklearn.linear_model import LinearRegression
MODELS = {"linear": LinearRegression()}
"""
    result = your_model(with_models("SAMPLES = " + settings), tmp_path)
    assert result["fit"].labels("model") == ["linear"]
    assert result.keys("claim") == []
    assert result["scores"].set_index("split").mse["test"] < 2


SLIP = """\
from mlperf import measure, publish


def run(n):
    with open("measured", "a") as file:
        file.write(".")
    return {"seconds": n}


runs = measure(run, processes=2, warmup=False, n=[1, 2])
axes = runs["seconds"].plot(x="m", title="More takes longer")
publish("slip", runs=runs, times=axes)
"""


def test_after_a_slip_in_the_figure_nothing_is_measured_twice(tmp_path):
    script, measured = tmp_path / "slip.py", tmp_path / "measured"
    script.write_text(SLIP)
    assert "has the levels ['n']" in start(script, tmp_path).stderr
    assert measured.read_text() == "...."
    script.write_text(SLIP.replace('x="m"', 'x="n"'))
    again = start(script, tmp_path)
    assert again.returncode == 0, again.stderr[-3_000:]
    assert measured.read_text() == "...."
    assert list(read("slip", tmp_path / "results")["runs"]["seconds"]) == [1, 2, 1, 2]
    # Once published, they are of no more use.
    start(script, tmp_path)
    assert measured.read_text() == "........"
