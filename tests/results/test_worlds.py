"""Scripts say what they would say for every verdict, with numbers that fit it."""

from test_main import SCRIPT, runs_of

from mlperf import claim, publish
from mlperf.results.__main__ import main
from mlperf.results.worlds import said_in_worlds


def test_the_numbers_of_a_text_fit_its_verdict(tmp_path, results, capsys):
    script = tmp_path / "plot_fits.py"
    with_numbers = 'claim("It is quick.", fit["Small", 10] < 60, seen=f"{fit[\'Small\', 10]:short}")'
    script.write_text(SCRIPT.replace('claim("It is quick.", fit < THRESHOLD)', with_numbers))
    publish("fits", runs=runs_of(), quick=claim("It is quick.", runs_of()["seconds"] < 60))
    texts = said_in_worlds(results, script)["fits.quick"]
    assert {"holds", "does not hold", "undecided"} <= set(texts)
    assert len({text.split(": ")[-1] for text in texts.values()}) == len(texts)
    assert said_in_worlds(results, script)["fits.quick"] == texts
    capsys.readouterr()
    assert main(["texts", str(results), str(script)]) == 0
    said = capsys.readouterr().out
    assert f"✗ does not hold: {texts['does not hold']}\n" in said
    assert "– not measured*: " in said
