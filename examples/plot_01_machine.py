"""
What machine is this?
=====================

Every number of the report depends on the machine that measured it: its processor, its
caches, its memory, and the libraries that do the arithmetic. Nothing is timed here; the
machine is asked. The figure sets the sizes of its caches beside those of what training
uses again and again.
"""

# sphinx_gallery_tags = ["machine", "memory"]

import pandas as pd

from mlperf import Table, exact, generate_samples, headline, measure, publish
from mlperf.machine import accelerator, cache_bytes, machine
from mlperf.profilers.work import n_parameters
from mlperf.protocol import BATCH_SIZE, DEVICE, EPOCHS, LEARNING_RATE, MODELS
from mlperf.protocol import N_FEATURES
from mlperf.protocol import PROFILE_EPOCHS, SAMPLE_SIZES, THREADS, TIMED

# %%
# The machine is described in a fresh process, with the threads that every measurement
# gets. One run is enough: the only row of its frame is the description.

described = measure(machine, processes=1, warmup=False)
about = described.frame[described.measured].iloc[0]
specification = pd.DataFrame({"what": about.index, "value": about.to_numpy()})
Table(specification)

# %%
# The models that are trained. Every hidden layer is followed by ReLU, and the last one
# by a linear layer with one output.

parameters = {}
rows = []
for name, hidden in MODELS.items():
    parameters[name] = n_parameters([N_FEATURES, *hidden, 1])
    layers = ", ".join(str(units) for units in hidden)
    rows.append((name, layers, parameters[name]))
models = pd.DataFrame(rows, columns=["model", "hidden_layer_sizes", "n_parameters"])
Table(models)

# %%
# What training uses again and again, in float32: for each model its parameters, their
# gradients and Adam's two moments; for the data, features and target of the training
# split.

FLOAT32 = 4
working_sets = {
    f"{name} model": 4 * FLOAT32 * count for name, count in parameters.items()
}
for n_samples in SAMPLE_SIZES:
    samples = generate_samples(n_samples)
    numbers = samples.Xtr.size + samples.ytr.size
    working_sets[f"{n_samples:,} samples"] = FLOAT32 * numbers

caches = cache_bytes()
sizes = exact({**caches, **working_sets}, by="what", unit="bytes", name="bytes")
sizes

# %%
# Does the largest of these working sets fit into a cache? The caches, smallest first,
# are those that one core can reach.

largest = sizes[list(working_sets)].idxmax()
largest_set = f"The largest working set ({largest}, {sizes[largest]:short})"
large_enough = [name for name in caches if caches[name] >= working_sets[largest]]

axes = sizes.plot(x="what", kind="dot", horizontal=True, log=True)
if large_enough:
    headline(axes, f"{largest_set} fits into the {large_enough[0]} cache")
else:
    headline(axes, f"{largest_set} fits into no cache")

# %%
# The report takes everything from the results folder. The protocol goes along, so that
# no sentence has to repeat it.

publish(
    "machine",
    described=described,
    specification=specification,
    models=models,
    sizes=sizes,
    caches=axes,
    processor=about["Processor"],
    cores=about["Logical cores usable here"],
    place="one core of this machine" if DEVICE == "cpu" else accelerator(),
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
