"""
What machine is this?
=====================

Every number of the report depends on the machine that measured it: its processor, its caches, its memory, and the
libraries that do the arithmetic. Nothing is timed here; the machine is asked. The figure sets the caches beside what
the report's training keeps in them.
"""

# sphinx_gallery_tags = ["machine", "memory"]

from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd

from mlperf import protocol
from mlperf.data import generate_samples
from mlperf.machine import cache_bytes, machine
from mlperf.profilers.measure import measure
from mlperf.results.publishing import publish
from mlperf.quantities.units import memory

plt.style.use("mlperf.quantities.report")

# %%
# The machine is described in a fresh process with the threads that every measurement gets.

specification = measure(machine, repeats=1, warmup=False).drop(columns=["process", "repeat"]).T.reset_index()
specification.columns = ["what", "value"]
specification

# %%
# What training keeps at hand, in float32: for each model its parameters, their gradients and Adam's two moments; for
# the data the training split's features and target.

FLOAT32 = 4
models = pd.DataFrame(
    [
        (model, ", ".join(map(str, hidden)), sum((a + 1) * b for a, b in pairwise([protocol.N_FEATURES, *hidden, 1])))
        for model, hidden in protocol.MODELS.items()
    ],
    columns=["model", "hidden_layer_sizes", "n_parameters"],
)
working_sets = {f"{row.model} model": 4 * row.n_parameters * FLOAT32 for row in models.itertuples()}
for n_samples in protocol.SAMPLE_SIZES:
    training = generate_samples(n_samples)
    working_sets[f"{n_samples:,} samples"] = (training.Xtr.size + training.ytr.size) * FLOAT32
sizes = pd.DataFrame({"what": working_sets.keys(), "bytes": working_sets.values()})
sizes

# %%
# Bars are the caches that one core can reach; dots what training keeps at hand.

caches = cache_bytes()
figure, axes = plt.subplots()
bars = axes.barh(list(caches), list(caches.values()), color="C0", alpha=0.4)
axes.scatter(sizes.bytes, sizes.what, color="C1")
for what, size in [*caches.items(), *working_sets.items()]:
    axes.annotate(f"{memory(size):short}", (size, what), (6, 0), textcoords="offset points", va="center")
axes.set(xscale="log", xlabel="Size (bytes)")
axes.margins(x=0.2)
axes.invert_yaxis()
largest = sizes.loc[sizes.bytes.idxmax()]
fitting = [level for level, size in caches.items() if size >= largest.bytes]
axes.set_title(
    f"The largest working set, {largest.what} ({memory(largest.bytes):short}),\nfits into the {fitting[0]} cache"
    if fitting
    else f"The largest working set is {largest.what}"
)

# %%
# The report takes everything from the results folder. The protocol goes along, so that no sentence has to repeat it.

publish(
    "machine",
    tables={"specification": specification, "models": models, "sizes": sizes},
    values={
        **dict(zip(("few", "middle", "many"), protocol.SAMPLE_SIZES, strict=True)),
        "processor": specification.set_index("what").value["Processor"],
        "threads": protocol.THREADS,
        "repeats": protocol.REPEATS,
        "processes": protocol.PROCESSES,
        "epochs": protocol.EPOCHS,
        "profile_epochs": protocol.PROFILE_EPOCHS,
    },
    figures={"caches": figure},
)
