"""Scripts say what they would say for every verdict, with numbers that fit it."""

import re

import numpy as np
import pandas as pd
import pytest
from test_main import SCRIPT, runs_of

from mlperf import claim, publish
from mlperf.results.__main__ import main
from mlperf.results.altered import altered
from mlperf.results.knobs import Knob, knobs_of, turned
from mlperf.results.worlds import said_in_worlds

PLAIN = 'claim("It is quick.", fit < THRESHOLD)'
WITH_NUMBERS = 'claim("It is quick.", fit["Small", 10] < 60, seen=f"{fit[\'Small\', 10]:short}")'


@pytest.fixture
def published(results):
    publish("fits", runs=runs_of(), quick=claim("It is quick.", runs_of()["seconds"] < 60))
    return results


def write(folder, text):
    script = folder / "plot_fits.py"
    script.write_text(SCRIPT.replace(PLAIN, text))
    return script


def test_the_numbers_of_a_text_fit_its_verdict(tmp_path, published, capsys):
    script = write(tmp_path, WITH_NUMBERS)
    said = said_in_worlds(published, [script])
    texts = said.texts["fits.quick"]
    assert {"holds", "does not hold", "undecided"} <= set(texts)
    assert len({text.split(": ")[-1] for text in texts.values()}) == len(texts)
    assert said_in_worlds(published, [script]) == said
    capsys.readouterr()
    assert main(["texts", str(published), str(script)]) == 0
    shown = capsys.readouterr().out
    assert f"✗ does not hold: {texts['does not hold']}\n" in shown
    assert "– not measured: " in shown
    assert "*: " not in shown


AIMED = """
by_size = fit[:, 20] / fit[:, 10]
quick = claim("It grows threefold, to within a tenth.", by_size.within(2.7, 3.3), seen=by_size)
close = claim("Large is five to eight seconds ahead.", (fit["Small", 10] - fit["Large", 10]).within(5, 8))
publish("fits", runs=runs, fit=fit, quick=quick, close=close)
"""


def test_worlds_are_aimed_at_verdicts_that_chance_does_not_meet(tmp_path, published):
    script = tmp_path / "plot_fits.py"
    script.write_text(SCRIPT[: SCRIPT.index("publish(")] + AIMED)
    said = said_in_worlds(published, [script])
    assert {"holds", "does not hold", "undecided"} <= set(said.texts["fits.quick"])
    assert {"holds", "does not hold", "undecided"} <= set(said.texts["fits.close"])
    assert re.search(r"tenth: (2\.9|3)", said.texts["fits.quick"]["holds"])


def test_what_was_counted_is_never_undecided(tmp_path, published, capsys):
    script = write(tmp_path, 'claim("It is quick.", (fit * 0 + 1).exact() < 60)')
    assert said_in_worlds(published, [script]).counted == ["fits.quick"]
    capsys.readouterr()
    assert main(["texts", str(published), str(script)]) == 0
    assert "≈ undecided: Cannot come up: all numbers were counted" in capsys.readouterr().out


def test_the_reason_why_nothing_is_measured_is_the_one_that_the_script_gives(tmp_path, published):
    missing = (
        'claim("Large is quick.", *([fit["Large"] < 60] if "Large" in fit.labels("model") else []), reason=REASON)'
    )
    reason = '"" if "Large" in fit.labels("model") else "Large is missing"'
    script = write(tmp_path, missing.replace("REASON", reason))
    said = said_in_worlds(published, [script])
    assert said.texts["fits.quick"]["not measured"].endswith("was not put to the test here: Large is missing.")


def test_what_was_not_measured_has_no_other_text(results, capsys):
    publish("fits", runs=runs_of(), quick=claim("It is quick.", reason="no compiler works"))
    capsys.readouterr()
    assert main(["texts", str(results)]) == 0
    shown = capsys.readouterr().out
    assert "✓ holds: Cannot be told from these results, in which it was not measured." in shown
    assert "→ – not measured: The claim “It is quick” was not put to the test here: no compiler works." in shown


def test_scripts_that_fail_in_some_worlds_are_named(tmp_path, published, capsys):
    fails = "claim('It is quick.', fit < (60 if fit['Small', 10].value < 20 else None))"
    script = write(tmp_path, fails)
    (failed,) = said_in_worlds(published, [script]).failed
    assert failed.startswith("plot_fits.py failed in ")
    capsys.readouterr()
    assert main(["texts", str(published), str(script)]) == 0
    assert failed in capsys.readouterr().out


def test_nothing_is_drawn(tmp_path, published):
    script = write(tmp_path, WITH_NUMBERS)
    drawn = "panels = fit.plot(panels='model')\nassert len(panels) == 1 and str(panels[0].set_xlabel('x')) == ''\n"
    script.write_text(script.read_text().replace("publish(", f"{drawn}publish(", 1))
    assert not said_in_worlds(published, [script]).failed


def test_counts_stay_whole_and_above_zero_and_shares_at_most_one():
    frame = pd.DataFrame({"process": range(4), "calls": [1, 2, 3, 4], "share_fraction": [0.1, 0.2, 0.3, 0.4]})
    for seed in range(50):
        other = altered(frame, [], np.random.default_rng(seed))
        assert other["calls"].dtype == frame["calls"].dtype
        assert other["calls"].min() >= 1
        assert other["share_fraction"].max() <= 1


def test_cells_are_made_equal_and_multiplied_with_intervals_that_are_known_narrowed():
    frame = pd.DataFrame({"model": ["Small", "Large"], "process": 0, "mse": [1.0, 4.0], "mse_low": [0.5, 2.0]})
    made = turned(frame, ["model"], {Knob("mse", "model", "Large"): np.log(3)}, equal=True)
    assert made["mse"].to_list() == pytest.approx([2, 6])
    assert (made["mse_low"] / made["mse"]).to_list() == pytest.approx([0.95, 0.95])
    assert frame["mse"].to_list() == [1, 4]


def test_a_measurement_without_levels_is_multiplied_as_a_whole():
    frame = pd.DataFrame({"process": [0, 1], "seconds": [1.0, 1.0], "calls": [3, 3]})
    assert knobs_of(frame, []) == [Knob("seconds"), Knob("calls")]
    assert turned(frame, [], {Knob("calls"): np.log(2)}, equal=False)["calls"].to_list() == [6, 6]


def test_an_interval_moves_with_its_value_even_where_only_the_value_is_near_one():
    frame = pd.DataFrame({"process": [0], "r2": [0.6], "r2_low": [0.4], "r2_high": [0.7]})
    made = turned(frame, [], {Knob("r2"): np.log(2)}, equal=False).iloc[0]
    assert made["r2_low"] < made["r2"] < made["r2_high"]
