"""
How much memory does a large fit take?
======================================

A million samples are trained on for two epochs, by each engine, and the memory of the process is watched: by how much
does it rise above what it held before, the data of the caller included? Mini-batches have to be gathered in a random
order, and whoever copies the whole of the data for that pays for it. Varied: the engine. Held fixed: the model, the
samples, the mini-batches.
"""

# sphinx_gallery_tags = ["memory", "engines"]

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mlperf.training.engines import available
from mlperf.quantities.drawing import draw_estimate
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.profilers.memory import process_peak
from mlperf.model import MLPRegressor
from mlperf.protocol import MODELS, N_FEATURES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median
from mlperf.quantities.units import factor, memory

plt.style.use("mlperf.quantities.report")

N_SAMPLES, REPEATS = by_mode(published=(1_000_000, 3), quick=(100_000, 2))

# %%
# One run: a small fit, which loads what is loaded only once, then the large one, watched. To watch a model of your
# own, put it here. The fits may share the machine: what they hold does not depend on the time that they take.


def run(engine):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N_SAMPLES, N_FEATURES)), rng.standard_normal(N_SAMPLES)
    regressor = MLPRegressor(MODELS["Small"], max_iter=2, engine=engine, random_state=0)
    regressor.fit(X[:200], y[:200])
    return {"peak_bytes": process_peak(lambda: regressor.fit(X, y))}


runs = measure(run, repeats=REPEATS, processes=REPEATS, warmup=False, n_jobs=2, engine=available())
data_bytes = 4 * N_SAMPLES * (N_FEATURES + 1)
runs["data_ratio"] = runs.peak_bytes / data_bytes
ratios = {engine: median(part.data_ratio, part.process) for engine, part in runs.groupby("engine", sort=False)}
runs.groupby("engine", sort=False)[["peak_bytes", "data_ratio"]].median()

# %%
# In sizes of the data in float32, the precision that a network is trained in.

figure, axes = plt.subplots()
for place, (engine, part) in enumerate(runs.groupby("engine", sort=False)):
    draw_estimate(axes, place, ratios[engine], part.data_ratio, bar=0.5, horizontal=True, label=engine)
axes.axvline(1, color="C6", linewidth=1, linestyle="--")
axes.set_yticks([])
axes.margins(x=0.15)
axes.set_xlabel("Memory taken at most (× the data in float32)")
most = max(ratios, key=lambda engine: ratios[engine].value)
axes.set_title(f"A fit of {N_SAMPLES:,} samples takes at most\n{ratios[most].value:.1f} times their size ({most})")

# %%
# What a user may count on.

findings = {
    "bounded": judge(
        "No engine takes more than four times the data's size in float32.",
        *(check(engine, factor(estimate), below=4) for engine, estimate in ratios.items()),
    )
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {engine: factor(estimate) for engine, estimate in ratios.items()} | {"data": memory(data_bytes)}
publish("memory_of_a_large_fit", tables={"runs": runs}, values=values, findings=findings, figures={"peaks": figure})
