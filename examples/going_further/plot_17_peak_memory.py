"""
How much memory does training need?
===================================

What training must hold at once is predicted from the layers' sizes and compared with what it does hold, at three
layers: the tensors that torch has made, the heap of the process (torch, NumPy and Python), and the whole process as
the operating system sees it, above what it held before. Varied: the model and the samples. Held fixed: the optimiser,
the mini-batches. Two epochs are enough: every later one repeats the second.
"""

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.data import generate_samples
from mlperf.findings import UNCLEAR, Finding, check, judge
from mlperf.measure import measure
from mlperf.memory import CATEGORIES, heap_peak, live_tensors, predicted_bytes, process_peak
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, CONFIGURATIONS, MODELS, N_FEATURES, SAMPLE_SIZES
from mlperf.results import publish
from mlperf.units import factor, memory

plt.style.use("mlperf.mlperf")

# %%
# One run: a first fit, which also loads what is loaded only once, and two more, each watched at one layer, as a watcher
# takes memory too.


def fit(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=2, engine="eager", random_state=0)
    return lambda: regressor.fit(samples.Xtr, samples.ytr)


def run(model, n_samples):
    call = fit(model, n_samples)
    return {
        "process_bytes": process_peak(call),
        "heap_bytes": heap_peak(call),
        "tensors_bytes": live_tensors(call)["live_bytes"].max(),
    }


# Two at a time: how much is held does not depend on how long it takes.
runs = measure(run, repeats=1, warmup=False, n_jobs=2, model=MODELS, n_samples=SAMPLE_SIZES)
peaks = runs.groupby(["model", "n_samples"], sort=False)[["process_bytes", "heap_bytes", "tensors_bytes"]].mean()
predicted = {
    (model, n_samples): predicted_bytes([N_FEATURES, *MODELS[model], 1], int(0.6 * n_samples), batch_size=BATCH_SIZE)
    for model, n_samples in CONFIGURATIONS
}
peaks["predicted_bytes"] = [sum(predicted[cell].values()) for cell in peaks.index]
peaks

# %%
# Where nothing is drawn at "heap", memray is not installed.

figure, axes = plt.subplots()
places = range(len(peaks))
for number, (column, shape) in enumerate({"predicted": "|", "tensors": "o", "heap": "s", "process": "D"}.items()):
    sizes = peaks[f"{column}_bytes"] / 1e6
    axes.plot(sizes, places, shape, color=f"C{number}", markersize=12 if shape == "|" else 6, markeredgewidth=2)
    offset, side = {"predicted": ((4, 12), "right"), "tensors": ((0, 26), "center")}.get(column, ((0, 12), "center"))
    axes.annotate(column, (sizes.iloc[0], 0), offset, textcoords="offset points", ha=side, color=f"C{number}")
axes.set_yticks(places, [f"{model}, {n:,}" for model, n in peaks.index])
axes.invert_yaxis()
axes.set_ylim(top=-1.8)
axes.set_xscale("log")
axes.set_xlabel("Most memory held at once (MB)")
most = (peaks.process_bytes / peaks.tensors_bytes).max()
axes.set_title(
    f"The first fit of a process takes up to {float(f'{most:.2g}'):,.0f} times\nthe memory that its tensors ever hold"
)

# %%
# What the tensors are for, over two epochs of the largest model on the fewest samples.

watched = "Large", SAMPLE_SIZES[0]


def follow(model, n_samples):
    call = fit(model, n_samples)
    call()
    return live_tensors(call)


live = measure(follow, repeats=1, warmup=False, model={"Large": MODELS["Large"]}, n_samples=SAMPLE_SIZES[:1])
held = pd.DataFrame({name: live.bytes.where(live.category == name, 0).cumsum() for name in CATEGORIES})
timeline, below = plt.subplots()
below.stackplot(live.index, held.T / 1e3, step="post", linewidth=0)
at = held.sum(axis=1).iloc[len(held) // 2 :].idxmax()
top = held.loc[at].cumsum() - held.loc[at] / 2
for number, name in enumerate(CATEGORIES):
    below.annotate(
        name, (len(live), top[name] / 1e3), (6, 0), textcoords="offset points", color=f"C{number}", va="center"
    )
below.set_xlim(right=1.28 * len(live))
below.set_xlabel("Tensors made and given back so far")
below.set_ylabel("Live tensors (kB)")
allocated = live.bytes.clip(lower=0).sum()
below.set_title(
    f"Never more than {live.live_bytes.max() / 1e3:,.0f} kB are held at once,\n"
    f"but {allocated / 1e6:,.1f} MB are taken in all ({watched[0]}, {watched[1]:,} samples)"
)

# %%
# The profiler's memory column adds up what each operator took, over all its calls. It is work for the allocator, not
# a need for memory.

cells = {f"{model}, {n:,}": row for (model, n), row in peaks.iterrows()}
data = live[live.category == "data"].bytes.cumsum().max() / predicted[watched]["data"]
by_operator = live.groupby("operator").bytes.sum()
findings = {
    "predicted": judge(
        "The layers' sizes predict the peak of live tensors to within a fifth.",
        *(check(c, factor(r.tensors_bytes / r.predicted_bytes), within=(0.8, 1.2)) for c, r in cells.items()),
    ),
    "data_twice": judge(
        "When one epoch follows another, the shuffled data are held nearly twice.",
        check("Most data held, over one shuffled copy", factor(data), within=(1.6, 2.1)),
    ),
    "process": judge(
        "The first fit of a process takes more than ten times the memory that its tensors hold.",
        *(check(c, factor(r.process_bytes / r.tensors_bytes), above=10) for c, r in cells.items()),
    ),
    "churn": judge(
        "The profiler's memory column is not what is in use: an operator's sum is above the peak of all tensors.",
        check(f"{by_operator.idxmax()} over the peak", factor(by_operator.max() / live.live_bytes.max()), above=1),
    ),
}
statement = "NumPy and Python hold less on the heap than torch's tensors do."
if peaks.heap_bytes.notna().all():
    checks = (check(c, factor(r.heap_bytes / r.tensors_bytes), below=2) for c, r in cells.items())
    findings["heap"] = judge(statement, *checks)
else:
    findings["heap"] = Finding(statement, UNCLEAR, "Not measured: memray is not installed.")
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {
    f"{model}_{column}".lower(): memory(peaks.loc[(model, SAMPLE_SIZES[-1]), f"{column}_bytes"])
    for model in MODELS
    for column in ("predicted", "tensors", "process")
}
values |= {"churn": memory(allocated), "churn_peak": memory(live.live_bytes.max())}
publish(
    "peak_memory",
    tables={"runs": runs, "peaks": peaks, "timeline": live},
    values=values,
    findings=findings,
    figures={"peaks": figure, "timeline": timeline},
)
