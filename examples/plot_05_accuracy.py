"""
How accurate do the models get, and does more data help?
========================================================

Every model is trained on every sample size, as in the timed fits, and judged on the training, validation and test
split by mean squared error and R2. The target's noise is known, as the generator added it: an error below its variance
on data not trained on would be luck. What is not varied is the seed; the intervals say how much an error depends on
the samples that happen to be in a split.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.accuracy import accuracy
from mlperf.data import generate_samples
from mlperf.findings import check, fact, judge
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import CONFIGURATIONS, EPOCHS, MODELS, NOISE, SAMPLE_SIZES
from mlperf.results import publish
from mlperf.stats import Estimate, ratio_of_estimates
from mlperf.units import factor, number

plt.style.use("mlperf.mlperf")

# %%
# One run: a fit and its accuracy on the three splits. To judge a model of your own, put it here.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=EPOCHS, engine="eager", random_state=0)
    return accuracy(regressor.fit(samples.Xtr, samples.ytr), samples)


# %%
# Nothing is timed, so as many runs as there are cores may share the machine, and none needs a warm-up.

scores = measure(run, repeats=1, warmup=False, n_jobs=2, model=MODELS, n_samples=SAMPLE_SIZES)
scores = scores.drop(columns=["process", "repeat"])
scores[scores.split == "training"]

# %%
scores[scores.split != "training"]

# %%
# One panel a split; whiskers are 95 % intervals. The dashed line is the variance of the noise.

figure, panels = plt.subplots(1, 3, sharex=True, sharey=True)
for axes, (split, rows) in zip(panels, scores.groupby("split", sort=False), strict=True):
    for row in rows.itertuples():
        place, color = CONFIGURATIONS.index((row.model, row.n_samples)), f"C{list(MODELS).index(row.model)}"
        axes.errorbar(row.mse, place, xerr=[[row.mse - row.mse_low], [row.mse_high - row.mse]], fmt="o", color=color)
    axes.axvline(NOISE**2, color="black", linewidth=1, linestyle="--")
    axes.set(title=split.capitalize(), xscale="log")
panels[0].set_yticks(range(len(CONFIGURATIONS)), [f"{model}, {n_samples:,}" for model, n_samples in CONFIGURATIONS])
panels[1].set_xlabel("MSE (squared units of the target)")
best = scores[scores.split == "test"].nsmallest(1, "mse").iloc[0]
figure.suptitle(
    f"On the test split {best.model} on {best.n_samples:,} samples errs least:\n"
    f"MSE {best.mse:.3g}, where the noise alone (dashed) makes {NOISE**2:g}"
)

# %%
# What has been said of these scores, put to the test.

rows = {(row.split, row.model, row.n_samples): row for row in scores.itertuples()}
mse = {cell: Estimate(row.mse, row.mse_low, row.mse_high) for cell, row in rows.items()}
r2 = {cell: Estimate(row.r2, row.r2_low, row.r2_high) for cell, row in rows.items()}


def name(cell):
    return f"{cell[1]}, {cell[2]:,}, {cell[0]}"


def error_over_sizes(model, **threshold):
    for few, many in pairwise(SAMPLE_SIZES):
        step = ratio_of_estimates(mse["test", model, many], mse["test", model, few])
        yield check(f"{model}, {few:,} to {many:,}", factor(step), **threshold)


def pattern(model):
    """Whether the test error falls, or rises, at every step."""
    falls, rises = (
        {step.verdict for step in error_over_sizes(model, **side)} == {"holds"} for side in ({"below": 1}, {"above": 1})
    )
    return fact(
        f"{model}: {'falls' if falls else 'rises' if rises else 'neither falls nor rises'} throughout",
        not (falls or rises),
    )


claims = {
    "r2": (
        "R2 is 0.999, to three digits, everywhere.",
        (check(name(c), number(e), within=(0.9985, 0.9995)) for c, e in r2.items()),
    ),
    "small": (
        "The error is small: less than a hundredth of the target's variance.",
        (check(name(c), number(e), above=0.99) for c, e in r2.items()),
    ),
    "no_pattern": (
        "For Small and Medium the test error has no clean pattern over the sample sizes.",
        map(pattern, ("Small", "Medium")),
    ),
    "large_falls": ("For Large the test error falls as the samples grow.", error_over_sizes("Large", below=1)),
    "noise": (
        "What error remains on the test split is the noise: it is within a tenth of the noise's variance.",
        (check(name(c), number(e), within=(0.9 * NOISE**2, 1.1 * NOISE**2)) for c, e in mse.items() if c[0] == "test"),
    ),
}
findings = {name: judge(statement, *checks) for name, (statement, checks) in claims.items()}
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
