"""
Which operators does prediction spend its time and memory on?
=============================================================

A trained model predicts the test split under torch's profiler, for every model and sample size. One epoch of its
training is profiled as well, so that the two can be compared. Held fixed: the protocol of the profiled training. How
to read *self* and the memory columns is said with the profile of training.
"""

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.data import generate_samples
from mlperf.findings import check, fact, judge
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.operators import operators
from mlperf.protocol import CONFIGURATIONS, MODELS, SAMPLE_SIZES, STEPS_UP
from mlperf.results import publish
from mlperf.stats import ratio
from mlperf.units import factor

plt.style.use("mlperf.mlperf")

# %%
# One run: an epoch of training, then a prediction of the test split, each under a profiler of its own.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=1, engine="eager", random_state=0)
    training = operators(lambda: regressor.fit(samples.Xtr, samples.ytr))
    prediction = operators(lambda: regressor.predict(samples.Xte))
    return pd.concat([training.assign(phase="training"), prediction.assign(phase="prediction")])


# %%
# Medians over the repeats, most self CPU time first; shown here is the first of the nine tables.

runs = measure(run, repeats=3, warmup={"n_samples": SAMPLE_SIZES[0]}, n_jobs=2, model=MODELS, n_samples=SAMPLE_SIZES)
tables = (
    runs[runs.phase == "prediction"]
    .drop(columns=["process", "repeat", "phase"])
    .groupby(["model", "n_samples", "operator"], as_index=False, sort=False)
    .median()
    .sort_values("self_cpu_seconds", ascending=False, kind="stable")
)
tables[(tables.model == "Small") & (tables.n_samples == SAMPLE_SIZES[0])]

# %%
# The totals: CPU time over all operators, and memory as the sum of all that they allocated (not less what was freed).

allocated = runs.assign(self_cpu_bytes=runs.self_cpu_bytes.clip(lower=0))
totals = allocated.groupby(["phase", "model", "n_samples", "repeat"])[["self_cpu_seconds", "self_cpu_bytes"]].sum()
figure, panels = plt.subplots(1, 2, sharey=True)
for axes, column, title in zip(panels, totals.columns, ["Self CPU time (s)", "Memory allocated (bytes)"], strict=True):
    for row, cell in enumerate(CONFIGURATIONS):
        seen = [totals.loc[(phase, *cell), column] for phase in ("prediction", "training")]
        axes.plot([part.median() for part in seen], [row, row], color="lightgrey", zorder=1)
        for number, part in enumerate(seen):
            axes.scatter(part, [row] * len(part), s=10, color=f"C{number}", alpha=0.6)
            axes.scatter(part.median(), row, s=40, color=f"C{number}")
    for number, (phase, side) in enumerate([("prediction", "right"), ("training", "left")]):
        axes.annotate(
            phase, (seen[number].median(), row), (0, 8), textcoords="offset points", ha=side, color=f"C{number}"
        )
    axes.set(xscale="log", title=title)
    axes.margins(x=0.25, y=0.12)
panels[0].set_yticks(range(len(CONFIGURATIONS)), [f"{model}, {n_samples:,}" for model, n_samples in CONFIGURATIONS])
ratios = totals.loc["training"].groupby(["model", "n_samples"]).median()
ratios = ratios / totals.loc["prediction"].groupby(["model", "n_samples"]).median()
least = ratios.min()
figure.suptitle(
    f"A prediction takes at least {least.self_cpu_seconds:.2g} times less CPU time\n"
    f"and {least.self_cpu_bytes:.2g} times less memory than an epoch of training"
)

# %%
# What has been said of these tables, put to the test, over all nine.


def compare(column, more, less):
    measured = factor(ratio(totals.loc[more, column], totals.loc[less, column]))
    return check(f"{column}, {' '.join(map(str, more))} over {' '.join(map(str, less))}", measured, above=1)


def leads(column, operator):
    for (model, n_samples), table in tables.groupby(["model", "n_samples"]):
        first = table.loc[table[column].idxmax(), "operator"]
        yield fact(f"{model}, {n_samples:,}: {first}", first == operator)


columns = list(totals.columns)
most = ("prediction", "Large", SAMPLE_SIZES[-1])
claims = {
    "addmm_time": (
        "aten::addmm takes more self CPU time in prediction than any other operator.",
        leads("self_cpu_seconds", "aten::addmm"),
    ),
    "addmm_memory": (
        "aten::addmm allocates more memory in prediction than any other operator.",
        leads("self_cpu_bytes", "aten::addmm"),
    ),
    "most_called": (
        "aten::empty_strided is called more often in prediction than any other operator.",
        leads("calls", "aten::empty_strided"),
    ),
    "less_than_training": (
        "Prediction takes less CPU time and allocates less memory than even one epoch of training.",
        (compare(column, ("training", *cell), ("prediction", *cell)) for column in columns for cell in CONFIGURATIONS),
    ),
    "maximum": (
        "Prediction takes most CPU time and memory for Large on the largest sample.",
        (compare(c, most, ("prediction", *cell)) for c in columns for cell in CONFIGURATIONS if cell != most[1:]),
    ),
    "grows": (
        "Self CPU time and allocated memory of prediction grow with model complexity and with the samples.",
        (compare(c, ("prediction", *more), ("prediction", *less)) for c in columns for less, more in STEPS_UP),
    ),
}
findings = {name: judge(statement, *checks) for name, (statement, checks) in claims.items()}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

publish(
    "prediction_profile",
    tables={"operators": tables, "totals": totals.reset_index(), "runs": runs},
    values={"least_time_ratio": factor(least.self_cpu_seconds), "least_memory_ratio": factor(least.self_cpu_bytes)},
    findings=findings,
    figures={"totals": figure},
)
