"""
Which operators does training spend its time and memory on?
===========================================================

Training is run under torch's profiler, for a few epochs of every model and sample size, and each operator's calls,
CPU time and allocated memory are listed. Held fixed: the protocol of the timed fits, but for the number of epochs.
Two things to know when reading the tables: *self* leaves out the operators that an operator calls, and the memory
column sums up what was allocated inside an operator over all its calls, less what was freed there. It is churn, not
what is in use at a time.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mlperf.data import generate_samples
from mlperf.findings import check, fact, judge
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.operators import operators
from mlperf.protocol import MODELS, PROFILE_EPOCHS, SAMPLE_SIZES, STEPS_UP
from mlperf.results import publish
from mlperf.stats import median, ratio
from mlperf.units import factor, percent

plt.style.use("mlperf.mlperf")

# %%
# One run: a fit under the profiler. To profile a model of your own, put it here.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=PROFILE_EPOCHS, engine="eager", random_state=0)
    return operators(lambda: regressor.fit(samples.Xtr, samples.ytr))


# %%
# Medians over the repeats, most self CPU time first; shown here is the first of the nine tables. The seconds are those
# of the profiled run: looking takes time too, and most where operators are many and small. Names that begin with
# ``aten::`` are operators; the others are parts of the autograd engine and the optimiser, whose self time is what they
# do between operators, in Python where it is the optimiser.

# Two at a time, as making the tables takes far longer than the runs that they are of.
runs = measure(run, repeats=2, warmup={"n_samples": SAMPLE_SIZES[0]}, n_jobs=2, model=MODELS, n_samples=SAMPLE_SIZES)
operators_of = {
    cell: rows.drop(columns=["process", "repeat"])
    .groupby(["model", "n_samples", "operator"], as_index=False)
    .median()
    .sort_values("self_cpu_seconds", ascending=False)
    for cell, rows in runs.groupby(["model", "n_samples"], sort=False)
}
operators_of["Small", SAMPLE_SIZES[0]].head(10)

# %%
# All nine in one figure: the share of self CPU time of those operators that lead somewhere.

shares = pd.DataFrame(
    {
        f"{model}\n{n_samples:,}": 100 * table.set_index("operator").self_cpu_seconds / table.self_cpu_seconds.sum()
        for (model, n_samples), table in operators_of.items()
    }
)
leading = shares.loc[shares.mean(axis=1).nlargest(8).index]
figure, axes = plt.subplots()
axes.imshow(leading, aspect="auto", cmap="Blues", vmin=0, vmax=2 * leading.max(axis=None))
for (row, column), share in np.ndenumerate(leading):
    axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize="small")
axes.set_xticks(range(leading.shape[1]), leading.columns, fontsize="x-small")
axes.set_yticks(range(len(leading)), [name.removeprefix("aten::").partition("#")[0] for name in leading.index])
axes.grid(visible=False)
axes.set_xlabel("Model and samples")
leader = leading.index[0].removeprefix("aten::").partition("#")[0]
axes.set_title(
    f"Self CPU time of training (% of each column):\n{leader} takes most, {leading.iloc[0].mean():.0f} % on average"
)

# %%
# What has been said of these tables, put to the test, over all nine.

PRODUCTS = {"aten::addmm", "aten::mm"}
cells = {cell: rows.set_index(["operator", "repeat"]) for cell, rows in runs.groupby(["model", "n_samples"])}


def total(cell, column):
    return cells[cell][column].clip(lower=0).groupby("repeat").sum()


def products_lead(column):
    for cell, table in operators_of.items():
        named = table[table.operator.str.startswith("aten::")].nlargest(3, column).operator
        _, second, third = (cells[cell].loc[name, column] for name in named)
        label = f"{cell[0]}, {cell[1]:,}: {named.iloc[0]} and {named.iloc[1]} lead"
        both = set(named.iloc[:2]) == PRODUCTS
        yield check(label, factor(ratio(second, third)), above=1) if both else fact(label, False)


def grows(column):
    for less, more in STEPS_UP:
        label = f"{column}, {more[0]}, {more[1]:,} over {less[0]}, {less[1]:,}"
        yield check(label, factor(ratio(total(more, column), total(less, column))), above=1)


most_called = {cell: table.loc[table.calls.idxmax(), "operator"] for cell, table in operators_of.items()}
findings = {
    "products_time": judge(
        "aten::addmm and aten::mm take more self CPU time in training than any other operator.",
        *products_lead("self_cpu_seconds"),
    ),
    "products_memory": judge(
        "aten::addmm and aten::mm allocate more memory in training than any other operator.",
        *products_lead("self_cpu_bytes"),
    ),
    "most_called": judge(
        "aten::empty_strided is called more often in training than any other operator.",
        *(fact(f"{m}, {n:,}: {name}", name == "aten::empty_strided") for (m, n), name in most_called.items()),
    ),
    "grows": judge(
        "Self CPU time and allocated memory of training grow with model complexity and with the samples.",
        *grows("self_cpu_seconds"),
        *grows("self_cpu_bytes"),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

products = {
    cell: sum(rows.loc[name, "self_cpu_seconds"] for name in PRODUCTS) / total(cell, "self_cpu_seconds")
    for cell, rows in cells.items()
}
publish(
    "training_profile",
    tables={"operators": pd.concat(operators_of.values()), "runs": runs},
    values={
        "products_least": percent(median(min(products.values(), key=np.median))),
        "products_most": percent(median(max(products.values(), key=np.median))),
    },
    findings=findings,
    figures={"shares": figure},
)
