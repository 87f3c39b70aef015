"""
What error is left, and does it follow the samples?
===================================================

The generator adds noise of known variance to the target, and no model can predict it. Many problems, each with its own
data and initial weights, are trained together, on few to many samples and with less and more noise. Measured are the
squared errors on the training and the test split, over the noise's variance. Held fixed: the rest of the protocol.
"""

# sphinx_gallery_tags = ["accuracy", "scaling"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mlperf.data import generate_samples
from mlperf.training.together import fit_together
from mlperf.quantities.drawing import draw_estimate
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.protocol import EPOCHS, MODELS, NOISE, SAMPLE_SIZES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.scaling import exponent
from mlperf.quantities.intervals import mean
from mlperf.quantities.units import factor, number

plt.style.use("mlperf.quantities.report")

SEEDS = range(by_mode(published=12, quick=2))
FEW, MIDDLE, MANY = SAMPLE_SIZES
PLACES = {
    "quiet": (FEW, NOISE / 10),
    "few": (FEW, NOISE),
    "middle": (MIDDLE, NOISE),
    "many": (MANY, NOISE),
    "loud": (FEW, NOISE * 10),
}

# %%
# One run: as many fits as there are seeds, together, at every place. What is measured does not depend on the time it
# takes, so two runs may share the machine.


def run(model):
    rows = []
    for place, (n_samples, noise) in PLACES.items():
        problems = [generate_samples(n_samples, noise=noise, random_state=seed) for seed in SEEDS]
        training = [(problem.Xtr, problem.ytr) for problem in problems]
        predictors = fit_together(model, training, random_states=SEEDS, max_iter=EPOCHS)
        for seed, problem, predict in zip(SEEDS, problems, predictors, strict=True):
            for split, X, y in (("train", problem.Xtr, problem.ytr), ("test", problem.Xte, problem.yte)):
                rows.append((place, n_samples, noise, split, seed, np.mean((y - predict(X)) ** 2) / noise**2))
    return pd.DataFrame(rows, columns=["place", "n_samples", "noise", "split", "seed", "error_ratio"])


longest_first = dict(reversed(MODELS.items()))
runs = measure(run, repeats=1, warmup=False, n_jobs=2, model=longest_first).drop(columns=["process", "repeat"])
of = dict(list(runs.groupby(["model", "place", "split"], sort=False).error_ratio))
errors = {cell: mean(ratios) for cell, ratios in of.items()}
names = ["model", "place", "split", "error_ratio", "error_ratio_low", "error_ratio_high"]
table = pd.DataFrame([(*cell, *error) for cell, error in errors.items()], columns=names)
table

# %%
# At 1 the error is all noise. Each dot is a seed.

figure, axes = plt.subplots()
for number_of, model in enumerate(MODELS):
    color = f"C{number_of}"
    for x, place in enumerate(PLACES):
        draw_estimate(axes, x + number_of / 4, errors[model, place, "test"], of[model, place, "test"], color=color)
    axes.annotate(model, (0.97, 0.9 - 0.08 * number_of), xycoords="axes fraction", ha="right", color=color)
axes.axhline(1, color="C6", linewidth=0.8)
axes.set_xticks(np.arange(len(PLACES)) + 0.25, [f"{n:,}\nnoise {noise:g}" for n, noise in PLACES.values()])
axes.set(yscale="log", ylabel="Test error (× the noise's variance)", xlabel="Samples, and noise (standard deviation)")
most = [errors[model, "many", "test"].value for model in MODELS]
axes.set_title(f"On {MANY:,} samples, {min(most):.2f} to {max(most):.2f} times\nthe variance of the noise is left")

# %%
# A trend is tested, not seen: of each seed's errors the exponent over the samples, and of the exponents the interval.


def compare(place, **threshold):
    return [check(model, factor(errors[model, place, "test"]), **threshold) for model in MODELS]


floor = "On {:,} samples, what error remains is the noise: the test error is its variance to within a tenth."
loud = "Ten times as much noise hides everything else: the test error is its variance to within a tenth."
quiet = "With a tenth of the noise, the test error is more than twice its variance: something else is seen."
seen = f"On {FEW:,} samples the test error is above the training error: samples that were seen are predicted better."
gaps = {m: mean(of[m, "few", "test"].to_numpy() - of[m, "few", "train"].to_numpy()) for m in MODELS}
findings = {
    "floor_many": judge(floor.format(MANY), *compare("many", within=(0.9, 1.1))),
    "floor_few": judge(floor.format(FEW), *compare("few", within=(0.9, 1.1))),
    "floor_loud": judge(loud, *compare("loud", within=(0.9, 1.1))),
    "floor_quiet": judge(quiet, *compare("quiet", above=2)),
    "overfitting": judge(seen, *(check(f"{m}, test less train", factor(gap), above=0) for m, gap in gaps.items())),
}
values = {f"{model}_{place}".lower(): factor(errors[model, place, "test"]) for model in MODELS for place in PLACES}
for model in MODELS:
    curves = zip(*(of[model, place, "test"] for place in ("few", "middle", "many")), strict=True)
    trend = number(mean([exponent(SAMPLE_SIZES, curve) for curve in curves]))
    falls = f"The test error of {model} falls as the samples grow."
    findings[f"falls_{model.lower()}"] = judge(falls, check("Exponent over the samples", trend, below=0))
    values[f"trend_{model.lower()}"] = trend
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
tables = {"runs": runs, "errors": table}
publish("noise_floor", tables=tables, values=values, findings=findings, figures={"errors": figure})
