"""
How much does looking change?
=============================

The operator tables come from fits under torch's profiler, which writes down every operator's beginning and end, and
every allocation if asked to. The same fit is timed without it, with it, and with allocations too, in turn, within one
process. Measured is the fit's own time, not that of making the table afterwards. Varied: the model. Held fixed: the
samples, the epochs, the mini-batches.
"""

from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
from torch.profiler import ProfilerActivity, profile

from mlperf.data import generate_samples
from mlperf.findings import check, judge
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.operators import operators
from mlperf.protocol import MODELS, PROFILE_EPOCHS, SAMPLE_SIZES, by_mode
from mlperf.results import publish
from mlperf.stats import median
from mlperf.timing import seconds
from mlperf.units import factor

plt.style.use("mlperf.mlperf")

# Fewer fresh processes than elsewhere, and more rounds in each: the ratios are taken within a process.
FRESH = by_mode(published=3, quick=1)
ROUNDS = by_mode(published=8, quick=2)
WATCHED = {"without": None, "profiled": False, "with memory": True}

# %%
# One run: each model's fit, watched in each way, in turn. Last comes a table, for the sum of its operators' times.


def watch(fit, memory):
    if memory is None:
        return seconds(fit)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=memory):
        return seconds(fit)


def run():
    samples = generate_samples(SAMPLE_SIZES[0])
    rows = []
    for name, model in MODELS.items():
        regressor = MLPRegressor(model, max_iter=PROFILE_EPOCHS, engine="eager", random_state=0)
        fit = partial(regressor.fit, samples.Xtr, samples.ytr)
        watch(fit, True)  # not counted: the first of a process takes longer
        for _ in range(ROUNDS):
            times = {how: watch(fit, memory) for how, memory in WATCHED.items()}
            rows += [(name, how, time, time / times["without"]) for how, time in times.items()]
        summed = operators(fit)["self_cpu_seconds"].sum()
        rows.append((name, "operators", summed, summed / times["without"]))
    return pd.DataFrame(rows, columns=["model", "how", "seconds", "time_ratio"])


runs = measure(run, repeats=FRESH, processes=FRESH, warmup=False)
cells = dict(list(runs.groupby(["model", "how"], sort=False)))
inflation = {cell: median(part.time_ratio, part.process) for cell, part in cells.items()}
table = pd.DataFrame(
    [(*cell, *estimate) for cell, estimate in inflation.items() if cell[1] != "without"],
    columns=["model", "how", "time_ratio", "time_ratio_low", "time_ratio_high"],
)
table

# %%
# Dots are single runs.

figure, axes = plt.subplots()
for number, model in enumerate(MODELS):
    for place, how in enumerate(list(WATCHED)[1:]):
        part, (value, low, high) = cells[model, how], inflation[model, how]
        x = place + 0.27 * (number - 1)
        axes.bar(x, value, yerr=[[value - low], [high - value]], width=0.25, color=f"C{number}", alpha=0.7)
        axes.plot([x - 0.05] * len(part), part.time_ratio, ".", color="black", markersize=4)
        axes.annotate(
            model,
            (x, max(high, part.time_ratio.max())),
            (0, 5),
            ha="center",
            textcoords="offset points",
            fontsize="small",
        )
axes.axhline(1, color="C6", linewidth=0.8, linestyle="--")
axes.set_xticks(range(2), ["profiled", "profiled with memory"])
axes.set_ylabel("Time of a fit (× the one not profiled)")
ends = [inflation[model, "with memory"].value for model in MODELS]
axes.set_title(
    f"Under the profiler that makes the operator tables,\na fit takes {min(ends):.2f} to {max(ends):.2f} times as long"
)

# %%
# What this means for reading the operator tables.

memory_adds = {
    m: median(
        cells[m, "with memory"].seconds.to_numpy() / cells[m, "profiled"].seconds.to_numpy(),
        cells[m, "profiled"].process,
    )
    for m in MODELS
}
summed = {m: inflation[m, "operators"] for m in MODELS}
findings = {
    "slower": judge(
        "Under the profiler that makes the operator tables, a fit takes more than half as long again.",
        *(check(m, factor(inflation[m, "with memory"]), above=1.5) for m in MODELS),
    ),
    "memory": judge(
        "Recording allocations adds more than a tenth to a profiled fit.",
        *(check(m, factor(e), above=1.1) for m, e in memory_adds.items()),
    ),
    "operator_time": judge(
        "The CPU times of an operator table add up to more than the whole fit takes when nobody looks.",
        *(check(m, factor(e), above=1) for m, e in summed.items()),
    ),
    "alike": judge(
        "The profiler slows all models alike, to within a fifth of Medium's factor.",
        *(
            check(
                m,
                factor(inflation[m, "with memory"]),
                within=tuple(f * inflation["Medium", "with memory"].value for f in (0.8, 1.2)),
            )
            for m in ("Small", "Large")
        ),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {f"{m}_inflation".lower(): factor(inflation[m, "with memory"]) for m in MODELS}
values |= {f"{m}_memory_adds".lower(): factor(e) for m, e in memory_adds.items()}
values |= {f"{m}_operators".lower(): factor(e) for m, e in summed.items()}
publish(
    "cost_of_looking",
    tables={"runs": runs, "inflation": table},
    values=values,
    findings=findings,
    figures={"inflation": figure},
)
