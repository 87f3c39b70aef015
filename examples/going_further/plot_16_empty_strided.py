"""
Who makes all those small tensors?
==================================

Training calls ``aten::empty_strided``, which makes a tensor of given shape, again and again. The profiler's stacks
tell on whose behalf. The cause that they show is then taken away, and what changes is measured: the calls, and
the time of the optimiser's arithmetic. Held fixed: the model, and, but for rounding, what the optimiser computes.
"""

# sphinx_gallery_tags = ["profile", "memory"]

from functools import partial
from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd
import torch

from mlperf.training.engines import eager
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import check, fact, judge
from mlperf.profilers.measure import measure
from mlperf.training.network import training_steps
from mlperf.profilers.operators import callers
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median
from mlperf.profilers.timing import seconds_per_call
from mlperf.quantities.units import factor, percent

plt.style.use("mlperf.quantities.report")

OPERATOR, SIZES = "aten::empty_strided", [N_FEATURES, *MODELS["Medium"], 1]
STEPS, PROCESSES, REPEATS = by_mode(published=(10, 3, 6), quick=(3, 1, 2))

# %%
# Who calls? The function of Python that began it, and the operator that it asked for; calls are those of a step.

called = measure(lambda: callers(training_steps(eager, SIZES, BATCH_SIZE, STEPS), OPERATOR), repeats=1, warmup=False)
called["calls"] /= STEPS
called[["function", "operator", "calls"]]

# %%
# What most have in common: ``tensor.mul_(0.9)``. Of a Python number an operator makes a tensor in double precision, and
# one in its own; a number that is a tensor needs neither. One run: Adam's arithmetic both ways, beside a whole step.

CONSTANTS = {"one": 1, "decay": 0.999, "root": 0.5, "epsilon": 1e-8}
VARIANTS = {"numbers": CONSTANTS, "tensors": {name: torch.tensor(float(x)) for name, x in CONSTANTS.items()}}


def adam(states, one, decay, root, epsilon):
    for parameter, gradient, mean, square, count in states:
        count.add_(one)
        mean.lerp_(gradient, 0.1)
        square.mul_(decay).addcmul_(gradient, gradient, value=0.001)
        parameter.addcdiv_(mean, square.sqrt().div(root).add_(epsilon), value=-0.001)


def run():
    row = {"step_seconds": seconds_per_call(training_steps(eager, SIZES, BATCH_SIZE, STEPS)) / STEPS}
    shapes = [shape for inputs, outputs in pairwise(SIZES) for shape in ((outputs, inputs), (outputs,))]
    states = [[torch.rand(shape) for _ in range(4)] + [torch.zeros(())] for shape in shapes]
    for variant, constants in VARIANTS.items():
        update = partial(adam, states, **constants)
        row[f"{variant}_calls"] = callers(update, OPERATOR).calls.sum()
        row[f"{variant}_seconds"] = seconds_per_call(update, at_least=0.1)
    return row


runs = measure(run, repeats=REPEATS, processes=PROCESSES, warmup=False)
runs

# %%
# A cause is shown by its removal. Below, bars are medians, whiskers their 95 % intervals, and dots the single runs.

by_optimiser = called[called.function.str.contains("optim/")].calls.sum() / called.calls.sum()
faster = median(runs.tensors_seconds / runs.numbers_seconds, runs.process)
figure, (above, below) = plt.subplots(2, height_ratios=[2, 1])
names = called.operator.str.removeprefix("aten::") + " in " + called.function.str.rpartition(" ")[2]
above.barh(called.index, called.calls, tick_label=names, alpha=0.65)
above.set(xlabel="Calls in one step", ylim=(len(called) - 0.5, -0.5))
for place, variant in enumerate(VARIANTS):
    times, look = runs[f"{variant}_seconds"], {"color": f"C{place}", "bar": 0.7, "horizontal": True}
    draw_estimate(below, place, median(times, runs.process), times, scale=1e6, **look)
below.set(xlabel="Time of Adam's arithmetic (µs)", yticks=[0, 1], yticklabels=VARIANTS, ylim=(1.5, -0.5))
title = f"{by_optimiser:.0%} of the calls come from the optimiser; without them\n"
headline(figure, title + f"its arithmetic takes {faster.value:.0%} of the time")

# %%
# How much is that?

saved = median((runs.numbers_seconds - runs.tensors_seconds) / runs.step_seconds, runs.process)
numbers, tensors = runs.numbers_calls.max(), runs.tensors_calls.max()
caller = "The optimiser is behind more than half of the calls of aten::empty_strided."
cause = "The optimiser calls it for Python numbers: given tensors of one element instead, it makes no call."
less = "Without these calls, the optimiser's arithmetic takes at least a tenth less time."
overhead = "The tensors made by aten::empty_strided cost more than a twentieth of a training step."
findings = {
    "caller": judge(caller, check("Its share of the calls", percent(by_optimiser), above=0.5)),
    "cause": judge(cause, fact(f"{numbers} calls with numbers, {tensors} without", tensors == 0)),
    "faster": judge(less, check("Time without, over time with", factor(faster), below=0.9)),
    "overhead": judge(overhead, check("Time saved, over that of a step", percent(saved), above=0.05)),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
tables = {"runs": runs, "callers": called}
values = {"by_optimiser": percent(by_optimiser), "faster": factor(faster), "saved": percent(saved)}
publish("empty_strided", tables=tables, values=values, findings=findings, figures={"calls": figure})
