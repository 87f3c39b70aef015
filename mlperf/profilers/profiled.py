"""Run a call under torch's profiler, without what the profiler prints."""

import os
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from mlperf.profilers.device import wait

# The profiler's library prints a line at every start and stop, at a level above its errors. It reads this once, at its
# first start in a process.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")


def profiled(call: Callable[[], object], *, memory: bool = False, stacks: bool = False) -> profile:
    """Profile one call on the CPU, and on the CUDA device where this process has used it before.

    Parameters
    ----------
    call : callable
        Called once without arguments.
    memory : bool, default=False
        Record what is allocated and freed.
    stacks : bool, default=False
        Record the Python functions around each operator.

    Returns
    -------
    torch.profiler.profile

    Examples
    --------
    >>> import torch
    >>> from mlperf.profilers.profiled import profiled
    >>> [event.name for event in profiled(lambda: torch.ones(3)).events()][:1]
    ['aten::ones']
    """
    activities = [ProfilerActivity.CPU]
    # Watching a device that is not used would take seconds, and memory.
    if torch.cuda.is_initialized():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities, profile_memory=memory, with_stack=stacks) as profiler:
        call()
        wait()
    return profiler
