"""
Where does the error above the noise come from?
===============================================

On few samples the networks miss more than the noise explains. Four suspects, each with an intervention: too few samples
to tell the target from its noise (more samples, in as many steps); too few steps (more epochs); a step size that never
rests, so that the weights jitter (lowered to zero towards the end); and a form that cannot follow the target (a model
without hidden layers can: the target is linear). Measured is the excess error on unseen data: the mean squared distance
to the least-squares fit of all samples, over the variance of the noise.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from mlperf.data import generate_samples
from mlperf.ensemble import fit_together
from mlperf.findings import check, judge
from mlperf.measure import measure
from mlperf.protocol import EPOCHS, MODELS, NOISE, SAMPLE_SIZES, by_mode
from mlperf.results import publish
from mlperf.stats import mean, median
from mlperf.units import factor

plt.style.use("mlperf.mlperf")

SEEDS = range(by_mode(published=6, quick=3))
N_SAMPLES = SAMPLE_SIZES[0]
NETWORKS = {name: MODELS[name] for name in ("Large", "Small")}
CHANGES = {
    "as published": {},
    "ten times the samples": {"samples": 10, "epochs": 0.1},
    "four times the epochs": {"epochs": 4},
    "step size lowered to zero": {"anneal": True},
    "no hidden layers": {"hidden": ()},
    "the first three together": {"samples": 10, "epochs": 0.4, "anneal": True},
}

# %%
# One run: every change of one model, for all seeds together. All changes of a seed share one problem, of which the
# published training sees a tenth of the samples; a tenth of the epochs over all of them is as many steps.


def excess_errors(hidden, samples=1, epochs=1, anneal=False):
    problems = [generate_samples(10 * N_SAMPLES, noise=NOISE, random_state=seed) for seed in SEEDS]
    shown = samples * len(problems[0].Xtr) // 10
    training = [(problem.Xtr[:shown], problem.ytr[:shown]) for problem in problems]
    epochs = max(1, round(epochs * EPOCHS))
    predictors = fit_together(hidden, training, random_states=SEEDS, max_iter=epochs, anneal=anneal)
    for problem, predict in zip(problems, predictors, strict=True):
        best = LinearRegression().fit(problem.X, problem.y)
        yield np.mean((predict(problem.Xte) - best.predict(problem.Xte)) ** 2) / NOISE**2


def run(model):
    rows = []
    for change, settings in CHANGES.items():
        errors = excess_errors(**{"hidden": model, **settings})
        rows += [{"change": change, "seed": seed, "excess_ratio": e} for seed, e in zip(SEEDS, errors, strict=True)]
    return pd.DataFrame(rows)


# Two at a time: nothing here depends on the time that it takes.
runs = measure(run, repeats=1, warmup=False, n_jobs=2, model=NETWORKS).drop(columns=["process", "repeat"])
table = runs.pivot_table(index=["change", "seed"], columns="model", values="excess_ratio", sort=False)
table.groupby("change", sort=False).mean()

# %%
# Dots are seeds. Left of the dashed line, the excess is less than the noise itself.

figure, axes = plt.subplots()
for number, model in enumerate(NETWORKS):
    for place, change in enumerate(CHANGES):
        errors = table.loc[change, model]
        value, low, high = mean(errors)
        y = place + 0.3 * (number - 0.5)
        axes.plot(errors, np.full(len(errors), y), ".", color=f"C{number}", alpha=0.4)
        axes.plot([low, high], [y, y], color=f"C{number}")
        axes.plot(value, y, "|", color=f"C{number}", markersize=9, markeredgewidth=2)
    axes.annotate(model, (0.02, 0.93 - 0.07 * number), xycoords="axes fraction", color=f"C{number}")
axes.axvline(1, color="C6", linewidth=0.8, linestyle="--")
axes.set_xscale("log")
axes.set_yticks(range(len(CHANGES)), list(CHANGES))
axes.invert_yaxis()
axes.set_xlabel("Excess error (× the noise's variance)")
single = list(CHANGES)[1:4]
ratios = {change: (table.loc[change] / table.loc["as published"]).median() for change in CHANGES}
best = min(single, key=lambda change: ratios[change].median())
axes.set_title(f"What lowers the excess error most:\n{best}")

# %%
# An explanation holds if its intervention at least halves the excess error, for both models. Ratios are taken seed by
# seed.


def halved(change):
    for model in NETWORKS:
        paired = table.loc[change, model] / table.loc["as published", model]
        yield check(model, factor(median(paired)), below=0.5)


findings = {
    "samples": judge("The excess error comes from too few samples: ten times as many halve it.", *halved(single[0])),
    "steps": judge("The excess error comes from too few steps: four times as many halve it.", *halved(single[1])),
    "jitter": judge(
        "The excess error comes from the optimiser's jitter: lowering the step size to zero halves it.",
        *halved(single[2]),
    ),
    "form": judge(
        "The excess error comes from the networks' form: a linear model, trained alike, has half of it.",
        *halved("no hidden layers"),
    ),
    "removed": judge(
        "With more samples, more steps and a resting step size, less than a tenth of the noise's variance is left.",
        *(check(m, factor(mean(table.loc["the first three together", m])), below=0.1) for m in NETWORKS),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

keys = dict(zip(CHANGES, ("published", "samples", "steps", "jitter", "form", "removed"), strict=True))
values = {f"{m}_{key}".lower(): factor(mean(table.loc[c, m])) for c, key in keys.items() for m in NETWORKS}
publish("causes_of_error", tables={"runs": runs}, values=values, findings=findings, figures={"excess": figure})
