"""A rival asks for the threads that a measurement allows, and leaves to the user what the user set."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlperf.protocol import THREADS
from mlperf.rivals import torch_compile
from mlperf.rivals._process import pinned, threads, xla_options
from mlperf.training.cache import cache_folder

pins = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no threads")


@pytest.mark.parametrize(("allowed", "expected"), [("1", 1), ("2", 2), ("4,2", 4), ("", THREADS)])
def test_the_threads_are_those_that_openmp_may_use(monkeypatch, allowed, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    assert threads() == expected


def test_the_threads_are_those_of_the_protocol_where_nobody_says_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads() == THREADS


@pins
def test_threads_that_start_while_pinned_share_the_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pinned(), ThreadPoolExecutor(1) as pool:
        cores = pool.submit(os.sched_getaffinity, 0).result()
    assert len(cores) == 1


@pins
def test_pinning_takes_no_more_cores_than_there_are(monkeypatch):
    before = os.sched_getaffinity(0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1000")
    with pinned():
        assert os.sched_getaffinity(0) == before


@pins
def test_pinning_ends_with_an_error_too():
    before = os.sched_getaffinity(0)

    def fail():
        with pinned():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert os.sched_getaffinity(0) == before


def test_a_system_that_cannot_pin_runs_all_the_same(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with pinned():
        pass


def test_a_vector_width_is_an_option_of_one_function(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert xla_options(512) == {"xla_cpu_prefer_vector_width": 512}
    assert "XLA_FLAGS" not in os.environ


def test_a_vector_width_that_the_user_chose_stays(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_prefer_vector_width=128")
    assert xla_options(512) == {}


def test_other_flags_of_the_user_go_with_a_vector_width(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    assert xla_options(512) == {"xla_cpu_prefer_vector_width": 512}


@pytest.mark.parametrize("chosen", ["", "elsewhere"])
def test_compiled_code_is_kept_in_the_cache_unless_the_user_chose_a_folder(monkeypatch, chosen):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", chosen)
    if not chosen:
        monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    torch_compile.regressor((4,), 1)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == (chosen or str(cache_folder() / "torch_compile"))
