"""
What makes a compiled step fast?
================================

The compiled engine does not leave its matrix products to the BLAS. It writes a program
for the sizes of the network: blocks of several rows and several vectors are held in
registers, with the processor's widest vectors. Each of these choices is taken back in
turn, and the program compiled anew. Beside it stand the products of a step alone, by
the BLAS and, where it is installed, by libxsmm, which writes a program for the shape of
a product. Held fixed: the model, the mini-batch, one thread, and the rest of the step.
"""

# sphinx_gallery_tags = ["time", "engines"]

# mlperf: only in a full build

from functools import partial

import pandas as pd

from mlperf import claim, headline, measure, not_measured, publish, reference
from mlperf import seconds_per_call
from mlperf.profilers.ceilings import libraries, product_rate, product_seconds
from mlperf.profilers.work import step_flops
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.training.compiled import compiled
from mlperf.training.engines import available
from mlperf.training.kernel import source
from mlperf.training.network import training_steps

MODEL = by_mode(published="Large", quick="Small")
SIZES = (N_FEATURES, *MODELS[MODEL], 1)
STEPS = by_mode(published=50, quick=5)
TIMES = by_mode(
    published={"processes": 8, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)

USUAL = "as it is"
ONE_ROW = "one row at a time"
ONE_VECTOR = "one vector at a time"
NARROW = "vectors of 256 bits"
IN_ORDER = "samples in order"
CHOICES = {
    USUAL: {},
    ONE_ROW: {"rows_at_once": 1},
    ONE_VECTOR: {"vectors_at_once": 1},
    NARROW: {"vector_bytes": 32},
    IN_ORDER: {"shuffled": False},
}
ALONE = "its products alone, the BLAS"
ALONE_LIBXSMM = "its products alone, libxsmm"
LARGE = "as much work in one large product, the BLAS"

# %%
# This is a step as it is written for the smallest model. In the angle brackets stand
# the sizes of a layer: the compiler knows them, and so how often each loop goes round.
# The page "How a compiled step works" shows what is called.

program = source((N_FEATURES, *MODELS["Small"], 1))
start = program.index("static double forward_and_back")
end = program.index("return loss;", start)
print(program[start:end])

# %%
# One run: a step of every choice in turn, in one process; then what the libraries take
# for the products of the step, and the BLAS for as much work in one large product.


def step_seconds(choices):
    engine = partial(compiled, **choices)
    epoch = training_steps(engine, SIZES, BATCH_SIZE, STEPS)
    return seconds_per_call(epoch) / STEPS


def run():
    times = {name: step_seconds(choices) for name, choices in CHOICES.items()}
    times[ALONE] = product_seconds(SIZES, BATCH_SIZE)
    if "libxsmm" in libraries():
        times[ALONE_LIBXSMM] = product_seconds(SIZES, BATCH_SIZE, library="libxsmm")
    times[LARGE] = step_flops(SIZES, BATCH_SIZE) / product_rate(1024, 1024, 1024)
    return pd.DataFrame({"step_seconds": times}).rename_axis("choice")


# %%
# What is put to the test. A choice is expected to matter by more than a quarter; these
# thresholds were fixed before the numbers were seen.

STATEMENTS = {
    "products": "The BLAS takes longer for the products of a step than the compiled "
    "engine takes for the whole step.",
    "libxsmm": "By libxsmm, the products of a step take longer than the whole step "
    "takes with the compiled engine.",
    "rows": "A compiled step takes more than a quarter longer where it computes one "
    "row at a time.",
    "width": "With vectors of 256 bits, a compiled step takes more than a quarter "
    "longer.",
    "not_width": "With vectors of 256 bits, a whole compiled step takes less time than "
    "the BLAS takes for its products.",
    "peak": "A compiled step computes faster than the BLAS does in a large product.",
}


def libxsmm_claim(times_as_long):
    if ALONE_LIBXSMM not in times_as_long.labels("choice"):
        return claim(STATEMENTS["libxsmm"], reason="libxsmm is not installed")
    products = times_as_long[ALONE_LIBXSMM]
    return claim(
        STATEMENTS["libxsmm"],
        products > 1,
        otherwise="By libxsmm, the products of a step take no longer than the whole "
        "step takes with the compiled engine.",
        seen=f"they take {products} as long",
    )


def claims_on(step):
    times_as_long = step / step[USUAL]
    products = times_as_long[ALONE]
    one_row = times_as_long[ONE_ROW]
    narrow = times_as_long[NARROW]
    products_over_narrow = step[ALONE] / step[NARROW]
    large_product = times_as_long[LARGE]
    return {
        "products": claim(
            STATEMENTS["products"],
            products > 1,
            otherwise="The BLAS takes no longer for the products of a step than the "
            "compiled engine takes for the whole step.",
            seen=f"it takes {products} as long",
        ),
        "libxsmm": libxsmm_claim(times_as_long),
        "rows": claim(
            STATEMENTS["rows"],
            one_row > 1.25,
            otherwise="A compiled step takes at most a quarter longer where it "
            "computes one row at a time.",
            seen=f"it takes {one_row} as long",
        ),
        "width": claim(
            STATEMENTS["width"],
            narrow > 1.25,
            otherwise="With vectors of 256 bits, a compiled step takes at most a "
            "quarter longer.",
            seen=f"it takes {narrow} as long",
        ),
        "not_width": claim(
            STATEMENTS["not_width"],
            products_over_narrow > 1,
            otherwise="With vectors of 256 bits, a whole compiled step takes no less "
            "time than the BLAS takes for its products.",
            seen=f"the products take {products_over_narrow} as long",
        ),
        "peak": claim(
            STATEMENTS["peak"],
            large_product > 1,
            otherwise="A compiled step computes no faster than the BLAS does in a "
            "large product.",
            seen=f"for as much arithmetic the product takes {large_product} as long",
        ),
    }


# %%
# Without a C++ compiler there is nothing to measure, and the report says so. In the
# figure, what lies right of the dashed line takes longer than the compiled step as it
# is.

if "compiled" not in available():
    reason = "no C++ compiler works"
    results = not_measured(STATEMENTS, reason=reason, figure="choices")
else:
    runs = measure(run, **TIMES, warmup=False)
    step = runs["step_seconds"]
    times_as_long = step / step[USUAL]
    axes = times_as_long.plot(x="choice", kind="dot", horizontal=True, log=True)
    axes.set_xlabel("Time (× a compiled step as it is)")
    reference(axes, 1, "as it is")
    worst = times_as_long.at(choice=list(CHOICES)).idxmax()
    headline(
        axes,
        f"A compiled step loses most with “{worst}”: it takes "
        f"{times_as_long[worst]:short} the time",
    )
    results = {
        "runs": runs,
        "step": step,
        "times_as_long": times_as_long,
        "choices": axes,
        **claims_on(step),
    }

# %%
# Is the whole step ahead of its products with the BLAS?

results["products"]

# %%
# The report takes everything from the results folder.

publish("compiled_products", **results)
