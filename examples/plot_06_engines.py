"""
How fast can this training get?
===============================

The same network, mini-batches, optimiser and epochs, carried out in different ways: by
a plain torch loop over a DataLoader, by slices of tensors (*eager*), with the gradient
written out and Adam in one call (*fused*), and as one compiled function (*compiled*).
Varied: the way, the model. Held fixed: everything else, one thread. Measured is the
time of a step in the steady state, and beside it what the BLAS takes for the matrix
products of a step alone.
"""

# sphinx_gallery_tags = ["time", "engines"]

from math import ceil

import pandas as pd

from mlperf import MLPRegressor, claim, generate_samples, headline, measure, publish
from mlperf.profilers.ceilings import product_seconds
from mlperf.profilers.timing import fit_costs
from mlperf.protocol import BATCH_SIZE, N_FEATURES, RACED, SAMPLE_SIZES, by_mode
from mlperf.rivals import dataloader
from mlperf.training.compiled import compile_seconds
from mlperf.training.engines import available

EPOCHS = by_mode(published=20, quick=5)
SAMPLES = generate_samples(SAMPLE_SIZES[1])
STEPS = ceil(len(SAMPLES.ytr) / BATCH_SIZE)
TIMES = by_mode(
    published={"processes": 8, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)
DATALOADER = "torch, DataLoader"
BLAS = "the BLAS, products alone"

# %%
# The ways to train, from slow to fast. An engine that cannot work here, as no compiler
# is installed, is left out.

engines = available()
ways = [DATALOADER, *engines]
ways

# %%
# To compile the step is done once for a machine, and timed apart.


def compile_step(model):
    return {"compile_seconds": compile_seconds((N_FEATURES, *model, 1))}


compiling = None
if "compiled" in engines:
    compiled = measure(compile_step, processes=1, warmup=False, model=RACED)
    compiling = compiled["compile_seconds"]
compiling

# %%
# One run: every way in turn, so that what disturbs one disturbs all. A step's time is
# what further epochs add to a fit.


def new_regressor(way, model, max_iter):
    if way == DATALOADER:
        return dataloader.regressor(model, max_iter)
    return MLPRegressor(model, max_iter=max_iter, engine=way)


def step_seconds(way, model):
    y = (SAMPLES.ytr - SAMPLES.ytr.mean()) / SAMPLES.ytr.std()
    costs = fit_costs(
        lambda epochs: new_regressor(way, model, epochs).fit(SAMPLES.Xtr, y),
        EPOCHS,
        at_least=EPOCHS,
    )
    return costs["epoch_seconds"] / STEPS


def run(model):
    times = {way: step_seconds(way, model) for way in ways}
    times[BLAS] = product_seconds((N_FEATURES, *model, 1), BATCH_SIZE)
    return pd.DataFrame({"step_seconds": times}).rename_axis("way")


runs = measure(run, **TIMES, warmup=False, model=RACED)
step = runs["step_seconds"]
step

# %%
# Dots are medians, whiskers their 95 % intervals, and small dots the single runs.

panels = step.plot(x="way", panels="model", kind="dot", horizontal=True, log=True)
mean_step = step.at(way=ways).mean("model")
headline(
    panels,
    f"A step takes longest with {mean_step.idxmax()}, and is shortest with "
    f"{mean_step.idxmin()}",
)

# %%
# How many times as fast is each rung of the ladder as the one before? Ratios are taken
# run by run.

slices = step[:, DATALOADER] / step[:, "eager"]
fused = step[:, "eager"] / step[:, "fused"]
fused

# %%
# Each rung against the one before, and the last one against the BLAS. Thresholds were
# fixed before the numbers were seen.

claims = {
    "eager": claim(
        f"Slices of tensors instead of a DataLoader make training {slices} as fast.",
        slices > 1,
        otherwise="Slices of tensors are not faster than a DataLoader everywhere: "
        f"{slices} as fast.",
        undecided=f"Slices of tensors instead of a DataLoader make training {slices} "
        "as fast.",
    ),
    "fused": claim(
        f"The fused engine makes it another {fused} as fast.",
        fused > 1,
        otherwise="The fused engine is not faster than the eager one everywhere: "
        f"{fused} as fast.",
        undecided=f"The fused engine is {fused} as fast as the eager one.",
    ),
}

# %%
# The compiled engine, where it is available.

compiled_statement = "The compiled engine is faster than the fused one."
blas_statement = (
    "For Large, a compiled step takes less than two and a half times what the BLAS "
    "takes for its products."
)
if compiling is None:
    reason = "no C++ compiler works"
    claims["compiled"] = claim(compiled_statement, reason=reason)
    claims["blas"] = claim(blas_statement, reason=reason)
    values = {}
else:
    fastest = step[:, "fused"] / step[:, "compiled"]
    over_blas = step["Large", "compiled"] / step["Large", BLAS]
    claims["compiled"] = claim(
        f"The compiled engine makes it another {fastest} as fast, after compiling "
        "once.",
        fastest > 1,
        otherwise="The compiled engine is not faster than the fused one everywhere: "
        f"{fastest} as fast.",
        undecided=f"The compiled engine is {fastest} as fast as the fused one.",
    )
    claims["blas"] = claim(
        f"A whole compiled step of Large takes {over_blas} the time of the BLAS for "
        "its products alone.",
        over_blas < 2.5,
        undecided="A whole compiled step of Large takes "
        f"{over_blas} the time of the BLAS for its products alone.",
        otherwise=f"A whole compiled step of Large takes {over_blas} the time of the "
        "BLAS for its products alone.",
    )
    values = {"compiling": compiling, "fastest": fastest, "over_blas": over_blas}

# %%
# The report takes everything from the results folder.

publish(
    "engines",
    runs=runs,
    step=step,
    slices=slices,
    fused_over_eager=fused,
    steps=panels,
    **values,
    **claims,
)
