import subprocess
import sys

import pytest
import torch

from mlperf.profilers.device import device_peak, wait
from mlperf.profilers.timing import fit_costs, seconds, seconds_per_call, seconds_per_part

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


class Device:
    """Stands in for a device of torch, and notes what it is asked for."""

    def __init__(self):
        self.asked = []
        self.held = self.most = 0

    def hold(self, n_bytes):
        self.held += n_bytes
        self.most = max(self.most, self.held)

    def synchronize(self):
        self.asked.append("synchronize")

    def reset_peak_memory_stats(self):
        self.asked.append("reset the peak")
        self.most = self.held

    def memory_allocated(self):
        return self.held

    def max_memory_allocated(self):
        return self.most


@pytest.fixture
def device(monkeypatch):
    stand_in = Device()
    for name in ("synchronize", "reset_peak_memory_stats", "memory_allocated", "max_memory_allocated"):
        monkeypatch.setattr(torch.accelerator, name, getattr(stand_in, name))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(
        torch.accelerator,
        "current_accelerator",
        lambda check_available=False: torch.device("cuda"),  # noqa: ARG005
    )
    return stand_in


def test_timed_call_begins_and_ends_with_an_idle_device(device):
    seconds(lambda: device.asked.append("call"))
    assert device.asked == ["synchronize", "call", "synchronize"]


def test_short_calls_are_waited_for_together(device, monkeypatch):
    # A call takes a millisecond.
    monkeypatch.setattr("mlperf.profilers.timing.perf_counter", lambda: 1e-3 * device.asked.count("call"))
    seconds_per_call(lambda: device.asked.append("call"), at_least=0.002)
    assert device.asked[1:4] == ["synchronize", "call", "synchronize"]
    assert device.asked[4:] == ["synchronize", *["call"] * (len(device.asked) - 6), "synchronize"]


def test_every_part_ends_with_an_idle_device(device):
    def work():
        device.asked.append("first")
        yield "first"
        device.asked.append("second")
        yield "second"

    seconds_per_part(work())
    assert device.asked == ["synchronize", "first", "synchronize", "second", "synchronize", "synchronize"]


def test_costs_of_a_fit_are_those_of_an_idle_device(device):
    fit_costs(lambda epochs: device.asked.append(epochs), 4, at_least=2)
    fits = [place for place, asked in enumerate(device.asked) if asked != "synchronize"]
    assert len(fits) == 8
    assert all(device.asked[place - 1] == device.asked[place + 1] == "synchronize" for place in fits)


def test_peak_is_what_the_device_held_beyond_what_was_there(device):
    device.hold(1_000)
    device.hold(-900)

    def call():
        device.hold(50)
        device.hold(30)
        device.hold(-80)

    assert device_peak(call) == 80


@pytest.mark.parametrize("found", [None, torch.device("mps")])
def test_peak_is_none_where_no_allocator_keeps_one(found, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: found)  # noqa: ARG005
    assert device_peak(lambda: pytest.fail("the call was made")) is None


def test_device_that_is_not_in_use_is_left_alone(device, monkeypatch):
    """To ask CUDA whether it is there starts it, which takes memory and time."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("CUDA was asked"))
    seconds(lambda: None)
    assert device.asked == []


def test_waiting_does_not_load_torch():
    code = "import sys; from mlperf.profilers.timing import seconds; seconds(int); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@on_cuda
def test_cuda_is_waited_for():
    matrix = torch.rand(4_096, 4_096, device="cuda")
    wait()
    stream = torch.cuda.current_stream()
    seconds(lambda: [matrix @ matrix for _ in range(20)])
    assert stream.query()


@on_cuda
def test_peak_of_a_tensor_on_cuda_is_its_size():
    assert 4_000_000 <= device_peak(lambda: torch.ones(1_000_000, device="cuda")) < 5_000_000
