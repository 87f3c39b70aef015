"""
Why is a compiled step ahead of the BLAS?
=========================================

The compiled engine does not leave its matrix products to the BLAS. They become loops over several rows at a time, with
the processor's widest vectors, on tensors that live on the stack. Each of these choices is taken back in turn, and the
step compiled anew. Held fixed: the model, the mini-batch, one thread, and the rest of the step.
"""

# sphinx_gallery_tags = ["time", "engines"]
import platform
from unittest.mock import patch

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.profilers.ceilings import product_rate, product_seconds
from mlperf.training.compiled import (
    INDUCTOR,
    ROWS_AT_ONCE,
    check_compiler,
    compile_seconds,
)
from mlperf.training.engines import compiled
from mlperf.quantities.drawing import draw_estimate, draw_reason
from mlperf.quantities.claims import check, judge, unmeasured
from mlperf.profilers.work import step_flops
from mlperf.profilers.measure import measure
from mlperf.training.network import training_steps
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median
from mlperf.profilers.timing import seconds_per_call
from mlperf.quantities.units import factor

plt.style.use("mlperf.quantities.report")

SIZES = (N_FEATURES, *by_mode(published=MODELS["Large"], quick=MODELS["Small"]), 1)
STEPS, FRESH, RUNS = by_mode(published=(50, 6, 18), quick=(5, 1, 2))
usual, blas, alone, large = (
    "as it is",
    "the BLAS",
    "its products alone, the BLAS",
    "one large product, the BLAS",
)
rows, narrow, heap = "one row at a time", "vectors of 256 bits", "tensors on the heap"
CHOICES = {
    usual: {"ROWS_AT_ONCE": ROWS_AT_ONCE},
    blas: {"LOOPED_PRODUCT": 0},
}  # constants of mlperf.training.compiled
MORE = {rows: {"ROWS_AT_ONCE": 1}, heap: {"STACK_BYTES": 0}}
if platform.machine() in ("x86_64", "AMD64"):
    MORE[narrow] = {
        "INDUCTOR": INDUCTOR | {"cpp.simdlen": 256, "cpp.march": "x86-64-v3"}
    }
CHOICES |= by_mode(published=MORE, quick={})

# %%
# One run: a step of every choice in turn, in one process; its products alone, by the BLAS; as much work in one product.


def chosen(choice, call, *arguments):
    with patch.multiple("mlperf.training.compiled", **CHOICES[choice]):
        return call(*arguments)


def prepare(choice):
    return {"seconds": chosen(choice, compile_seconds, SIZES, BATCH_SIZE)}


def run():
    steps = {
        choice: chosen(choice, training_steps, compiled, SIZES, BATCH_SIZE, STEPS)
        for choice in CHOICES
    }
    times = {choice: seconds_per_call(step) / STEPS for choice, step in steps.items()}
    in_one = step_flops(SIZES, BATCH_SIZE) / product_rate(1024, 1024, 1024)
    return {**times, alone: product_seconds(SIZES, BATCH_SIZE), large: in_one}


runs, reason = (
    pd.DataFrame(),
    by_mode(published="no such vectors here", quick="left out of previews"),
)
try:
    check_compiler()
except RuntimeError as error:
    reason = str(error)
else:
    measure(prepare, repeats=1, n_jobs=2, choice=list(CHOICES))
    runs = measure(run, repeats=RUNS, processes=FRESH, warmup=False)
over = {
    name: median(runs[name] / runs[usual], runs.process)
    for name in runs
    if name not in ("process", "repeat")
}
pd.DataFrame(over.values(), index=over, columns=["time_ratio", "low", "high"])

# %%
# Right of the line, it takes longer than the compiled step as it is.
figure, axes = plt.subplots()
for place, (name, ratio) in enumerate(over.items()):
    draw_estimate(
        axes,
        place,
        ratio,
        runs[name] / runs[usual],
        horizontal=True,
        color=f"C{name not in CHOICES:d}",
    )
if over:
    axes.axvline(1, color="C6", linewidth=0.8)
    axes.set(xlabel="Time (× the compiled step as it is)", ylim=(len(over) - 0.5, -0.5))
    axes.set_yticks(range(len(over)), over)
    axes.set_title(
        f"What a compiled step suffers from most:\n{max(CHOICES, key=over.get)}"
    )
else:
    draw_reason(axes, reason)

# %%
# Each choice is asked to matter by more than a quarter; then, what is left of the lead without the wide vectors.
claims = {
    "products": (
        "Left to the BLAS, the products make a compiled step longer.",
        blas,
        usual,
        1,
    ),
    "rows": (
        "One row at a time, a step takes more than a quarter longer.",
        rows,
        usual,
        1.25,
    ),
    "width": (
        "With vectors of 256 bits, a step takes more than a quarter longer.",
        narrow,
        usual,
        1.25,
    ),
    "stack": (
        "With tensors on the heap, a step takes more than a quarter longer.",
        heap,
        usual,
        1.25,
    ),
    "not_width": (
        "Even with vectors of 256 bits, a step is shorter than with the BLAS.",
        blas,
        narrow,
        1,
    ),
    "peak": (
        "A compiled step computes faster than the BLAS does in a large product.",
        large,
        usual,
        1,
    ),
}


def claim(statement, slow, fast, above):
    if not {slow, fast} <= set(over):
        return unmeasured(statement, reason)
    ratio = factor(median(runs[slow] / runs[fast], runs.process))
    return judge(statement, check(f"{slow} over {fast}", ratio, above=above))


findings = {name: claim(*claimed) for name, claimed in claims.items()}
publish(
    "compiled_products",
    tables={"runs": runs},
    findings=findings,
    figures={"choices": figure},
)
pd.DataFrame(findings.values())
