"""
How does the cost grow with the number of samples?
==================================================

One model is trained on sample sizes over several orders of magnitude, and the time of
one epoch is measured: three sizes cannot tell a straight line from a curve. Held fixed:
the model, the mini-batches, the threads.
"""

# sphinx_gallery_tags = ["time", "scaling"]

# mlperf: only in a full build

from functools import partial

import numpy as np
import pandas as pd

from mlperf import MLPRegressor, claim, exact, generate_samples, headline, measure
from mlperf import publish, seconds, stack
from mlperf.protocol import BATCH_SIZE, MODELS, SAMPLE_SIZES, by_mode
from mlperf.quantities.scaling import break_even, exponent, fit, held_out_error

MODEL = "Small"
LARGEST = by_mode(published=400_000, quick=8_000)
N_SIZES = by_mode(published=10, quick=5)
SIZES = [int(size) for size in np.geomspace(250, LARGEST, N_SIZES)]
STEPS = by_mode(published=600, quick=30)
PROCESSES = by_mode(published=6, quick=1)

# %%
# One run: every size in turn, in one process, so that a whole curve comes out of it.
# The sizes of the report are measured too, to be predicted from the others. A small
# size is trained for more epochs, as a single one would be too short to time.


def epoch_seconds(n_samples):
    samples = generate_samples(n_samples)
    epochs = max(1, STEPS * BATCH_SIZE // len(samples.Xtr))
    regressor = MLPRegressor(
        MODELS[MODEL], max_iter=epochs, engine="eager", random_state=0
    )
    regressor.fit(samples.Xtr[:BATCH_SIZE], samples.ytr[:BATCH_SIZE])  # warm-up
    return seconds(lambda: regressor.fit(samples.Xtr, samples.ytr)) / epochs


def run():
    sizes = sorted({*SIZES, *SAMPLE_SIZES})
    times = pd.DataFrame({"seconds": {n: epoch_seconds(n) for n in sizes}})
    return times.rename_axis("n_samples")


runs = measure(run, processes=PROCESSES, warmup=False)
epoch = runs["seconds"]
epoch

# %%
# Is the time of an epoch constant, affine in the samples (a fixed cost and a cost for
# each sample), or a power of them? Each form is judged by how far it misses a size that
# it was not fitted to.

curve = epoch.at(n_samples=SIZES)
misses = {}
for form in ("constant", "affine", "power"):
    miss = partial(held_out_error, form)
    misses[form] = curve.along("n_samples", miss, unit="fraction")
stack(misses, "form")

# %%
# What does the affine form say? There is a fixed cost of an epoch, whatever its size.


def fixed_cost(n_samples, times):
    return fit("affine", n_samples, times).a


fixed = curve.along("n_samples", fixed_cost, unit="seconds")
fixed

# %%
# And there is a cost of each sample.


def cost_of_a_sample(n_samples, times):
    return fit("affine", n_samples, times).b


per_sample = curve.along("n_samples", cost_of_a_sample, unit="seconds")
per_sample

# %%
# How many samples cost as much as this fixed cost?

samples_of_fixed = curve.along("n_samples", break_even)
samples_of_fixed

# %%
# The time of an epoch divided by its samples: a cost in proportion to the samples would
# be a horizontal line.

n_samples = exact({n: n for n in epoch.labels("n_samples")}, by="n_samples")
of_a_sample = epoch / n_samples
axes = of_a_sample.plot(x="n_samples", kind="line")
axes.set_ylabel(axes.get_ylabel().replace("Time", "Time per sample"))
fewest = of_a_sample[SIZES[0]]
most = of_a_sample[SIZES[-1]]
headline(
    axes,
    f"The time per sample goes from {fewest:short} on {SIZES[0]:,} samples to "
    f"{most:short} on {SIZES[-1]:,}",
)

# %%
# The exponent of a power law says how steep the growth of the time is; 1 means in
# proportion.

growth = curve.along("n_samples", exponent)
growth

# %%
# The exponent over the larger half of the sizes, where what is fixed no longer counts.

later = SIZES[len(SIZES) // 2 - 1 :]
growth_far = curve.at(n_samples=later).along("n_samples", exponent)
growth_far

# %%
# How far is the affine form off at the report's sizes, which it was not fitted to?


def largest_miss(n_samples, times):
    unseen = np.isin(n_samples, SAMPLE_SIZES)
    predict = fit("affine", n_samples[~unseen], times[~unseen])
    return abs(times[unseen] / predict(n_samples[unseen]) - 1).max()


deviation = epoch.along("n_samples", largest_miss, unit="fraction")
deviation

# %%
# Claims, with thresholds fixed before the numbers were seen.

power_misses_by = misses["power"] - misses["affine"]
claims = {
    "linear": claim(
        f"From {SIZES[0]:,} samples on, an epoch's time grows in proportion to them.",
        growth.within(0.95, 1.05),
        otherwise=f"From {SIZES[0]:,} samples on, an epoch's time does not grow in "
        "proportion to them.",
        seen=f"the exponent is {growth}",
    ),
    "linear_far": claim(
        f"From {later[0]:,} samples on, an epoch's time grows in proportion to them.",
        growth_far.within(0.95, 1.05),
        otherwise=f"From {later[0]:,} samples on, an epoch's time does not grow in "
        "proportion to them.",
        seen=f"the exponent is {growth_far}",
    ),
    "affine": claim(
        "A fixed cost of an epoch plus a cost for each sample predicts sizes that were "
        "left out better than a power of the samples does.",
        power_misses_by > 0,
        holds=f"An epoch of {MODEL} takes {fixed:short} plus {per_sample:short} for "
        "each sample: this line predicts sizes that were left out better than a power "
        "law does.",
        otherwise=f"The time of an epoch of {MODEL} grows as the samples to the power "
        f"{growth:short}: this power law predicts sizes that were left out better than "
        "a line does.",
        undecided="It is open whether a line or a power law predicts the time of an "
        f"epoch better: by the line, an epoch of {MODEL} takes {fixed} plus "
        f"{per_sample} for each sample.",
    ),
    "fixed_small": claim(
        f"The fixed cost of an epoch is less than that of {SAMPLE_SIZES[0]:,} samples.",
        samples_of_fixed < SAMPLE_SIZES[0],
        otherwise="The fixed cost of an epoch is more than that of "
        f"{SAMPLE_SIZES[0]:,} samples.",
        seen=f"it equals that of {samples_of_fixed:short} samples",
    ),
    "predicted": claim(
        "A fixed cost plus a cost for each sample predicts the time at each of the "
        "report's sizes, which they were not fitted to, to within a tenth.",
        deviation < 0.1,
        otherwise="A fixed cost plus a cost for each sample does not predict the time "
        "at each of the report's sizes to within a tenth.",
        seen=f"the largest deviation is {deviation}",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "cost_of_samples",
    runs=runs,
    epoch=epoch,
    fixed=fixed,
    cost_of_a_sample=per_sample,
    samples_of_fixed=samples_of_fixed,
    exponent=growth,
    exponent_far=growth_far,
    per_sample=axes,
    **claims,
)
