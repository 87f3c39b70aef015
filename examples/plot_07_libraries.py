"""
Does another library train faster?
==================================

What a user would pick instead: plain torch, scikit-learn, skorch, Lightning, Keras, JAX
and more, as far as they are installed, each set to the same network, mini-batches,
optimiser and epochs, beside the engines of this package. Varied: who trains, the model.
Held fixed: everything else, one thread. Measured is the time of a step in the steady
state. What a first fit costs on top, and how many epochs each library needs, is
measured in ``plot_10_time_to_accuracy.py``.
"""

# sphinx_gallery_tags = ["time", "engines"]

from functools import partial
from math import ceil

import pandas as pd

from mlperf import MLPRegressor, Table, claim, generate_samples, headline, measure
from mlperf import publish
from mlperf.machine import blas
from mlperf.profilers.timing import fit_costs
from mlperf.protocol import BATCH_SIZE, CLEAN_ENVIRONMENT, EPOCHS, FULL, RACED
from mlperf.protocol import SAMPLE_SIZES, by_mode
from mlperf.rivals import installed, missing
from mlperf.training.engines import available

# A full build races on every sample size; a step hardly depends on it.
SIZES = SAMPLE_SIZES if FULL else SAMPLE_SIZES[1:2]
# It compiles longer than most others are measured: only in a full build.
LEFT_OUT = [] if FULL else ["torch.compile"]
LEAST_STEPS = by_mode(published=600, quick=40)
LONG = 0.3  # seconds: a whole fit that takes less is timed as a whole
TIMES = by_mode(
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 1}
)

# %%
# Who takes part: functions of the hidden layers and the epochs that return a regressor.
# What is left out or not installed is named.


def ours(hidden, max_iter, engine):
    return MLPRegressor(hidden, max_iter=max_iter, engine=engine)


engines = {name: partial(ours, engine=name) for name in available()}
rivals = {name: rival for name, rival in installed().items() if name not in LEFT_OUT}
contenders = {**rivals, **engines}
names = [name.split(",")[0] for name in missing()]  # without the variant
not_measured = ", ".join(dict.fromkeys([*LEFT_OUT, *names])) or "none"
print("Who takes part:", ", ".join(contenders))
print("Not measured:", not_measured)

# %%
# How long does a step take? What further epochs add to a fit is divided by their steps,
# so that what a fit costs only once does not count. All mini-batches are whole, as some
# libraries would compile a short last one apart.


def step_seconds(contender, model, n_samples):
    samples = generate_samples(n_samples)
    n_steps = len(samples.ytr) // BATCH_SIZE
    X, y = samples.Xtr[: n_steps * BATCH_SIZE], samples.ytr[: n_steps * BATCH_SIZE]
    target = (y - y.mean()) / y.std()
    enough = max(2, ceil(LEAST_STEPS / n_steps))

    def fit(epochs):
        contender(model, epochs).fit(X, target)

    costs = fit_costs(fit, EPOCHS, at_least=min(EPOCHS, enough), at_most=LONG)
    return costs["epoch_seconds"] / n_steps


# %%
# One run: a contender trains every model, in a process that no other library is loaded
# in. It also tells which kernels of linear algebra were loaded. To race a model of your
# own, add it to the contenders.


def run(contender, models=RACED):
    rows = []
    for model, hidden in models.items():
        for n_samples in SIZES:
            time = step_seconds(contender, hidden, n_samples)
            rows.append((model, n_samples, time, blas()))
    columns = ["model", "n_samples", "step_seconds", "blas"]
    return pd.DataFrame(rows, columns=columns).set_index(["model", "n_samples"])


# %%
# The warm-up, a small network, loads the library. Environment variables can halve one,
# so the published measurement clears those that change how libraries compute.

runs = measure(
    run,
    **TIMES,
    warmup={"models": {"small": (8,)}},
    clean_environment=CLEAN_ENVIRONMENT,
    contender=contenders,
)
step = runs["step_seconds"]
step.mean("n_samples")

# %%
# The BLAS that each process had loaded, and the processor that its kernel is written
# for. What is linked into torch or JAX is not seen.

loaded = runs.frame.rename(columns={"blas": "BLAS"})
kernels = loaded[["contender", "BLAS"]].drop_duplicates(ignore_index=True)
scikit_learn_kernel = kernels.set_index("contender").loc[["scikit-learn"], "BLAS"]
Table(kernels)

# %%
# The figure shows a step on the middle sample size, from the slowest to the fastest.
# Dots are medians, whiskers their 95 % intervals, and small dots the single runs.

