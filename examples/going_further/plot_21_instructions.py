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

from mlperf import claim, draw_reason, headline, publish, subplots
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
# Counts have no interval: repeated, they differ by less than is shown. The figure shows
# what a step's instructions are spent on, or says why nothing was counted.

if counts is None:
    figure, panels = subplots()
    draw_reason(panels, f"Instructions were not counted here: {reason}.")
    values = {}
else:
    by_part = counts["instructions"].exact() / STEPS
    total = by_part.sum("part")
    panels = by_part.plot(
        x="engine", by="part", panels="model", kind="bar", horizontal=True
    )
    share_of_eager = (total[:, "compiled"] / total[:, "eager"]).to("fraction")
    headline(
        panels,
        f"A compiled step takes {share_of_eager:short} of the instructions of an eager "
        "one",
    )
    values = {"runs": counts, "total": total, "by_part": by_part}

# %%
# Claims, with thresholds fixed before the numbers were seen.

if counts is None:
    claims = {
        "products": claim(
            "Matrix products take less than a quarter of an eager step's instructions.",
            reason=reason,
        ),
        "python": claim(
            "Python takes more of an eager step's instructions than the matrix "
            "products do.",
            reason=reason,
        ),
        "fused": claim(
            "A fused step takes at least a fifth fewer instructions than an eager one.",
            reason=reason,
        ),
        "compiled": claim(
            "A compiled step takes less than half the instructions of a fused one.",
            reason=reason,
        ),
        "loops": claim(
            "A whole compiled step takes fewer instructions than the BLAS does for the "
            "matrix products alone.",
            reason=reason,
        ),
    }
else:
    products = by_part[:, "eager", "matrix products"]
    products_share = (products / total[:, "eager"]).to("fraction")
    python_ratio = by_part[:, "eager", "Python"] / products
    fused_share = (total[:, "fused"] / total[:, "eager"]).to("fraction")
    compiled_share = (total[:, "compiled"] / total[:, "fused"]).to("fraction")
    loops_ratio = by_part[:, "compiled", "compiled step"] / products
    claims = {
        "products": claim(
            "Matrix products take less than a quarter of an eager step's instructions.",
            products_share < 0.25,
            holds="Matrix products take less than a quarter of an eager step's "
            f"instructions: {products_share}.",
            otherwise="Matrix products do not always take less than a quarter of an "
            f"eager step's instructions, but {products_share}.",
        ),
        "python": claim(
            "Python takes more of an eager step's instructions than the matrix "
            "products do.",
            python_ratio > 1,
            holds=f"Python takes {python_ratio} as many of an eager step's "
            "instructions as the matrix products do.",
            otherwise="Python does not always take more of an eager step's "
            f"instructions than the matrix products do, but {python_ratio} as many.",
        ),
        "fused": claim(
            "A fused step takes at least a fifth fewer instructions than an eager one.",
            fused_share < 0.8,
            holds=f"A fused step takes {fused_share} of the instructions of an eager "
            "one, at least a fifth fewer.",
            otherwise=f"A fused step takes {fused_share} of the instructions of an "
            "eager one, not always a fifth fewer.",
        ),
        "compiled": claim(
            "A compiled step takes less than half the instructions of a fused one.",
            compiled_share < 0.5,
            holds=f"A compiled step takes {compiled_share} of the instructions of a "
            "fused one, less than half.",
            otherwise=f"A compiled step takes {compiled_share} of the instructions of "
            "a fused one, not always less than half.",
        ),
        "loops": claim(
            "A whole compiled step takes fewer instructions than the BLAS does for "
            "the matrix products alone.",
            loops_ratio < 1,
            holds=f"A whole compiled step takes {loops_ratio} the instructions that "
            "the BLAS takes for the matrix products alone: fewer.",
            otherwise=f"A whole compiled step takes {loops_ratio} the instructions "
            "that the BLAS takes for the matrix products alone: not always fewer.",
        ),
    }

# %%
# The report takes everything from the results folder.

publish(
    "instructions",
    status=reason or "counted",
    counts=panels,
    **values,
    **claims,
)
