"""The graphics processor that torch computes on, where there is one: when it is done, and how much memory it held."""

import sys
from collections.abc import Callable


def wait() -> None:
    """Wait until the device has done all that it was given: torch returns before that.

    Nothing is done where torch is not loaded, has no device, or did not use it yet.

    Examples
    --------
    >>> from mlperf.profilers.device import wait
    >>> wait()
    """
    torch = sys.modules.get("torch")
    # Asked so that a device that nobody uses is left asleep.
    if torch is not None and (torch.cuda.is_initialized() or torch.backends.mps.is_available()):
        torch.accelerator.synchronize()


def device_peak(call: Callable[[], object]) -> int | None:
    """Measure how much more memory of the device a call held at once, as torch's allocator counts.

    Parameters
    ----------
    call : callable
        Called once without arguments.

    Returns
    -------
    int or None
        Bytes of tensors at the peak, what was there before not counted, nor what the device's own libraries take. None,
        and the call not made, where there is no device whose allocator keeps a peak: that of CUDA does, that of MPS
        does not.

    Examples
    --------
    >>> import torch
    >>> from mlperf.profilers.device import device_peak
    >>> peak = device_peak(lambda: torch.ones(1_000, device="cuda"))
    >>> peak is None or peak >= 4_000
    True
    """
    import torch

    device = torch.accelerator.current_accelerator(check_available=True)
    if device is None or device.type == "mps":
        return None
    torch.accelerator.reset_peak_memory_stats()
    before = torch.accelerator.memory_allocated()
    call()
    return torch.accelerator.max_memory_allocated() - before
