"""Runs of several machines: each machine has its samples, and what was measured on several of them says so."""

import numpy as np
import pandas as pd
import pytest

from mlperf import Runs, claim

ONE, OTHER = "EPYC (77ab)", "Xeon (1f0c)"


def runs_on(*machines, model=("Small", "Large"), by=("model",), factor=1.0):
    """Return runs of twelve rounds, which were dealt out to the machines in turn."""
    rows = [
        {
            "model": name,
            "process": process,
            "repeat": 0,
            "machine": machines[process % len(machines)],
            "seconds": factor * (1 + number) * (1 + 0.01 * process),
        }
        for process in range(12)
        for number, name in enumerate(model)
    ]
    return Runs(pd.DataFrame(rows), by=by)


def test_machine_is_a_level_where_there_are_several_and_none_where_there_is_one():
    assert runs_on(ONE).by == ("model",)
    several = runs_on(ONE, OTHER)
    assert several.by == ("model", "machine")
    assert several.measured == ["seconds"]
    assert {cell.n_processes for cell in several["seconds"].cells.values()} == {6}


def test_who_names_the_machine_among_the_levels_decides_on_its_place():
    assert runs_on(ONE, OTHER, by=("machine", "model")).by == ("machine", "model")


def test_who_leaves_the_column_out_takes_the_machines_as_one():
    pooled = Runs(runs_on(ONE, OTHER).frame.drop(columns="machine"), by=["model"])
    assert [cell.n_processes for cell in pooled["seconds"].cells.values()] == [12, 12]


def test_ratio_is_formed_on_each_machine_from_its_own_rounds():
    fit = runs_on(ONE, OTHER)["seconds"]
    ratio = fit["Large"] / fit["Small"]
    assert ratio.by == ("machine",)
    for cell in ratio.cells.values():
        np.testing.assert_allclose(cell.runs, [2.0] * 6)


def test_same_rounds_on_two_machines_are_not_paired():
    frame = pd.concat([runs_on(ONE, model=["Small"]).frame, runs_on(OTHER, model=["Small"]).frame])
    fit = Runs(frame, by=["model"])["seconds"]["Small"]
    assert len((fit.at(machine=ONE) / fit.at(machine=OTHER)).runs) == 0


def test_sum_adds_nothing_for_rounds_that_ran_on_another_machine():
    """With zeros in their place, the median of a part that not every round has would fall."""
    frame = runs_on(ONE, OTHER).frame
    frame = frame.drop(index=frame.index[(frame["model"] == "Small") & (frame["process"] < 2)])
    total = Runs(frame, by=["model"])["seconds"].sum("model")
    assert [cell.n_processes for cell in total.cells.values()] == [6, 6]
    np.testing.assert_allclose(total.at(machine=ONE).cell.runs, [2, *(3 * (1 + 0.01 * n) for n in (2, 4, 6, 8, 10))])


def test_check_names_the_machine_of_each_comparison():
    fit = runs_on(ONE, OTHER)["seconds"]
    labels = [one.label for one in (fit["Large"] < 5).evidence()]
    assert [machine in label for machine, label in zip((ONE, OTHER), labels, strict=True)] == [True, True]


@pytest.mark.parametrize(("limit", "said"), [(1.5, "Large takes longer."), (2.5, "It does not.")])
def test_claim_over_several_machines_says_so_for_every_verdict(limit, said):
    fit = runs_on(ONE, OTHER)["seconds"]
    made = claim("Large takes longer.", fit["Large"] / fit["Small"] > limit, otherwise="It does not.", undecided="?")
    where = f" Measured on 2 machines: {ONE}; {OTHER}."
    assert made.text == said + where
    assert [verdict for verdict, text in made.texts.items() if not text.endswith(where)] == ["not measured"]


def test_claim_over_one_machine_names_none():
    fit = runs_on(ONE)["seconds"]
    assert ONE not in claim("Large takes longer.", fit["Large"] / fit["Small"] > 1).text
    assert ONE not in repr(fit["Large"] / fit["Small"] > 1)


def test_two_measurements_on_different_machines_are_compared_as_such():
    here, there = runs_on(ONE)["seconds"], runs_on(OTHER, factor=3.0)["seconds"]
    slower = there["Large"] / here["Large"] > 2
    assert slower.verdict == "holds"
    assert slower.evidence()[0].sentence.endswith(f" Measured on 2 machines: {ONE}; {OTHER}.")
    assert f"Measured on 2 machines: {ONE}; {OTHER}." in claim("It is slower there.", slower).text


def test_mean_over_machines_says_that_it_is_one():
    fit = runs_on(ONE, OTHER)["seconds"].mean("machine")
    assert "mean over every machine" in (fit["Large"] < 5).evidence()[0].label
    assert "Measured on 2 machines" in repr(fit["Large"] < 5)


def test_scores_with_intervals_of_their_own_know_their_machine():
    runs = runs_on(ONE, OTHER)
    runs.frame["seconds_low"], runs.frame["seconds_high"] = runs.frame["seconds"] - 0.1, runs.frame["seconds"] + 0.1
    fit = runs["seconds"]["Large"]
    assert "Measured on 2 machines" in repr(fit.at(machine=ONE) / fit.at(machine=OTHER) < 5)


def test_runs_show_their_machine_once_or_in_every_row():
    assert f"12 processes on {ONE}; the first 6:" in repr(runs_on(ONE))
    assert repr(runs_on(ONE)).count(ONE) == 1
    assert repr(runs_on(ONE, OTHER)).count(ONE) == 4
    assert f"12 processes on {ONE}; the first 6:" in runs_on(ONE)._repr_html_()
