"""What the tests of profilers share: a device that is not there."""

import pytest
import torch


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
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.accelerator,
        "current_accelerator",
        lambda check_available=False: torch.device("cuda"),  # noqa: ARG005
    )
    return stand_in
