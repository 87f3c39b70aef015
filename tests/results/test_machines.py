"""Results of other machines: packed whole and naming no person, accepted or refused with reasons, side by side."""

import shutil

import pytest

from mlperf import Quantity, claim, exact, headline, publish
from mlperf.results.__main__ import main
from mlperf.results.folder import ResultError
from mlperf.results.machines import (
    DEPENDS,
    EVERYWHERE,
    NOWHERE,
    OPEN,
    across,
    differences,
    pack,
    problems,
    side_by_side,
)
from mlperf.results.reading import read
from mlperf.results.sealed import seal, unseal
from mlperf.results.shelf import HERE, Shelf

SCRIPT = "from mlperf import publish\npublish('fits', n=1)\npublish('scores', n=1)\n"


def publish_all(*, seconds=2.0, quick=True, note="torch"):
    """Publish what the scripts of a report would: made up, for tests alone."""
    fit = Quantity.from_estimates(
        {"Large": (seconds, 0.9 * seconds, 1.1 * seconds)}, by="model", unit="seconds", name="fit_seconds"
    )
    noisy = Quantity.from_estimates({(): (seconds, 0, 10 * seconds)}, by=(), unit="seconds", name="fit_seconds")
    publish(
        "fits",
        fit=fit,
        library=note,
        quick=claim("A fit is quick.", fit["Large"] < 3),
        fine=claim("A fit takes time.", fit["Large"] > 0.001),
        open=claim("A fit is long.", noisy > 2 if quick else noisy > 100),
        counted=claim("It was counted.", reason="valgrind is not installed"),
    )
    publish("scores", n=exact(3))


def change(folder, name, edit):
    """Change the record of a result and seal it again."""
    path = folder / f"{name}.json"
    record = unseal(path.read_bytes())
    edit(record)
    path.write_bytes(seal(record))


@pytest.fixture
def scripts(tmp_path):
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/plot_fits.py").write_text(SCRIPT)
    return [tmp_path / "examples/plot_fits.py"]


@pytest.fixture
def machine(tmp_path, results, scripts):
    """A folder that is accepted."""
    publish_all()
    assert pack(results, tmp_path / "machines/a-machine", scripts) == []
    return tmp_path / "machines/a-machine"


def test_what_is_packed_is_accepted_and_equal_to_the_bit(machine, results, scripts):
    assert problems(machine, scripts) == []
    assert {path.name: path.read_bytes() for path in machine.iterdir()} == {
        path.name: path.read_bytes() for path in results.iterdir()
    }


def test_figures_are_not_packed(tmp_path, results, scripts):
    publish_all()
    axes = read("fits")["fit"].plot(x="model")
    headline(axes, "Large takes longest")
    publish("scores", n=exact(3), bars=axes)
    assert pack(results, tmp_path / "machines/a-machine", scripts) == []
    packed = read("scores", tmp_path / "machines/a-machine")
    assert list(packed) == ["n"]
    assert packed["n"].value == 3
    assert not list((tmp_path / "machines/a-machine").glob("*.svg"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "scores.json").unlink(), "The result 'scores' is missing"),
        (lambda folder: (folder / "fits.fit.csv").write_text("altered"), "The result 'fits' is corrupt"),
        (lambda folder: (folder / "fits.fit.csv").unlink(), "The result 'fits' is half-written"),
        (lambda folder: (folder / "notes.txt").write_text("hello"), "notes.txt is not a file of a result."),
        (
            lambda folder: change(folder, "fits", lambda record: record["provenance"]["protocol"].update(MODE="quick")),
            "The result 'fits': measured by the quick protocol",
        ),
        (
            lambda folder: change(
                folder, "fits", lambda record: record["provenance"]["protocol"].update(BATCH_SIZE=1_000)
            ),
            "The result 'fits': its protocol differs from today's in BATCH_SIZE.",
        ),
        (
            lambda folder: change(folder, "fits", lambda record: record["provenance"]["machine"].update(processor="B")),
            "The results are of several machines: ",
        ),
        (
            lambda folder: change(
                folder, "fits", lambda record: record["inputs"].update(x="LD_PRELOAD=/home/ada/a.so")
            ),
            "fits.json names a person or a place: '/home/ada'.",
        ),
        (
            lambda folder: change(folder, "fits", lambda record: record["inputs"].update(x="by ada@example.org")),
            "fits.json names a person or a place: 'ada@example.org'.",
        ),
        (
            lambda folder: change(folder, "fits", lambda record: record["inputs"].update(x=r"C:\Users\Ada Byron\a")),
            r"fits.json names a person or a place: 'C:\\\\Users\\\\Ada'.",
        ),
    ],
)
def test_what_speaks_against_a_folder_is_named(machine, scripts, spoil, said):
    spoil(machine)
    assert any(line.startswith(said) for line in problems(machine, scripts)), problems(machine, scripts)


