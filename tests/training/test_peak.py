"""The loop whose rate is the roof does as much as it says."""

import pytest

from mlperf.training.peak import multiply_and_add


def test_the_work_is_in_proportion_to_the_turns():
    one = multiply_and_add(1)
    assert one >= 2 * 12 * 4  # a multiplication and an addition for each number of at least 12 vectors of 4
    assert multiply_and_add(1_000) == 1_000 * one


def test_without_a_compiler_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeError, match="needs a C\\+\\+ compiler"):
        multiply_and_add(1)
