"""
How fast can this training get?
===============================

The same network, mini-batches, optimiser and epochs, carried out in different ways: by
a plain torch loop over a DataLoader, by slices of tensors (*eager*), with the gradient
written out and Adam in one call (*fused*), and as one compiled function (*compiled*).
Varied: the way, the model. Held fixed: everything else, one thread. Measured is the
time of a step in the steady state, beside it what the BLAS takes for the matrix
products of a step alone, and the error in the end.
"""

# sphinx_gallery_tags = ["time", "engines"]

from math import ceil

import numpy as np
import pandas as pd

from mlperf import MLPRegressor, Runs, claim, generate_samples, headline, measure
from mlperf import publish
from mlperf.profilers.ceilings import product_seconds
from mlperf.profilers.timing import empty_caches, fit_costs
from mlperf.protocol import BATCH_SIZE, DEVICE, N_FEATURES, RACED, SAMPLE_SIZES, TIMED
from mlperf.protocol import EPOCHS as EPOCHS_OF_A_FIT
from mlperf.protocol import UNTIMED, by_mode
from mlperf.rivals import dataloader
from mlperf.training.compiled import compile_seconds
from mlperf.training.engines import available

EPOCHS = by_mode(published=10, quick=5)
SAMPLES = generate_samples(SAMPLE_SIZES[1])
STEPS = ceil(len(SAMPLES.ytr) / BATCH_SIZE)
SEEDS = range(by_mode(published=8, quick=2))
COMPILINGS = by_mode(
    published={"processes": 3, "fresh": "round"}, quick={"processes": 1}
)
DATALOADER = "torch, DataLoader"
BLAS = "the BLAS, products alone"

# %%
# The ways to train, from slow to fast. An engine that cannot work here, as no compiler
# is installed, is left out.

engines = available(DEVICE)
ways = [DATALOADER, *engines]
ways

# %%
# The step is compiled once on a machine. That is timed apart, as on a machine where
# nothing is compiled yet.


def compile_step(model):
    with empty_caches():
        return {"compile_seconds": compile_seconds((N_FEATURES, *model, 1))}


compiling = None
if "compiled" in engines:
    compiled = measure(compile_step, **COMPILINGS, warmup=False, model=RACED)
    compiling = compiled["compile_seconds"]
compiling

# %%
# One run: every way in turn, so that what disturbs one disturbs all. A step's time is
# what further epochs add to a fit, without what a fit costs only once.


def new_regressor(way, model, max_iter):
    if way == DATALOADER:
        return dataloader.regressor(model, max_iter, device=DEVICE)
    return MLPRegressor(model, max_iter=max_iter, engine=way, device=DEVICE)


def step_seconds(way, model):
    target = (SAMPLES.ytr - SAMPLES.ytr.mean()) / SAMPLES.ytr.std()

    def fit(epochs):
        new_regressor(way, model, epochs).fit(SAMPLES.Xtr, target)

    costs = fit_costs(fit, EPOCHS, at_least=EPOCHS)
    return costs["epoch_seconds"] / STEPS


def run(model):
    times = {way: step_seconds(way, model) for way in ways}
    if DEVICE == "cpu":  # where the BLAS computes
        times[BLAS] = product_seconds((N_FEATURES, *model, 1), BATCH_SIZE)
    return pd.DataFrame({"step_seconds": times}).rename_axis("way")


runs = measure(run, **TIMED, warmup=False, model=RACED)
step = runs["step_seconds"]
step

# %%
# Dots are medians, whiskers their 95 % intervals, and small dots the single runs.

panels = step.plot(x="way", panels="model", kind="dot", horizontal=True, log=True)
mean_step = step.at(way=ways).mean("model")
headline(
    panels,
    f"A step is slowest with “{mean_step.idxmax()}”, and fastest with "
    f"“{mean_step.idxmin()}”",
)

# %%
# How many times as fast as a DataLoader are slices of tensors?

slices = step[:, DATALOADER] / step[:, "eager"]
slices

# %%
# And how many times as fast as the eager engine is the fused one?

fused = step[:, "eager"] / step[:, "fused"]
fused

# %%
# Each way is compared with the one before. Thresholds were fixed before the numbers
# were seen.

