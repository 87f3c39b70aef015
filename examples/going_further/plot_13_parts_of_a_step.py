"""
Where does one training step go?
================================

The loop of the ``eager`` engine is written out, and each part of it timed: making the mini-batch, resetting the
gradients, the forward pass, the loss, the backward pass, the optimiser, and what is left between them. The engine
itself, without clocks, tells whether the parts add up. Varied: the model. Held fixed: samples, mini-batches, threads.
"""

# sphinx_gallery_tags = ["profile", "time"]

import matplotlib.pyplot as plt
import pandas as pd
import torch

from mlperf.training.engines import eager
from mlperf.quantities.drawing import draw_estimate
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median
from mlperf.profilers.timing import seconds, seconds_per_part
from mlperf.quantities.units import duration, percent

plt.style.use("mlperf.quantities.report")

PARTS = ["batch", "reset", "forward", "loss", "backward", "optimiser", "between"]
STEPS, PROCESSES, REPEATS = by_mode(published=(100, 3, 6), quick=(20, 1, 2))

# %%
# One run: an epoch that tells a clock what has just ended, and one of the engine. The first of each does not count.


def epoch(module, optimiser, X, y):
    order = torch.randperm(len(X))
    for X_batch, y_batch in zip(X[order].split(BATCH_SIZE), y[order].split(BATCH_SIZE), strict=True):
        yield "batch"
        optimiser.zero_grad()
        yield "reset"
        prediction = module(X_batch)
        yield "forward"
        loss = torch.nn.functional.mse_loss(prediction, y_batch)
        yield "loss"
        loss.backward()
        yield "backward"
        optimiser.step()
        yield "optimiser"


def run(model):
    X, y = torch.randn(STEPS * BATCH_SIZE, N_FEATURES), torch.randn(STEPS * BATCH_SIZE, 1)
    module = MLPRegressor(model, max_iter=1).fit(X, y[:, 0]).module_.requires_grad_(True)
    optimiser = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, foreach=False, fused=False)
    training = eager(module, X, y, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, generator=torch.Generator())
    for _ in range(2):
        spent = seconds_per_part(epoch(module, optimiser, X, y)) | {"step": seconds(lambda: next(training))}
    return {part: elapsed / STEPS for part, elapsed in spent.items()}


runs = measure(run, repeats=REPEATS, processes=PROCESSES, warmup=False, model=MODELS)
by_model = runs.groupby("model", sort=False)
by_model[[*PARTS, "step"]].median().T

# %%
# Bars are medians, whiskers their 95 % intervals, and dots the single runs.

figure, axes = plt.subplots()
for lane, (model, rows) in enumerate(by_model):
    for place, part in enumerate(PARTS):
        look = {"color": f"C{lane}", "bar": 0.25, "horizontal": True, "label": model if part == "optimiser" else ""}
        draw_estimate(axes, place + 0.27 * (lane - 1), median(rows[part], rows.process), rows[part], scale=1e6, **look)
axes.set(xlabel="Time per step (µs)", xmargin=0.15, yticks=range(len(PARTS)), yticklabels=PARTS)
axes.invert_yaxis()
share = runs[PARTS].div(runs[PARTS].sum(axis=1), axis=0)
longest, most = share.median().idxmax(), share.median().max()
axes.set_title(f"The longest part of a training step: {longest},\n{most:.0%} of it over the three models")

# %%
# Shares are of the sum of all parts, in the same run.


def compare(x, **threshold):
    estimates = {model: percent(median(x[rows.index], rows.process)) for model, rows in by_model}
    return [check(model, estimate, **threshold) for model, estimate in estimates.items()]


network = share[["forward", "loss", "backward"]].sum(axis=1)
python = share[["batch", "reset", "between"]].sum(axis=1)
closes = "The parts of a step add up to the step without clocks, to within a tenth."
optimiser = "The optimiser takes more than half of a step."
both_ways = "The network itself, forward and backward, takes more than half of a step."
rest = "Making the mini-batch, resetting the gradients and Python between the parts take less than a tenth of a step."
findings = {
    "closes": judge(closes, *compare(runs[PARTS].sum(axis=1) / runs.step, within=(0.9, 1.1))),
    "optimiser": judge(optimiser, *compare(share.optimiser, above=0.5)),
    "network": judge(both_ways, *compare(network, above=0.5)),
    "python": judge(rest, *compare(python, below=0.1)),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {f"{model.lower()}_step": duration(median(rows.step, rows.process)) for model, rows in by_model}
for name, x in {"optimiser": share.optimiser, "network": network}.items():
    values |= {f"{model.lower()}_{name}": percent(median(x[rows.index], rows.process)) for model, rows in by_model}
publish("parts_of_a_step", tables={"runs": runs}, values=values, findings=findings, figures={"parts": figure})
