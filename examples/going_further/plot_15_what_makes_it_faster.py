"""
What makes a training step faster?
==================================

One thing at a time is changed about the training of one model, and the time of an epoch is compared with that of the
unchanged training in the same process: layers made wider (more arithmetic in as many operators), larger and smaller
mini-batches, more threads, a fused optimiser, and many models trained in one batched call. If the fixed cost of
operators is what limits a step, whatever saves operators must pay, and more arithmetic or more threads must not
matter. Held fixed: the number of samples.
"""

import copy

import loky
import matplotlib.pyplot as plt
import pandas as pd
import torch

from mlperf.engines import ENGINES
from mlperf.ensemble import together
from mlperf.findings import check, judge
from mlperf.flops import step_flops
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.results import publish
from mlperf.stats import median
from mlperf.timing import seconds
from mlperf.units import factor

plt.style.use("mlperf.mlperf")

# Fewer fresh processes than elsewhere: what is asked for is far from its threshold.
FRESH, RUNS = by_mode(published=(3, 6), quick=(1, 2))
HIDDEN = MODELS["Medium"]
N_SAMPLES = by_mode(published=4_096, quick=512)
N_MODELS = by_mode(published=32, quick=4)
CHANGES = {
    "nothing changed": {},
    "layers twice as wide": {"hidden": tuple(2 * units for units in HIDDEN)},
    "layers four times as wide": {"hidden": tuple(4 * units for units in HIDDEN)},
    "mini-batches of 16": {"batch_size": 16},
    "mini-batches of 256": {"batch_size": 256},
    "one batch of all samples": {"batch_size": N_SAMPLES},
    **{f"{n} threads": {"threads": n} for n in sorted({2, max(2, loky.cpu_count())})},
    "fused Adam": {"engine": "fused"},
    f"{N_MODELS} models in one call": {"n_models": N_MODELS},
}

# %%
# One run: every change in turn, in one process; the first epoch of each is not counted. The time of models that are
# trained together is shared out among them.


def epoch_seconds(hidden=HIDDEN, batch_size=BATCH_SIZE, threads=1, engine="eager", n_models=1):
    X, y = torch.randn(n_models, N_SAMPLES, N_FEATURES), torch.randn(n_models, N_SAMPLES, 1)
    one = MLPRegressor(hidden, max_iter=1).fit(X[0, :2], y[0, :2, 0]).module_.requires_grad_(True)
    settings = {"learning_rate": LEARNING_RATE, "batch_size": batch_size}
    if n_models == 1:
        training = ENGINES[engine](one, X[0], y[0], generator=torch.Generator(), **settings)
    else:
        generators = [torch.Generator() for _ in X]
        training = together([copy.deepcopy(one) for _ in X], X, y, generators=generators, **settings)
    torch.set_num_threads(threads)
    next(training)
    elapsed = seconds(lambda: next(training)) / n_models
    torch.set_num_threads(1)
    return elapsed


def run():
    times = {change: epoch_seconds(**settings) for change, settings in CHANGES.items()}
    rows = [(change, time, time / times["nothing changed"]) for change, time in times.items()]
    return pd.DataFrame(rows, columns=["change", "seconds", "time_ratio"])


runs = measure(run, repeats=RUNS, processes=FRESH, warmup=False)
time_ratio = {change: median(part.time_ratio, part.process) for change, part in runs.groupby("change", sort=False)}
pd.DataFrame(time_ratio.values(), index=time_ratio, columns=["time_ratio", "low", "high"])

# %%
# Left of the line an epoch became shorter. The upright strokes are where it would be if arithmetic were all.

arithmetic = {
    change: step_flops([N_FEATURES, *settings.get("hidden", HIDDEN), 1], 1) / step_flops([N_FEATURES, *HIDDEN, 1], 1)
    for change, settings in CHANGES.items()
}
figure, axes = plt.subplots()
for place, (change, part) in enumerate(list(runs.groupby("change", sort=False))[1:]):
    value, low, high = time_ratio[change]
    axes.plot(part.time_ratio, [place] * len(part), ".", color="C6", alpha=0.5)
    axes.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color="C0")
    axes.plot(arithmetic[change], place, "|", color="C1", markersize=16, markeredgewidth=2)
axes.annotate(
    "if arithmetic\nwere all",
    (arithmetic["layers four times as wide"], 1),
    (-8, -26),
    ha="right",
    color="C1",
    textcoords="offset points",
    fontsize="small",
)
axes.axvline(1, color="C6", linewidth=0.8)
axes.set_xscale("log")
axes.set_yticks(range(len(CHANGES) - 1), list(CHANGES)[1:])
axes.invert_yaxis()
axes.set_xlabel("Time of an epoch (× the unchanged one)")
best = min(time_ratio, key=lambda change: time_ratio[change].value)
axes.set_title(f"The shortest epoch, {time_ratio[best].value:.0%} of the unchanged one:\n{best}")

# %%
# Each prediction, and its verdict.

wide, batched = "layers four times as wide", f"{N_MODELS} models in one call"
predictions = {
    "arithmetic": (
        f"Arithmetic limits training: {wide} take time in proportion, to within a quarter.",
        wide,
        {"within": (0.75 * arithmetic[wide], 1.25 * arithmetic[wide])},
    ),
    "operators": (
        "Operators cost by their number: mini-batches four times as large cut an epoch to a third or less.",
        "mini-batches of 256",
        {"below": 1 / 3},
    ),
    "threads": ("Cores limit training: two threads cut an epoch by a tenth or more.", "2 threads", {"below": 0.9}),
    "fused": ("Fused Adam, which saves operators, cuts an epoch by a tenth or more.", "fused Adam", {"below": 0.9}),
    "together": ("Models trained in one batched call take half the time each, or less.", batched, {"below": 0.5}),
}
findings = {
    name: judge(statement, check(change.capitalize(), factor(time_ratio[change]), **asked))
    for name, (statement, change, asked) in predictions.items()
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {name: factor(time_ratio[change]) for name, (_, change, _) in predictions.items()}
values["arithmetic_predicted"] = factor(arithmetic[wide])
publish("what_makes_it_faster", tables={"runs": runs}, values=values, findings=findings, figures={"changes": figure})
