"""
How does training time grow with the number of samples?
=======================================================

Three models are trained on three sample sizes, and the wall-clock time of a whole fit
is measured, with no profiler attached. Held fixed: the data's seed, the optimiser, the
mini-batches, the epochs and the threads.
"""

# sphinx_gallery_tags = ["time", "scaling"]

from math import ceil

from mlperf import MLPRegressor, claim, exact, generate_samples, headline, measure
from mlperf import publish, seconds_of_parts, stack
from mlperf.protocol import BATCH_SIZE, DEVICE, EPOCHS, MODELS, SAMPLE_SIZES, TIMED

few, middle, many = SAMPLE_SIZES

# %%
# One run: make the data, then time the fit and nothing else. The fits take turns: each
# pauses after a tenth of its epochs, and ``yield from`` hands over to the next. A
# slowdown of a few seconds then affects all of them alike. Pauses are not timed.
#
# To time a model of your own, put it here. One that cannot pause is timed by
# ``elapsed = seconds(lambda: model.fit(X, y))``.

PART = ceil(EPOCHS / 10)


def run(model, n_samples, max_iter=EPOCHS):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(
        model, max_iter=max_iter, engine="eager", random_state=0, device=DEVICE
    )
    parts = regressor.fit_in_parts(samples.Xtr, samples.ytr, n_epochs=PART)
    elapsed = yield from seconds_of_parts(parts)
    return {"seconds": elapsed}


# %%
# Each round has a fresh process, in which all cells of the grid take turns in random
# order. The warm-up, a fit of one epoch, keeps what is paid only once (loading code,
# filling caches) out of the numbers.

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


def factors_of(amount):
    at_few = amount.at(n_samples=few)
    at_middle = amount.at(n_samples=middle)
    at_many = amount.at(n_samples=many)
    factors = {
        f"{few:,} to {middle:,}": at_middle / at_few,
        f"{middle:,} to {many:,}": at_many / at_middle,
        f"{few:,} to {many:,}": at_many / at_few,
    }
    return stack(factors, "samples")


factors = factors_of(fit)
factors

# %%
# Is that in proportion? Time can be in proportion to the samples, or to the optimiser's
# steps: one for each mini-batch, the short last one of an epoch included. How many
# there are is known, not measured.


def steps_of(n_samples):
    return ceil(len(generate_samples(n_samples).ytr) / BATCH_SIZE)


samples = exact({n: n for n in SAMPLE_SIZES}, by="n_samples")
steps = exact({n: steps_of(n) for n in SAMPLE_SIZES}, by="n_samples")
per_sample = factors / factors_of(samples)
per_step = factors / factors_of(steps)
per_step

# %%
# What the original report claims about growth, put to the test. "In proportion" means:
# to within a tenth.

growth = fit[:, many] / fit[:, few]
as_long = f"{many / few:g} times the samples take {growth} as long"
step_ratio = (steps[many] / steps[few]).value
more_steps = (
    f"{many / few:g} times the samples are {step_ratio:.3g} times the steps (a short "
    f"last mini-batch is a step, too) and take {growth} as long"
)
growth_claims = {
    "grows": claim(
        "Training time grows with the number of samples for every model.",
        factors > 1,
        otherwise="Training time does not grow with the samples for every model.",
        seen=as_long,
        original="The time grows with the samples for every model.",
    ),
    "linear": claim(
        "Training time grows in proportion to the samples, to within a tenth.",
        per_sample.within(0.9, 1.1),
        otherwise="Training time does not grow in proportion to the samples, to "
        "within a tenth.",
        undecided="Training time grows in proportion to the samples, or nearly so: "
        f"{as_long}. Whether to within a tenth is open.",
        seen=as_long,
        original="Five, two and ten times the samples take about 5, 2 and 10 times as "
        "long: linear, O(N).",
    ),
    "steps": claim(
        "Training time grows linearly with the optimiser's steps.",
        per_step.within(0.9, 1.1),
        holds="Training time grows linearly with the optimiser's steps, to within a "
        "tenth.",
        otherwise="Training time does not grow linearly with the optimiser's steps.",
        seen=more_steps,
    ),
}

# %%
# And what it claims about the differences between models, in seconds.

lag = fit[["Medium", "Large"]] - fit["Small"]


def longer_or_less(model, n_samples):
    longer = lag[model, n_samples]
    less = fit["Small", n_samples] - fit[model, n_samples]
    return f"{less} less" if longer.value < 0 else f"{longer} longer"


def longer_than_small(n_samples):
    return (
        f"on {n_samples:,} samples Medium takes {longer_or_less('Medium', n_samples)} "
        f"and Large {longer_or_less('Large', n_samples)} than Small"
    )


def slower_by(n_seconds, n_samples):
    medium, large = (lag[name, n_samples].value for name in ("Medium", "Large"))
    if min(medium, large) >= n_seconds:
        return "Medium and Large take"
    return "Medium takes" if medium > large else "Large takes"


plateau = fit["Large", many] / fit["Medium", many]
as_medium = f"on {many:,} samples Large takes {plateau} as long as Medium"
distance_claims = {
    "close_few": claim(
        "Medium and Large take less than a second longer than Small.",
        lag[:, few] < 1,
        otherwise=f"{slower_by(1, few)} a second or more longer than Small.",
        seen=longer_than_small(few),
        original="On the fewest samples the models differ by less than 1 s.",
    ),
    "close_middle": claim(
        "Medium and Large take less than two seconds longer than Small.",
        lag[:, middle] < 2,
        otherwise=f"{slower_by(2, middle)} two seconds or more longer than Small.",
        seen=longer_than_small(middle),
        original="On 5,000 samples the models differ by less than 2 s.",
    ),
    "small_ahead": claim(
        "Medium and Large take five to seven seconds longer than Small.",
        lag[:, many].within(5, 7),
        otherwise="Medium and Large do not both take five to seven seconds longer "
        "than Small.",
        seen=longer_than_small(many),
        original="On the most samples Small is about 6 s ahead of the other two.",
    ),
    "plateau": claim(
        "There is a plateau: Medium and Large differ by less than a twentieth.",
        plateau.within(0.95, 1.05),
        holds="The original's plateau from Medium to Large is here, too.",
        otherwise="The original's plateau from Medium to Large is not here.",
        seen=as_medium,
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