middle = step[:, :, SAMPLE_SIZES[1]].nlargest(len(contenders), "contender")
panels = middle.plot(
    x="contender", panels="model", kind="dot", horizontal=True, log=True
)
mean_step = middle.mean("model")
headline(
    panels,
    f"A step is slowest with “{mean_step.idxmax()}”, and fastest with "
    f"“{mean_step.idxmin()}”",
)

# %%
# How many times as long as the fastest engine of this package does everybody take, on
# average over models and sample sizes?

fastest = "compiled" if "compiled" in engines else "fused"
overall = step.mean("model", "n_samples")
times_as_long = overall / overall[fastest]
times_as_long

# %%
# Who takes the shortest step of all?

libraries = [name for name in contenders if name not in engines]
others = times_as_long.at(contender=libraries)
best = others.idxmin()
shortest_claim = claim(
    f"This package's {fastest} engine takes the shortest step of all.",
    others > 1,
    holds=f"Use this package's {fastest} engine: of all that were compared, it takes "
    f"the shortest step; the next library, {best}, takes {others[best]} as long on "
    "average.",
    otherwise=f"Use {best}: on average a step takes {others[best]} as long as with "
    f"this package's {fastest} engine.",
    undecided=f"Use this package's {fastest} engine or {best}: on average a step of "
    f"{best} takes {others[best]} as long.",
)

# %%
# Is the fused engine, which needs no compiler, ahead of scikit-learn? Thresholds here
# and below were fixed before the numbers were seen.

larger = [name for name in RACED if name != "Small"]
fused_ratio = (step["scikit-learn"] / step["fused"])[larger]
fused_claim = claim(
    "For the larger models, the fused engine is faster than scikit-learn.",
    fused_ratio > 1,
    otherwise="For the larger models, the fused engine is not always faster than "
    "scikit-learn.",
    seen=f"it is {fused_ratio} as fast",
)
fused_ratio

# %%
# How many times as fast as other libraries is the compiled engine? What is not
# installed is not measured.


def faster_than(library, times, in_words):
    statement = (
        f"The compiled engine is more than {in_words} times as fast as {library}."
    )
    if library not in contenders:
        return claim(statement, reason=f"{library} is not installed")
    if "compiled" not in contenders:
        return claim(statement, reason="no C++ compiler works")
    ratio = step[library] / step["compiled"]
    return claim(
        statement,
        ratio > times,
        holds=f"The compiled engine is {ratio} as fast as {library}.",
        otherwise=f"The compiled engine is not always more than {in_words} times as "
        f"fast as {library}.",
        seen=f"{ratio} as fast",
    )


library_claims = {
    "scikit_learn": faster_than("scikit-learn", 4, "four"),
    "lightning": faster_than("Lightning", 8, "eight"),
    "skorch": faster_than("skorch", 8, "eight"),
}

# %%
# JAX is the strongest rival. For each model and sample size its best variant counts.

JAX_STATEMENTS = {
    "jax": "The compiled engine is faster than JAX.",
    "jax_cells": "The compiled engine is nowhere more than a twentieth behind JAX.",
}
variants = [name for name in contenders if name.startswith("JAX")]
if variants and "compiled" in contenders:
    jax_step = step.at(contender=variants).min("contender") / step["compiled"]
    step_on_average = (
        f"on average a step of JAX, in its best variant, takes {jax_step.mean()} as "
        "long as a compiled one"
    )
    jax_claims = {
        "jax": claim(
            JAX_STATEMENTS["jax"],
            jax_step.mean() > 1,
            otherwise="JAX is faster than the compiled engine.",
            seen=step_on_average,
        ),
        "jax_cells": claim(
            JAX_STATEMENTS["jax_cells"],
            jax_step > 0.95,
            otherwise="The compiled engine is more than a twentieth behind JAX for "
            "some model and sample size.",
            seen=f"a step of JAX takes {jax_step} as long",
        ),
    }
else:
    reason = "no C++ compiler works" if variants else "JAX is not installed"
    jax_claims = {
        name: claim(statement, reason=reason)
        for name, statement in JAX_STATEMENTS.items()
    }

# %%
# The report takes everything from the results folder.

publish(
    "libraries",
    runs=runs,
    step=step,
    overall=overall,
    times_as_long=times_as_long,
    not_measured=not_measured,
    kernels=kernels,
    scikit_learn_kernel=" or ".join(scikit_learn_kernel),
    steps=panels,
    shortest=shortest_claim,
    fused_ahead=fused_claim,
    **library_claims,
    **jax_claims,
)
