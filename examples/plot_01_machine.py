"""
What machine is this?
=====================

Every number of the report depends on the machine that measured it: its processor, its
caches, its memory, and the libraries that do the arithmetic. Nothing is timed here; the
machine is asked. The figure sets its caches beside what training keeps in them.
"""

# sphinx_gallery_tags = ["machine", "memory"]

import pandas as pd

from mlperf import exact, generate_samples, headline, measure, publish
from mlperf.machine import cache_bytes, machine
from mlperf.profilers.work import n_parameters
from mlperf.protocol import BATCH_SIZE, EPOCHS, LEARNING_RATE, MODELS, N_FEATURES
from mlperf.protocol import PROFILE_EPOCHS, SAMPLE_SIZES, THREADS, TIMED

# %%
# The machine is described in a fresh process with the threads that every measurement
# gets.

described = measure(machine, processes=1, warmup=False)
about = described.frame[described.measured].iloc[0]
specification = pd.DataFrame({"what": about.index, "value": about.to_numpy()})
specification

# %%
# The models. Between the layers stands ReLU; a linear layer with one output follows the
# last hidden one.

parameters = {
    name: n_parameters([N_FEATURES, *hidden, 1]) for name, hidden in MODELS.items()
}
layers = {name: ", ".join(map(str, hidden)) for name, hidden in MODELS.items()}
models = pd.DataFrame(
    {
        "model": list(MODELS),
        "hidden_layer_sizes": list(layers.values()),
        "n_parameters": list(parameters.values()),
    }
)
models

# %%
# What training keeps at hand, in float32: for each model its parameters, their
# gradients and Adam's two moments; for the data the training split's features and
# target.

FLOAT32 = 4
working_sets = {
    f"{name} model": 4 * FLOAT32 * count for name, count in parameters.items()
}
for n_samples in SAMPLE_SIZES:
    samples = generate_samples(n_samples)
    numbers = samples.Xtr.size + samples.ytr.size
    working_sets[f"{n_samples:,} samples"] = FLOAT32 * numbers
sizes = exact({**cache_bytes(), **working_sets}, by="what", unit="bytes", name="bytes")
sizes

# %%
# Caches are those that one core can reach; below them, what training keeps at hand.

axes = sizes.plot(x="what", kind="dot", horizontal=True, log=True)
largest = max(working_sets, key=working_sets.get)
caches_that_fit = [
    name for name, size in cache_bytes().items() if size >= working_sets[largest]
]
if caches_that_fit:
    size = sizes[largest]
    headline(axes, f"{largest}, {size}, fit into the {caches_that_fit[0]} cache")
else:
    headline(axes, f"{largest} are the largest working set: {sizes[largest]}")

# %%
# The report takes everything from the results folder. The protocol goes along, so that
# no sentence has to repeat it.

publish(
    "machine",
    specification=specification,
    models=models,
    sizes=sizes,
    caches=axes,
    processor=about["Processor"],
    cores=about["Logical cores usable here"],
    few=SAMPLE_SIZES[0],
    middle=SAMPLE_SIZES[1],
    many=SAMPLE_SIZES[2],
    threads=THREADS,
    processes=TIMED["processes"],
    epochs=EPOCHS,
    profile_epochs=PROFILE_EPOCHS,
    batch_size=BATCH_SIZE,
    learning_rate=LEARNING_RATE,
)
