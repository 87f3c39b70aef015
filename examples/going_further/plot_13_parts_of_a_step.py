"""
Where does one training step go?
================================

A training step is taken apart: the making of the mini-batch, the gradients' reset, the forward pass, the loss, the
backward pass and the optimiser are timed one by one, and so is what is left between them. The loop is that of the
``eager`` engine with clocks in it; the engine itself, without them, tells whether the parts add up. Varied: the
model. Held fixed: the samples, the mini-batches, the threads.
"""

import time
from collections import Counter

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

from mlperf.engines import eager
from mlperf.findings import check, judge
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.results import publish
from mlperf.stats import median
from mlperf.timing import seconds
from mlperf.units import duration, factor, percent

plt.style.use("mlperf.mlperf")

# Fewer fresh processes than elsewhere: what is asked for is far from its threshold.
FRESH, RUNS = by_mode(published=(3, 3), quick=(1, 1))
PARTS = ["batch", "reset", "forward", "loss", "backward", "optimiser", "between"]
STEPS = by_mode(published=100, quick=20)
ROUNDS = by_mode(published=3, quick=2)

# %%
# One epoch with clocks. What one reading ends, the next one begins; what is in no part is between them.


def clocked(module, optimiser, X, y):
    spent = Counter()
    begin = last = time.perf_counter()

    def end_of(part):
        nonlocal last
        spent[part] += time.perf_counter() - last
        last = time.perf_counter()

    order = torch.randperm(len(X))
    for X_batch, y_batch in zip(X[order].split(BATCH_SIZE), y[order].split(BATCH_SIZE), strict=True):
        end_of("batch")
        optimiser.zero_grad()
        end_of("reset")
        prediction = module(X_batch)
        end_of("forward")
        loss = nn.functional.mse_loss(prediction, y_batch)
        end_of("loss")
        loss.backward()
        end_of("backward")
        optimiser.step()
        end_of("optimiser")
    spent["between"] = time.perf_counter() - begin - spent.total()
    return {part: spent[part] / STEPS for part in PARTS}


# %%
# One run: epochs with clocks and without in turn, so that what disturbs one disturbs the other; the first of each does
# not count.


def run():
    X, y = torch.randn(STEPS * BATCH_SIZE, N_FEATURES), torch.randn(STEPS * BATCH_SIZE, 1)
    rows = []
    for name, model in MODELS.items():
        module = MLPRegressor(model, max_iter=1).fit(X, y[:, 0]).module_.requires_grad_(True)
        optimiser = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, foreach=False, fused=False)
        generator = torch.Generator()
        engine = eager(module, X, y, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, generator=generator)
        both = [
            {"model": name, **clocked(module, optimiser, X, y), "step": seconds(lambda: next(engine)) / STEPS}  # noqa: B023
            for _ in range(1 + ROUNDS)
        ]
        rows += both[1:]
    return pd.DataFrame(rows)


runs = measure(run, repeats=RUNS, processes=FRESH, warmup=False)
by_model = dict(list(runs.groupby("model", sort=False)))
rows = [(m, p, *median(part[p], part.process)) for m, part in by_model.items() for p in [*PARTS, "step"]]
parts = pd.DataFrame(rows, columns=["model", "part", "seconds", "seconds_low", "seconds_high"])
parts.pivot_table(index="part", columns="model", values="seconds", sort=False)

# %%
# Dots are single runs, bars their medians.

figure, axes = plt.subplots()
for number, (model, part) in enumerate(by_model.items()):
    places = [place + 0.27 * (number - 1) for place in range(len(PARTS))]
    axes.barh(places, [1e6 * part[name].median() for name in PARTS], height=0.25, color=f"C{number}", alpha=0.7)
    for place, name in zip(places, PARTS, strict=True):
        axes.plot(1e6 * part[name], [place] * len(part), ".", color="black", markersize=3)
    axes.annotate(
        model, (1e6 * part.optimiser.max(), places[5]), (5, -4), textcoords="offset points", color=f"C{number}"
    )
axes.set_yticks(range(len(PARTS)), PARTS)
axes.invert_yaxis()
axes.set_xlim(right=1.15 * 1e6 * runs.optimiser.max())
axes.set_xlabel("Time per step (µs)")
share = {name: median((runs[name] / runs[PARTS].sum(axis=1)), runs.process).value for name in PARTS}
longest = max(share, key=share.get)
axes.set_title(f"The longest part of a training step: {longest},\n{share[longest]:.0%} of it over the three models")

# %%
# Shares are of the sum of all parts, in the same run.


def shares(*names):
    for model, part in by_model.items():
        yield model, median(part[list(names)].sum(axis=1) / part[PARTS].sum(axis=1), part.process)


closed = {model: median(part[PARTS].sum(axis=1) / part.step, part.process) for model, part in by_model.items()}
findings = {
    "closes": judge(
        "The parts of a step add up to the step without clocks, to within a tenth.",
        *(check(f"{model}, parts over step", factor(e), within=(0.9, 1.1)) for model, e in closed.items()),
    ),
    "optimiser": judge(
        "The optimiser takes more than half of a step.",
        *(check(model, percent(e), above=0.5) for model, e in shares("optimiser")),
    ),
    "network": judge(
        "The network itself, forward and backward, takes more than half of a step.",
        *(check(model, percent(e), above=0.5) for model, e in shares("forward", "loss", "backward")),
    ),
    "python": judge(
        "Making the mini-batch, resetting the gradients and Python between the parts take less than a tenth of a step.",
        *(check(model, percent(e), below=0.1) for model, e in shares("batch", "reset", "between")),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {f"{model}_step": duration(median(part.step, part.process)) for model, part in by_model.items()}
values |= {f"{model}_optimiser": percent(e) for model, e in shares("optimiser")}
values |= {f"{model}_network": percent(e) for model, e in shares("forward", "loss", "backward")}
publish(
    "parts_of_a_step",
    tables={"runs": runs, "parts": parts},
    values={name.lower(): value for name, value in values.items()},
    findings=findings,
    figures={"parts": figure},
)
