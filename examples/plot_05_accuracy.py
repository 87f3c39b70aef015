"""
How accurate do the models get, and does more data help?
========================================================

Every model is trained on every sample size, as in the timed fits, and judged on each split by mean squared error and
R2. The generator added noise to the target: an error below its variance on data not trained on would be luck. What is
not varied is the seed; the intervals say how much an error depends on the samples that happen to be in a split.
"""

# sphinx_gallery_tags = ["accuracy", "scaling"]
from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.profilers.accuracy import accuracy
from mlperf.data import generate_samples
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import HOLDS, check, fact, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import CONFIGURATIONS, EPOCHS, MODELS, NOISE, SAMPLE_SIZES
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import Estimate, ratio_of_estimates
from mlperf.quantities.units import factor, number

plt.style.use("mlperf.quantities.report")

# %%
# One run: a fit and its accuracy on the three splits. To judge a model of your own, put it here. Nothing is timed, so
# two runs may share the machine, and none needs a warm-up.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=EPOCHS, engine="eager", random_state=0)
    return accuracy(regressor.fit(samples.Xtr, samples.ytr), samples)


runs = measure(run, repeats=1, warmup=False, n_jobs=2, model=MODELS, n_samples=SAMPLE_SIZES)
scores = runs.drop(columns=["process", "repeat"])
scores

# %%
# One panel a split; whiskers are 95 % intervals. The dashed line is the variance of the noise.

rows = {(row.split, row.model, row.n_samples): row for row in scores.itertuples()}
mse = {cell: Estimate(row.mse, row.mse_low, row.mse_high) for cell, row in rows.items()}
r2 = {cell: Estimate(row.r2, row.r2_low, row.r2_high) for cell, row in rows.items()}
figure, panels = plt.subplots(1, 3, sharex=True, sharey=True)
for axes, split in zip(panels, scores.split.unique(), strict=True):
    for place, (model, n_samples) in enumerate(CONFIGURATIONS):
        color = f"C{list(MODELS).index(model)}"
        draw_estimate(axes, place, mse[split, model, n_samples], color=color, horizontal=True)
    axes.axvline(NOISE**2, color="black", linewidth=1, linestyle="--")
    axes.set_title(split.capitalize())
panels[0].set_yticks(range(len(CONFIGURATIONS)), [f"{model}, {n_samples:,}" for model, n_samples in CONFIGURATIONS])
panels[1].set_xlabel("MSE (squared units of the target); dashed: the noise")
on_test = {cell: error for cell, error in mse.items() if cell[0] == "test"}
_, model, n_samples = min(on_test, key=on_test.get)
headline(figure, f"On the test split {model} on {n_samples:,} samples errs least")

# %%
# What has been said of these scores, put to the test.


def each(scores, **threshold):
    for (split, model, n_samples), score in scores.items():
        yield check(f"{model}, {n_samples:,}, {split}", number(score), **threshold)


def error_over_sizes(model, **threshold):
    for few, many in pairwise(SAMPLE_SIZES):
        step = ratio_of_estimates(mse["test", model, many], mse["test", model, few])
        yield check(f"{model}, {few:,} to {many:,}", factor(step), **threshold)


def no_pattern(model):
    """Whether the test error neither falls nor rises at every step."""
    falls = all(step.verdict == HOLDS for step in error_over_sizes(model, below=1))
    rises = all(step.verdict == HOLDS for step in error_over_sizes(model, above=1))
    seen = "falls" if falls else "rises" if rises else "neither falls nor rises"
    return fact(f"{model}: {seen} throughout", not (falls or rises))


findings = {
    "r2": judge("R2 is 0.999, to three digits, everywhere.", *each(r2, within=(0.9985, 0.9995))),
    "small": judge("The error is small: less than a hundredth of the target's variance.", *each(r2, above=0.99)),
    "no_pattern": judge(
        "For Small and Medium the test error has no clean pattern over the sample sizes.",
        *map(no_pattern, ["Small", "Medium"]),
    ),
    "large_falls": judge("For Large the test error falls as the samples grow.", *error_over_sizes("Large", below=1)),
    "noise": judge(
        "What error remains on the test split is the noise: it is within a tenth of the noise's variance.",
        *each(on_test, within=(0.9 * NOISE**2, 1.1 * NOISE**2)),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
size = dict(zip(SAMPLE_SIZES, ("few", "middle", "many"), strict=True))
publish(
    "accuracy",
    tables={"scores": scores},
    values={f"{split}_{model}_{size[n]}".lower(): number(e) for (split, model, n), e in mse.items()},
    findings=findings,
    figures={"mse": figure},
)
