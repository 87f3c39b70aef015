import os
import re
import time
from pathlib import Path

import pytest

from mlperf.profilers.timing import (
    empty_caches,
    fit_costs,
    seconds,
    seconds_of_parts,
    seconds_per_call,
    seconds_per_part,
)


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


def test_pauses_between_parts_are_not_timed(monkeypatch):
    now = iter([10, 12, 100, 103, 200, 204])  # parts of 2, 3 and 4 seconds
    monkeypatch.setattr("mlperf.profilers.timing.perf_counter", lambda: next(now))
    done = []

    def work():
        done.append("first")
        yield
        done.append("second")
        yield
        done.append("what follows")

    def run():
        return {"seconds": (yield from seconds_of_parts(work()))}

    under_way = run()
    next(under_way)
    assert done == ["first"]
    next(under_way)
    assert done == ["first", "second"]
    with pytest.raises(StopIteration) as end:
        next(under_way)
    assert done == ["first", "second", "what follows"]
    assert end.value.value == {"seconds": 9}


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


def test_what_was_compiled_before_is_not_found_in_empty_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with empty_caches():
        folder = Path(os.environ["XDG_CACHE_HOME"])
        assert folder != tmp_path
        assert list(folder.iterdir()) == []
        (folder / "compiled").touch()
    assert not folder.exists()


def test_environment_is_what_it_was_after_a_failure_with_empty_caches():
    def fail():
        with empty_caches():
            os.environ["A_CACHE_OF_ANOTHER_LIBRARY"] = os.environ["XDG_CACHE_HOME"]
            raise RuntimeError

    before = dict(os.environ)
    with pytest.raises(RuntimeError):
        fail()
    assert dict(os.environ) == before


def test_seconds_per_call_are_at_least_those_that_the_call_sleeps():
    # A sleep is never shorter than asked, whatever else the machine does.
    assert seconds_per_call(lambda: time.sleep(0.002), at_least=0.01) >= 0.002


def test_short_call_is_repeated_until_the_interval_is_long_enough(monkeypatch):
    calls = []
    monkeypatch.setattr("mlperf.profilers.timing.perf_counter", lambda: 1e-3 * len(calls))  # a call takes a millisecond
    assert seconds_per_call(lambda: calls.append(1), at_least=0.01) == pytest.approx(1e-3)
    assert len(calls) >= 11


class Clock:
    """A clock that advances in steps, and by a microsecond whenever it is read or work is done."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def work(self, seconds=1e-6):
        self.now += seconds

    def __call__(self):
        self.work()
        return self.now // self.step * self.step


@pytest.mark.parametrize("step", [1e-6, 0.0156])
@pytest.mark.parametrize("seconds", [3e-6, 0.3])
def test_call_is_timed_on_a_coarse_clock_too(step, seconds, monkeypatch):
    """The clock of some systems advances every 15 ms: a single step would be wrong by as much."""
    clock = Clock(step)
    monkeypatch.setattr("mlperf.profilers.timing.perf_counter", clock)
    assert seconds_per_call(lambda: clock.work(seconds)) == pytest.approx(seconds, rel=0.06)


def test_clock_that_stands_still_is_named(monkeypatch):
    """Tried: on a clock that does not advance between two calls, a division by zero."""
    monkeypatch.setattr("mlperf.profilers.timing.perf_counter", lambda: 1.0)
    monkeypatch.setattr("mlperf.profilers.timing.MOST_READINGS", 1000)
    with pytest.raises(RuntimeError, match=r"^time\.perf_counter\(\) stood still for 1,024 calls"):
        seconds_per_call(lambda: None)


@pytest.mark.parametrize("clock", [lambda: 1.0, Clock(0.0156)])
def test_costs_of_a_fit_are_no_division_by_zero_on_a_bad_clock(clock, monkeypatch):
    """Tried: clocks that advance in steps of 15 ms, or not at all."""
    monkeypatch.setattr("mlperf.profilers.timing.perf_counter", clock)
    costs = fit_costs(lambda epochs: None, 10, at_least=2)  # noqa: ARG005
    assert costs["whole_seconds"] >= 0
    assert seconds(lambda: None) >= 0


def test_parts_are_summed_by_name_and_what_is_left_is_between_them(monkeypatch):
    # The clock moves on by a second whenever it is read, and by what the work takes.
    now = [0.0]

    def clock():
        now[0] += 1
        return now[0]

    def work():
        for _ in range(2):
            now[0] += 10
            yield "first"
            now[0] += 100
            yield "second"
        now[0] += 1_000

    monkeypatch.setattr("mlperf.profilers.timing.perf_counter", clock)
    spent = seconds_per_part(work())
    assert list(spent) == ["first", "second", "between"]
    assert spent == {"first": 2 * (10 + 1), "second": 2 * (100 + 1), "between": 4 * 1 + 1_000 + 1}


def test_epochs_cost_something_even_if_the_short_fits_were_disturbed():
    costs = fit_costs(lambda epochs: time.sleep(0.02 if epochs == 1 else 0.01), 3, at_least=3)
    assert costs["epoch_seconds"] >= 0.01 / 20 / 2
