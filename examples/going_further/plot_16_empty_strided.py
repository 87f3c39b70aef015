"""
Who makes all those small tensors?
==================================

The operator that training calls most is ``aten::empty_strided``, which makes a tensor of given shape. The profiler's
stacks tell on whose behalf: the operator above it and the function of Python that began it. The cause that they show is
then taken away, and what changes is measured: the calls, and the time of the optimiser's step. Held fixed: the model,
the mini-batches, and, but for rounding, what the optimiser computes.
"""

# sphinx_gallery_tags = ["profile", "memory"]
from functools import partial
from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd
import torch

from mlperf.engines import eager
from mlperf.figures import draw_estimate, headline
from mlperf.findings import check, fact, judge
from mlperf.flops import seconds_per_call, training_steps
from mlperf.measure import measure
from mlperf.operators import callers
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.results import publish
from mlperf.stats import median
from mlperf.units import factor, percent

plt.style.use("mlperf.mlperf")

SIZES = [N_FEATURES, *MODELS["Medium"], 1]
STEPS, PROCESSES, REPEATS = by_mode(published=(10, 3, 6), quick=(3, 1, 2))

# %%
# Who calls? Every call of the operator is followed upwards, in one epoch.


def profiled():
    called = callers(training_steps(eager, SIZES, BATCH_SIZE, STEPS), "aten::empty_strided")
    return called.assign(calls=called.calls / STEPS)


called = measure(profiled, repeats=1, warmup=False).drop(columns=["process", "repeat"])
called

# %%
# What most callers have in common: ``tensor.mul_(0.9)``. An operator that is given a Python number makes a tensor of it
# in double precision, and another one in the precision of its work. A number that is such a tensor already needs
# neither. Adam's arithmetic is carried out both ways, on parameters of the same shapes.

NUMBERS = {"one": 1, "decay": 0.999, "root": 0.5, "epsilon": 1e-8}
TENSORS = {name: torch.tensor(float(number)) for name, number in NUMBERS.items()}


def adam(states, one, decay, root, epsilon):
    for parameter, gradient, mean, square, count in states:
        count.add_(one)
        mean.lerp_(gradient, 0.1)
        square.mul_(decay).addcmul_(gradient, gradient, value=0.001)
        parameter.addcdiv_(mean, square.sqrt().div(root).add_(epsilon), value=-0.001)


def run():
    step = seconds_per_call(training_steps(eager, SIZES, BATCH_SIZE, STEPS)) / STEPS
    shapes = [shape for inputs, outputs in pairwise(SIZES) for shape in ((outputs, inputs), (outputs,))]
    states = [[torch.rand(shape) for _ in range(4)] + [torch.zeros(())] for shape in shapes]
    rows = []
    with torch.no_grad():
        for variant, constants in {"numbers": NUMBERS, "tensors": TENSORS}.items():
            update = partial(adam, states, **constants)
            calls = callers(update, "aten::empty_strided").calls.sum()
            elapsed = seconds_per_call(update, at_least=0.1)
            rows.append((variant, calls, elapsed, elapsed / step))
    return pd.DataFrame(rows, columns=["variant", "calls", "seconds", "step_fraction"])


runs = measure(run, repeats=REPEATS, processes=PROCESSES, warmup=False)
runs.groupby("variant", sort=False)[["calls", "seconds"]].median()

# %%
# A cause is shown by its removal. Bars are medians, whiskers their 95 % intervals, and dots the single runs.

numbers, tensors = (runs[runs.variant == variant].reset_index() for variant in ("numbers", "tensors"))
faster = median(tensors.seconds / numbers.seconds, numbers.process)
by_optimiser = called[called.function.str.contains("optim/")].calls.sum() / called.calls.sum()
figure, (left, right) = plt.subplots(1, 2, width_ratios=[3, 2])
for place, (function, operator, calls) in enumerate(called.head(5).itertuples(index=False)):
    left.barh(place, calls, color="C0", alpha=0.65)
    text = f" {operator.removeprefix('aten::')} in {function.rpartition(' ')[2]}"
    left.annotate(text, (0, place), va="center", fontsize="small")
left.set(xlabel="Calls in one step", yticks=[])
left.invert_yaxis()
for place, rows in enumerate((numbers, tensors)):
    draw_estimate(right, place, median(rows.seconds, rows.process), rows.seconds, color=f"C{place}", bar=0.6, scale=1e6)
right.set(xticks=[0, 1], xticklabels=["numbers", "tensors"], ylabel="Time of Adam's step (µs)")
headline(
    figure,
    f"{by_optimiser:.0%} of the calls come from the optimiser; without them\n"
    f"its arithmetic takes {faster.value:.0%} of the time",
)

# %%
# How much is that?

saved = median(numbers.step_fraction - tensors.step_fraction, numbers.process)
findings = {
    "caller": judge(
        "The optimiser is behind more than half of the calls of aten::empty_strided.",
        check("Its share of the calls", percent(by_optimiser), above=0.5),
    ),
    "cause": judge(
        "The optimiser calls it for Python numbers: given tensors of one element instead, it makes no call.",
        fact(f"{numbers.calls.max()} calls with numbers, {tensors.calls.max()} without", tensors.calls.max() == 0),
    ),
    "faster": judge(
        "Without these calls, the optimiser's arithmetic takes at least a tenth less time.",
        check("Time without, over time with", factor(faster), below=0.9),
    ),
    "overhead": judge(
        "The tensors made by aten::empty_strided cost more than a twentieth of a training step.",
        check("Time saved, over that of a step", percent(saved), above=0.05),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {"by_optimiser": percent(by_optimiser), "faster": factor(faster), "saved": percent(saved)}
tables = {"runs": runs, "callers": called}
publish("empty_strided", tables=tables, values=values, findings=findings, figures={"calls": figure})
