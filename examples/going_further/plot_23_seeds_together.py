"""
Does it pay to train many networks together?
============================================

What depends on the seed is known only from many seeds, and so from many small networks.
They can be trained one by one, or together: ``torch.func.vmap`` makes of each operator
one batched call for all, and so does ``jax.vmap``, where JAX is installed; the compiled
program takes one network after the other, in a single call. Varied: the model, and the
number of networks, each with its own data. Measured is the time of the same epochs.
"""

# sphinx_gallery_tags = ["time", "engines"]

# mlperf: only in a full build

import joblib
import numpy as np
import pandas as pd
import torch

from mlperf import claim, exact, headline, measure, publish, reference, seconds, stack
from mlperf.protocol import BATCH_SIZE, CLEAN_ENVIRONMENT, FULL, LEARNING_RATE
from mlperf.protocol import MODELS, N_FEATURES, by_mode
from mlperf.protocol import EPOCHS as EPOCHS_OF_A_FIT
from mlperf.rivals import installed
from mlperf.training.engines import available
from mlperf.training.fused import fused
from mlperf.training.network import network
from mlperf.training.together import compiled_together, one_by_one, together

MANY = by_mode(published=32, quick=3)
COUNTS = [1, MANY]
if FULL:  # these take minutes
    COUNTS = [1, 3, 10, MANY, 100, 1000]
EPOCHS = by_mode(published=2, quick=2)
N_SAMPLES = 600
TIMES = by_mode(
    published={"processes": 8, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)

# %%
# The ways to train many networks: together by autograd; one by one by autograd; one by
# one by the engine with the gradient written out; and compiled, where a C++ compiler
# works.


def autograd(modules, X, y, **settings):
    return one_by_one(modules, X, y, fused=True, **settings)


def written_out(modules, X, y, generators, **settings):
    trainings = []
    each = zip(modules, X, y, generators, strict=True)
    for module, inputs, targets, generator in each:
        training = fused(module, inputs, targets, generator=generator, **settings)
        trainings.append(training)
    while True:
        yield [next(training) for training in trainings]


WAYS = {"together": together, "autograd": autograd, "written out": written_out}
if "compiled" in available():
    WAYS["compiled"] = compiled_together

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


def by_torch(model, n_networks):
    times = {}
    for way, train in WAYS.items():
        times[way] = training_seconds(train, model, n_networks)
    return times


JAX = "JAX vmap"


def by_jax(model, n_networks):
    from mlperf.rivals._jax_vmap import many_epochs  # here, as it needs JAX

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_networks, N_SAMPLES, N_FEATURES), dtype=np.float32)
    y = rng.standard_normal((n_networks, N_SAMPLES), dtype=np.float32)
    train = many_epochs(model, X, y, batch_size=BATCH_SIZE, vector_width=512)
    train(EPOCHS)
    return {JAX: seconds(lambda: train(EPOCHS))}


def run(library):
    times = {}
    for model, hidden in MODELS.items():
        for n_networks in COUNTS:
            for way, way_seconds in library(hidden, n_networks).items():
                times[model, n_networks, way] = way_seconds
    frame = pd.DataFrame({"seconds": times})
    return frame.rename_axis(["model", "n_networks", "way"])


# %%
# Each library has processes of its own, which train every model.

LIBRARIES = {"torch": by_torch}
if any(name.startswith("JAX") for name in installed()):
    LIBRARIES["JAX"] = by_jax
runs = measure(
    run,
    **TIMES,
    warmup=False,
    clean_environment=CLEAN_ENVIRONMENT,
    library=LIBRARIES,
)

# Each way was timed by one library only, so that this is its one number.
training = runs["seconds"].min("library")
training

# %%
# How many models are trained in a second, by as many epochs as the report's?

n_models = exact({count: count for count in COUNTS}, by="n_networks", unit="number")
whole_fit = training * (EPOCHS_OF_A_FIT / EPOCHS)
per_second = (exact(1, unit="seconds") / whole_fit * n_models).to("number")
per_second

# %%
# How many times as fast is training together as training one by one? The ratios are
# taken within a run.

all_together = training.at(way="together")
by_autograd = training.at(way="autograd") / all_together
by_written_out = training.at(way="written out") / all_together
speed = stack(
    {"by autograd": by_autograd, "by the fused engine": by_written_out}, "one_by_one"
)
speed

# %%
# Above the dashed line it pays.

