"""
How much memory does training need?
===================================

What training must hold at once is predicted from the layers' sizes and compared with
what it does hold, at three layers: the tensors that torch has made, the heap of the
process (torch, NumPy and Python), and the whole process as the operating system sees
it, above what it held before. Varied: the model and the samples. Held fixed: the
optimiser, the mini-batches. Two epochs are enough: every later one repeats the second.
"""

# sphinx_gallery_tags = ["memory"]

from mlperf import MLPRegressor, claim, generate_samples, headline, measure, publish
from mlperf import stack
from mlperf.profilers.memory import heap_peak, live_tensors, predicted_bytes
from mlperf.profilers.memory import process_peak
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, SAMPLE_SIZES, by_mode

PROCESSES = by_mode(published=3, quick=1)

# %%
# One run: a first fit, which also loads what is loaded only once, and two more, each
# watched at one layer, as a watcher takes memory too. To watch a model of your own, put
# it here.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=2, engine="eager", random_state=0)

    def fit():
        regressor.fit(samples.Xtr, samples.ytr)

    process = process_peak(fit)
    heap = heap_peak(fit)
    tensors = live_tensors(fit).live_bytes.max()
    sizes = [N_FEATURES, *model, 1]
    predicted = predicted_bytes(sizes, len(samples.Xtr), batch_size=BATCH_SIZE)
    peaks = {
        "process_bytes": process,
        "tensors_bytes": tensors,
        "predicted_bytes": sum(predicted.values()),
    }
    return peaks if heap is None else {**peaks, "heap_bytes": heap}


# %%
# Two at a time: how much is held does not depend on how long it takes. Each run needs a
# process of its own, in a preview too: in a process that has trained before, nothing is
# left to load.

runs = measure(
    run,
    processes=PROCESSES,
    warmup=False,
    n_jobs=2,
    fresh=True,
    model=MODELS,
    n_samples=SAMPLE_SIZES,
)
has_heap = "heap_bytes" in runs.measured
layers = ["predicted", "tensors", "heap", "process"]
peaks = stack(
    {
        layer: runs[f"{layer}_bytes"]
        for layer in layers
        if f"{layer}_bytes" in runs.measured
    },
    "layer",
)
peaks

# %%
# For every model and sample size, from what is predicted to what the process takes.

panels = peaks.plot(x="n_samples", by="layer", panels="model", kind="dot", log=True)
tensors = runs["tensors_bytes"]
process = runs["process_bytes"]
process_ratio = process / tensors
most = process_ratio.max()
headline(
    panels,
    f"The first fit of a process takes up to {most:short} the memory that its tensors "
    "ever hold",
)

# %%
# How well is the peak of the tensors predicted, and who else holds memory?

predicted_ratio = tensors / runs["predicted_bytes"]
predicted_ratio

# %%
# Claims, with thresholds fixed before the numbers were seen. Peaks of tensors follow
# from shapes: their runs agree.

heap_statement = (
    "NumPy and Python together hold less on the heap than torch's tensors do."
)
if has_heap:
    heap_ratio = runs["heap_bytes"] / tensors
    heap_claim = claim(
        heap_statement,
        heap_ratio < 2,
        otherwise="NumPy and Python hold more on the heap than torch's tensors do: "
        f"the heap is {heap_ratio} the tensors.",
    )
else:
    heap_claim = claim(heap_statement, reason="memray is not installed")
claims = {
    "predicted": claim(
        "The layers' sizes predict the peak of live tensors to within a fifth.",
        predicted_ratio.within(0.8, 1.2),
        otherwise="The layers' sizes do not predict the peak of live tensors "
        f"everywhere: it is {predicted_ratio} what they say.",
    ),
    "process_most": claim(
        "The first fit of a process takes more than ten times the memory that its "
        "tensors hold.",
        process_ratio > 10,
        otherwise=f"The first fit of a process takes {process_ratio} the memory that "
        "its tensors hold.",
    ),
    "heap_little": heap_claim,
}

# %%
# The report takes everything from the results folder.

publish(
    "peak_memory",
    runs=runs,
    peaks=peaks,
    tensors=tensors,
    process=process,
    process_ratio=process_ratio,
    predicted_ratio=predicted_ratio,
    layers=panels,
    **claims,
)
