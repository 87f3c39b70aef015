"""
How much memory does a large fit take?
======================================

A million samples are trained on for two epochs, by each engine, and the memory of the
process is watched: by how much does it rise above what it held before, the data of the
caller included? Mini-batches have to be gathered in a random order, and whoever copies
the whole of the data for that pays for it. Varied: the engine. Held fixed: the model,
the samples, the mini-batches.
"""

# sphinx_gallery_tags = ["memory", "engines"]

# mlperf: only in a full build

import numpy as np

from mlperf import MLPRegressor, claim, exact, headline, measure, publish, reference
from mlperf.profilers.memory import process_peak
from mlperf.protocol import MODELS, N_FEATURES, by_mode
from mlperf.training.engines import available

N_SAMPLES = by_mode(published=1_000_000, quick=20_000)
PROCESSES = by_mode(published=3, quick=1)

# %%
# One run: a small fit, which loads what is loaded only once, then the large one,
# watched. To watch a model of your own, put it here. The fits may share the machine:
# what they hold does not depend on the time that they take.


def run(engine):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_SAMPLES, N_FEATURES))
    y = rng.standard_normal(N_SAMPLES)
    regressor = MLPRegressor(MODELS["Small"], max_iter=2, engine=engine, random_state=0)
    regressor.fit(X[:200], y[:200])
    return {"peak_bytes": process_peak(lambda: regressor.fit(X, y))}


# %%
# Each run needs a process of its own, in a preview too: what a process once held it may
# keep.

engines = available()
runs = measure(
    run, processes=PROCESSES, warmup=False, n_jobs=2, fresh=True, engine=engines
)
peak = runs["peak_bytes"]
peak

# %%
# In sizes of the data in float32, the precision that a network is trained in.

data = exact(4 * N_SAMPLES * (N_FEATURES + 1), unit="bytes")
copies = peak / data
axes = copies.plot(x="engine", kind="bar", horizontal=True)
axes.set_xlabel("Peak memory (× the data in float32)")
reference(axes, 1, "the data")
most = copies.idxmax()
headline(
    axes,
    f"A fit on {N_SAMPLES:,} samples takes at most {copies[most]:short} the memory of "
    f"the data ({most})",
)

# %%
# What a user may count on.

takes = f"{peak:short} to the memory of the process, for data of {data}"
claims = {
    "bounded": claim(
        f"A fit of {N_SAMPLES:,} samples takes less than four times the size of its "
        "data in float32, whatever the engine.",
        copies < 4,
        holds=f"Whatever the engine, a fit of {N_SAMPLES:,} samples adds {takes}.",
        otherwise=f"A fit of {N_SAMPLES:,} samples takes four times the size of its "
        "data in float32 or more with some engine.",
        seen=takes,
    )
}

# %%
# The report takes everything from the results folder.

publish(
    "memory_of_a_large_fit",
    runs=runs,
    peak=peak,
    copies=copies,
    data=data,
    peaks=axes,
    **claims,
)
