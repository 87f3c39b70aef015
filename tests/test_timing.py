import re
import time

import pytest

from mlperf.timing import fit_costs, seconds


def test_a_sleep_takes_at_least_as_long_as_it_was_told():
    assert seconds(lambda: time.sleep(0.05)) >= 0.05


def test_the_call_is_made_once():
    calls = []
    seconds(lambda: calls.append(1))
    assert calls == [1]


def fit_of(calls, start_up=0.05, epoch=0.002):
    def fit(epochs):
        time.sleep(epoch * epochs + (0 if calls else start_up))
        calls.append(epochs)

    return fit


def test_what_a_fit_costs_once_is_told_from_what_each_epoch_costs():
    calls = []
    costs = fit_costs(fit_of(calls), 40, at_least=2)
    assert costs["first_seconds"] >= 0.052
    assert costs["epoch_seconds"] >= 0.0015
    assert costs["whole_seconds"] == costs["first_seconds"] + 39 * costs["epoch_seconds"]
    assert calls[0] == 1
    assert calls[-1] == costs["epochs"] == 40


def test_fit_that_would_take_too_long_is_timed_for_fewer_epochs():
    calls = []
    assert fit_costs(fit_of(calls), 40, at_least=5, at_most=0.01)["epochs"] == calls[-1] == 5


@pytest.mark.parametrize("at_least", [1, 41])
def test_epochs_that_no_fit_has_are_refused(at_least):
    message = f"The 'at_least' parameter of fit_costs must be from 2 to max_iter (40). Got {at_least} instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_costs(fit_of([]), 40, at_least=at_least)
