"""Settings of the process for a rival: its threads, its cores, and options for XLA."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlperf.protocol import THREADS


@contextmanager
def pinned() -> Iterator[None]:
    """Let this thread, and every thread started meanwhile, run on as many cores as it may use threads.

    JAX starts a thread a core, whatever its flags say. On a system that cannot pin threads nothing happens.

    Examples
    --------
    >>> from mlperf.rivals._process import pinned
    >>> with pinned():
    ...     total = sum(range(10))
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[-threads() :])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def threads() -> int:
    """Return how many threads a library may use: ``OMP_NUM_THREADS``, which a measurement sets, else `THREADS`.

    Examples
    --------
    >>> from mlperf.rivals._process import threads
    >>> threads() >= 1
    True
    """
    return int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0] or THREADS)


def xla_options(vector_width: int | None) -> dict[str, int]:
    """Return the options with which XLA compiles a function.

    As options of one function they affect no other, and can be set after JAX has started.

    Parameters
    ----------
    vector_width : int or None
        Bits of the vectors that XLA prefers; None leaves the choice to XLA.

    Returns
    -------
    dict
        For ``compiler_options`` of ``jax.jit``; empty if the user chose a width in ``XLA_FLAGS``, which is kept.

    Examples
    --------
    >>> from mlperf.rivals._process import xla_options
    >>> xla_options(None)
    {}
    """
    if vector_width is None or "xla_cpu_prefer_vector_width" in os.environ.get("XLA_FLAGS", ""):
        return {}
    return {"xla_cpu_prefer_vector_width": vector_width}
