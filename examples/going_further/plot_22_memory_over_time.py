"""
What is the memory of training for?
===================================

Every tensor that torch makes and gives back is followed through two epochs of the
largest model on the fewest samples, and sorted by what it is for: the data, the
parameters, a step's activations and gradients, the optimiser's state. Two things are
told apart: what is held at once, and what is taken in all, which the memory column of a
profile adds up.
"""

# sphinx_gallery_tags = ["profile", "memory"]

import numpy as np
import pandas as pd

from mlperf import MLPRegressor, Table, claim, exact, generate_samples, headline
from mlperf import measure, publish, stack, subplots
from mlperf.profilers.memory import CATEGORIES, live_tensors, predicted_bytes
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, SAMPLE_SIZES
from mlperf.quantities.drawing import label

MODEL = "Large"
N_SAMPLES = SAMPLE_SIZES[0]
SHOWN = 1_000  # events

# %%
# One run: a fit that is followed, after one that loads what is loaded only once. Two
# epochs are enough: every later one repeats the second. How much is taken and given
# back, and in which order, is the same in every run. Put your own model here.


def run():
    samples = generate_samples(N_SAMPLES)
    regressor = MLPRegressor(MODELS[MODEL], max_iter=2, engine="eager", random_state=0)
    regressor.fit(samples.Xtr, samples.ytr)
    live = live_tensors(lambda: regressor.fit(samples.Xtr, samples.ytr))
    return live.rename_axis("event")


runs = measure(run, processes=1, warmup=False)
live = runs.frame
Table(live.head())

# %%
# How much is held for each purpose after each event? What an event takes is counted as
# positive, what it gives back as negative, so that the sum so far is what is held.

changes = {name: live.bytes.where(live.category == name, 0) for name in CATEGORIES}
held = pd.DataFrame(changes).cumsum()
taken = live[live.bytes > 0].groupby("category").bytes.sum()

most_held = exact(held.max().to_dict(), by="category", unit="bytes")
taken_in_all = exact(taken.to_dict(), by="category", unit="bytes")
stack({"most held": most_held, "taken in all": taken_in_all}, "what")

# %%
# And for all purposes together?

peak = exact(int(live.live_bytes.max()), unit="bytes")
churn = exact(int(taken.sum()), unit="bytes")
stack({"most held": peak, "taken in all": churn}, "what")

# %%
# What is held, from one event to the next. There are more events than a figure can
# show: of every few, the one is drawn at which most is held. The names of the layers
# stand at the heights that they have on average.

figure, axes = subplots()
every_few = np.arange(len(held)) // max(1, len(held) // SHOWN)
drawn = held.loc[held.sum(axis=1).groupby(every_few).idxmax()]
layers = axes.stackplot(drawn.index, drawn.T / 1e3, step="post", linewidth=0)
on_average = held.mean()
middles = on_average.cumsum() - on_average / 2
for layer, name in zip(layers, CATEGORIES, strict=True):
    label(axes, middles[name] / 1e3, name, color=layer.get_facecolor())
axes.set(xlabel="Allocations and frees so far", ylabel="Live tensors (kB)")
axes.set(xlim=(0, len(live)))
axes.xaxis.set_major_formatter("{x:,.0f}")
headline(
    axes,
    f"At most {peak} are in use at once, but {churn} are allocated in all ({MODEL}, "
    f"{N_SAMPLES:,} samples)",
)

# %%
# Are the shuffled data held more than once?

n_rows = len(generate_samples(N_SAMPLES).Xtr)
sizes = [N_FEATURES, *MODELS[MODEL], 1]
one_copy = predicted_bytes(sizes, n_rows, batch_size=BATCH_SIZE)["data"]
copies = most_held["data"] / exact(one_copy, unit="bytes")
copies

# %%
# Is the sum that a profile shows for an operator ever in use at once, or is it only
# what passes through the allocator? The largest of these sums is compared with the most
# that is held.

by_operator = live.groupby("operator").bytes.sum()
busiest = by_operator.idxmax()
sum_over_peak = exact(int(by_operator.max()), unit="bytes") / peak
sum_over_peak

# %%
# Both put to the test.

busiest_sum = (
    f"its total for {busiest} alone is {sum_over_peak} the most that all tensors hold "
    "at once"
)
claims = {
    "data_once": claim(
        "The shuffled data are held once, however many epochs follow.",
        copies.within(0.9, 1.2),
        otherwise="The shuffled data are not held just once.",
        seen=f"what is held of them is {copies} their size",
    ),
    "little_in_use": claim(
        "Little memory is in use at once, though much is allocated: more than twice as "
        "much.",
        churn / peak > 2,
        holds="Little memory is in use at once, though much is allocated.",
        otherwise="Most of the memory that is allocated is in use at once.",
        seen=f"two epochs of {MODEL} on {N_SAMPLES:,} samples allocate {churn} in all "
        f"and hold at most {peak} at a time",
    ),
    "not_in_use": claim(
        "The profiler's memory column does not show what is in use.",
        sum_over_peak > 1,
        otherwise="The profiler's memory column shows no more than may be in use.",
        seen=busiest_sum,
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "memory_over_time",
    live=runs,
    churn=churn,
    peak=peak,
    most_held=most_held,
    timeline=figure,
    **claims,
)
