"""What is measured: the published protocol in one place, and its quick variant.

The published protocol is what the report's numbers mean. The quick variant, chosen by setting the environment variable
``MLPERF_QUICK`` to anything but ``0``, runs the same scripts on smaller settings, to see that everything works; its
numbers are a preview and every page says so. Experiments that go beyond the chapter and its causes take many minutes:
a build runs them only if ``MLPERF_FULL`` is set, as it is by ``make html FULL=1``. ``make html DEVICE=cuda`` sets
``MLPERF_DEVICE``: the networks of the chapter are then trained there.
"""

import os
from typing import Any, TypeVar

Setting = TypeVar("Setting")

MODE = "quick" if os.environ.get("MLPERF_QUICK", "0") not in ("", "0") else "published"
"""Which protocol is in force: ``"published"`` or ``"quick"``."""

FULL = os.environ.get("MLPERF_FULL", "0") not in ("", "0")
"""Whether the long experiments are carried out too; a script that is one says so (`mlperf.results.provenance`)."""

DEVICE = os.environ.get("MLPERF_DEVICE") or "cpu"
"""Where the scripts that ask for it train and predict: ``"cpu"``, ``"cuda"`` or ``"mps"``. The others use the CPU."""


def by_mode(*, published: Setting, quick: Setting) -> Setting:
    """Choose between the published value of a setting and its quick one.

    Parameters
    ----------
    published : object
        The value in the published protocol.
    quick : object
        A smaller value with which the same code runs in seconds.

    Returns
    -------
    object
        The value for the current :data:`MODE`.

    Examples
    --------
    >>> from mlperf.protocol import MODE, by_mode
    >>> by_mode(published=200, quick=4) == {"published": 200, "quick": 4}[MODE]
    True
    """
    return quick if MODE == "quick" else published


MODELS: dict[str, tuple[int, ...]] = {
    "Small": (32,),
    "Medium": (64, 32, 16),
    "Large": (128, 64, 32, 16),
}
"""Hidden layer sizes of each model; one linear output follows."""

RACED: dict[str, tuple[int, ...]] = by_mode(published=MODELS, quick={name: MODELS[name] for name in ("Small", "Large")})
"""Models on which engines and libraries are compared. A preview leaves one out, to save the time to compile it."""

SAMPLE_SIZES: tuple[int, ...] = by_mode(published=(1_000, 5_000, 10_000), quick=(250, 500, 1_000))
"""Samples generated, before the 60 / 20 / 20 split."""

N_FEATURES = 5
"""Features of each sample."""

NOISE = 1.0
"""Standard deviation of the noise that the generator adds to the target."""

RANDOM_STATE = 42
"""Seed of the data and of their splits."""

EPOCHS: int = by_mode(published=200, quick=5)
"""Passes over the training split in one fit."""

PROFILE_EPOCHS: int = by_mode(published=2, quick=1)
"""Passes over the training split in one profiled fit."""

LEARNING_RATE = 0.001
"""Step size of Adam."""

BATCH_SIZE = 64
"""Rows of one mini-batch, and so of one step of the optimiser."""

TIMED: dict[str, Any] = by_mode(
    published={"processes": 6, "min_run_time": 0.8, "fresh": "round"}, quick={"processes": 1, "repeats": 2}
)
"""How a timing is repeated, as options of `mlperf.measure`: rounds in a fresh process each, which visits every cell.

Each process takes seconds to load the libraries, so a long run is carried out once in each. Short runs vary more, and
cost little: they are repeated until they have taken most of a second together. The cells of a round take turns,
which makes comparisons between them several times more precise than single numbers are. A single process, as in the
quick variant, supports no interval and decides nothing.
"""

UNTIMED: dict[str, int | bool] = by_mode(
    published={"processes": 1, "repeats": 1, "n_jobs": 2, "fresh": False, "warmup": False},
    quick={"processes": 1, "repeats": 1, "fresh": False, "warmup": False},
)
"""How something deterministic is measured, as options of `mlperf.measure`: once, in two processes that last.

A preview runs two scripts at a time, so that one process for each has to do. Not for memory, which depends on what a
process did before.
"""

PROFILED: dict[str, Any] = by_mode(
    published={"processes": 4, "min_run_time": 0.3, "n_jobs": 2, "fresh": "round"},
    quick={"processes": 1, "repeats": 1},
)
"""How a profile is repeated, as options of `mlperf.measure`: two at a time, since tables take far longer than runs.

Short ones are repeated, as of a small model's prediction, which is over in less than a millisecond.
"""

THREADS = 1
"""Threads that each measured process may use inside one operator."""

CLEAN_ENVIRONMENT: bool = by_mode(published=True, quick=False)
"""Whether other libraries are measured without the environment variables that change how they compute.

They can halve the speed of a library. A preview keeps them, as the tests do, since they may be set to avoid a faulty
kernel.
"""

FRESH_PROCESSES: bool = by_mode(published=True, quick=False)
"""Whether each configuration runs in a process of its own. Starting one takes longer than most quick runs."""
