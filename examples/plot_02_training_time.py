"""
How does training time grow with the number of samples?
=======================================================

Three models are trained on three sample sizes, and the wall-clock time of one whole ``fit`` is measured: nothing
paused, no profiler attached. Held fixed: the data's seed, the optimiser, the mini-batches, the epochs and the threads.
"""

# sphinx_gallery_tags = ["time", "scaling"]
import matplotlib.pyplot as plt
import pandas as pd

from mlperf.data import generate_samples
from mlperf.quantities.drawing import draw_estimate
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, EPOCHS, MODELS, PROCESSES, REPEATS, SAMPLE_SIZES
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import difference, median, ratio, summarise
from mlperf.profilers.timing import seconds
from mlperf.quantities.units import duration, factor

plt.style.use("mlperf.quantities.report")
few, middle, many = SAMPLE_SIZES

# %%
# One run: make the data, then time the fit and nothing else. To time a model of your own, put it here. The warm-up, a
# fit of one epoch in each process, takes what is paid only once (loading code, filling caches) out of the numbers.


def run(model, n_samples, max_iter=EPOCHS):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=max_iter, engine="eager", random_state=0)
    return {"seconds": seconds(lambda: regressor.fit(samples.Xtr, samples.ytr))}


runs = measure(run, repeats=REPEATS, processes=PROCESSES, warmup={"max_iter": 1}, model=MODELS, n_samples=SAMPLE_SIZES)
times = summarise(runs, by=["model", "n_samples"])
times

# %%
# How much longer does a fit take on more samples? Each factor is the ratio of two medians, with its own interval.

fits = runs.pivot_table(index=["process", "repeat"], columns=["model", "n_samples"], values="seconds")
process = fits.index.get_level_values("process")
both = (process, process)
steps_up = [(model, less, more) for model in MODELS for less, more in ((few, middle), (middle, many), (few, many))]
growth = {(model, less, more): ratio(fits[model, more], fits[model, less], both) for model, less, more in steps_up}
factors = pd.DataFrame(
    [(model, f"{less:,} to {more:,}", more / less, *grown) for (model, less, more), grown in growth.items()],
    columns=["model", "samples", "samples_ratio", "time_ratio", "time_ratio_low", "time_ratio_high"],
)
factors

# %%
# Bars are medians, whiskers their 95 % intervals, and dots the single runs.

figure, axes = plt.subplots()
for i, model in enumerate(MODELS):
    for j, n_samples in enumerate(SAMPLE_SIZES):
        seen = fits[model, n_samples]
        draw_estimate(axes, j + 0.31 * (i - 1), median(seen, process), seen, color=f"C{i}", bar=0.28, label=model)
axes.set(xticks=[0, 1, 2], xticklabels=[f"{n:,} samples" for n in SAMPLE_SIZES], ylabel="Time per fit (s)", ymargin=0.1)
slowest = times.loc[times["median"].idxmax()]
axes.set_title(f"{slowest.model} on {slowest.n_samples:,} samples takes longest: {slowest['median']:.3g} s")

# %%
# What has been said of these times, put to the test. "In proportion" means: within a tenth.


def growing(work=None):
    for (model, less, more), grown in growth.items():
        threshold = {"within": (0.9 * work[more] / work[less], 1.1 * work[more] / work[less])} if work else {"above": 1}
        yield check(f"{model}, {less:,} to {more:,}", factor(grown), **threshold)


def apart(n_samples, claim, **threshold):
    lags = {model: difference(fits[model, n_samples], fits["Small", n_samples], both) for model in ("Medium", "Large")}
    checks = [check(f"{model} less Small", duration(lag), **threshold) for model, lag in lags.items()]
    return judge(f"At {n_samples:,} samples {claim}.", *checks)


steps = {n: len(range(0, len(generate_samples(n).Xtr), BATCH_SIZE)) for n in SAMPLE_SIZES}
large_to_medium = factor(ratio(fits["Large", many], fits["Medium", many], both))
findings = {
    "grows": judge("Training time grows with the number of samples for every model.", *growing()),
    "linear": judge("Training time grows in proportion to the samples.", *growing({n: n for n in SAMPLE_SIZES})),
    "steps": judge("Training time grows in proportion to the optimiser's steps.", *growing(steps)),
    "close_few": apart(few, "the models differ by less than a second", below=1),
    "close_middle": apart(middle, "the models differ by less than two seconds", below=2),
    "small_ahead": apart(many, "Small is about six seconds (five to seven) ahead of the other two", within=(5, 7)),
    "plateau": judge(
        f"At {many:,} samples Medium and Large are level: their times differ by less than a twentieth.",
        check("Large over Medium", large_to_medium, within=(0.95, 1.05)),
    ),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
values = {f"{model}_many".lower(): duration(median(fits[model, many], process)) for model in MODELS}
values |= {f"{model}_few_to_many".lower(): factor(growth[model, few, many]) for model in MODELS}
publish(
    "training_time",
    tables={"runs": runs, "times": times, "factors": factors},
    values={**values, "large_to_medium": large_to_medium},
    findings=findings,
    figures={"bars": figure},
)
