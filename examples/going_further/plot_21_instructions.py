"""
How many instructions does a training step take?
================================================

Times move with the machine's load; the number of instructions does not. Callgrind, a tool of Valgrind, counts those of
a step for every model and engine, and tells to which function each belongs: to matrix products, to the rest of torch,
to Python, or to the memory allocator and the system. Counting is slow, so no more than a few steps are counted; where
Valgrind is not installed nothing is, and the page says so. Held fixed: the mini-batch, one thread.
"""

# sphinx_gallery_tags = ["profile", "engines"]
import matplotlib.pyplot as plt
import pandas as pd

from mlperf.training.engines import ENGINES
from mlperf.quantities.drawing import draw_reason
from mlperf.quantities.claims import check, judge, unmeasured
from mlperf.profilers.instructions import PARTS, CountingError, instructions
from mlperf.training.network import training_steps
from mlperf.protocol import BATCH_SIZE, MODE, MODELS, N_FEATURES
from mlperf.results.publishing import publish
from mlperf.quantities.units import factor, number, percent

plt.style.use("mlperf.quantities.report")

STEPS = 5

# %%
# What is counted: an epoch of a few mini-batches, after some that prepare.


def prepare(model, engine):
    return training_steps(ENGINES[engine], [N_FEATURES, *model, 1], BATCH_SIZE, STEPS)


try:
    if MODE == "quick":
        raise CountingError("left out of previews, which it would make several times longer")
    counts = instructions(prepare, calls=1, model=MODELS, engine=list(ENGINES))
    counts["instructions"] /= STEPS
    status = "counted"
except CountingError as error:
    counts = pd.DataFrame(columns=["model", "engine", "part", "instructions"])
    status = f"not counted here: {error}"
status

# %%
# A bar is a step of one model with one engine. Products that are compiled count to the compiled step.

total = counts.groupby(["model", "engine"], sort=False).instructions.sum()
share = counts.set_index(["model", "engine", "part"]).instructions / total
figure, axes = plt.subplots()
if len(counts):
    stacked = counts.pivot_table("instructions", ["model", "engine"], "part", sort=False)[list(PARTS)]
    (stacked / 1e6).plot.barh(stacked=True, ax=axes, legend=False, alpha=0.7, width=0.8)
    axes.set_yticks(range(len(total)), [", ".join(cell) for cell in total.index])
    axes.set(xlabel="Instructions of one step (millions)", ylabel="", ylim=(len(total) - 0.5, -0.5))
    for place, part in enumerate(PARTS):
        axes.annotate(part, (0.97, 0.92 - 0.065 * place), xycoords="axes fraction", ha="right", color=f"C{place}")
    less = [total[model, "compiled"] / total[model, "eager"] for model in MODELS]
    axes.set_title(f"A compiled step takes {min(less):.0%} to {max(less):.0%} of the\ninstructions of an eager one")
else:
    draw_reason(axes, status.capitalize())

# %%
# Counts have no interval: repeated, they differ by less than is shown.


def claim(statement, checks):
    return judge(statement, *checks()) if len(counts) else unmeasured(statement, status)


def fewer(engine, other, **threshold):
    return lambda: [check(model, factor(total[model, engine] / total[model, other]), **threshold) for model in MODELS]


def over_products(engine, part, **threshold):
    products = share.xs("eager", level="engine").xs("matrix products", level="part") * total.xs("eager", level="engine")
    return [check(m, factor(share[m, engine, part] * total[m, engine] / products[m]), **threshold) for m in MODELS]


findings = {
    "products": claim(
        "Matrix products are less than a quarter of an eager step's instructions.",
        lambda: [check(m, percent(share[m, "eager", "matrix products"]), below=0.25) for m in MODELS],
    ),
    "python": claim(
        "Python takes more of an eager step's instructions than matrix products do.",
        lambda: over_products("eager", "Python", above=1),
    ),
    "fused": claim(
        "A step of the fused engine takes a fifth less instructions, or fewer still.",
        fewer("fused", "eager", below=0.8),
    ),
    "compiled": claim(
        "A step of the compiled engine takes less than half the fused one's.", fewer("compiled", "fused", below=0.5)
    ),
    "loops": claim(
        "A whole compiled step takes fewer instructions than the BLAS does for the matrix products alone.",
        lambda: over_products("compiled", "compiled step", below=1),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
names = {f"{model}_{engine}".lower(): (model, engine) for model in MODELS for engine in ENGINES}
values = {name: number(round(total[cell])) if len(counts) else "not counted" for name, cell in names.items()}
values["status"] = status
publish("instructions", tables={"counts": counts}, values=values, findings=findings, figures={"counts": figure})
