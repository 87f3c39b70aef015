"""
How much does looking change?
=============================

The operator tables come from fits under torch's profiler, which writes down every operator's beginning and end, and
every allocation if asked to. The same fit is timed without it, with it, and with allocations too, in turn: the fit's
own time, not that of making the table afterwards. Varied: the model. Held fixed: the samples, the epochs.
"""

# sphinx_gallery_tags = ["profile", "time"]
import matplotlib.pyplot as plt
import pandas as pd
from torch.profiler import ProfilerActivity, profile

from mlperf.data import generate_samples
from mlperf.quantities.drawing import draw_estimate
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.profilers.operators import operators
from mlperf.protocol import MODELS, PROFILE_EPOCHS, SAMPLE_SIZES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median
from mlperf.profilers.timing import seconds
from mlperf.quantities.units import factor

plt.style.use("mlperf.quantities.report")

# Fewer fresh processes than elsewhere, and more rounds in each: every ratio is taken within one round.
FRESH, ROUNDS = by_mode(published=(3, 6), quick=(1, 2))

# %%
# One run: a fit, watched in each way in turn, and the sum of its operators' times. Put your own model here.


def run(model):
    samples = generate_samples(SAMPLE_SIZES[0])
    regressor = MLPRegressor(model, max_iter=PROFILE_EPOCHS, engine="eager", random_state=0)

    def fit():
        regressor.fit(samples.Xtr, samples.ytr)

    def watched(memory):
        with profile(activities=[ProfilerActivity.CPU], profile_memory=memory):
            return seconds(fit)

    return {
        "alone_seconds": seconds(fit),
        "profiled_seconds": watched(memory=False),
        "with_memory_seconds": watched(memory=True),
        "operators_seconds": operators(fit)["self_cpu_seconds"].sum(),
    }


# %%
# By what factor does a fit take longer, what does the record of allocations add, and what do the tables say of it?

runs = measure(run, repeats=ROUNDS, processes=FRESH, model=MODELS)
runs["inflation"] = runs.with_memory_seconds / runs.alone_seconds
runs["without_memory"] = runs.profiled_seconds / runs.alone_seconds
runs["memory_adds"] = runs.with_memory_seconds / runs.profiled_seconds
runs["operators"] = runs.operators_seconds / runs.alone_seconds
of = dict(list(runs.groupby("model", sort=False)))
factors = ["inflation", "without_memory", "memory_adds", "operators"]
ratios = {(model, name): median(rows[name], rows.process) for model, rows in of.items() for name in factors}
names = ["model", "what", "time_ratio", "time_ratio_low", "time_ratio_high"]
table = pd.DataFrame([(*cell, *ratio) for cell, ratio in ratios.items()], columns=names)
table

# %%
# Dots are single runs.

figure, axes = plt.subplots()
for i, (model, rows) in enumerate(of.items()):
    for place, name in enumerate(["without_memory", "inflation"]):
        draw_estimate(axes, place + i / 4, ratios[model, name], rows[name], bar=0.23, label=model, color=f"C{i}")
axes.axhline(1, color="C6", linewidth=0.8, linestyle="--")
axes.set_xticks([0.25, 1.25], ["profiled", "profiled with memory"])
axes.set(ylabel="Time of a fit (× the one not profiled)", ymargin=0.12)
ends = [ratios[model, "inflation"].value for model in MODELS]
axes.set_title(
    f"Under the profiler that makes the operator tables,\na fit takes {min(ends):.2f} to {max(ends):.2f} times as long"
)

# %%
# What this means for reading the operator tables.


def compare(name, models=MODELS, **threshold):
    return [check(model, factor(ratios[model, name]), **threshold) for model in models]


medium = ratios["Medium", "inflation"].value
slower = "Under the profiler that makes the operator tables, a fit takes more than half as long again."
adds = "Recording allocations adds more than a tenth to a profiled fit."
longer = "The CPU times of an operator table add up to more than the whole fit takes when nobody looks."
alike = "The profiler slows all models alike, to within a fifth of Medium's factor."
findings = {
    "slower": judge(slower, *compare("inflation", above=1.5)),
    "memory": judge(adds, *compare("memory_adds", above=1.1)),
    "operator_time": judge(longer, *compare("operators", above=1)),
    "alike": judge(alike, *compare("inflation", ["Small", "Large"], within=(0.8 * medium, 1.2 * medium))),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
values = {f"{model}_{name}".lower(): factor(ratio) for (model, name), ratio in ratios.items()}
tables = {"runs": runs, "inflation": table}
publish("cost_of_looking", tables=tables, values=values, findings=findings, figures={"inflation": figure})