panels = speed.plot(x="n_networks", by="model", panels="one_by_one", kind="dot")
panels[0].set_ylabel("Speed together (× one by one)")
for axes in panels:
    reference(axes, 1, "equally fast")
autograd_speed = by_autograd[:, MANY]
headline(
    panels,
    f"Trained together, {MANY} networks are up to {autograd_speed.max():short} as fast "
    "as one by one (by autograd)",
)

# %%
# Claims, with thresholds fixed before the numbers were seen.

written_out_speed = by_written_out[:, MANY]
claims = {
    "autograd": claim(
        f"By autograd, {MANY} networks are trained more than twice as fast together as "
        "one by one.",
        autograd_speed > 2,
        holds=f"With autograd, training {MANY} networks together is {autograd_speed} "
        "as fast as one by one.",
        otherwise=f"By autograd, {MANY} networks are not always trained more than "
        "twice as fast together as one by one.",
        seen=f"{autograd_speed} as fast",
    ),
    "written_out": claim(
        f"{MANY} networks are trained faster together by autograd than one by one with "
        "the fused engine.",
        written_out_speed > 1,
        holds=f"Together with autograd, {MANY} networks train {written_out_speed} as "
        "fast as with the fused engine one by one.",
        otherwise=f"{MANY} networks are not always trained faster together by autograd "
        "than one by one with the fused engine.",
        seen=f"{written_out_speed} as fast",
    ),
}

# %%
# Which way is the fastest for many networks?

fastest = f"The compiled program trains {MANY} networks faster than all other ways."
if "compiled" in WAYS:
    by_program = training.at(way="compiled")[:, MANY]
    others = training.at(way=["together", "autograd", "written out"])[:, MANY]
    program_speed = others.min("way") / by_program
    claims["compiled"] = claim(
        fastest,
        program_speed > 1,
        holds=f"Together with the compiled engine, {MANY} networks train "
        f"{program_speed} as fast as in the best of these ways.",
        otherwise=f"The compiled program does not train {MANY} networks faster than "
        "all other ways for every model.",
        seen=f"{program_speed} as fast",
    )
else:
    claims["compiled"] = claim(fastest, reason="no C++ compiler works")
claims["compiled"]

# %%
# And the compiled program beside ``jax.vmap``? So far each had one thread. Now both may
# use all cores: the compiled program gives a network to each thread.

N_CORES = joblib.cpu_count()


def by_compiled(model, n_networks):
    return {"compiled": training_seconds(compiled_together, model, n_networks)}


def race(model, library):
    return {"seconds": library(model, MANY).popitem()[1]}


STATEMENTS = {
    "vmap": f"On one core, the compiled engine trains {MANY} networks more than twice "
    "as fast as JAX's vmap.",
    "vmap_on_all_cores": "Where both may use all cores, the compiled engine trains "
    f"{MANY} networks more than twice as fast as JAX's vmap.",
}
REASON = ""
if "JAX" not in LIBRARIES:
    REASON = "JAX is not installed"
elif "compiled" not in WAYS:
    REASON = "no C++ compiler works"


def vmap_claim(name, over_vmap):
    statement = STATEMENTS[name]
    return claim(
        statement,
        over_vmap > 2,
        otherwise=statement.replace("trains", "does not always train"),
        seen=f"it is {over_vmap} as fast",
    )


if REASON:
    raced = {name: claim(text, reason=REASON) for name, text in STATEMENTS.items()}
else:
    on_one = training[:, MANY]
    runs_on_all = measure(
        race,
        **TIMES,
        threads=N_CORES,
        warmup=False,
        clean_environment=CLEAN_ENVIRONMENT,
        model=MODELS,
        library={"compiled": by_compiled, JAX: by_jax},
    )
    on_all = runs_on_all["seconds"]
    over_vmap = {
        "vmap": on_one.at(way=JAX) / on_one.at(way="compiled"),
        "vmap_on_all_cores": on_all.at(library=JAX) / on_all.at(library="compiled"),
    }
    raced = {name: vmap_claim(name, ratio) for name, ratio in over_vmap.items()}
    raced["runs_on_all_cores"] = runs_on_all
    raced["training_on_all_cores"] = on_all
raced["vmap"]

# %%
# On all cores:

raced["vmap_on_all_cores"]

# %%
# The report takes everything from the results folder.

publish(
    "seeds_together",
    runs=runs,
    training=training,
    per_second=per_second,
    speed=speed,
    speeds=panels,
    **claims,
    **raced,
)
