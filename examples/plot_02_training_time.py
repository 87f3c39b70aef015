"""
How does training time grow with the number of samples?
=======================================================

Three models are trained on three sample sizes, and the wall-clock time of one whole
``fit`` is measured: nothing is paused, and no profiler is attached. Held fixed: the
data's seed, the optimiser, the mini-batches, the epochs and the threads.
"""

# sphinx_gallery_tags = ["time", "scaling"]

from math import ceil

from mlperf import MLPRegressor, claim, exact, generate_samples, headline, measure
from mlperf import publish, seconds, stack
from mlperf.protocol import BATCH_SIZE, EPOCHS, MODELS, SAMPLE_SIZES, TIMED

few, middle, many = SAMPLE_SIZES

# %%
# One run: make the data, then time the fit and nothing else. To time a model of your
# own, put it here.


def run(model, n_samples, max_iter=EPOCHS):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=max_iter, engine="eager", random_state=0)
    return {"seconds": seconds(lambda: regressor.fit(samples.Xtr, samples.ytr))}


# %%
# Every cell of the grid runs in fresh processes, in random order, round after round.
# The warm-up, a fit of one epoch, keeps what is paid only once (loading code, filling
# caches) out of the numbers.

grid = {"model": MODELS, "n_samples": SAMPLE_SIZES}
runs = measure(run, **TIMED, warmup={"max_iter": 1}, **grid)
fit = runs["seconds"]
fit

# %%
# Bars are medians, whiskers their 95 % intervals, and dots the single runs.

axes = fit.plot(x="n_samples", by="model", kind="bar")
model, n_samples = fit.idxmax()
longest = fit[model, n_samples]
headline(axes, f"{model} on {n_samples:,} samples takes longest: {longest:short}")

# %%
# How much longer does a fit take on more samples? Runs of the same round are compared
# with each other, so that a machine that slows down slows both.

pairs = {
    f"{few:,} to {middle:,}": (few, middle),
    f"{middle:,} to {many:,}": (middle, many),
    f"{few:,} to {many:,}": (few, many),
}
factors = {step: fit[:, more] / fit[:, less] for step, (less, more) in pairs.items()}
factors = stack(factors, "samples")
factors

# %%
# Is that in proportion, to within a tenth? Time can be in proportion to the samples, or
# to the optimiser's steps: one for each mini-batch, the short last one of an epoch
# included. How many there are is known, not measured.

steps = {n: ceil(len(generate_samples(n).ytr) / BATCH_SIZE) for n in SAMPLE_SIZES}
more_samples = {step: more / less for step, (less, more) in pairs.items()}
more_steps = {step: steps[more] / steps[less] for step, (less, more) in pairs.items()}

per_sample = factors / exact(more_samples, by="samples")
per_step = factors / exact(more_steps, by="samples")
per_sample

# %%
# The claims of the original report on growth, put to the test.

growth = fit[:, many] / fit[:, few]
as_long = f"{many / few:g} times the samples take {growth} as long"
to_steps = f"{steps[many] / steps[few]:.3g} times the steps take {growth} as long"
growth_claims = {
    "grows": claim(
        "Training time grows with the number of samples for every model.",
        factors > 1,
        otherwise="Training time does not grow with the samples for every model.",
        original="The time grows with the samples for every model.",
    ),
    "linear": claim(
        f"Training time grows in proportion to the samples: {as_long}.",
        per_sample.within(0.9, 1.1),
        otherwise=f"Training time is not in proportion to the samples: {as_long}.",
        undecided=f"{as_long[0].upper()}{as_long[1:]}, which may or may not be in "
        "proportion to within a tenth.",
        original="Five, two and ten times the samples take about 5, 2 and 10 times as "
        "long: linear, O(N).",
    ),
    "steps": claim(
        f"Training time grows in proportion to the optimiser's steps: {to_steps}.",
        per_step.within(0.9, 1.1),
        otherwise=f"Training time is not in proportion to the steps: {to_steps}.",
        undecided=f"{to_steps[0].upper()}{to_steps[1:]}, which may or may not be in "
        "proportion to within a tenth.",
    ),
}

# %%
# And those on how far the models lie apart.

lag = fit[["Medium", "Large"]] - fit["Small"]
plateau = fit["Large", many] / fit["Medium", many]
distance_claims = {
    "close_few": claim(
        f"On {few:,} samples the models differ by less than a second.",
        lag[:, few] < 1,
        otherwise=f"On {few:,} samples a model takes over a second longer than Small.",
        original="On the fewest samples the models differ by less than 1 s.",
    ),
    "close_middle": claim(
        f"On {middle:,} samples the models differ by less than two seconds.",
        lag[:, middle] < 2,
        otherwise=f"On {middle:,} samples the models lie further apart than two "
        f"seconds: Large takes {lag['Large', middle]:short} longer than Small.",
        original="On 5,000 samples the models differ by less than 2 s.",
    ),
    "small_ahead": claim(
        f"On {many:,} samples Small is five to seven seconds ahead of the other two.",
        lag[:, many].within(5, 7),
        otherwise=f"On {many:,} samples Small is ahead of Medium by "
        f"{lag['Medium', many]:short} and of Large by {lag['Large', many]:short}, not "
        "by about six seconds.",
        original="On the most samples Small is about 6 s ahead of the other two.",
    ),
    "plateau": claim(
        f"There is a plateau: on {many:,} samples Large takes {plateau} the time of "
        "Medium.",
        plateau.within(0.95, 1.05),
        otherwise=f"There is no plateau: on {many:,} samples Large takes {plateau} the "
        "time of Medium.",
        undecided=f"Whether there is a plateau is not decided: on {many:,} samples "
        f"Large takes {plateau} the time of Medium.",
        original="On the most samples Medium and Large are level: a plateau.",
    ),
}

# %%
# How much slower is the larger network?

slower = fit["Large"] / fit["Small"]
slower

# %%
# The report takes everything from the results folder.

publish(
    "training_time",
    runs=runs,
    fit=fit,
    factors=factors,
    growth=growth,
    slower=slower,
    plateau_ratio=plateau,
    bars=axes,
    **growth_claims,
    **distance_claims,
)
