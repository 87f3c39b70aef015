"""The GPU that torch computes on, if there is one: wait until it is idle, and measure its peak memory."""

import sys
from collections.abc import Callable


def wait() -> None:
    """Wait until the GPU has finished the work it was given: torch does not wait for it.

    Does nothing if torch is not loaded or has no GPU, or has not used its CUDA device yet.

    Examples
    --------
    >>> from mlperf.profilers.device import wait
    >>> wait()
    """
    torch = sys.modules.get("torch")
    # Asked in a way that does not wake a device that is not used.
    if torch is not None and (torch.cuda.is_initialized() or torch.backends.mps.is_available()):
        torch.accelerator.synchronize()


def device_peak(call: Callable[[], object]) -> int | None:
    """Measure by how much a call raised the peak of the GPU's memory, as torch's allocator counts it.

    Parameters
    ----------
    call : callable
        Called once without arguments.

    Returns
    -------
    int or None
        Bytes of tensors at the peak, not counting what was allocated before the call, nor what the GPU's own libraries
        take. None, and the call is not made, if there is no GPU whose allocator records a peak: CUDA's does, MPS's does
        not.

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
