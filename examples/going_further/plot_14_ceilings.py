"""
How near is a training step to the machine's ceilings?
======================================================

Three things can hold a step up: the rate of the processor's arithmetic, the rate at which memory delivers, and the
fixed cost of every operator, however little it has to do. Each ceiling is measured: a large matrix product and
products of the shapes of a step; copies that fit the caches and one that does not; and a step of the same operators on
tensors of one element. Varied: the model, with one far wider than those of the report. Held fixed: the mini-batch and
the threads.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from mlperf.engines import eager
from mlperf.findings import check, fact, judge
from mlperf.flops import (
    copy_rate,
    counted_flops,
    dispatch_seconds,
    product_rate,
    product_seconds,
    step_bytes,
    step_flops,
)
from mlperf.machine import cache_bytes
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.results import publish
from mlperf.stats import median, ratio
from mlperf.timing import seconds
from mlperf.units import duration, factor, percent, quantity, rate

plt.style.use("mlperf.mlperf")

# Fewer fresh processes than elsewhere: what is asked for is far from its threshold.
FRESH, RUNS = by_mode(published=(3, 6), quick=(1, 2))
NETWORKS = {**MODELS, "Wide": by_mode(published=(1024, 1024, 1024), quick=(256, 256, 256))}
STEPS = by_mode(published=50, quick=5)
# A copy within the first level is over before its own dispatch is, so it would tell nothing of the cache.
COPIES = {level: size // 2 for level, size in cache_bytes().items() if level != "L1d"}
COPIES["memory"] = by_mode(published=2**28, quick=2**26)
LARGE = by_mode(published=(1024, 1024, 1024), quick=(512, 512, 512))

# %%
# One run: a step as it is, the same operators on tensors of one element, and its products alone, each as fast as it
# can be repeated. The bytes are those that a step cannot avoid to move.


def step_seconds(hidden, batch_size, n_features):
    X, y = torch.randn(STEPS * batch_size, n_features), torch.randn(STEPS * batch_size, 1)
    module = MLPRegressor(hidden, max_iter=1).fit(X, y[:, 0]).module_.requires_grad_(True)
    training = eager(module, X, y, learning_rate=LEARNING_RATE, batch_size=batch_size, generator=torch.Generator())
    next(training)
    return module, seconds(lambda: next(training)) / STEPS


def run():
    roofs = {place: copy_rate(size) for place, size in COPIES.items()} | {"product": product_rate(*LARGE)}
    rows = []
    for name, model in NETWORKS.items():
        sizes = [N_FEATURES, *model, 1]
        module, step = step_seconds(model, BATCH_SIZE, N_FEATURES)
        X = torch.randn(BATCH_SIZE, N_FEATURES)
        row = {
            "model": name,
            "step_seconds": step,
            "dispatch_seconds": step_seconds((1,) * len(model), 1, 1)[1],
            "products_seconds": product_seconds(sizes, BATCH_SIZE),
            "step_flop": step_flops(sizes, BATCH_SIZE),
            "counted_flop": counted_flops(lambda: module(X).square().mean().backward()),  # noqa: B023
            "step_bytes": step_bytes(sizes, BATCH_SIZE),
        }
        rows.append({**row, **roofs, **dispatch_seconds()})
    return pd.DataFrame(rows)


runs = measure(run, repeats=RUNS, processes=FRESH, warmup=False)
by_model = dict(list(runs.groupby("model", sort=False)))
first = runs[runs.model == "Small"]
roof = {name: median(first[name], first.process) for name in runs.columns[runs.columns.get_loc("counted_flop") + 2 :]}
pd.DataFrame(roof.values(), index=roof, columns=["value", "low", "high"])

# %%
# A roofline: what a step can reach at most, given how much it computes for each byte that it moves. Each dot is a
# run; the bar above it is the ceiling that the fixed cost of its operators sets.

figure, axes = plt.subplots()
intensity = np.geomspace(0.5, 40)
peak = roof["product"].value
for name in COPIES:
    line = np.minimum(intensity * roof[name].value, peak) / 1e9
    axes.loglog(intensity, line, color="C6", linewidth=1)
    axes.annotate(name, (intensity[0], line[0]), (2, 4 if name == "L2" else -13), textcoords="offset points")
axes.annotate("large product", (intensity[-1], peak / 1e9), (0, 4), textcoords="offset points", ha="right")
for number, (model, part) in enumerate(by_model.items()):
    x = part.step_flop / part.step_bytes
    axes.plot(x, part.step_flop / part.step_seconds / 1e9, ".", color=f"C{number}")
    level = (part.step_flop / part.dispatch_seconds).median() / 1e9
    axes.plot(x.iloc[0] * np.array([0.8, 1.25]), [level] * 2, color=f"C{number}")
    dots = (part.step_flop / part.step_seconds).median() / 1e9
    axes.annotate(model, (x.iloc[0], dots), (8, -14), textcoords="offset points", color=f"C{number}")
axes.annotate(
    "dispatch ceiling", (x.iloc[0], level), (0, 5), ha="center", textcoords="offset points", color=f"C{number}"
)
axes.set_xlabel("Arithmetic per byte moved (FLOP/B)")
axes.set_ylabel("Rate (GFLOP/s)")
axes.margins(y=0.12)
far = {model: part.step_flop.iloc[0] / part.step_seconds.median() / peak for model, part in by_model.items()}
axes.set_title(
    f"Of the rate of a large product, a step of Large\nreaches {far['Large']:.1%}, one of Wide {far['Wide']:.0%}"
)

# %%
# What limits a step of the report's models? Each suspect is asked for more than half of its time; memory is given the
# slowest rate, that of data in no cache.

share = {
    (model, name): median(part[f"{name}_seconds"] / part.step_seconds, part.process)
    for model, part in by_model.items()
    for name in ("products", "dispatch")
}
for model, part in by_model.items():
    share[model, "memory"] = median(part.step_bytes / roof["memory"].value / part.step_seconds, part.process)


def more_than_half(name, models=MODELS):
    return [check(model, percent(share[model, name]), above=0.5) for model in models]


medium, large = by_model["Medium"], by_model["Large"]
slower = ratio(large.step_seconds, medium.step_seconds, groups=(large.process, medium.process))
more = large.step_flop.iloc[0] / medium.step_flop.iloc[0]
findings = {
    "flops": judge(
        "The work of a step is what the layers' sizes say: torch counts as many operations.",
        *(fact(m, (part.step_flop == part.counted_flop).all()) for m, part in by_model.items()),
    ),
    "products": judge("Matrix products take more than half of a step.", *more_than_half("products")),
    "memory": judge("Moving memory takes more than half of a step.", *more_than_half("memory")),
    "dispatch": judge(
        "A step that has nothing to compute, of the same operators, takes more than half as long.",
        *more_than_half("dispatch"),
    ),
    "products_wide": judge(
        "In a network far wider than those of the report, matrix products take more than half of a step.",
        *more_than_half("products", ["Wide"]),
    ),
    "plateau": judge(
        "From Medium to Large, the time of a step grows less than half as much as its arithmetic.",
        check("Time of Large over Medium", factor(slower), below=more / 2),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {f"{model}_{name}": percent(e) for (model, name), e in share.items()}
values |= {f"{model}_step": duration(median(part.step_seconds, part.process)) for model, part in by_model.items()}
values |= {"peak": rate(roof["product"]), "memory_rate": quantity(roof["memory"], "bytes_per_second")}
values |= {"large_to_medium": factor(slower), "large_to_medium_flops": factor(more)}
values |= {"dispatch_addmm": duration(roof["aten::addmm"])}
publish(
    "ceilings",
    tables={"runs": runs},
    values={name.lower(): value for name, value in values.items()},
    findings=findings,
    figures={"roofline": figure},
)
