"""
What makes a training step faster?
==================================

One thing at a time is changed about the training of one model, and the time of an epoch is compared with that of the
unchanged training in the same process. If the fixed cost of operators is what limits a step, whatever saves operators
must pay, and more arithmetic or more threads must not matter. Held fixed: the number of samples.
"""

# sphinx_gallery_tags = ["time", "engines"]
import loky
import matplotlib.pyplot as plt
import pandas as pd
import torch

from mlperf.training.together import one_by_one, together
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import check, judge
from mlperf.profilers.work import step_flops
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median
from mlperf.profilers.timing import seconds
from mlperf.quantities.units import factor

plt.style.use("mlperf.quantities.report")

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
    "fused Adam": {"fused": True},
    f"{N_MODELS} models in one call": {"train": together, "n_models": N_MODELS},
}

# %%
# One run: every change in turn, in one process. The time of models that are trained together is shared out among them.


def epoch_seconds(hidden=HIDDEN, batch_size=BATCH_SIZE, threads=1, n_models=1, train=one_by_one, **adam):
    X, y = torch.randn(n_models, N_SAMPLES, N_FEATURES), torch.randn(n_models, N_SAMPLES, 1)
    modules = [MLPRegressor(hidden, max_iter=1).fit(X[0, :2], y[0, :2, 0]).module_.requires_grad_(True) for _ in X]
    generators = [torch.Generator() for _ in X]
    training = train(modules, X, y, generators=generators, learning_rate=LEARNING_RATE, batch_size=batch_size, **adam)
    torch.set_num_threads(threads)
    next(training)  # not counted: the first epoch also makes the optimiser's state
    return seconds(lambda: next(training)) / n_models


def run():
    rows = [{"change": change, "seconds": epoch_seconds(**settings)} for change, settings in CHANGES.items()]
    return pd.DataFrame(rows).assign(time_ratio=lambda times: times.seconds / times.seconds[0])


runs = measure(run, repeats=RUNS, processes=FRESH, warmup=False)
of = dict(list(runs.groupby("change", sort=False)))
time_ratio = {change: median(rows.time_ratio, rows.process) for change, rows in of.items()}
pd.DataFrame(time_ratio.values(), index=time_ratio, columns=["time_ratio", "low", "high"])

# %%
# Left of the line an epoch became shorter. The upright strokes are where it would be if arithmetic were all.

flops = {change: step_flops([N_FEATURES, *new.get("hidden", HIDDEN), 1], 1) for change, new in CHANGES.items()}
arithmetic = {change: flops[change] / flops["nothing changed"] for change in CHANGES}
figure, axes = plt.subplots()
for place, (change, rows) in enumerate(of.items()):
    draw_estimate(axes, place, time_ratio[change], rows.time_ratio, horizontal=True)
    axes.plot(arithmetic[change], place, "|", color="C1", markersize=16, markeredgewidth=2)
axes.text(1.2 * arithmetic["layers twice as wide"], 1, "if arithmetic\nwere all", color="C1", va="center")
axes.axvline(1, color="C6", linewidth=0.8)
axes.set(xscale="log", xlabel="Time of an epoch (× the unchanged one)", ylim=(len(of) - 0.5, -0.5))
axes.xaxis.set_major_formatter("{x:g}")
axes.set_yticks(range(len(of)), of)
best = min(time_ratio, key=time_ratio.get)
headline(figure, f"The shortest epoch, {time_ratio[best].value:.0%} of the unchanged one:\n{best}")

# %%
# Each prediction, and its verdict.

wide, batched = "layers four times as wide", f"{N_MODELS} models in one call"
more = "Arithmetic limits training: layers four times as wide take time in proportion, to within a quarter."
fewer = "Operators cost by their number: mini-batches four times as large cut an epoch to a third or less."
predictions = {
    "arithmetic": (more, wide, {"within": (0.75 * arithmetic[wide], 1.25 * arithmetic[wide])}),
    "operators": (fewer, "mini-batches of 256", {"below": 1 / 3}),
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
