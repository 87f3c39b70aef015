"""
Who makes all those small tensors?
==================================

The operator that training calls most is ``aten::empty_strided``, which makes a tensor of given shape. The profiler's
stacks tell on whose behalf: the operator above it and the line of Python that began it. The cause that they show is
then taken away, and what changes is measured: the calls, and the time of the optimiser's step. Held fixed: the model,
the mini-batches, and to the last bit but for rounding what the optimiser computes.
"""

from collections import Counter

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

from mlperf.engines import eager
from mlperf.findings import check, fact, judge
from mlperf.flops import seconds_per_call
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.operators import operators
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.results import publish
from mlperf.stats import median
from mlperf.units import factor, number, percent

plt.style.use("mlperf.mlperf")

# Fewer fresh processes than elsewhere: what is asked for is far from its threshold.
FRESH, RUNS = by_mode(published=(3, 6), quick=(1, 2))
HIDDEN = MODELS["Medium"]
STEPS = by_mode(published=10, quick=3)

# %%
# Who calls? Every call of the operator is followed upwards: to the operator that is a step's own, and to the first
# frame of Python above it.


def network():
    X, y = torch.randn(STEPS * BATCH_SIZE, N_FEATURES), torch.randn(STEPS * BATCH_SIZE, 1)
    return MLPRegressor(HIDDEN, max_iter=1).fit(X, y[:, 0]).module_.requires_grad_(True), X, y


def callers():
    module, X, y = network()
    training = eager(module, X, y, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, generator=torch.Generator())
    next(training)
    with profile(activities=[ProfilerActivity.CPU], with_stack=True) as profiler:
        next(training)
    calls = Counter()
    for event in profiler.events():
        above, parent = [], event.cpu_parent
        while parent is not None:
            above.append(parent.name)
            parent = parent.cpu_parent
        if event.name == "aten::empty_strided":
            line = next((name for name in above if ".py(" in name), "engine of the backward pass")
            operator = [name for name in above if name.startswith("aten::")]
            calls[line, operator[-1]] += 1
    return pd.DataFrame([(*key, count / STEPS) for key, count in calls.items()], columns=["line", "operator", "calls"])


called = measure(callers, repeats=1, warmup=False).drop(columns=["process", "repeat"])
called = called.sort_values("calls", ascending=False, ignore_index=True)
called

# %%
# What the callers have in common: ``tensor.mul_(0.9)``. An operator that is given a Python number makes a tensor of it
# in double precision, and another one in the precision of its work. A number that is such a tensor already needs
# neither. Adam's arithmetic is carried out both ways, on parameters of the same shapes.

NUMBERS = {"one": 1, "decay": 0.999, "root": 0.5, "epsilon": 1e-8}
VARIANTS = {
    "Python numbers": NUMBERS,
    "tensors of one element": {name: torch.tensor(float(value)) for name, value in NUMBERS.items()},
}


def adam(states, one, decay, root, epsilon):
    for parameter, gradient, mean, square, count in states:
        count.add_(one)
        mean.lerp_(gradient, 0.1)
        square.mul_(decay).addcmul_(gradient, gradient, value=0.001)
        parameter.addcdiv_(mean, square.sqrt().div(root).add_(epsilon), value=-0.001)


def run():
    module, X, y = network()
    training = eager(module, X, y, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, generator=torch.Generator())
    step = seconds_per_call(lambda: next(training)) / STEPS
    states = [[torch.rand_like(p) for _ in range(4)] + [torch.zeros(())] for p in network()[0].parameters()]
    rows = []
    with torch.no_grad():
        for variant, constants in VARIANTS.items():
            profiled = operators(lambda: adam(states, **constants)).set_index("operator")["calls"]  # noqa: B023
            elapsed = seconds_per_call(lambda: adam(states, **constants), at_least=0.1)  # noqa: B023
            rows.append((variant, profiled.get("aten::empty_strided", 0), elapsed, elapsed / step))
    return pd.DataFrame(rows, columns=["variant", "calls", "seconds", "step_fraction"])


runs = measure(run, repeats=RUNS, processes=FRESH, warmup=False)
plain, without = (runs[runs.variant == variant].reset_index() for variant in VARIANTS)
saved = median(plain.step_fraction - without.step_fraction, plain.process)
faster = median(without.seconds / plain.seconds, plain.process)
runs.groupby("variant", sort=False)[["calls", "seconds"]].median()

# %%
# Dots are single runs.

figure, (left, right) = plt.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
shown = called.head(5)
left.barh(range(len(shown)), shown.calls, color="C0", alpha=0.7)
for place, row in shown.iterrows():
    text = f"{row.operator.removeprefix('aten::')} in {row.line.rpartition(' ')[2]}"
    left.annotate(text, (0, place), (4, 0), textcoords="offset points", va="center", fontsize="small")
left.set_yticks([])
left.invert_yaxis()
left.set_xlabel("Calls in one step")
for place, part in enumerate((plain, without)):
    right.plot([place] * len(part), 1e6 * part.seconds, ".", color=f"C{place}")
right.set_xticks(range(2), ["numbers", "tensors"])
right.set_xlim(-0.5, 1.5)
right.set_ylim(0)
right.set_ylabel("Time of Adam's step (µs)")
by_optimiser = called[called.line.str.contains("optim/")].calls.sum() / called.calls.sum()
figure.suptitle(
    f"{by_optimiser:.0%} of the calls come from the optimiser; without them\n"
    f"its arithmetic takes {faster.value:.0%} of the time",
    x=0.01,
    ha="left",
    fontsize="medium",
    fontweight="bold",
)

# %%
# A cause is shown by its removal.

findings = {
    "caller": judge(
        "The optimiser is behind more than half of the calls of aten::empty_strided.",
        check("Its share of the calls", percent(by_optimiser), above=0.5),
    ),
    "cause": judge(
        "The optimiser calls it for Python numbers: given tensors of one element instead, it makes no call.",
        fact(f"{plain.calls.max()} calls with numbers, {without.calls.max()} without", without.calls.max() == 0),
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

publish(
    "empty_strided",
    tables={"runs": runs, "callers": called},
    values={
        "calls": number(called.calls.sum()),
        "by_optimiser": percent(by_optimiser),
        "faster": factor(faster),
        "saved": percent(saved),
    },
    findings=findings,
    figures={"calls": figure},
)
