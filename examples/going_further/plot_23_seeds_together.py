"""
Does it pay to train many networks together?
============================================

What depends on the seed is known only from many seeds, and so from many small networks.
They can be trained one by one, or together: ``torch.func.vmap`` makes of each operator
one batched call for all. Varied: the model, and the number of networks, each with its
own data. Measured is the time of the same epochs, one by one and together, in one
process.
"""

# sphinx_gallery_tags = ["time", "engines"]

import pandas as pd
import torch

from mlperf import claim, headline, measure, publish, reference, seconds, stack
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.training.fused import fused
from mlperf.training.network import network
from mlperf.training.together import one_by_one, together

COUNTS = by_mode(published=[1, 3, 6, 12], quick=[1, 3])
MANY = COUNTS[-1]
EPOCHS = by_mode(published=4, quick=2)
N_SAMPLES = 600
TIMES = by_mode(
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)

# %%
# Three ways: together by autograd; one by one by autograd; one by one by the engine
# with the gradient written out.


def autograd(modules, X, y, **settings):
    return one_by_one(modules, X, y, fused=True, **settings)


def written_out(modules, X, y, generators, **settings):
    trainings = [
        fused(module, inputs, targets, generator=generator, **settings)
        for module, inputs, targets, generator in zip(
            modules, X, y, generators, strict=True
        )
    ]
    while True:
        yield [next(training) for training in trainings]


WAYS = {"together": together, "autograd": autograd, "written out": written_out}

# %%
# One run: a few networks and many, in each way. The first epoch is not counted.


def training_seconds(train, model, n_networks):
    generators = [torch.Generator() for _ in range(n_networks)]
    modules = [network([N_FEATURES, *model, 1], each) for each in generators]
    X = torch.randn(n_networks, N_SAMPLES, N_FEATURES)
    y = torch.randn(n_networks, N_SAMPLES, 1)
    settings = {"learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE}
    training = train(modules, X, y, generators=generators, **settings)
    next(training)
    return seconds(lambda: [next(training) for _ in range(EPOCHS)])


def run(model):
    times = {}
    for n_networks in COUNTS:
        for way, train in WAYS.items():
            times[n_networks, way] = training_seconds(train, model, n_networks)
    frame = pd.DataFrame({"seconds": times})
    return frame.rename_axis(["n_networks", "way"])


runs = measure(run, **TIMES, warmup=False, model=MODELS)
training = runs["seconds"]
training

# %%
# How many times as fast is training together as training one by one? The ratios are
# taken within a run.

all_together = training.at(way="together")
by_autograd = training.at(way="autograd") / all_together
by_written_out = training.at(way="written out") / all_together
speed = stack(
    {"by autograd": by_autograd, "without autograd": by_written_out}, "one_by_one"
)
speed

# %%
# Above the dashed line it pays.

panels = speed.plot(x="n_networks", by="model", panels="one_by_one", kind="dot")
panels[0].set_ylabel("Speed together (× one by one)")
for axes in panels:
    reference(axes, 1, "as fast")
autograd_speed = by_autograd[:, MANY]
headline(
    panels,
    f"{MANY} networks are trained together up to {autograd_speed.max():short} as fast "
    "as one by one by autograd",
)

# %%
# Claims, with thresholds fixed before the numbers were seen.

written_out_speed = by_written_out[:, MANY]
claims = {
    "autograd": claim(
        "By autograd, many networks are trained together in less than half the time.",
        autograd_speed > 2,
        holds=f"By autograd, {MANY} networks are trained together {autograd_speed} as "
        "fast as one by one.",
        otherwise=f"By autograd, {MANY} networks are trained together "
        f"{autograd_speed} as fast as one by one, not always twice as fast.",
        undecided=f"By autograd, {MANY} networks are trained together about "
        f"{autograd_speed} as fast as one by one.",
    ),
    "written_out": claim(
        "Many networks are trained faster together by autograd than one by one with "
        "the gradient written out.",
        written_out_speed > 1,
        holds=f"Together by autograd, {MANY} networks are trained {written_out_speed} "
        "as fast as one by one with the gradient written out.",
        otherwise=f"One by one with the gradient written out, {MANY} networks can be "
        "trained faster than together by autograd, which is "
        f"{written_out_speed} as fast.",
        undecided=f"Together by autograd, {MANY} networks are trained about "
        f"{written_out_speed} as fast as one by one with the gradient written out.",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "seeds_together",
    runs=runs,
    training=training,
    speed=speed,
    speeds=panels,
    **claims,
)
