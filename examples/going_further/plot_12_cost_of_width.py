"""
How does the cost grow with the width of the network?
=====================================================

A network with two equally wide hidden layers takes training steps on the same mini-batches while its width grows over
several orders of magnitude. The operators of a step stay the same, in kind and in number; what grows is the
arithmetic in each. Measured is the time of one step, and the width at which arithmetic begins to matter. Held fixed:
the samples, the mini-batches, the number of layers, the threads.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

from mlperf.engines import eager
from mlperf.findings import check, judge
from mlperf.measure import measure
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, PROCESSES, by_mode
from mlperf.results import publish
from mlperf.scaling import break_even, exponent, fit, over_processes
from mlperf.stats import summarise
from mlperf.timing import seconds
from mlperf.units import duration, number

plt.style.use("mlperf.mlperf")

WIDTHS = by_mode(published=[8, 16, 32, 64, 100, 200, 400, 800, 1600, 3162], quick=[8, 32, 100, 200, 400])
STEPS = 5

# %%
# One run: some epochs at every width, in one process; narrow networks take more of them, as their steps are short. The
# first epoch of each is not counted: it makes the optimiser's state.


def n_parameters(*hidden):
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise([N_FEATURES, *hidden, 1]))


def run():
    X, y = torch.randn(STEPS * BATCH_SIZE, N_FEATURES), torch.randn(STEPS * BATCH_SIZE, 1)
    rows = []
    for width in WIDTHS:
        inner = [nn.Linear(N_FEATURES, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)]
        settings = {"learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE, "generator": torch.Generator()}
        training = eager(nn.Sequential(*inner), X, y, **settings)
        next(training)
        size = n_parameters(width, width)
        epochs = max(1, min(50, 10**6 // size))
        elapsed = seconds(lambda: [next(training) for _ in range(epochs)])  # noqa: B023 - called at once
        rows.append({"n_parameters": size, "seconds": elapsed / epochs / STEPS})
    return pd.DataFrame(rows)


runs = measure(run, repeats=max(2, PROCESSES), processes=PROCESSES, warmup=False)
step = summarise(runs, by=["n_parameters"])
step

# %%
# The level part of the curve is what a step costs whatever it computes; the rising part is arithmetic and memory.

level = over_processes(break_even, runs, size="n_parameters")
figure, axes = plt.subplots()
axes.loglog(runs.n_parameters, 1e3 * runs.seconds, ".", color="C6", alpha=0.6)
axes.loglog(step.n_parameters, 1e3 * step["median"], color="C0")
axes.axvspan(level.low, level.high, color="C1", alpha=0.3)
axes.annotate(
    "arithmetic equals\nthe rest",
    (level.value, axes.get_ylim()[1]),
    (-6, -34),
    textcoords="offset points",
    ha="right",
    color="C1",
)
for name, hidden in MODELS.items():
    axes.axvline(n_parameters(*hidden), color="C6", linewidth=0.8, linestyle=":")
    place = n_parameters(*hidden), 2 * 1e3 * step["median"].min()
    axes.annotate(name, place, (2, 0), textcoords="offset points", rotation=90, fontsize="small")
axes.set_xlabel("Parameters")
axes.set_ylabel("Time of one step (ms)")
axes.set_title(
    f"Up to about {float(f'{level.value:.1g}'):,.0f} parameters, a step\ncosts much the same whatever it computes"
)

# %%
# Where do the published models stand, and how does the cost grow on either side?

wide, narrow = (
    over_processes(exponent, runs[side], size="n_parameters")
    for side in (runs.n_parameters >= step.n_parameters.iloc[-3], runs.n_parameters <= n_parameters(100, 100))
)
findings = {
    f"{name.lower()}_fixed": judge(
        f"A step of a network with as many parameters as {name} is mostly fixed cost.",
        check("Parameters at which the fixed part is half of a step", number(level), above=n_parameters(*hidden)),
    )
    for name, hidden in MODELS.items()
}
findings["plateau"] = judge(
    "Up to the size of Large, the time of a step grows by less than the square root of the parameters.",
    check("Exponent up to there", number(narrow), below=0.5),
)
findings["linear_wide"] = judge(
    "For the widest networks, a step takes time in proportion to the parameters: the exponent is 1 to within 0.1.",
    check("Exponent of the three widest", number(wide), within=(0.9, 1.1)),
)
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

floor = over_processes(lambda n, t: fit("affine", n, t).a, runs, size="n_parameters")
values = {"break_even": number(level), "narrow": number(narrow), "wide": number(wide), "floor": duration(floor)}
tables = {"runs": runs, "step": step}
publish("cost_of_width", tables=tables, values=values, findings=findings, figures={"per_step": figure})
