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

from mlperf.engines import ENGINES
from mlperf.findings import check, judge, unmeasured
from mlperf.instructions import PARTS, CountingError, instructions
from mlperf.network import training_steps
from mlperf.protocol import BATCH_SIZE, MODE, MODELS, N_FEATURES
from mlperf.results import publish
from mlperf.units import factor, number, percent

plt.style.use("mlperf.mlperf")

STEPS = 5

# %%
# What is counted: an epoch of a few mini-batches, after some that prepare.


def prepare(model, engine):
    return training_steps(ENGINES[engine], [N_FEATURES, *model, 1], BATCH_SIZE, STEPS)


try:
    if MODE == "quick":
        raise CountingError("left out of previews, which it would make several times longer")
    counts = instructions(prepare, calls=1, model=MODELS, engine=["eager", "fused", "compiled"])
    counts["instructions"] /= STEPS
    status = "counted"
except CountingError as error:
    counts = pd.DataFrame(columns=["model", "engine", "part", "instructions"])
    status = f"not counted here: {error}"
status

# %%
# A bar is a step of one model with one engine. The compiled engine is not counted: making it takes far longer.

total = counts.groupby(["model", "engine"], sort=False).instructions.sum()
share = counts.set_index(["model", "engine", "part"]).instructions / total
figure, axes = plt.subplots()
for place, cell in enumerate(total.index):
    left = 0.0
    for number_of, part in enumerate(PARTS):
        width = share[(*cell, part)] * total[cell] / 1e6
        axes.barh(place, width, left=left, color=f"C{number_of}", alpha=0.7)
        left += width
axes.set_yticks(range(len(total)), [f"{model}, {engine}" for model, engine in total.index])
axes.invert_yaxis()
axes.set_xlabel("Instructions of one step (millions)")
for number_of, part in enumerate(PARTS):
    axes.annotate(part, (0.97, 0.9 - 0.08 * number_of), xycoords="axes fraction", ha="right", color=f"C{number_of}")
most = share.xs("matrix products", level="part").max() if len(share) else float("nan")
axes.set_title(
    f"Matrix products are at most {most:.0%} of a step's\ninstructions" if len(share) else status.capitalize()
)

# %%
# Counts have no interval: repeated, they differ by less than is shown.


def claim(statement, checks):
    return judge(statement, *checks()) if len(counts) else unmeasured(statement, status)


def fused_over_eager():
    return [check(model, factor(total[model, "fused"] / total[model, "eager"]), below=0.8) for model in MODELS]


findings = {
    "products": claim(
        "Matrix products are less than a quarter of a step's instructions.",
        lambda: [check(m, percent(share[m, "eager", "matrix products"]), below=0.25) for m in MODELS],
    ),
    "python": claim(
        "Python takes more of a step's instructions than matrix products do.",
        lambda: [
            check(m, factor(share[m, "eager", "Python"] / share[m, "eager", "matrix products"]), above=1)
            for m in MODELS
        ],
    ),
    "fused": claim("A step of the fused engine takes a fifth less instructions, or fewer still.", fused_over_eager),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

names = {f"{model}_{engine}".lower(): (model, engine) for model in MODELS for engine in ("eager", "fused")}
values = {name: number(round(total[cell])) if len(counts) else "not counted" for name, cell in names.items()}
values["status"] = status
publish("instructions", tables={"counts": counts}, values=values, findings=findings, figures={"counts": figure})
