"""
What error is left, and does it follow the samples?
===================================================

The generator adds noise of known variance to the target, and no model can predict it. Many problems, each with its own
data and initial weights, are trained together in one batched call, for several levels of noise and numbers of samples.
Measured are the squared errors on the training and on the test split, over the variance of the noise. Held fixed:
everything else of the published protocol.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import mean_squared_error

from mlperf.data import generate_samples
from mlperf.ensemble import fit_together
from mlperf.findings import check, judge
from mlperf.measure import measure
from mlperf.protocol import EPOCHS, MODELS, NOISE, SAMPLE_SIZES, by_mode
from mlperf.results import publish
from mlperf.scaling import exponent
from mlperf.stats import mean
from mlperf.units import factor, number

plt.style.use("mlperf.mlperf")

SEEDS = range(by_mode(published=6, quick=3))
# Levels of noise at the fewest samples; the published level at all of them.
PLACES = [*((SAMPLE_SIZES[0], noise) for noise in (0.1, 10.0)), *((n_samples, NOISE) for n_samples in SAMPLE_SIZES)]

# %%
# One run: as many fits as there are seeds, together, at every place. What is measured does not depend on the time it
# takes, so two runs may share the machine.


def errors_at(model, n_samples, noise):
    problems = [generate_samples(n_samples, noise=noise, random_state=seed) for seed in SEEDS]
    training = [(problem.Xtr, problem.ytr) for problem in problems]
    predictors = fit_together(model, training, random_states=SEEDS, max_iter=EPOCHS)
    for seed, problem, predict in zip(SEEDS, problems, predictors, strict=True):
        splits = (problem.Xtr, problem.ytr), (problem.Xte, problem.yte)
        train, test = (mean_squared_error(y, predict(X)) / noise**2 for X, y in splits)
        yield {"n_samples": n_samples, "noise": noise, "seed": seed, "train_ratio": train, "test_ratio": test}


def run(model):
    return pd.DataFrame([row for place in PLACES for row in errors_at(model, *place)])


longest_first = dict(reversed(MODELS.items()))
runs = measure(run, repeats=1, warmup=False, n_jobs=2, model=longest_first).drop(columns=["process", "repeat"])
cells = dict(list(runs.groupby(["model", "n_samples", "noise"], sort=False)))
errors = pd.DataFrame(
    [(*cell, split, *mean(part[f"{split}_ratio"])) for cell, part in cells.items() for split in ("train", "test")],
    columns=["model", "n_samples", "noise", "split", "error_ratio", "error_ratio_low", "error_ratio_high"],
)
errors

# %%
# At 1 the error is all noise. Each dot is a seed.

figure, (left, right) = plt.subplots(1, 2, sharey=True)
for number_of, model in enumerate(MODELS):
    for axes, at in ((left, PLACES[2:]), (right, [PLACES[0], PLACES[2], PLACES[1]])):
        for place, (n_samples, noise) in enumerate(at):
            tests = cells[model, n_samples, noise].test_ratio
            x = place + 0.27 * (number_of - 1)
            value, low, high = mean(tests)
            axes.plot(np.full(len(tests), x), tests, ".", color=f"C{number_of}", alpha=0.5)
            axes.errorbar(x, value, yerr=[[value - low], [high - value]], fmt="_", color=f"C{number_of}")
    right.annotate(model, (0.97, 0.95 - 0.09 * number_of), xycoords="axes fraction", ha="right", color=f"C{number_of}")
for axes, labels, title in (
    (left, [f"{n:,}" for n, _ in PLACES[2:]], f"Samples (noise {NOISE:g})"),
    (right, ["0.1", f"{NOISE:g}", "10"], f"Noise ({SAMPLE_SIZES[0]:,} samples)"),
):
    axes.axhline(1, color="C6", linewidth=0.8)
    axes.set_xticks(range(3), labels)
    axes.set_xlabel(title)
left.set_yscale("log")
left.set_ylabel("Test error (× the noise's variance)")
most = {model: mean(cells[model, SAMPLE_SIZES[-1], NOISE].test_ratio).value for model in MODELS}
figure.suptitle(
    f"On {SAMPLE_SIZES[-1]:,} samples the error is {min(most.values()):.2f} to {max(most.values()):.2f} times\n"
    "the variance of the noise",
    x=0.01,
    ha="left",
    fontsize="medium",
    fontweight="bold",
)

# %%
# A trend is tested, not seen: of each seed's errors the exponent over the samples, and of the exponents the interval.


def trend(model, column="test_ratio"):
    at_noise = runs[(runs.model == model) & (runs.noise == NOISE)]
    return mean([exponent(part.n_samples, part[column]) for _, part in at_noise.groupby("seed")])


trends = {model: trend(model) for model in MODELS}
few, many = SAMPLE_SIZES[0], SAMPLE_SIZES[-1]
gap = {m: mean(cells[m, few, NOISE].test_ratio - cells[m, few, NOISE].train_ratio) for m in MODELS}
findings = {
    "floor_many": judge(
        f"On {many:,} samples, what error remains is the noise: the test error is its variance to within a tenth.",
        *(check(m, factor(mean(cells[m, many, NOISE].test_ratio)), within=(0.9, 1.1)) for m in MODELS),
    ),
    "floor_few": judge(
        f"On {few:,} samples, what error remains is the noise: the test error is its variance to within a tenth.",
        *(check(m, factor(mean(cells[m, few, NOISE].test_ratio)), within=(0.9, 1.1)) for m in MODELS),
    ),
    "floor_loud": judge(
        "Ten times as much noise hides everything else: the test error is its variance to within a tenth.",
        *(check(m, factor(mean(cells[m, few, 10.0].test_ratio)), within=(0.9, 1.1)) for m in MODELS),
    ),
    "floor_quiet": judge(
        "With a tenth of the noise, the test error is more than twice its variance: something else is seen.",
        *(check(m, factor(mean(cells[m, few, 0.1].test_ratio)), above=2) for m in MODELS),
    ),
    "overfitting": judge(
        f"On {few:,} samples the test error is above the training error: samples that were seen are predicted better.",
        *(check(f"{m}, test less train", factor(e), above=0) for m, e in gap.items()),
    ),
    **{
        f"falls_{model.lower()}": judge(
            f"The test error of {model} falls as the samples grow.",
            check("Exponent over the samples", number(trends[model]), below=0),
        )
        for model in MODELS
    },
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

size = dict(zip(SAMPLE_SIZES, ("few", "middle", "many"), strict=True))
values = {f"{m}_{size[n]}".lower(): factor(mean(cells[m, n, NOISE].test_ratio)) for m in MODELS for n in SAMPLE_SIZES}
values |= {f"trend_{model}".lower(): number(estimate) for model, estimate in trends.items()}
publish(
    "noise_floor", tables={"runs": runs, "errors": errors}, values=values, findings=findings, figures={"errors": figure}
)
