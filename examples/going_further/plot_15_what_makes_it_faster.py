"""
What makes a training step faster?
==================================

One thing at a time is changed about the training of one model, and the time of an epoch
is compared with that of the unchanged training in the same process. If the fixed cost
of operators is what limits a step, whatever saves operators must pay, and more
arithmetic or more threads must not matter. Held fixed: the number of samples.
"""

# sphinx_gallery_tags = ["time", "engines"]

import pandas as pd
import torch

from mlperf import claim, exact, headline, measure, publish, reference, seconds
from mlperf.profilers.work import step_flops
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.training.network import network
from mlperf.training.together import one_by_one, together

HIDDEN = MODELS["Medium"]
N_SAMPLES = by_mode(published=4_096, quick=512)
N_MODELS = by_mode(published=32, quick=4)
TIMES = by_mode(
    published={"processes": 8, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)

UNCHANGED = "nothing changed"
WIDER = "layers four times as wide"
LARGER_BATCHES = "mini-batches of 256"
TWO_THREADS = "2 threads"
FUSED = "fused Adam"
TOGETHER = f"{N_MODELS} models in one call"
CHANGES = {
    UNCHANGED: {},
    "layers twice as wide": {"hidden": [2 * units for units in HIDDEN]},
    WIDER: {"hidden": [4 * units for units in HIDDEN]},
    "mini-batches of 16": {"batch_size": 16},
    LARGER_BATCHES: {"batch_size": 256},
    "one batch of all samples": {"batch_size": N_SAMPLES},
    TWO_THREADS: {"threads": 2},
    FUSED: {"fused": True},
    TOGETHER: {"train": together, "n_models": N_MODELS},
}

# %%
# One run: every change in turn, in one process. The time of models that are trained
# together is shared out among them.


def epoch_seconds(
    hidden=HIDDEN,
    batch_size=BATCH_SIZE,
    threads=1,
    n_models=1,
    train=one_by_one,
    **adam,
):
    generators = [torch.Generator() for _ in range(n_models)]
    modules = [network([N_FEATURES, *hidden, 1], each) for each in generators]
    X = torch.randn(n_models, N_SAMPLES, N_FEATURES)
    y = torch.randn(n_models, N_SAMPLES, 1)
    training = train(
        modules,
        X,
        y,
        generators=generators,
        learning_rate=LEARNING_RATE,
        batch_size=batch_size,
        **adam,
    )
    torch.set_num_threads(threads)
    next(training)  # not counted: the first epoch also makes the optimiser's state
    return seconds(lambda: next(training)) / n_models


def run():
    times = {change: epoch_seconds(**settings) for change, settings in CHANGES.items()}
    return pd.DataFrame({"seconds": times}).rename_axis("change")


runs = measure(run, **TIMES, warmup=False)
epoch = runs["seconds"]
epoch

# %%
# The time of an epoch after a change, over that of the unchanged training in the same
# process.

time_ratio = epoch / epoch[UNCHANGED]
time_ratio

# %%
# Where would an epoch be if arithmetic were all that takes time?

flops = {
    change: step_flops([N_FEATURES, *settings.get("hidden", HIDDEN), 1], 1)
    for change, settings in CHANGES.items()
}
work = exact(flops, by="change", unit="flop")
more_work = work / work[UNCHANGED]
more_work[WIDER]

# %%
# Left of the dashed line an epoch became shorter.

axes = time_ratio.plot(x="change", kind="dot", horizontal=True, log=True)
reference(axes, 1, "unchanged")
best = time_ratio.idxmin()
headline(
    axes, f"The shortest epoch, {time_ratio[best]:short} the unchanged one: {best}"
)

# %%
# Each guess is a prediction, with a threshold fixed before the numbers were seen.

wider = time_ratio[WIDER]
predicted = more_work[WIDER].value
claims = {
    "arithmetic": claim(
        "Arithmetic limits training: layers four times as wide take time in "
        "proportion, to within a quarter.",
        wider.within(0.75 * predicted, 1.25 * predicted),
        otherwise="Arithmetic does not limit training: layers four times as wide, "
        f"with {predicted:.0f} times the arithmetic, take {wider} the time.",
    ),
    "operators": claim(
        "Operators cost by their number: mini-batches four times as large cut an "
        f"epoch to {time_ratio[LARGER_BATCHES]}.",
        time_ratio[LARGER_BATCHES] < 1 / 3,
        otherwise="Mini-batches four times as large cut an epoch only to "
        f"{time_ratio[LARGER_BATCHES]}.",
        undecided="Mini-batches four times as large cut an epoch to "
        f"{time_ratio[LARGER_BATCHES]}.",
    ),
    "threads": claim(
        "Cores limit training: a second thread cuts an epoch to "
        f"{time_ratio[TWO_THREADS]}.",
        time_ratio[TWO_THREADS] < 0.9,
        otherwise="A second core does not help: with two threads an epoch takes "
        f"{time_ratio[TWO_THREADS]} the time.",
        undecided=f"With two threads an epoch takes {time_ratio[TWO_THREADS]} the "
        "time.",
    ),
    "fused": claim(
        f"Fused Adam, which saves operators, cuts an epoch to {time_ratio[FUSED]}.",
        time_ratio[FUSED] < 0.9,
        otherwise="Fused Adam does not cut an epoch by a tenth: it takes "
        f"{time_ratio[FUSED]} the time.",
        undecided=f"With fused Adam an epoch takes {time_ratio[FUSED]} the time.",
    ),
    "together": claim(
        f"Models trained in one batched call take {time_ratio[TOGETHER]} the time "
        "each.",
        time_ratio[TOGETHER] < 0.5,
        otherwise=f"Models trained in one batched call take {time_ratio[TOGETHER]} "
        "the time each, not less than half.",
        undecided=f"Models trained in one batched call take {time_ratio[TOGETHER]} "
        "the time each.",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "what_makes_it_faster",
    runs=runs,
    epoch=epoch,
    time_ratio=time_ratio,
    more_work=more_work,
    changes=axes,
    **claims,
)
