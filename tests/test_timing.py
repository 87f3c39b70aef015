import time

from mlperf.timing import seconds


def test_a_sleep_takes_at_least_as_long_as_it_was_told():
    assert seconds(lambda: time.sleep(0.05)) >= 0.05


def test_the_call_is_made_once():
    calls = []
    seconds(lambda: calls.append(1))
    assert calls == [1]
