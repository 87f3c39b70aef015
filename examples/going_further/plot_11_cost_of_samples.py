"""
How does the cost grow with the number of samples?
==================================================

One model is trained on sample sizes over several orders of magnitude, and the time of
one epoch is measured: three sizes cannot tell a straight line from a curve. Held fixed:
the model, the mini-batches, the threads.
"""

# sphinx_gallery_tags = ["time", "scaling"]

from functools import partial

import numpy as np
import pandas as pd

from mlperf import MLPRegressor, claim, exact, generate_samples, headline, measure
from mlperf import publish, seconds
from mlperf.protocol import BATCH_SIZE, MODELS, SAMPLE_SIZES, by_mode
from mlperf.quantities.scaling import break_even, exponent, fit, held_out_error

MODEL = "Small"
LARGEST = by_mode(published=1_000_000, quick=8_000)
SIZES = [int(n) for n in np.geomspace(250, LARGEST, by_mode(published=10, quick=5))]
STEPS = by_mode(published=200, quick=30)
PROCESSES = by_mode(published=8, quick=1)

# %%
# One run: every size in turn, in one process, so that a whole curve comes out of it.
# The sizes of the report are measured too, for the models of the cost to predict. A
# small size is trained for more epochs, as a single one would be too short to time.


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
misses = {
    form: curve.along("n_samples", partial(held_out_error, form), unit="fraction")
    for form in ("constant", "affine", "power")
}
misses["affine"]

# %%
# What does the affine form say? The fixed cost of an epoch, and the cost of a sample.

fixed = curve.along("n_samples", lambda n, t: fit("affine", n, t).a, unit="seconds")
per_sample = curve.along(
    "n_samples", lambda n, t: fit("affine", n, t).b, unit="seconds"
)
samples_of_fixed = curve.along("n_samples", break_even)
per_sample

# %%
# The time of an epoch divided by its samples: a cost in proportion to the samples would
# be a level line.

n_samples = exact({n: n for n in epoch.labels("n_samples")}, by="n_samples")
axes = (epoch / n_samples).plot(x="n_samples", kind="line")
growth = curve.along("n_samples", exponent)
headline(axes, f"An epoch's time grows with the samples to the power {growth:short}")

# %%
# Growth of the larger half of the sizes alone, where what is fixed no longer counts.

later = SIZES[len(SIZES) // 2 - 1 :]
growth_far = curve.at(n_samples=later).along("n_samples", exponent)
growth_far

# %%
# How far is the affine form off at the sizes of the report, which it was not fitted to?


def largest_miss(n, t):
    unseen = np.isin(n, SAMPLE_SIZES)
    model = fit("affine", n[~unseen], t[~unseen])
    return abs(t[unseen] / model(n[unseen]) - 1).max()


off = epoch.along("n_samples", largest_miss, unit="fraction")
off

# %%
# Claims, with thresholds fixed before the numbers were seen.

better = misses["power"] - misses["affine"]
claims = {
    "linear": claim(
        f"From {SIZES[0]:,} samples on, an epoch's time grows in proportion to them: "
        f"the exponent is {growth}.",
        growth.within(0.95, 1.05),
        otherwise=f"Over all sizes an epoch's time grows with the power {growth} of "
        "the samples, not in proportion to them.",
        undecided=f"Over all sizes an epoch's time grows with the power {growth} of "
        "the samples.",
    ),
    "linear_far": claim(
        f"From {later[0]:,} samples on, an epoch's time grows in proportion to them: "
        f"the exponent is {growth_far}.",
        growth_far.within(0.95, 1.05),
        otherwise=f"Even from {later[0]:,} samples on, an epoch's time does not grow "
        f"in proportion to them: the exponent is {growth_far}.",
        undecided=f"From {later[0]:,} samples on, the exponent is {growth_far}.",
    ),
    "affine": claim(
        f"An epoch costs {fixed:short} whatever its size, and {per_sample:short} for "
        "each sample: this form predicts sizes not seen better than a power of the "
        "samples.",
        better > 0,
        otherwise="A power of the samples predicts sizes not seen better than a fixed "
        "cost plus a cost for each sample.",
        undecided=f"An epoch costs about {fixed:short} whatever its size, and about "
        f"{per_sample:short} for each sample; a power of the samples fits as well.",
    ),
    "fixed_small": claim(
        f"What an epoch costs whatever its size is less than what {SAMPLE_SIZES[0]:,} "
        "samples add to it.",
        samples_of_fixed < SAMPLE_SIZES[0],
        otherwise="What an epoch costs whatever its size is as much as "
        f"{samples_of_fixed:short} samples add to it.",
    ),
    "predicted": claim(
        "The affine form predicts the time at each published size, which it was not "
        "fitted to, to within a tenth.",
        off < 0.1,
        otherwise=f"At a published size the affine form is off by {off}.",
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
