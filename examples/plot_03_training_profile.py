"""
Which operators does training spend its time and memory on?
===========================================================

Training is run under torch's profiler, for a few epochs of every model and sample size; all else is as in the timed
fits. *Self* leaves out the operators that an operator calls. Memory is what was allocated inside an operator over all
its calls, less what was freed there: churn, not what is in use at a time.
"""

# sphinx_gallery_tags = ["profile", "time", "memory"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mlperf.data import generate_samples
from mlperf.quantities.claims import check, fact, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.profilers.operators import operators
from mlperf.protocol import CONFIGURATIONS, MODELS, PROFILE_EPOCHS, SAMPLE_SIZES, STEPS_UP
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median, ratio
from mlperf.quantities.units import factor, percent

plt.style.use("mlperf.quantities.report")

# %%
# One run: a fit under the profiler. To profile a model of your own, put it here. Two runs share the machine, as making
# a table takes far longer than the fit that it is of.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=PROFILE_EPOCHS, engine="eager", random_state=0)
    return operators(lambda: regressor.fit(samples.Xtr, samples.ytr))


runs = measure(run, repeats=2, warmup={"n_samples": SAMPLE_SIZES[0]}, n_jobs=2, model=MODELS, n_samples=SAMPLE_SIZES)

# %%
# Medians over the repeats; shown is the first of the nine tables. The seconds are those of the profiled run: looking
# takes time too, most where operators are many and small. Names without ``aten::`` are parts of the autograd engine and
# the optimiser; their self time is what they do between operators, in Python where it is the optimiser.

cell = ["model", "n_samples"]
profiles = runs.drop(columns=["process", "repeat"]).groupby([*cell, "operator"], sort=False).median()
profiles.loc["Small", SAMPLE_SIZES[0]].nlargest(10, "self_cpu_seconds")

# %%
# All nine in one figure: the share of self CPU time of those operators that lead somewhere.

times = profiles.pivot_table("self_cpu_seconds", "operator", cell, fill_value=0)[CONFIGURATIONS]
shares = 100 * times / times.sum()
leading = shares.loc[shares.mean(axis=1).nlargest(8).index]
names = [name.split("#")[0].split("::")[-1].replace("evaluate_function", "engine") for name in leading.index]
columns = [f"{n:,}\n{model if n == SAMPLE_SIZES[1] else ''}" for model, n in CONFIGURATIONS]
figure, axes = plt.subplots()
axes.imshow(leading, aspect="auto", cmap="Blues", vmin=0, vmax=2 * leading.max(axis=None), zorder=1)
for (row, column), share in np.ndenumerate(leading):
    axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize="small")
axes.set_xticks(range(len(columns)), columns, fontsize="x-small")
axes.set(yticks=range(len(names)), yticklabels=names, xlabel="Share of self CPU time (%), by samples and model")
axes.set_title(f"{names[0]} takes the largest share\nof training's time, {leading.iloc[0].mean():.0f} % on average")

# %%
# What has been said of these tables, put to the test, over all nine.

totals = runs.groupby([*cell, "repeat"])[["self_cpu_seconds", "self_cpu_bytes"]].agg(lambda x: x.clip(lower=0).sum())


def lead(named, claim, column):
    checks = []
    for (model, n_samples), rows in runs[runs.operator.str.startswith("aten::")].groupby(cell, sort=False):
        seen = rows.pivot_table(column, "repeat", "operator")
        *first, other = seen.median().nlargest(len(named) + 1).index
        label = f"{model}, {n_samples:,}, led by {' and '.join(first)}"
        margin = factor(ratio(seen[first[-1]], seen[other]))
        checks.append(check(label, margin, above=1) if set(first) == set(named) else fact(label, False))
    return judge(f"{' and '.join(named)} {claim} in training than any other operator.", *checks)


def grow():
    for column in totals:
        for less, more in STEPS_UP:
            label = f"{column}, {more[0]}, {more[1]:,} over {less[0]}, {less[1]:,}"
            yield check(label, factor(ratio(totals.loc[more, column], totals.loc[less, column])), above=1)


products = ["aten::addmm", "aten::mm"]
findings = {
    "products_time": lead(products, "take more self CPU time", "self_cpu_seconds"),
    "products_memory": lead(products, "allocate more memory", "self_cpu_bytes"),
    "most_called": lead(["aten::empty_strided"], "is called more often", "calls"),
    "grows": judge(
        "Self CPU time and allocated memory of training grow with model complexity and with the samples.", *grow()
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
shares = runs[runs.operator.isin(products)].groupby([*cell, "repeat"]).self_cpu_seconds.sum() / totals.self_cpu_seconds
products_shares = [median(repeats) for _, repeats in shares.groupby(cell)]
publish(
    "training_profile",
    tables={"operators": profiles.reset_index(), "runs": runs},
    values={"products_least": percent(min(products_shares)), "products_most": percent(max(products_shares))},
    findings=findings,
    figures={"shares": figure},
)
