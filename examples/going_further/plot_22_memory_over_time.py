"""
What is the memory of training for?
===================================

Every tensor that torch makes and gives back is followed through two epochs of the largest model on the fewest samples,
and sorted by what it is for: the data, the parameters, a step's activations and gradients, the optimiser's state. Two
things are told apart: what is held at once, and what is taken in all, which the memory column of a profile adds up.
"""

# sphinx_gallery_tags = ["profile", "memory"]

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.data import generate_samples
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.profilers.memory import CATEGORIES, live_tensors, predicted_bytes
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, SAMPLE_SIZES
from mlperf.results.publishing import publish
from mlperf.quantities.units import factor, memory

plt.style.use("mlperf.quantities.report")

MODEL = "Large"
N_SAMPLES = SAMPLE_SIZES[0]

# %%
# One run: a fit that is followed, after one that loads what is loaded only once. Two epochs are enough: every later one
# repeats the second. Put your own model here.


def run(model):
    samples = generate_samples(N_SAMPLES)
    regressor = MLPRegressor(model, max_iter=2, engine="eager", random_state=0)
    regressor.fit(samples.Xtr, samples.ytr)
    return live_tensors(lambda: regressor.fit(samples.Xtr, samples.ytr))


# How much is taken and given back, and in which order, is the same in every run.
live = measure(run, repeats=1, warmup=False, model={MODEL: MODELS[MODEL]})
held = pd.DataFrame({name: live.bytes.where(live.category == name, 0).cumsum() for name in CATEGORIES})
taken = live[live.bytes > 0].groupby("category").bytes.sum()
pd.DataFrame({"most_held_bytes": held.max(), "taken_bytes": taken}).loc[list(CATEGORIES)]

# %%
# What is held, from one change to the next.

peak = live.live_bytes.max()
figure, axes = plt.subplots()
axes.stackplot(live.index, held.T / 1e3, step="post", linewidth=0)
fullest = held.loc[held.sum(axis=1).iloc[len(held) // 2 :].idxmax()]
middles = fullest.cumsum() - fullest / 2
for number, name in enumerate(CATEGORIES):
    place = len(live), middles[name] / 1e3
    axes.annotate(name, place, (6, 0), textcoords="offset points", color=f"C{number}", va="center")
axes.set(xlabel="Tensors made and given back so far", ylabel="Live tensors (kB)", xlim=(0, 1.28 * len(live)))
axes.set_title(
    f"Never more than {peak / 1e3:,.0f} kB are held at once, but\n"
    f"{taken.sum() / 1e6:,.1f} MB are taken in all ({MODEL}, {N_SAMPLES:,} samples)"
)

# %%
# Are the data held more than once? And is the sum that a profile shows for an operator a need for memory, or work for
# the allocator?

n_rows = len(generate_samples(N_SAMPLES).Xtr)
one_copy = predicted_bytes([N_FEATURES, *MODELS[MODEL], 1], n_rows, batch_size=BATCH_SIZE)["data"]
by_operator = live.groupby("operator").bytes.sum()
findings = {
    "data_once": judge(
        "The shuffled data are held once, however many epochs follow: each epoch writes over the last one's.",
        check("Most data held, over one shuffled copy", factor(held["data"].max() / one_copy), within=(0.9, 1.2)),
    ),
    "churn": judge(
        "The profiler's memory column is not what is in use: an operator's sum is above the peak of all tensors.",
        check(f"{by_operator.idxmax()} over the peak", factor(by_operator.max() / peak), above=1),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {"churn": memory(taken.sum()), "churn_peak": memory(peak)}
publish("memory_over_time", tables={"timeline": live}, values=values, findings=findings, figures={"timeline": figure})
