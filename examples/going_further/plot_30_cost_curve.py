"""
What if my data are a hundred times larger, my network ten times wider?
=======================================================================

Nobody wants to wait for a large fit only to learn how long it takes. Small fits are
measured instead, laws are fitted to what they cost, and the laws are carried on to the
large one. Then the large fits are carried out all the same: the predictions were made
without them. Varied: the samples, and the width of two hidden layers. Measured are the
time of an epoch and the memory on the heap. Held fixed: the mini-batches, the engine,
the threads.
"""

# sphinx_gallery_tags = ["time", "memory", "scaling"]

# mlperf: only in a full build

import numpy as np
import pandas as pd

from mlperf import MLPRegressor, claim, exact, headline, measure, publish, seconds
from mlperf.profilers.memory import heap_peak
from mlperf.profilers.work import n_parameters, step_flops
from mlperf.protocol import BATCH_SIZE, N_FEATURES, by_mode
from mlperf.quantities.scaling import fit

SAMPLES = by_mode(published=500, quick=250)
WIDTH = by_mode(published=64, quick=8)
MORE_SAMPLES = 100
WIDER = 10
SMALL_SAMPLES = [SAMPLES // 4, SAMPLES // 2, SAMPLES, 2 * SAMPLES, 4 * SAMPLES]
SMALL_WIDTHS = [WIDTH // 4, WIDTH // 2, WIDTH, 2 * WIDTH, 4 * WIDTH]
STEPS = by_mode(published=500, quick=60)
PROCESSES = by_mode(published=6, quick=1)

AS_IT_IS = "as it is"
LARGER = f"{MORE_SAMPLES} × the samples"
BOTH = "both"
CASES = {
    AS_IT_IS: (1, 1),
    LARGER: (MORE_SAMPLES, 1),
    f"{WIDER} × the width": (1, WIDER),
    BOTH: (MORE_SAMPLES, WIDER),
}


def layers(width):
    return [N_FEATURES, width, width, 1]


# %%
# What a fit costs. A small one is timed over many epochs, as one alone would be too
# short. To ask this of a model of your own, put it here.


def costs(n_samples, width):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, N_FEATURES))
    y = rng.standard_normal(n_samples)
    epochs = max(1, STEPS * BATCH_SIZE // n_samples)
    regressor = MLPRegressor((width, width), engine="fused", random_state=0)
    regressor.set_params(max_iter=1).fit(X[:BATCH_SIZE], y[:BATCH_SIZE])  # warm-up
    regressor.set_params(max_iter=epochs)
    cost = {"seconds": seconds(lambda: regressor.fit(X, y)) / epochs}
    regressor.set_params(max_iter=1)
    heap = heap_peak(lambda: regressor.fit(X, y))
    return cost if heap is None else {**cost, "bytes": heap}


# %%
# The small fits: over the samples at one width, and over the widths at one number of
# samples.


def costs_of_small_fits():
    over_samples = {n: costs(n, WIDTH) for n in SMALL_SAMPLES}
    over_widths = {width: costs(SAMPLES, width) for width in SMALL_WIDTHS}
    return pd.DataFrame(over_samples).T, pd.DataFrame(over_widths).T


# %%
# The law of time: a fixed cost plus one for each sample, and, in the width, a fixed
# cost plus one for each operation. A step costs as much whatever the samples, so that
# the two multiply.


def predicted_seconds(over_samples, over_widths, n_samples, width):
    def arithmetic(width):
        return step_flops(layers(width), BATCH_SIZE)

    work = [arithmetic(small) for small in SMALL_WIDTHS]
    by_samples = fit("affine", SMALL_SAMPLES, over_samples.seconds)
    by_work = fit("affine", work, over_widths.seconds)
    times_as_long = by_work(arithmetic(width)) / by_work(arithmetic(WIDTH))
    return float(by_samples(n_samples) * times_as_long)


# %%
# The law of memory: so much for each sample, and so much for each parameter. What the
# samples take does not depend on the width, so that the two add up.


def predicted_bytes(over_samples, over_widths, n_samples, width):
    def parameters(width):
        return n_parameters(layers(width))

    counts = [parameters(small) for small in SMALL_WIDTHS]
    by_samples = fit("affine", SMALL_SAMPLES, over_samples.bytes)
    by_parameters = fit("affine", counts, over_widths.bytes)
    more = by_parameters(parameters(width)) - by_parameters(parameters(WIDTH))
    return float(by_samples(n_samples) + more)


# %%
# One run: the small fits, and then each large fit, once it is predicted.


def run():
    over_samples, over_widths = costs_of_small_fits()
    rows = {}
    for case, (more, wider) in CASES.items():
        sizes = SAMPLES * more, WIDTH * wider
        prediction = {"seconds": predicted_seconds(over_samples, over_widths, *sizes)}
        if "bytes" in over_samples:
            prediction["bytes"] = predicted_bytes(over_samples, over_widths, *sizes)
        rows[case, "predicted"] = prediction
        rows[case, "measured"] = costs(*sizes)
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis(["case", "way"])


runs = measure(run, processes=PROCESSES, warmup=False)
epoch = runs["seconds"]
epoch

# %%
# Beside each prediction stands what the fit took in the end.

axes = epoch.plot(x="case", by="way", kind="dot", log=True)
expected = epoch[:, "predicted"]
took = epoch[:, "measured"]
off = expected / took
headline(
    axes,
    f"{MORE_SAMPLES} times the samples and {WIDER} times the width: predicted "
    f"{expected[BOTH]:short} an epoch, measured {took[BOTH]:short}",
)

# %%
# How far are the predictions off?

off

# %%
# How many times as long does an epoch take, and how many times as much arithmetic is
# there in it?

slower = took / took[AS_IT_IS]
work = {}
for case, (more, wider) in CASES.items():
    work[case] = more * step_flops(layers(WIDTH * wider), BATCH_SIZE)
arithmetic = exact(work, by="case", unit="flop")
more_arithmetic = arithmetic / arithmetic[AS_IT_IS]
slower

# %%
# The same for memory, where it was watched.

larger = [case for case in CASES if case != AS_IT_IS]
memory_says = (
    "The memory of fits that are larger by far follows from small ones, to within a "
    "quarter."
)
if "bytes" in runs.measured:
    heap = runs["bytes"]
    memory_axes = heap.plot(x="case", by="way", kind="dot", log=True)
    heap_expected = heap[:, "predicted"]
    heap_took = heap[:, "measured"]
    memory_off = heap_expected / heap_took
    headline(
        memory_axes,
        f"{MORE_SAMPLES} times the samples and {WIDER} times the width: predicted "
        f"{heap_expected[BOTH]:short}, measured {heap_took[BOTH]:short}",
    )
    memory = {"heap": heap, "memory_off": memory_off, "memory": memory_axes}
    memory_claim = claim(
        memory_says,
        memory_off[larger].within(0.75, 1.25),
        otherwise="The memory of fits that are larger by far does not follow from "
        "small ones, to within a quarter.",
        seen=f"the predicted memory is {memory_off[larger]} what was measured",
    )
else:
    memory = {}
    memory_claim = claim(memory_says, reason="memray is not installed")
memory_claim

# %%
# Claims, with thresholds fixed before the numbers were seen.

claims = {
    "time_predicted": claim(
        "The time of fits that are larger by far follows from small ones, to within a "
        "quarter.",
        off[larger].within(0.75, 1.25),
        otherwise="The time of fits that are larger by far does not follow from small "
        "ones, to within a quarter.",
        seen=f"the predicted times are {off[larger]} what was measured",
    ),
    "in_proportion": claim(
        f"An epoch of {MORE_SAMPLES} times the samples takes {MORE_SAMPLES} times as "
        "long, to within a fifth.",
        (slower[LARGER] / MORE_SAMPLES).within(0.8, 1.2),
        otherwise=f"An epoch of {MORE_SAMPLES} times the samples does not take "
        f"{MORE_SAMPLES} times as long, to within a fifth.",
        seen=f"it takes {slower[LARGER]} as long",
    ),
    "both_less": claim(
        "With more samples and wider layers together, time grows less than half as "
        "much as arithmetic.",
        slower[BOTH] < more_arithmetic[BOTH].value / 2,
        otherwise="With more samples and wider layers together, time grows at least "
        "half as much as arithmetic.",
        seen=f"for {more_arithmetic[BOTH]:short} the arithmetic, an epoch takes "
        f"{slower[BOTH]} as long",
    ),
    "memory_predicted": memory_claim,
}

# %%
# The report takes everything from the results folder.

publish(
    "cost_curve",
    runs=runs,
    epoch=epoch,
    off=off,
    slower=slower,
    more_arithmetic=more_arithmetic,
    times=axes,
    **memory,
    **claims,
)
