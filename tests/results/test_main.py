"""Commands for maintainers: every claim in all of its texts, and scripts that run again on what they published."""

import numpy as np
import pandas as pd
import pytest

from mlperf import Runs, claim, exact, publish
from mlperf.results.__main__ import main
from mlperf.results.sealed import seal, unseal
from mlperf.results.stored import VARIABLE, NotStoredError, asked_for, stored_runs

# What is measured fails: a script that runs through has measured nothing.
SCRIPT = """
from mlperf import claim, measure, publish

def run(model, n_samples):
    raise SystemExit("It is measured.")

runs = measure(run, processes=3, repeats=2, model={"Small": 1, "Large": 2}, n_samples=[10, 20])
fit = runs["seconds"]
publish("fits", runs=runs, fit=fit, library="torch", quick=claim("It is quick.", fit < THRESHOLD))
"""


CELLS = [{"model": model, "n_samples": n} for model in ("Small", "Large") for n in (10, 20)]


def runs_of(*, repeats=2):
    """Return runs as `measure` makes them."""
    rows = [
        (model, n_samples, process, repeat, 0, 0.5, np.nan, n_samples * (1 + process / 10))
        for process in range(3)
        for model in ("Small", "Large")
        for n_samples in (10, 20)
        for repeat in range(repeats)
    ]
    columns = ["model", "n_samples", "process", "repeat", "order", "load", "steal_fraction", "seconds"]
    runs = Runs(pd.DataFrame(rows, columns=columns), by=["model", "n_samples"])
    runs.asked = asked_for("run", CELLS, processes=3, repeats=repeats, threads=1)
    return runs


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "plot_fits.py"
    path.write_text(SCRIPT.replace("THRESHOLD", "60"))
    return path


@pytest.fixture
def publish_fits():
    """Publish what the script publishes."""
    fit = runs_of()["seconds"]
    publish("fits", runs=runs_of(), fit=fit, library="torch", quick=claim("It is quick.", fit < 60))


def alter(folder, change):
    """Change the record of the result, and seal it again."""
    path = folder / "fits.json"
    record = unseal(path.read_bytes())
    change(record["things"])
    path.write_bytes(seal(record))


@pytest.mark.usefixtures("publish_fits")
def test_a_script_runs_again_on_what_it_published_and_measures_nothing(script, results, capsys):
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    capsys.readouterr()
    assert main(["recheck", str(results), str(script)]) == 0
    assert capsys.readouterr().out == "plot_fits.py: agrees. 1 claim, 1 quantity, 1 value, 1 table follow again.\n"
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


@pytest.mark.usefixtures("publish_fits")
def test_a_value_and_a_verdict_that_do_not_follow_are_named(script, results, capsys):
    def change(things):
        things["fit"]["cells"][0]["value"] *= 1.001
        things["library"]["value"] = "JAX"
        things["quick"]["verdict"] = "does not hold"

    alter(results, change)
    capsys.readouterr()
    assert main(["recheck", str(results), str(script)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("plot_fits.py: differs.\n  fits.fit: ")
    assert "\n  fits.library: JAX was published, torch follows.\n" in said
    assert "“✗ does not hold: The claim “It is quick” does not hold here.” was published" in said
    assert "“✓ holds: It is quick.” follows." in said
    assert "fits.runs" not in said


@pytest.mark.usefixtures("publish_fits")
def test_what_has_changed_since_is_said_beside_what_differs(script, results, capsys):
    script.write_text(SCRIPT.replace("THRESHOLD", "1"))
    alter(results, lambda things: things.pop("library"))
    assert main(["recheck", str(results), str(script)]) == 1
    said = capsys.readouterr().out
    assert "fits.library: is published now, and was not." in said
    assert "Since it was published, this has changed: " in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            SCRIPT.replace("processes=3", "processes=4"),
            "The runs of run, as they would be measured here, are not published.",
        ),
        (SCRIPT.replace("fit = ", "fit = nothing + "), "NameError: name 'nothing' is not defined"),
        ("import sys; from mlperf import publish; sys.exit(3); publish('fits')", "It ended with status 3."),
        ("from mlperf import publish; publish('others', n=1)", "None of its results is in "),
    ],
)
@pytest.mark.usefixtures("publish_fits")
def test_a_script_that_cannot_be_checked_says_why(script, results, capsys, source, said):
    script.write_text(source)
    assert main(["recheck", str(results), str(script)]) == 1
    assert f"plot_fits.py: cannot be checked. {said}" in capsys.readouterr().out


@pytest.fixture
def answered(script, results, monkeypatch):
    """Return what asks for stored runs of the script's grid."""
    monkeypatch.setenv(VARIABLE, str(results))
    monkeypatch.setattr("mlperf.results.stored._taken", set())

    def ask(run="run", cells=CELLS, processes=3, repeats=2, threads=1):
        return stored_runs(str(script), asked_for(run, cells, processes=processes, repeats=repeats, threads=threads))

    return ask


@pytest.mark.usefixtures("publish_fits")
def test_stored_runs_are_those_that_were_published(answered):
    runs = answered()
    assert runs.by == ("model", "n_samples")
    pd.testing.assert_frame_equal(runs.frame, runs_of().frame)


@pytest.mark.parametrize(
    "other",
    [{"processes": 2}, {"repeats": 1}, {"threads": 2}, {"cells": CELLS[:1]}, {"run": "score"}],
    ids=str,
)
@pytest.mark.usefixtures("publish_fits")
def test_runs_of_another_measurement_do_not_answer(answered, other):
    with pytest.raises(NotStoredError, match=r"The runs of \w+, as they would be measured here, are not published"):
        answered(**other)


def test_each_table_answers_one_measurement(answered):
    publish("fits", first=runs_of(), table=pd.DataFrame({"n": [1]}), second=runs_of())
    answered()
    answered()
    with pytest.raises(NotStoredError):
        answered()


def test_every_claim_is_shown_in_all_of_its_texts(results, capsys):
    slow = claim("It is quick.", exact(3) < 2, otherwise="It takes <3> & more.", undecided="It may be quick.")
    publish("fits", slow=slow, counted=claim("It is counted.", reason="valgrind is not installed"))
    capsys.readouterr()
    assert main(["texts", str(results)]) == 0
    said = capsys.readouterr().out
    shown = "fits.slow: It is quick.\n  ✓ holds: It is quick.\n→ ✗ does not hold: It takes <3> & more.\n"
    assert shown in said.replace("*", "")
    assert "\n  ≈ undecided*: It may be quick.\n" in said
    assert (
        "→ – not measured: The claim “It is counted” was not put to the test here: valgrind is not installed." in said
    )
    page = results / "texts.html"
    assert main(["texts", "--html", str(page)]) == 0
    assert '<dt class="now">→ ✗ does not hold</dt><dd>It takes &lt;3&gt; &amp; more.</dd>' in page.read_text()


def test_a_folder_without_claims_is_refused_in_a_sentence(tmp_path, capsys):
    assert main(["texts", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"There are no claims in {tmp_path}.\n"
