"""
How does the cost grow with the width of the network?
=====================================================

A network with two equally wide hidden layers takes training steps on the same mini-batches while its width grows over
several orders of magnitude. The operators of a step stay the same, in kind and in number; what grows is the
arithmetic in each. Measured is the time of one step, and the width at which arithmetic begins to matter. Held fixed:
the samples, the mini-batches, the number of layers, the threads.
"""

# sphinx_gallery_tags = ["time", "scaling"]

from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.training.engines import eager
from mlperf.quantities.drawing import draw_estimate
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.training.network import training_steps
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, PROCESSES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.scaling import break_even, exponent, fit, over_processes
from mlperf.quantities.intervals import median, summarise
from mlperf.profilers.timing import seconds
from mlperf.quantities.units import duration, number

plt.style.use("mlperf.quantities.report")

WIDTHS = by_mode(published=[8, 16, 32, 64, 100, 200, 400, 800, 1600, 3162], quick=[8, 32, 100, 200, 400])
STEPS = 5

# %%
# One run: every width, in one process. Narrow networks take more epochs, as their steps are short.


def n_parameters(*hidden):
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise([N_FEATURES, *hidden, 1]))


def step_seconds(width):
    epoch = training_steps(eager, [N_FEATURES, width, width, 1], BATCH_SIZE, STEPS)
    epochs = max(1, min(50, 10**6 // n_parameters(width, width)))
    return seconds(lambda: [epoch() for _ in range(epochs)]) / epochs / STEPS


def run():
    times = {n_parameters(width, width): step_seconds(width) for width in WIDTHS}
    return pd.DataFrame(times.items(), columns=["n_parameters", "seconds"])


runs = measure(run, repeats=max(2, PROCESSES), processes=PROCESSES, warmup=False)
step = summarise(runs, by=["n_parameters"])
step

# %%
# The level part of the curve is what a step costs whatever it computes; the rising part is arithmetic and memory.


def estimate(statistic, frame=runs):
    return over_processes(statistic, frame, size="n_parameters")


level = estimate(break_even)
figure, axes = plt.subplots()
axes.plot(step.n_parameters, 1e3 * step["median"])
for size, rows in runs.groupby("n_parameters"):
    draw_estimate(axes, size, median(rows.seconds, rows.process), rows.seconds, scale=1e3)
axes.axvspan(level.low, level.high, color="C1", alpha=0.3)
text = {"transform": axes.get_xaxis_transform(), "va": "center"}  # a place on the x axis, a share of the height
axes.text(0.93 * level.low, 0.9, "arithmetic equals\nthe rest", ha="right", color="C1", **text)
for name, hidden in MODELS.items():
    axes.axvline(n_parameters(*hidden), ymax=0.75, color="C6", linewidth=0.8, linestyle=":")
    axes.text(1.06 * n_parameters(*hidden), 0.5, name, rotation=90, fontsize="small", **text)
axes.set(xscale="log", yscale="log", xlabel="Parameters", ylabel="Time of one step (ms)")
round_level = float(f"{level.value:.1g}")
axes.set_title(f"Up to about {round_level:,.0f} parameters, most of a step's time\nis the same whatever it computes")

# %%
# Where do the published models stand, and how does the cost grow on either side?

narrow = estimate(exponent, runs[runs.n_parameters <= n_parameters(100, 100)])
wide = estimate(exponent, runs[runs.n_parameters >= step.n_parameters.iloc[-3]])
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

floor = estimate(lambda n, t: fit("affine", n, t).a)
values = {"break_even": number(level), "narrow": number(narrow), "wide": number(wide), "floor": duration(floor)}
tables = {"runs": runs, "step": step}
publish("cost_of_width", tables=tables, values=values, findings=findings, figures={"per_step": figure})
