"""
Which operators does prediction spend its time and memory on?
=============================================================

For every model and sample size a prediction of the test split is profiled, and beside it one epoch of training. Held
fixed: the protocol of the profile of training, where it is said how to read *self* and the memory columns.
"""

# sphinx_gallery_tags = ["profile", "time", "memory"]
import matplotlib.pyplot as plt
import pandas as pd

from mlperf.data import generate_samples
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import check, fact, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.profilers.operators import operators
from mlperf.protocol import CONFIGURATIONS, MODELS, SAMPLE_SIZES, STEPS_UP
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median, ratio
from mlperf.quantities.units import factor

plt.style.use("mlperf.quantities.report")

# %%
# One run: an epoch of training, then a prediction of the test split, each under a profiler of its own. Shown is the
# first of the nine tables: medians over the repeats, most self CPU time first.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=1, engine="eager", random_state=0)
    training = operators(lambda: regressor.fit(samples.Xtr, samples.ytr))
    prediction = operators(lambda: regressor.predict(samples.Xte))
    return pd.concat([training.assign(phase="training"), prediction.assign(phase="prediction")])


runs = measure(run, repeats=3, warmup={"n_samples": SAMPLE_SIZES[0]}, n_jobs=2, model=MODELS, n_samples=SAMPLE_SIZES)
predictions = runs[runs.phase == "prediction"].drop(columns=["process", "repeat", "phase"])
profiles = predictions.groupby(["model", "n_samples", "operator"], sort=False).median()
profiles.loc["Small", SAMPLE_SIZES[0]].sort_values("self_cpu_seconds", ascending=False)

# %%
# CPU time over all operators, and memory as the sum of all that they allocated. Whiskers are 95 % intervals of medians.


def compare(column, less, more, phase="prediction"):
    return ratio(totals.loc[(phase, *more), column], totals.loc[("prediction", *less), column])


allocated = runs.assign(self_cpu_bytes=runs.self_cpu_bytes.clip(lower=0))
totals = allocated.groupby(["phase", "model", "n_samples", "repeat"])[["self_cpu_seconds", "self_cpu_bytes"]].sum()
least_time, least_bytes = (min(compare(column, cell, cell, "training") for cell in CONFIGURATIONS) for column in totals)
figure, panels = plt.subplots(1, 2, sharey=True)
for axes, column, xlabel in zip(panels, totals, ["Self CPU time (s)", "Memory allocated (bytes)"], strict=True):
    for phase, color, shift in (("prediction", "C0", -14), ("training", "C1", 8)):
        for row, cell in enumerate(CONFIGURATIONS):
            seen = totals.loc[(phase, *cell), column]
            draw_estimate(axes, row, median(seen), seen, color=color, horizontal=True)
        axes.annotate(phase, (seen.median(), row), (shift, 8), textcoords="offset points", ha="center", color=color)
    axes.set(xscale="log", xlabel=xlabel, xmargin=0.35, ymargin=0.12)
panels[0].set_yticks(range(len(CONFIGURATIONS)), [f"{model}, {n_samples:,}" for model, n_samples in CONFIGURATIONS])
headline(figure, f"An epoch takes at least {least_time.value:.2g} times the CPU time of a prediction")

# %%
# What has been said of these tables, put to the test, over all nine.


def lead(operator, claim, column):
    firsts = profiles.groupby(["model", "n_samples"])[column].idxmax()
    checks = [fact(f"{model}, {n_samples:,}: {first}", first == operator) for model, n_samples, first in firsts]
    return judge(f"{operator} {claim} in prediction than any other operator.", *checks)


def larger(pairs, phase="prediction"):
    for column in totals:
        for less, more in pairs:
            label = f"{column}, {phase} {more[0]} {more[1]} over prediction {less[0]} {less[1]}"
            yield check(label, factor(compare(column, less, more, phase)), above=1)


findings = {
    "addmm_time": lead("aten::addmm", "takes more self CPU time", "self_cpu_seconds"),
    "addmm_memory": lead("aten::addmm", "allocates more memory", "self_cpu_bytes"),
    "most_called": lead("aten::empty_strided", "is called more often", "calls"),
    "less_than_training": judge(
        "Prediction takes less CPU time and allocates less memory than even one epoch of training.",
        *larger([(cell, cell) for cell in CONFIGURATIONS], phase="training"),
    ),
    "maximum": judge(
        "Prediction takes most CPU time and memory for Large on the largest sample.",
        *larger([(cell, CONFIGURATIONS[-1]) for cell in CONFIGURATIONS[:-1]]),
    ),
    "grows": judge(
        "Self CPU time and allocated memory of prediction grow with model complexity and with the samples.",
        *larger(STEPS_UP),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
publish(
    "prediction_profile",
    tables={"operators": profiles.reset_index(), "totals": totals.reset_index(), "runs": runs},
    values={"least_time_ratio": factor(least_time), "least_memory_ratio": factor(least_bytes)},
    findings=findings,
    figures={"totals": figure},
)
