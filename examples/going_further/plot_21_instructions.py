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

# mlperf: only in a full build

from mlperf import claim, headline, not_measured, publish
from mlperf.profilers.instructions import CountingError, instructions
from mlperf.protocol import BATCH_SIZE, MODE, MODELS, N_FEATURES
from mlperf.training.engines import ENGINES
from mlperf.training.network import training_steps

STEPS = 5
COUNTED = ["eager", "fused", "compiled"]

# %%
# What is put to the test. The thresholds were fixed before the numbers were seen.

STATEMENTS = {
    "products": "Matrix products take less than a quarter of an eager step's "
    "instructions.",
    "python": "Python takes more of an eager step's instructions than the matrix "
    "products do.",
    "fused": "A fused step takes at least a fifth fewer instructions than an eager "
    "one.",
    "compiled": "A compiled step takes less than half the instructions of a fused one.",
    "loops": "A whole compiled step takes fewer instructions than the BLAS does for "
    "the matrix products alone.",
}

# %%
# What is counted: an epoch of a few mini-batches, after some that prepare.


def prepare(model, engine):
    return training_steps(ENGINES[engine], [N_FEATURES, *model, 1], BATCH_SIZE, STEPS)


# %%
# Where Valgrind is not installed nothing can be counted. Previews leave it out, as it
# would make them several times longer. The reason is kept: "not measured" is a verdict
# too.

if MODE == "quick":
    reason = "counting is left out of previews"
else:
    try:
        counts = instructions(prepare, calls=1, model=MODELS, engine=COUNTED)
        reason = ""
    except CountingError as error:
        reason = str(error)
status = reason or "counted"
print(status)

# %%
# The figure shows what a step's instructions are spent on. Counts have no interval:
# repeated, they differ by less than is shown.


def draw(by_part):
    total = by_part.sum("part")
    share_of_eager = (total[:, "compiled"] / total[:, "eager"]).to("fraction")
    millions = by_part / 1_000_000
    panels = millions.plot(
        x="engine", by="part", panels="model", kind="bar", horizontal=True
    )
    panels[len(panels) // 2].set_xlabel("Instructions of a step (millions)")
    headline(
        panels,
        f"A compiled step takes {share_of_eager:short} of the instructions of an eager "
        "one",
    )
    return panels


# %%
# Each statement gets its number, model by model: the parts of an eager step against
# each other, and the steps of one engine against those of another.


def claims_on(by_part):
    total = by_part.sum("part")
    eager_products = by_part[:, "eager", "matrix products"]
    products = (eager_products / total[:, "eager"]).to("fraction")
    python = by_part[:, "eager", "Python"] / eager_products
    fused = (total[:, "fused"] / total[:, "eager"]).to("fraction")
    compiled = (total[:, "compiled"] / total[:, "fused"]).to("fraction")
    loops = by_part[:, "compiled", "compiled step"] / eager_products
    return {
        "products": claim(
            STATEMENTS["products"],
            products < 0.25,
            otherwise="Matrix products take a quarter of an eager step's instructions "
            "or more for some model.",
            seen=products,
        ),
        "python": claim(
            STATEMENTS["python"],
            python > 1,
            otherwise="Python takes no more of an eager step's instructions than the "
            "matrix products do for some model.",
            seen=f"it takes {python} as many",
        ),
        "fused": claim(
            STATEMENTS["fused"],
            fused < 0.8,
            otherwise="A fused step does not save a fifth of the instructions of an "
            "eager one for every model.",
            seen=f"it takes {fused} of them",
        ),
        "compiled": claim(
            STATEMENTS["compiled"],
            compiled < 0.5,
            otherwise="A compiled step takes half the instructions of a fused one or "
            "more for some model.",
            seen=f"it takes {compiled} of them",
        ),
        "loops": claim(
            STATEMENTS["loops"],
            loops < 1,
            otherwise="A whole compiled step takes no fewer instructions than the "
            "BLAS does for the matrix products alone, for some model.",
            seen=f"it takes {loops} as many",
        ),
    }


# %%
# With counts, all of this is published; without them, the reason why there are none.

if reason:
    results = not_measured(STATEMENTS, reason=reason, figure="counts")
else:
    by_part = counts["instructions"].exact() / STEPS
    results = {
        "runs": counts,
        "by_part": by_part,
        "total": by_part.sum("part"),
        "counts": draw(by_part),
        **claims_on(by_part),
    }

# %%
# The report takes everything from the results folder.

publish("instructions", status=status, **results)
