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
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 2}
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
# One run: every change in turn, in one process. A change names what it sets, and leaves
# the rest as it is. The time of models that are trained together is shared out among
# them.


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
# How many times as much arithmetic is there after a change? If arithmetic were all that
# takes time, these would be the ratios of the times too.

flops = {}
for change, settings in CHANGES.items():
    hidden = settings.get("hidden", HIDDEN)
    flops[change] = step_flops([N_FEATURES, *hidden, 1], 1)
work = exact(flops, by="change", unit="flop")
more_work = work / work[UNCHANGED]
more_work

# %%
# Left of the dashed line an epoch became shorter.

axes = time_ratio.plot(x="change", kind="dot", horizontal=True, log=True)
axes.set_xlabel("Time of an epoch (× unchanged)")
reference(axes, 1, "unchanged")
best = time_ratio.idxmin()
share = time_ratio.to("fraction")
headline(
    axes, f"The largest gain is by “{best}”: {share[best]:short} of the unchanged time"
)

# %%
# If arithmetic limits training, layers four times as wide take time in proportion to
# it, to within a quarter. This threshold, and those below, were fixed before the
# numbers were seen.

wider = time_ratio[WIDER]
predicted = more_work[WIDER].value
took = (
    f"layers four times as wide, with {predicted:.0f} times the arithmetic, take "
    f"{wider} as long"
)
arithmetic_claim = claim(
    "Arithmetic limits training: layers four times as wide take time in proportion to "
    "it, to within a quarter.",
    wider.within(0.75 * predicted, 1.25 * predicted),
    holds="Arithmetic sets the pace.",
    otherwise="Arithmetic does not set the pace.",
    seen=took,
)

# %%
# If it is the number of operators that costs, whatever saves operators pays, and a
# second thread does not.

larger_batches = share[LARGER_BATCHES]
two_threads = time_ratio[TWO_THREADS]
fused = share[FUSED]
in_one_call = share[TOGETHER]
claims = {
    "operators": claim(
        "What costs is the number of operators: mini-batches four times as large cut "
        "an epoch to a third or less.",
        larger_batches < 1 / 3,
        holds="What costs is the number of operators.",
        otherwise="The number of operators is not all that costs.",
        seen="with mini-batches four times as large, and so a quarter of the "
        f"operators, an epoch takes {larger_batches} of the time",
    ),
    "threads": claim(
        "A second core pays: two threads cut an epoch by a tenth or more.",
        two_threads < 0.9,
        holds="A second core pays.",
        otherwise="A second core does not pay.",
        seen=f"with two threads, an epoch takes {two_threads} as long",
    ),
    "fused": claim(
        "Adam in one fused call, which saves operators, cuts an epoch by a tenth or "
        "more.",
        fused < 0.9,
        otherwise="Adam in one fused call, which saves operators, does not cut an "
        "epoch by a tenth.",
        seen=f"it takes {fused} of the time",
    ),
    "together": claim(
        "Networks trained in one batched call take half the time each, or less.",
        in_one_call < 0.5,
        holds=f"Trained in one batched call, each of {N_MODELS} networks takes "
        f"{in_one_call} of the time that it takes alone.",
        otherwise="Networks trained in one batched call take more than half the time "
        "each.",
        seen=f"each of {N_MODELS} networks takes {in_one_call} of the time that it "
        "takes alone",
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
    arithmetic=arithmetic_claim,
    **claims,
)
