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
from mlperf.protocol import BATCH_SIZE, N_FEATURES, RACED, SAMPLE_SIZES, by_mode

PROCESSES = by_mode(published=3, quick=1)
SIZES = by_mode(published=SAMPLE_SIZES[::2], quick=SAMPLE_SIZES[:1])

# %%
# One run: a first fit, which also loads what is loaded only once, and more fits of the
# same. Each is watched at one layer, as a watcher takes memory too. To watch a model of
# your own, put it here.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=2, engine="eager", random_state=0)

    def fit():
        regressor.fit(samples.Xtr, samples.ytr)

    process = process_peak(fit)
    again = process_peak(fit)
    heap = heap_peak(fit)
    tensors = live_tensors(fit).live_bytes.max()
    sizes = [N_FEATURES, *model, 1]
    predicted = predicted_bytes(sizes, len(samples.Xtr), batch_size=BATCH_SIZE)
    peaks = {
        "process_bytes": process,
        "again_bytes": again,
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
    model=RACED,
    n_samples=SIZES,
)
layers = {}
for layer in ("predicted", "tensors", "heap", "process"):
    column = f"{layer}_bytes"
    if column in runs.measured:
        layers[layer] = runs[column]
peaks = stack(layers, "layer")
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
    f"The first fit in a process takes up to {most:short} the peak memory of its "
    "tensors",
)

# %%
# How well is the peak of the tensors predicted? Peaks of tensors follow from shapes, so
# that their runs agree.

predicted_ratio = tensors / runs["predicted_bytes"]
predicted_ratio

# %%
# How much does a second fit in the same process take, compared with the first?

again = runs["again_bytes"]
again_ratio = (again / process).to("fraction")
again_ratio

# %%
# Who else holds memory on the heap? It holds the tensors too, so that twice their size
# means that NumPy and Python hold as much again.

if "heap" in layers:
    heap_ratio = layers["heap"] / tensors
    heap_claim = claim(
        "NumPy and Python together hold less on the heap than torch's tensors do.",
        heap_ratio < 2,
        otherwise="NumPy and Python together can hold more on the heap than torch's "
        "tensors do.",
        seen=f"the heap holds {heap_ratio} the bytes of the tensors",
    )
else:
    heap_claim = claim(
        "NumPy and Python together hold less on the heap than torch's tensors do.",
        reason="memray is not installed",
    )
heap_claim

# %%
# Claims on the other two layers, with thresholds fixed before the numbers were seen.

takes = f"the process grows by {process:short}, though its tensors hold {tensors:short}"
claims = {
    "predicted": claim(
        "The most memory that tensors hold at once follows from the layers' sizes, to "
        "within a fifth.",
        predicted_ratio.within(0.8, 1.2),
        holds="The most that tensors hold at once can be told from the layers' sizes: "
        f"it is {predicted_ratio} what they predict.",
        otherwise="The most memory that tensors hold at once does not follow from the "
        "layers' sizes, to within a fifth, for every model and sample size.",
        seen=f"it is {predicted_ratio} what they predict",
    ),
    "process_most": claim(
        "The first fit of a process takes more than ten times the memory that its "
        "tensors hold.",
        process_ratio > 10,
        holds=f"In a first fit {takes}.",
        otherwise="The first fit of a process does not always take more than ten times "
        "the memory that its tensors hold.",
        seen=takes,
    ),
    "loaded_once": claim(
        "Most of the memory that a first fit takes is taken once: a second fit in the "
        "same process takes less than half as much more.",
        again_ratio < 0.5,
        holds="Most of the memory of a first fit is code and data of the libraries, "
        "loaded once.",
        otherwise="Half of the memory of a first fit or more is taken again by a "
        "second one in the same process.",
        seen=f"a second fit adds {again:short}",
    ),
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
    again_ratio=again_ratio,
    predicted_ratio=predicted_ratio,
    layers=panels,
    heap_little=heap_claim,
    **claims,
)
