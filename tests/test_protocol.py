import subprocess
import sys

import pytest


def shown(code, mode, full=""):
    command = [sys.executable, "-c", f"from mlperf import protocol; print({code})"]
    environment = {"MLPERF_QUICK": mode, "MLPERF_FULL": full}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


@pytest.mark.parametrize(("variable", "mode"), [("", "published"), ("0", "published"), ("1", "quick")])
def test_the_environment_chooses_the_protocol(variable, mode):
    assert shown("protocol.MODE", variable) == mode
    assert shown("protocol.by_mode(published='published', quick='quick')", variable) == mode


@pytest.mark.parametrize(("variable", "full"), [("", "False"), ("0", "False"), ("1", "True")])
@pytest.mark.parametrize("mode", ["0", "1"])
def test_long_experiments_wait_for_a_full_build_in_either_mode(variable, full, mode):
    assert shown("protocol.FULL", mode, full=variable) == full


@pytest.mark.parametrize(("variable", "device"), [("", "cpu"), ("cuda", "cuda")])
def test_the_environment_chooses_the_device(variable, device, monkeypatch):
    monkeypatch.setenv("MLPERF_DEVICE", variable)
    code = "from mlperf import protocol; print(protocol.DEVICE)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == device


def test_the_published_protocol_is_that_of_the_chapter():
    settings = "protocol.SAMPLE_SIZES, protocol.EPOCHS, protocol.PROFILE_EPOCHS, protocol.THREADS"
    assert shown(settings, "0") == "(1000, 5000, 10000) 200 2 1"
    assert shown("protocol.MODELS", "0") == "{'Small': (32,), 'Medium': (64, 32, 16), 'Large': (128, 64, 32, 16)}"
    others = "protocol.LEARNING_RATE, protocol.BATCH_SIZE, protocol.N_FEATURES, protocol.NOISE, protocol.RANDOM_STATE"
    assert shown(others, "0") == "0.001 64 5 1.0 42"


def test_published_timings_are_repeated_over_enough_processes_for_an_interval_free_of_models():
    from mlperf.quantities.intervals import FEWEST_PROCESSES

    assert shown("protocol.TIMED", "0") == "{'processes': 6, 'min_run_time': 0.8, 'fresh': 'round'}"
    assert int(shown("protocol.TIMED['processes']", "0")) >= FEWEST_PROCESSES
    assert shown("protocol.TIMED['processes']", "1") == "1"


def test_only_the_published_protocol_clears_the_environment():
    assert shown("protocol.CLEAN_ENVIRONMENT", "0") == "True"
    assert shown("protocol.CLEAN_ENVIRONMENT", "1") == "False"


def test_what_is_not_timed_is_measured_once_in_either_mode():
    for mode in ("0", "1"):
        assert shown("protocol.UNTIMED['processes'], protocol.UNTIMED['repeats']", mode) == "1 1"