claims = {
    "eager": claim(
        "The eager engine, which slices tensors, is faster than a DataLoader, which "
        "collects samples one by one.",
        slices > 1,
        holds=f"The eager engine, which slices tensors, is {slices} as fast as a "
        "DataLoader, which collects samples one by one.",
        otherwise="The eager engine, which slices tensors, is not faster for every "
        "model than a DataLoader, which collects samples one by one.",
        seen=f"{slices} as fast",
    ),
    "fused": claim(
        "The fused engine is faster than the eager one.",
        fused > 1,
        holds=f"The fused engine is {fused} as fast as the eager one.",
        otherwise="The fused engine is not faster than the eager one for every model.",
        seen=f"{fused} as fast",
    ),
}

# %%
# The compiled engine, where there is one: it is compared with the fused engine, and
# with the BLAS.

if compiling is None:
    reason = "no C++ compiler works"
    if DEVICE != "cpu":
        reason = "the compiled engine trains on the CPU alone"
    claims["compiled"] = claim(
        "The compiled engine is faster than the fused one.", reason=reason
    )
    claims["blas"] = claim(
        "A whole compiled step of Large takes less than two and a half times as long "
        "as the BLAS takes for its products alone.",
        reason=reason,
    )
    values = {}
else:
    fastest = step[:, "fused"] / step[:, "compiled"]
    over_eager = step[:, "eager"] / step[:, "compiled"]
    over_blas = step["Large", "compiled"] / step["Large", BLAS]
    as_fast = (
        f"{fastest} as fast as the fused one, and {over_eager} as fast as the eager "
        f"one; compiling takes {compiling:short}, once for each network"
    )
    claims["compiled"] = claim(
        "The compiled engine is faster than the fused one.",
        fastest > 1,
        holds=f"The compiled engine is {as_fast}.",
        otherwise="The compiled engine is not faster than the fused one for every "
        "model.",
        seen=as_fast,
    )
    claims["blas"] = claim(
        "A whole compiled step of Large takes less than two and a half times as long "
        "as the BLAS takes for its products alone.",
        over_blas < 2.5,
        otherwise="A whole compiled step of Large takes more than two and a half "
        "times as long as the BLAS takes for its products alone.",
        seen=over_blas,
    )
    values = {
        "compiling_runs": compiled,
        "compiling": compiling,
        "fastest": fastest,
        "over_blas": over_blas,
    }

# %%
# Is it the same training? Engines round differently, and over many steps the paths of
# their weights part. What counts is the error in the end: each engine trains the same
# networks, from the same weights and in the same order, seed by seed.


def run_whole_fits(model):
    samples = generate_samples(SAMPLE_SIZES[0])
    errors = {}
    for seed in SEEDS:
        for engine in engines:
            regressor = MLPRegressor(
                model,
                max_iter=EPOCHS_OF_A_FIT,
                engine=engine,
                random_state=seed,
                device=DEVICE,
            )
            regressor.fit(samples.Xtr, samples.ytr)
            missed = regressor.predict(samples.Xte) - samples.yte
            errors[seed, engine] = np.mean(missed**2)
    return pd.DataFrame({"mse": errors}).rename_axis(["seed", "engine"])


# %%
# It is the seeds that vary here, not the processes.

whole_fits = measure(run_whole_fits, **UNTIMED, model=RACED)
frame = whole_fits.frame.drop(columns=["process", "repeat"])
by_seed = Runs(frame, by=["model", "engine"], process="seed")
mse = by_seed.quantity("mse", statistic="mean")
mse

# %%
# The error is compared seed by seed. It may differ by a twentieth, as where data on
# disk are compared with data in memory.

faster_engines = [name for name in engines if name != "eager"]
error_ratio = mse[:, faster_engines] / mse[:, "eager"]
after = f"After {EPOCHS_OF_A_FIT} epochs,"
compared = f"{error_ratio} that of the eager one, over {len(SEEDS)} seeds"
claims["same_error"] = claim(
    f"{after} all engines have the same test error, to within a twentieth.",
    error_ratio.within(0.95, 1.05),
    holds=f"{after} the test error of the faster engines is {compared}.",
    otherwise=f"{after} not all engines have the same test error, to within a "
    "twentieth.",
    seen=compared,
)
claims["same_error"]

# %%
# The report takes everything from the results folder.

publish(
    "engines",
    runs=runs,
    step=step,
    slices=slices,
    fused_over_eager=fused,
    whole_fits=whole_fits,
    mse=mse,
    error_ratio=error_ratio,
    steps=panels,
    **values,
    **claims,
)
