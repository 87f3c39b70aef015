"""
How does the cost grow with the number of samples?
==================================================

One model is trained on sample sizes over several orders of magnitude, and the time of one epoch is measured: three
sizes cannot tell a straight line from a curve. Held fixed: the model, the mini-batches, the threads.
"""

# sphinx_gallery_tags = ["time", "scaling"]
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mlperf.data import generate_samples
from mlperf.quantities.drawing import draw_estimate
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, MODELS, PROCESSES, SAMPLE_SIZES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.scaling import Cost, break_even, compare_forms, exponent, fit, held_out_error, over_processes
from mlperf.quantities.intervals import median, summarise
from mlperf.profilers.timing import seconds
from mlperf.quantities.units import duration, number, percent

plt.style.use("mlperf.quantities.report")

MODEL = "Small"
SIZES = [int(n) for n in np.geomspace(250, by_mode(published=1_000_000, quick=8_000), by_mode(published=10, quick=5))]
STEPS = by_mode(published=200, quick=30)

# %%
# One run: some epochs of every size, in one process. The published sizes are for the models of the cost to predict.


def run(model):
    rows = []
    for n_samples in sorted({*SIZES, *SAMPLE_SIZES}):
        samples = generate_samples(n_samples)
        epochs = max(1, STEPS * BATCH_SIZE // len(samples.Xtr))
        regressor = MLPRegressor(model, max_iter=epochs, engine="eager", random_state=0)
        regressor.fit(samples.Xtr[:BATCH_SIZE], samples.ytr[:BATCH_SIZE])  # what is paid only once
        time = seconds(partial(regressor.fit, samples.Xtr, samples.ytr))
        rows.append({"n_samples": n_samples, "epochs": epochs, "seconds": time / epochs})
    return pd.DataFrame(rows)


runs = measure(run, repeats=max(2, PROCESSES), processes=PROCESSES, warmup=False, model={MODEL: MODELS[MODEL]})

# %%
# Constant, affine or power? Each model is judged by how far it misses a size that it was not fitted to.

fitted, unseen = runs[runs.n_samples.isin(SIZES)], runs[runs.n_samples.isin(SAMPLE_SIZES)]
models = compare_forms(fitted, size="n_samples")
models

# %%
# The time of an epoch divided by its samples: a cost in proportion to them would be a level line.

estimate = partial(over_processes, size="n_samples")
affine, power = (Cost(form, *models.loc[form, ["a", "b"]]) for form in ("affine", "power"))
first, later = SIZES[0], SIZES[len(SIZES) // 2 - 1]
growth, far = (estimate(exponent, fitted[fitted.n_samples >= n_samples]) for n_samples in (first, later))
figure, axes = plt.subplots()
for n_samples, rows in runs.groupby("n_samples"):
    draw_estimate(axes, n_samples, median(rows.seconds, rows.process), rows.seconds, scale=1e6 / n_samples, color="C6")
line = np.geomspace(min(SIZES), max(SIZES))
for model, color, at in ((affine, "C0", 3), (power, "C1", -12)):
    per_sample = 1e6 * model(line) / line
    axes.semilogx(line, per_sample, color=color)
    axes.annotate(model.form, (line[at], per_sample[at]), (10, 6), textcoords="offset points", color=color)
axes.set_xticks(SIZES[::2], [f"{n:,}" for n in SIZES[::2]])
axes.minorticks_off()
axes.set(xlabel="Samples", ylabel="Time of one epoch per sample (µs)", ylim=(0, None))
axes.set_title(f"The time of an epoch grows with the samples\nto the power {growth.value:.2f} ({MODEL})")

# %%
# Is the cost in proportion once what is fixed no longer counts, and does the affine model know what it was not shown?

fixed = estimate(break_even, fitted)
better = estimate(lambda n, t: held_out_error("power", n, t) - held_out_error("affine", n, t), fitted)
off = estimate(lambda n, t: abs(t / affine(n) - 1).max(), unseen)
linear = "From {:,} samples on, an epoch's time grows in proportion: the exponent is 1 to within 0.05."
findings = {
    "linear": judge(linear.format(first), check("Exponent over all sizes", number(growth), within=(0.95, 1.05))),
    "linear_far": judge(linear.format(later), check("Exponent over these sizes", number(far), within=(0.95, 1.05))),
    "affine": judge(
        "A fixed cost plus a cost per sample predicts sizes not seen better than a power of the samples does.",
        check("Error of the power model less that of the affine one", percent(better), above=0),
    ),
    "fixed": judge(
        f"What an epoch costs whatever its samples is less than what {SAMPLE_SIZES[0]:,} samples add to it.",
        check("Samples that add as much", number(fixed), below=SAMPLE_SIZES[0]),
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
values["fixed"] = duration(estimate(lambda n, t: fit("affine", n, t).a, fitted))
values["per_sample"] = duration(estimate(lambda n, t: fit("affine", n, t).b, fitted))
tables = {"runs": runs, "epoch": summarise(runs, by=["n_samples", "epochs"]), "models": models}
publish("cost_of_samples", tables=tables, values=values, findings=findings, figures={"per_sample": figure})