def test_other_options_of_measurements_count_only_for_the_scripts_that_use_them(machine, scripts):
    for name in ("fits", "scores"):
        change(machine, name, lambda record: record["provenance"]["protocol"].update(TIMED={"processes": 1}))
    assert problems(machine, scripts) == []
    timed = scripts[0].with_name("plot_timed.py")
    scripts[0].write_text("from mlperf import publish\npublish('fits', n=1)\n")
    timed.write_text("from mlperf import publish\nfrom mlperf.protocol import TIMED\npublish('scores', n=1)\n")
    assert problems(machine, [*scripts, timed]) == ["The result 'scores': its protocol differs from today's in TIMED."]
    timed.unlink()
    assert problems(machine, scripts, accepted=True) == [
        "The result 'scores': its protocol differs from today's in TIMED."
    ]


def test_a_result_that_is_none_of_the_reports_is_refused(machine, scripts):
    scripts[0].write_text("from mlperf import publish\npublish('fits', n=1)\n")
    assert problems(machine, scripts) == ["The result 'scores' is none of the report's."]


def test_scripts_may_come_and_go_once_a_folder_is_accepted(machine, scripts, capsys):
    scripts[0].write_text("from mlperf import publish\npublish('fits', n=1)\npublish('new', n=1)\n")
    assert len(problems(machine, scripts)) == 2
    assert problems(machine, scripts, accepted=True) == []
    check = ["check", str(machine.parent), f"--examples={scripts[0].parent}"]
    assert (main(check), main([*check, "--accepted"])) == (1, 0)
    (machine / "fits.fit.csv").unlink()
    assert main([*check, "--accepted"]) == 1
    assert "The result 'fits' is half-written" in capsys.readouterr().out


def test_an_odd_name_of_a_folder_is_refused(machine, scripts):
    renamed = machine.rename(machine.with_name("Ada's machine"))
    assert problems(renamed, scripts) == ['"Ada\'s machine" must be lower case letters, digits and hyphens.']


def test_results_that_only_full_builds_measure_may_be_missing(tmp_path, results, scripts):
    publish_all()
    long = scripts[0].parent / "plot_long.py"
    long.write_text('# mlperf: only in a full build\nfrom mlperf import publish\npublish("long", n=3)\n')
    assert pack(results, tmp_path / "machines/a-machine", [*scripts, long]) == []
    publish("long", n=3)
    assert pack(results, tmp_path / "machines/another-machine", [*scripts, long]) == []


def test_who_packs_is_not_named(tmp_path, results, scripts, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "adabyron")
    publish_all(note="measured by adabyron")
    assert pack(results, tmp_path / "machines/a-machine", scripts) == [
        "fits.json names a person or a place: 'adabyron'."
    ]
    assert not (tmp_path / "machines/a-machine").exists()


def test_nothing_is_packed_over_what_is_there(machine, results, scripts):
    with pytest.raises(ResultError, match="already exists"):
        pack(results, machine, scripts)


