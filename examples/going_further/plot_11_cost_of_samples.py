"""
How does the cost grow with the number of samples?
==================================================

One model is trained on sample sizes over several orders of magnitude, and the time of one epoch is measured. Three
sizes cannot tell a straight line from a curve; ten can. Held fixed: the model, the mini-batches, the threads. Every
size gets as many epochs as a fixed number of steps allows, one at least: every epoch does the same work.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mlperf.data import generate_samples
from mlperf.findings import check, judge
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, MODELS, PROCESSES, SAMPLE_SIZES, by_mode
from mlperf.results import publish
from mlperf.scaling import FORMS, break_even, exponent, fit, held_out_error, over_processes
from mlperf.stats import summarise
from mlperf.timing import seconds
from mlperf.units import duration, number, percent

plt.style.use("mlperf.mlperf")

MODEL = "Small"
SIZES = [int(n) for n in np.geomspace(250, by_mode(published=1_000_000, quick=8_000), by_mode(published=10, quick=5))]
STEPS = by_mode(published=200, quick=30)

# %%
# One run: some epochs of every size, in one process. The published sizes are measured too, but no model of the cost
# is fitted to them: they are what it has to predict.


def epochs_of(model):
    for n_samples in sorted({*SIZES, *SAMPLE_SIZES}):
        samples = generate_samples(n_samples)
        epochs = max(1, STEPS * BATCH_SIZE // len(samples.Xtr))
        regressor = MLPRegressor(model, max_iter=epochs, engine="eager", random_state=0)
        regressor.fit(samples.Xtr[:BATCH_SIZE], samples.ytr[:BATCH_SIZE])  # what is paid only once
        yield n_samples, epochs, seconds(lambda: regressor.fit(samples.Xtr, samples.ytr)) / epochs  # noqa: B023


def run(model):
    return pd.DataFrame(epochs_of(model), columns=["n_samples", "epochs", "seconds"])


runs = measure(run, repeats=max(2, PROCESSES), processes=PROCESSES, warmup=False, model={MODEL: MODELS[MODEL]})
epoch = summarise(runs, by=["n_samples", "epochs"])
epoch

# %%
# Constant, affine or power? Each model is judged by how far it misses a size that it was not fitted to.

fitted = runs[runs.n_samples.isin(SIZES)]
curve = fitted.groupby("n_samples").seconds.median()
fits = {form: fit(form, curve.index, curve) for form in FORMS}


def estimate(statistic, frame=fitted):
    return over_processes(statistic, frame, size="n_samples")


missed = {form: estimate(lambda n, t, form=form: held_out_error(form, n, t)) for form in FORMS}
names = ["form", "a", "b", "error_fraction", "error_fraction_low", "error_fraction_high"]
models = pd.DataFrame([(*fits[form], *missed[form]) for form in FORMS], columns=names)
models

# %%
# The time of an epoch divided by its samples: a cost in proportion to them would be a level line.

figure, axes = plt.subplots()
axes.loglog(runs.n_samples, 1e6 * runs.seconds / runs.n_samples, ".", color="C6", alpha=0.6)
line = np.geomspace(min(SIZES), max(SIZES))
for number_of, (form, at) in enumerate({"affine": 0, "power": -12}.items()):
    axes.loglog(line, 1e6 * fits[form](line) / line, color=f"C{number_of}")
    y = 1e6 * fits[form](line[at]) / line[at]
    axes.annotate(form, (line[at], y), (10, 6), textcoords="offset points", color=f"C{number_of}")
axes.set_xlabel("Samples")
axes.set_ylabel("Time of one epoch per sample (µs)")
growth = estimate(exponent)
axes.set_title(
    f"The time of an epoch grows with the samples\nto the power {growth.value:.2f} ({MODEL}; dots are single runs)"
)

# %%
# The larger sizes tell whether the cost is in proportion once what is fixed no longer counts; the published ones,
# whether the affine model knows what it was not shown.

few, many = SAMPLE_SIZES[0], SIZES[len(SIZES) // 2 - 1]
far = estimate(exponent, fitted[fitted.n_samples >= many])
fixed = estimate(break_even)
better = estimate(lambda n, t: held_out_error("power", n, t) - held_out_error("affine", n, t))
unseen = runs[runs.n_samples.isin(SAMPLE_SIZES)]
off = estimate(lambda n, t: abs(t / fits["affine"](n) - 1).max(), unseen)
findings = {
    "linear": judge(
        f"From {SIZES[0]:,} samples on, an epoch's time grows in proportion: the exponent is 1 to within 0.05.",
        check("Exponent over all sizes", number(growth), within=(0.95, 1.05)),
    ),
    "linear_far": judge(
        f"From {many:,} samples on, an epoch's time grows in proportion: the exponent is 1 to within 0.05.",
        check("Exponent over these sizes", number(far), within=(0.95, 1.05)),
    ),
    "affine": judge(
        "A fixed cost plus a cost per sample predicts sizes not seen better than a power of the samples does.",
        check("Error of the power model less that of the affine one", percent(better), above=0),
    ),
    "fixed": judge(
        f"What an epoch costs whatever its samples is less than what {few:,} samples add to it.",
        check("Samples that add as much", number(fixed), below=few),
    ),
    "predicted": judge(
        "The affine model predicts each published size, which it has not seen, to within a tenth.",
        check("Largest deviation", percent(off), below=0.1),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {"exponent": number(growth), "exponent_far": number(far), "break_even": number(fixed)}
values["fixed"] = duration(estimate(lambda n, t: fit("affine", n, t).a))
values["per_sample"] = duration(estimate(lambda n, t: fit("affine", n, t).b))
tables = {"runs": runs, "epoch": epoch, "models": models}
publish("cost_of_samples", tables=tables, values=values, findings=findings, figures={"per_sample": figure})
