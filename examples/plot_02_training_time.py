"""
How does training time grow with the number of samples?
=======================================================

Three models are trained on three sample sizes. What is measured is the wall-clock time of one whole ``fit``: from
the call to the return, nothing paused, no profiler attached. Held fixed: the data's seed, the optimiser, the
mini-batches, the epochs and the number of threads. Every configuration runs in several fresh processes, in rounds,
so that a machine that slows down meanwhile slows all configurations alike.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mlperf.data import generate_samples
from mlperf.findings import check, judge
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, EPOCHS, MODELS, PROCESSES, REPEATS, SAMPLE_SIZES
from mlperf.results import publish
from mlperf.stats import difference, median, ratio, summarise
from mlperf.timing import seconds
from mlperf.units import duration, factor

plt.style.use("mlperf.mlperf")

# %%
# One run: make the data, then time the fit and nothing else. To time a model of your own, put it here.


def run(model, n_samples, max_iter=EPOCHS):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=max_iter, engine="eager", random_state=0)
    return {"seconds": seconds(lambda: regressor.fit(samples.Xtr, samples.ytr))}


# %%
# The warm-up, a fit of one epoch in each process, takes what is paid only once (loading code, filling caches) out of
# the numbers.

runs = measure(run, repeats=REPEATS, processes=PROCESSES, warmup={"max_iter": 1}, model=MODELS, n_samples=SAMPLE_SIZES)
times = summarise(runs, by=["model", "n_samples"])
times

# %%
# How much longer does a fit take on more samples? Each factor is the ratio of two medians, with its own interval.

few, middle, many = SAMPLE_SIZES
fits = dict(list(runs.groupby(["model", "n_samples"])))


def compare(statistic, one, other):
    a, b = fits[one], fits[other]
    return statistic(a.seconds, b.seconds, groups=(a.process, b.process))


steps_up = [(model, *sizes) for model in MODELS for sizes in ((few, middle), (middle, many), (few, many))]
scale = {(model, a, b): compare(ratio, (model, b), (model, a)) for model, a, b in steps_up}
factors = pd.DataFrame(
    [(model, f"{a:,} to {b:,}", b / a, *scale[model, a, b]) for model, a, b in steps_up],
    columns=["model", "samples", "samples_ratio", "time_ratio", "time_ratio_low", "time_ratio_high"],
)
factors

# %%
# Bars are medians, whiskers their 95 % intervals, and dots the single runs.

figure, axes = plt.subplots()
for (model, n_samples), rows in fits.items():
    number = list(MODELS).index(model)
    x = SAMPLE_SIZES.index(n_samples) + 0.3 * (number - 1)
    value, low, high = median(rows.seconds, rows.process)
    axes.bar(x, value, yerr=[[value - low], [high - value]], width=0.27, color=f"C{number}", alpha=0.7)
    axes.scatter(x + np.linspace(-0.1, 0.1, len(rows)), rows.seconds, s=6, color="black", zorder=3)
    top = max(high, rows.seconds.max())
    axes.annotate(model, (x, top), (0, 6), textcoords="offset points", ha="center", fontsize="x-small")
axes.set_xticks(range(len(SAMPLE_SIZES)), [f"{n:,} samples" for n in SAMPLE_SIZES])
axes.set_ylabel("Time of one fit (s)")
slowest = times.loc[times["median"].idxmax()]
axes.set_title(
    f"{slowest.model} on {slowest.n_samples:,} samples takes longest:\n"
    f"{slowest['median']:.3g} s, {slowest['median'] / times['median'].min():.2g} times the shortest fit"
)

# %%
# What has been said of these times, put to the test. "In proportion" means: within a tenth.

steps = {n: -(-len(generate_samples(n).Xtr) // BATCH_SIZE) for n in SAMPLE_SIZES}


def in_proportion(to):
    return [
        check(f"{model}, {a:,} to {b:,}", factor(e), within=(0.9 * to[b] / to[a], 1.1 * to[b] / to[a]))
        for (model, a, b), e in scale.items()
    ]


def behind_small(n_samples, **threshold):
    others = {model: compare(difference, (model, n_samples), ("Small", n_samples)) for model in ("Medium", "Large")}
    return [check(f"{model} less Small", duration(e), **threshold) for model, e in others.items()]


large_to_medium = factor(compare(ratio, ("Large", many), ("Medium", many)))
claims = {
    "grows": (
        "Training time grows with the number of samples for every model.",
        [check(f"{model}, {a:,} to {b:,}", factor(e), above=1) for (model, a, b), e in scale.items()],
    ),
    "linear": ("Training time grows in proportion to the samples.", in_proportion({n: n for n in SAMPLE_SIZES})),
    "steps": ("Training time grows in proportion to the optimiser's steps.", in_proportion(steps)),
    "close_few": (f"At {few:,} samples the models differ by less than a second.", behind_small(few, below=1)),
    "close_middle": (
        f"At {middle:,} samples the models differ by less than two seconds.",
        behind_small(middle, below=2),
    ),
    "small_ahead": (
        f"At {many:,} samples Small is about six seconds (five to seven) ahead of the other two.",
        behind_small(many, within=(5, 7)),
    ),
    "plateau": (
        f"At {many:,} samples Medium and Large are level: their times differ by less than a twentieth.",
        [check("Large over Medium", large_to_medium, within=(0.95, 1.05))],
    ),
}
findings = {name: judge(statement, *checks) for name, (statement, checks) in claims.items()}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

size = {few: "few", middle: "middle", many: "many"}
values = {f"{model}_{size[n]}": duration(median(rows.seconds, rows.process)) for (model, n), rows in fits.items()}
values |= {f"{model}_{size[a]}_to_{size[b]}": factor(e) for (model, a, b), e in scale.items()}
publish(
    "training_time",
    tables={"runs": runs, "times": times, "factors": factors},
    values={name.lower(): value for name, value in {**values, "large_to_medium": large_to_medium}.items()},
    findings=findings,
    figures={"bars": figure},
)
