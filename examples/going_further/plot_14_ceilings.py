"""
How near is a training step to the machine's ceilings?
======================================================

Arithmetic, memory, or the fixed cost of every operator can hold a step up. Each of these ceilings is measured: products
of matrices, a large one and those of the step; copies that fit the caches and one that does not; and a step of the same
operators on tensors of one element. Varied: the model, one of them far wider. Held fixed: the mini-batch, the threads.
"""

# sphinx_gallery_tags = ["time", "machine"]
import matplotlib.pyplot as plt
import pandas as pd

from mlperf.profilers.ceilings import dispatch_seconds, product_seconds, roofs
from mlperf.training.engines import eager
from mlperf.quantities.drawing import draw_estimate
from mlperf.quantities.claims import check, fact, judge
from mlperf.profilers.work import counted_flops, step_bytes, step_flops
from mlperf.profilers.measure import measure
from mlperf.training.network import training_steps
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median, ratio
from mlperf.profilers.timing import seconds
from mlperf.quantities.units import duration, factor, percent

plt.style.use("mlperf.quantities.report")

WIDE, FAR = by_mode(published=((1024, 1024, 1024), 2**28), quick=((256, 256, 256), 2**26))
STEPS, PROCESSES, REPEATS = by_mode(published=(25, 3, 6), quick=(5, 1, 2))

# %%
# One run: the machine's roofs, then a step as it is, the same operators on next to no data, and the products alone.


def run(model):
    sizes = [N_FEATURES, *model, 1]
    step, idle = training_steps(eager, sizes, BATCH_SIZE, STEPS), training_steps(eager, [1] * len(sizes), 1, STEPS)
    return {
        **(roofs(product=WIDE, n_bytes=FAR) | dispatch_seconds()),
        "step_seconds": seconds(step) / STEPS,
        "dispatch_seconds": seconds(idle) / STEPS,
        "products_seconds": product_seconds(sizes, BATCH_SIZE),
        "step_flop": step_flops(sizes, BATCH_SIZE),
        "counted_flop": counted_flops(step) / STEPS,
        "step_bytes": step_bytes(sizes, BATCH_SIZE),  # what it cannot avoid to move
    }


runs = measure(run, repeats=REPEATS, processes=PROCESSES, warmup=False, model={**MODELS, "Wide": WIDE})
of = dict(list(runs.assign(memory_seconds=runs.step_bytes / runs.memory).groupby("model", sort=False)))
giga = {roof: median(of["Wide"][roof] / 1e9, of["Wide"].process) for roof in runs.loc[:, "product":"memory"]}
pd.DataFrame(giga, index=["value", "low", "high"])

# %%
# A roofline: what a step can reach, given how much it computes for each byte that it moves.

figure, axes = plt.subplots()
peak = giga.pop("product").value
for place, (bandwidth, *_) in giga.items():
    axes.plot([0.1, peak / bandwidth, 40], [0.1 * bandwidth, peak, peak], color="C6", linewidth=1)
    axes.annotate(f"{place} ", (0.1, 0.1 * bandwidth), ha="right", va="center")
axes.annotate("large product", (40, peak), ha="right", va="bottom")
for number, (model, rows) in enumerate(of.items()):
    at, reached = (rows.step_flop / rows.step_bytes).iloc[0], rows.step_flop / rows.step_seconds / 1e9
    draw_estimate(axes, at, median(reached, rows.process), reached, color=f"C{number}")
    axes.annotate(f"     {model}", (at, reached.median()), va="center", color=f"C{number}")
ceiling = (runs.step_flop / runs.dispatch_seconds / 1e9).groupby(runs.step_flop / runs.step_bytes).median()
axes.plot(ceiling, "_", markersize=24, color="C6")
axes.annotate("dispatch ceiling     ", (ceiling.index[0], ceiling.iloc[0]), ha="right", va="center")
axes.set(xscale="log", yscale="log", xlim=(0.03, 60), xlabel="Arithmetic per byte (FLOP/B)", ylabel="Rate (GFLOP/s)")
far = (runs.step_flop / runs.step_seconds / runs["product"]).groupby(runs.model).median()
axes.set_title(f"Of the rate of a large product, a step of Large\nreaches {far.Large:.1%}, one of Wide {far.Wide:.0%}")

# %%
# Each suspect is asked for more than half of a step's time; memory is given its slowest rate, that of data in no cache.


def half(limit, models=MODELS):
    return [check(model, share[model, limit], above=0.5) for model in models]


share = {
    (model, limit): percent(median(rows[f"{limit}_seconds"] / rows.step_seconds, rows.process))
    for model, rows in of.items()
    for limit in ("products", "memory", "dispatch")
}
medium, large = of["Medium"], of["Large"]
slower = factor(ratio(large.step_seconds, medium.step_seconds, groups=(large.process, medium.process)))
more = large.step_flop.iloc[0] / medium.step_flop.iloc[0]
counted = [fact(model, (rows.step_flop == rows.counted_flop).all()) for model, rows in of.items()]
idle = "A step that has nothing to compute, of the same operators, takes more than half as long."
wide = "In a network far wider than those of the report, matrix products take more than half of a step."
level = "From Medium to Large, the time of a step grows less than half as much as its arithmetic."
findings = {
    "flops": judge("The work of a step is what the layers' sizes say: torch counts as many operations.", *counted),
    "products": judge("Matrix products take more than half of a step.", *half("products")),
    "memory": judge("Moving memory takes more than half of a step.", *half("memory")),
    "dispatch": judge(idle, *half("dispatch")),
    "products_wide": judge(wide, *half("products", ["Wide"])),
    "plateau": judge(level, check("Time of Large over Medium", slower, below=more / 2)),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
values = {f"{model}_{limit}".lower(): x for (model, limit), x in share.items()}
values |= {f"{model.lower()}_step": duration(median(rows.step_seconds, rows.process)) for model, rows in of.items()}
values |= {"large_to_medium": slower, "large_to_medium_flops": factor(more)}
publish("ceilings", tables={"runs": runs}, values=values, findings=findings, figures={"roofline": figure})
