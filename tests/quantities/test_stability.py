"""What makes a measurement unstable, and how it is marked."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from mlperf import Runs, publish
from mlperf.quantities.stability import instabilities

STEADY = [1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99]


def runs(values=STEADY, **columns):
    frame = pd.DataFrame({"process": range(len(values)), "seconds": values, **columns})
    return Runs(frame, by=[])


def warnings(given):
    return " ".join(str(one) for one in instabilities(given))


def test_nothing_is_said_of_a_steady_measurement_on_a_machine_of_its_own():
    quiet = {"load": [0.5] * 8, "steal_fraction": [0.0] * 8, "frequency_ghz": [3.0] * 8}
    assert instabilities(runs(**quiet)) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (runs([1.0]), "All runs come from one process, so there is no interval. Measure several"),
        (runs([1.0, 1.01, 0.99]), "With 3 processes, intervals assume lognormal noise."),
        (runs(load=[0.5] * 6 + [3.0, 2.0]), "2 of 8 runs were disturbed: other programs wanted the processor (up to 3"),
        (runs(steal_fraction=[0.0] * 7 + [0.1]), "1 of 8 runs were disturbed"),
        (runs(frequency_ghz=[3.4] * 4 + [2.1] * 4), "The cores ran at 2.1 to 3.4 GHz. Fix their frequency"),
        (
            runs([1.0, 1.3, 0.8, 1.2, 0.9, 1.1, 0.7, 1.2]),
            "The seconds spread by more than 10 % between processes, by 22 %.",
        ),
        (runs([*STEADY[:-1], 2.2]), "The largest of the seconds is 2.2 times the median."),
        (runs(np.asarray(STEADY) * 2e-9), "no more than 2 ticks of the clock. Time many calls together"),
        (runs(np.linspace(1, 1.1, 8)), "From the first to the last process the seconds grow by 10 %"),
        (runs(np.linspace(1.1, 1, 8)), "From the first to the last process the seconds fall by"),
    ],
)
def test_each_sign_of_an_unstable_measurement_is_told_with_advice(given, said):
    assert said in warnings(given)


def test_nothing_is_said_of_what_never_ran():
    """Tried: of models that call no operator of torch, the empty table of operators had "0 processes"."""
    assert instabilities(Runs(runs().frame.iloc[:0], by=[])) == []


def test_the_cell_with_the_largest_run_is_named():
    frame = pd.DataFrame(
        {"model": ["a"] * 8 + ["b"] * 8, "process": [*range(8)] * 2, "seconds": [*STEADY, *STEADY[:-1], 2.2]}
    )
    assert "The largest of the seconds is 2.2 times the median of b." in warnings(Runs(frame, by=["model"]))


def test_columns_of_runs_without_levels_are_judged_together_and_named():
    wide = [1.0, 1.3, 0.8, 1.2, 0.9, 1.1, 0.7, 1.2]
    frame = pd.DataFrame({"process": range(8), "a_seconds": STEADY, "b_seconds": wide, "c_bytes_per_second": wide})
    first, second = instabilities(Runs(frame, by=[]))
    assert first.warning == (
        "The seconds of 1 of 2 cells spread by more than 10 % between processes, most of all those of b seconds, by "
        "22 %."
    )
    assert second.warning == "The c bytes per second spread by more than 10 % between processes, by 22 %."


def test_a_first_run_that_takes_longer_asks_for_a_longer_warm_up():
    frame = pd.DataFrame(
        {"process": np.repeat(range(8), 3), "repeat": [0, 1, 2] * 8, "seconds": [1.05, 1.0, 1.001] * 8}
    )
    assert "The first run in a process takes 4.9 % longer (seconds) than the later ones. Warm up" in warnings(
        Runs(frame, by=[])
    )


def test_runs_that_get_slower_within_a_process_have_no_steady_state():
    frame = pd.DataFrame(
        {"process": np.repeat(range(8), 8), "repeat": [*range(8)] * 8, "seconds": [*range(50, 58)] * 8}
    )
    assert "From the first to the last run within a process the seconds grow by" in warnings(Runs(frame, by=[]))


def test_what_does_not_depend_on_the_machine_is_not_judged_by_it():
    frame = pd.DataFrame({"process": [0, 1], "mse": [1.0, 5.0], "load": [9.0, 9.0]})
    assert instabilities(Runs(frame, by=[])) == []


def test_runs_of_noise_alone_are_seldom_said_to_drift():
    rng = np.random.default_rng(0)
    told = [warnings(runs(rng.lognormal(0, 0.05, 10))) for _ in range(200)]
    assert sum("no steady state" in one for one in told) < 8


def test_a_disturbed_run_is_marked_and_never_removed():
    measured = runs(load=[0.5] * 7 + [3.0], steal_fraction=[np.nan] * 8)
    assert measured.disturbed.tolist() == [False] * 7 + [True]
    assert len(measured["seconds"].runs) == 8
    axes = measured["seconds"].plot()
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [len(line.get_xdata()) for line in hollow] == [1]
    plt.close("all")


def test_what_was_computed_with_a_disturbed_run_is_marked():
    frame = pd.DataFrame(
        {"model": ["a", "b"] * 6, "process": np.repeat(range(6), 2), "seconds": 1.0, "load": [0.0] * 11 + [3.0]}
    )
    fit = Runs(frame, by=["model"])["seconds"]
    assert (fit["a"] / fit["b"]).cell.disturbed.tolist() == [False] * 5 + [True]


def test_publishing_says_on_the_terminal_what_is_unstable(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLPERF_RESULTS", str(tmp_path))
    monkeypatch.setattr("mlperf.protocol.MODE", "published")
    publish("mine", runs=runs([1.0, 1.01]))
    assert "Unstable: With 2 processes, intervals assume lognormal noise." in capsys.readouterr().out


def test_one_of_a_kind_is_said_in_the_singular():
    assert repr(runs([1.0])).startswith("1 row, 1 cell, 1 process")
    assert repr(runs()).startswith("8 rows, 1 cell, 8 processes; the first 6:")
