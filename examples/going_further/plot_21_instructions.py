"""
How many instructions does a training step take?
================================================

Times move with the machine's load; the number of instructions does not. Callgrind, a
tool of Valgrind, counts those of a step for every model and engine, and tells to which
function each belongs: to matrix products, to the rest of torch, to Python, or to the
memory allocator and the system. Counting is slow, so that few steps are counted. Held
fixed: the mini-batch, one thread.
"""

# sphinx_gallery_tags = ["profile", "engines"]

from mlperf import Runs, claim, draw_reason, headline, publish, subplots
from mlperf.profilers.instructions import CountingError, instructions
from mlperf.protocol import BATCH_SIZE, MODE, MODELS, N_FEATURES
from mlperf.training.engines import ENGINES
from mlperf.training.network import training_steps

STEPS = 5
COUNTED = ["eager", "fused", "compiled"]

# %%
# What is counted: an epoch of a few mini-batches, after some that prepare.


def prepare(model, engine):
    return training_steps(ENGINES[engine], [N_FEATURES, *model, 1], BATCH_SIZE, STEPS)


# %%
# Where Valgrind is not installed nothing is counted, and the report says so. Previews
# leave it out, as it would make them several times longer.

reason = ""
counts = None
if MODE == "quick":
    reason = "counting is left out of previews"
else:
    try:
        counts = instructions(prepare, calls=1, model=MODELS, engine=COUNTED)
    except CountingError as error:
        reason = str(error)
reason or "counted"

# %%
# What is claimed, with thresholds fixed before the numbers were seen.

STATEMENTS = {
    "products": "Matrix products are less than a quarter of an eager step's "
    "instructions.",
    "python": "Python takes more of an eager step's instructions than the matrix "
    "products do.",
    "fused": "A fused step takes a fifth fewer instructions than an eager one, or fewer "
    "still.",
    "compiled": "A compiled step takes less than half the instructions of a fused one.",
    "loops": "A whole compiled step takes fewer instructions than the BLAS does for the "
    "matrix products alone.",
}

# %%
# Counts have no interval: repeated, they differ by less than is shown.

if counts is None:
    figure, panels = subplots()
    draw_reason(panels, f"Instructions were not counted here: {reason}.")
    claims = {
        name: claim(statement, reason=reason) for name, statement in STATEMENTS.items()
    }
    values = {}
else:
    runs = Runs(counts.reset_index(), by=["model", "engine", "part"])
    by_part = runs["instructions"].exact() / STEPS
    total = by_part.sum("part")
    panels = by_part.plot(x="engine", by="part", panels="model", horizontal=True)
    ratio = total[:, "compiled"] / total[:, "eager"]
    headline(
        panels, f"A compiled step takes {ratio:short} the instructions of an eager one"
    )

    products = by_part[:, "eager", "matrix products"]
    checks = {
        "products": products / total[:, "eager"] < 0.25,
        "python": by_part[:, "eager", "Python"] / products > 1,
        "fused": total[:, "fused"] / total[:, "eager"] < 0.8,
        "compiled": total[:, "compiled"] / total[:, "fused"] < 0.5,
        "loops": by_part[:, "compiled", "compiled step"] / products < 1,
    }
    claims = {
        name: claim(statement, checks[name]) for name, statement in STATEMENTS.items()
    }
    values = {"total": total, "by_part": by_part}

# %%
# The report takes everything from the results folder.

publish(
    "instructions",
    status=reason or "counted",
    counts=panels,
    **values,
    **claims,
)
