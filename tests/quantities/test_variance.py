"""Where the variance lies, and how many repeats follow from it."""

import numpy as np
import pandas as pd
import pytest

from mlperf import Runs, exact
from mlperf.quantities.variance import best_repeats, between_share


def simulated(between, within, n_processes=10, n_repeats=5, seed=0):
    rng = np.random.default_rng(seed)
    of_process = np.repeat(rng.normal(0, between, n_processes), n_repeats)
    seconds = np.exp(of_process + rng.normal(0, within, n_processes * n_repeats))
    processes = np.repeat(range(n_processes), n_repeats)
    return Runs(pd.DataFrame({"process": processes, "seconds": seconds}), by=[])["seconds"]


def test_the_interval_of_the_share_covers_what_it_says():
    shares = [between_share(simulated(0.02, 0.01, seed=seed)) for seed in range(400)]
    assert 0.93 < np.mean([share.low < 0.8 < share.high for share in shares]) < 0.98


@pytest.mark.parametrize(("between", "within", "share"), [(0.01, 0.0, 1.0), (0.0, 0.01, 0.0)])
def test_the_share_is_all_or_nothing_where_only_one_kind_of_variance_exists(between, within, share):
    assert between_share(simulated(between, within, n_processes=200)).value == pytest.approx(share, abs=0.1)


def test_repeats_grow_with_the_price_of_a_process_and_with_the_noise_in_it():
    seconds = {"unit": "seconds"}
    share, run = exact({"even": 0.5, "alike": 0.9}, by="case", unit="fraction"), exact(1.0, **seconds)
    cheap, dear = (best_repeats(share, exact(start, **seconds), run) for start in (1.0, 4.0))
    assert (cheap["even"].value, dear["even"].value) == (1.0, 2.0)
    assert cheap["alike"].value < cheap["even"].value


def test_repeats_are_many_where_the_share_may_be_nothing():
    share = between_share(simulated(0.0, 0.01))
    assert 50 < best_repeats(share, exact(1.0, unit="seconds"), exact(1.0, unit="seconds")).high < np.inf


@pytest.mark.parametrize("processes", [[0, 1, 2], [0, 0, 1], [0, 0, 0]])
def test_a_pilot_needs_repeats_in_several_processes(processes):
    runs = Runs(pd.DataFrame({"process": processes, "seconds": [1.0, 1.1, 1.2]}), by=[])
    with pytest.raises(ValueError, match="must have equally many runs in each process, two at least of both"):
        between_share(runs["seconds"])