def test_the_commands_say_what_they_did(tmp_path, results, scripts, capsys):
    publish_all()
    examples = f"--examples={scripts[0].parent}"
    target = tmp_path / "machines/a-machine"
    assert main(["check", str(tmp_path / "examples"), examples]) == 0
    assert capsys.readouterr().out.endswith(f"There are no machines in {tmp_path / 'examples'}.\n")
    assert main(["pack", str(results), str(target), examples]) == 0
    assert main(["check", str(target), examples]) == main(["check", str(target.parent), examples]) == 0
    assert capsys.readouterr().out.endswith(f"{target}: accepted.\n{target}: accepted.\n")
    (target / "scores.json").unlink()
    assert main(["check", str(target.parent), examples]) == 1
    assert f"{target}: refused.\n  The result 'scores' is missing" in capsys.readouterr().out
    assert main(["pack", str(target), str(tmp_path / "again"), examples]) == 1
    assert capsys.readouterr().err.startswith("Not packed:\n  The result 'scores' is missing")
    assert main(["check", str(tmp_path), f"--examples={tmp_path / 'none'}"]) in (0, 1)


@pytest.fixture
def shelf(tmp_path, machine, results):
    """Two machines, of which the other takes twice as long."""
    other = tmp_path / "machines/another-machine"
    publish_all(seconds=4.0, quick=False)
    shutil.copytree(results, other)
    publish_all()
    return Shelf(results, machines={"a-machine": machine, "another-machine": other})


def test_a_claim_says_what_its_verdicts_come_to(shelf):
    found = {row.statement: (row.comes_to, list(row.verdicts.values())) for row in across(shelf)}
    assert found["A fit is quick."] == (DEPENDS, ["✓ holds", "✓ holds", "✗ does not hold"])
    assert found["A fit takes time."][0] == EVERYWHERE
    assert found["A fit is long."][0] == OPEN
    assert found["It was counted."] == (NOWHERE, ["– not measured"] * 3)
    assert [row.comes_to for row in across(shelf)] == [DEPENDS, OPEN, EVERYWHERE, NOWHERE]


def test_differences_in_code_and_versions_are_told_beside_those_of_the_machine(shelf, machine):
    assert differences(shelf, "a-machine") == []
    for name, code in (("fits", "sha256:1"), ("scores", "sha256:2")):
        there = {"processor": "Other", "torch": "1.0", "plot_fits.py": code}
        change(machine, name, lambda record, there=there: record["inputs"].update(there))
    here = read("fits").inputs["torch"]
    assert differences(Shelf(shelf.folder, machines=shelf.machines), "a-machine") == [
        "code of 2 of 2 results",
        f"torch 1.0 → {here}",
    ]


def test_verdicts_on_another_statement_are_not_compared(results, machine):
    publish("fits", quick=claim("A fit takes less than a second.", exact(2) < 1))
    (row,) = across(Shelf(results, machines={"a-machine": machine}))
    assert row.verdicts == {HERE: "✗ does not hold", "a-machine": ""}
    assert row.comes_to == EVERYWHERE


def test_a_value_stands_beside_that_of_a_chosen_machine(shelf):
    texts = side_by_side(shelf, "fits.fit[Large]", HERE)
    assert list(texts) == [HERE, "a-machine", "another-machine"]
    assert ";" not in texts[HERE]
    assert texts["another-machine"].replace("\xa0", " ").partition("; ")[2].startswith("2.0")
    assert side_by_side(shelf, "fits.fit[Large]", "another-machine")[HERE].partition("; ")[2].startswith("0.5")


def test_a_slip_in_what_is_compared_is_named(shelf):
    with pytest.raises(ResultError, match="There is no machine 'mine', only This machine, a-machine"):
        side_by_side(shelf, "fits.fit[Large]", "mine")
    with pytest.raises(ResultError, match=r"The nearest name is 'fits\.fit'"):
        side_by_side(shelf, "fits.fitt[Large]", HERE)


def test_other_results_are_one_more_machine(results, machine):
    compared = Shelf(results, other=machine)
    assert list(compared.machines) == [HERE, "Other results"]
    assert side_by_side(compared, "fits.fit[Large]", HERE)["Other results"]
