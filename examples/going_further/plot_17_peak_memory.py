"""
How much memory does training need?
===================================

What training must hold at once is predicted from the layers' sizes and compared with what it does hold, at three
layers: the tensors that torch has made, the heap of the process (torch, NumPy and Python), and the whole process as
the operating system sees it, above what it held before. Varied: the model and the samples. Held fixed: the optimiser,
the mini-batches. Two epochs are enough: every later one repeats the second.
"""

# sphinx_gallery_tags = ["memory"]

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.data import generate_samples
from mlperf.quantities.claims import check, judge, unmeasured
from mlperf.profilers.measure import measure
from mlperf.profilers.memory import heap_peak, live_tensors, predicted_bytes, process_peak
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, SAMPLE_SIZES
from mlperf.results.publishing import publish
from mlperf.quantities.units import factor, memory

plt.style.use("mlperf.quantities.report")

# %%
# One run: a first fit, which also loads what is loaded only once, and two more, each watched at one layer, as a watcher
# takes memory too. The prediction comes from shapes alone. To watch a model of your own, put it here.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=2, engine="eager", random_state=0)

    def fit():
        regressor.fit(samples.Xtr, samples.ytr)

    predicted = predicted_bytes([N_FEATURES, *model, 1], len(samples.Xtr), batch_size=BATCH_SIZE)
    return {
        "process_bytes": process_peak(fit),
        "heap_bytes": heap_peak(fit),
        "tensors_bytes": live_tensors(fit).live_bytes.max(),
        "predicted_bytes": sum(predicted.values()),
    }


# %%
# Two at a time, and once: how much is held does not depend on how long it takes, nor on luck.

runs = measure(run, repeats=1, warmup=False, n_jobs=2, model=MODELS, n_samples=SAMPLE_SIZES)
peaks = runs.drop(columns=["process", "repeat"]).astype({"heap_bytes": float})
peaks

# %%
# Where nothing is drawn at "heap", memray is not installed.

cells = [f"{row.model}, {row.n_samples:,}" for row in peaks.itertuples()]
figure, axes = plt.subplots()
marks = {"predicted": ("|", 26), "tensors": ("o", 12), "heap": ("s", 12), "process": ("D", 12)}
for number, (layer, (mark, height)) in enumerate(marks.items()):
    sizes, color = peaks[f"{layer}_bytes"] / 1e6, f"C{number}"
    axes.plot(sizes, cells, mark, color=color, markersize=14 if mark == "|" else 6, markeredgewidth=2)
    axes.annotate(layer, (sizes[0], 0), (0, height), textcoords="offset points", ha="center", color=color)
axes.set(xscale="log", xlabel="Most memory held at once (MB)", ylim=(len(cells) - 0.5, -1.8))
axes.xaxis.set_major_formatter("{x:g}")
most = (peaks.process_bytes / peaks.tensors_bytes).max()
axes.set_title(
    f"The first fit of a process takes up to {float(f'{most:.2g}'):,.0f} times\nthe memory that its tensors ever hold"
)

# %%
# Is the prediction met, and who else holds memory?


def compare(layer, other, **threshold):
    for cell, ratio in zip(cells, peaks[f"{layer}_bytes"] / peaks[f"{other}_bytes"], strict=True):
        yield check(cell, factor(ratio), **threshold)


heap = "NumPy and Python hold less on the heap than torch's tensors do."
findings = {
    "predicted": judge(
        "The layers' sizes predict the peak of live tensors to within a fifth.",
        *compare("tensors", "predicted", within=(0.8, 1.2)),
    ),
    "process": judge(
        "The first fit of a process takes more than ten times the memory that its tensors hold.",
        *compare("process", "tensors", above=10),
    ),
    "heap": judge(heap, *compare("heap", "tensors", below=2))
    if peaks.heap_bytes.notna().all()
    else unmeasured(heap, "memray is not installed"),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

most_samples = peaks[peaks.n_samples == SAMPLE_SIZES[-1]].set_index("model")
values = {
    f"{model}_{layer}".lower(): memory(most_samples[f"{layer}_bytes"][model])
    for model in MODELS
    for layer in ("predicted", "tensors", "process")
}
publish("peak_memory", tables={"peaks": peaks}, values=values, findings=findings, figures={"peaks": figure})
