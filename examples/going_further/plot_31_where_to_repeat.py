"""
Are more processes or more repeats the better use of time?
==========================================================

Runs in one process resemble each other: they share its memory layout and its luck. A
pilot measures how much, with many runs in each of many processes, and how long a
process takes to start. Three questions follow. How many runs in each process make the
narrowest interval? What is gained by comparing two models in the same process, round by
round? And what by letting long fits take turns there, some epochs at a time?
"""

# sphinx_gallery_tags = ["time", "scaling"]

# mlperf: only in a full build

import random
import subprocess
import sys
from functools import partial
from math import ceil
from statistics import fmean

import pandas as pd

from mlperf import MLPRegressor, Runs, claim, generate_samples, headline, measure
from mlperf import publish, seconds, stack
from mlperf.protocol import EPOCHS as EPOCHS_OF_REPORT
from mlperf.protocol import MODELS, SAMPLE_SIZES, by_mode
from mlperf.quantities.variance import best_repeats, between_share

EPOCHS = by_mode(published=20, quick=2)
PILOT = by_mode(
    published={"processes": 8, "repeats": 5, "fresh": "round"},
    quick={"processes": 2, "repeats": 3},
)
COMPARED = {name: MODELS[name] for name in ("Small", "Large")}

TAKING_TURNS = by_mode(
    published={"processes": 8, "fresh": "round"}, quick={"processes": 2}
)
# Epochs of a part.
WAYS = {"whole": EPOCHS_OF_REPORT, "in turns": ceil(EPOCHS_OF_REPORT / 10)}

# %%
# One run: a short fit. In each round a fresh process fits both models several times.


def run(model):
    samples = generate_samples(SAMPLE_SIZES[0])
    regressor = MLPRegressor(model, max_iter=EPOCHS, engine="eager", random_state=0)
    return {"seconds": seconds(lambda: regressor.fit(samples.Xtr, samples.ytr))}


runs = measure(run, **PILOT, model=COMPARED)
fit = runs["seconds"]
fit

# %%
# What share of the variance lies between processes? At 100 % the runs of a process
# are all alike, and a second one says nothing new.

share = between_share(fit)
share

# %%
# How long does it take to start a process, with the libraries that a fit needs?


def load():
    code = "from mlperf import MLPRegressor, generate_samples"
    return {"seconds": seconds(lambda: subprocess.run([sys.executable, "-c", code]))}


started = measure(
    load, processes=1, repeats=by_mode(published=3, quick=1), warmup=False
)
start = started["seconds"]
start

# %%
# From these follows how many runs in each process make the narrowest interval for the
# time that they take. For a fit this short, far shorter than starting a process:

repeats = best_repeats(share, start, fit)
repeats

# %%
# And in the report's timing of training, where a process that has started visits every
# model and sample size, with more epochs? Below 1.4 runs, a single one is best: instead
# of a second run, start another process.

longer = EPOCHS_OF_REPORT / EPOCHS * sum(SAMPLE_SIZES) / SAMPLE_SIZES[0]
repeats_in_report = best_repeats(share, start, fit.sum("model") * longer)
repeats_in_report

# %%
# What does pairing gain? Large is compared with Small by the ratios within each round,
# and once more as if the two had been measured apart, on other days.

paired = fit["Large"] / fit["Small"]


def measured_apart(model):
    frame = runs.frame[runs.frame.model == model]
    return Runs(frame, by=["model"])["seconds"][model]


apart = measured_apart("Large") / measured_apart("Small")
comparison = stack({"round by round": paired, "apart": apart}, "compared")
comparison

# %%
# How many times as wide is the interval without pairs?

gain = (apart.high - apart.low) / (paired.high - paired.low)
print(f"{gain:.2g} times as wide")

# %%
# A whole fit of the report takes seconds, in which a machine may slow down and recover.
# Here one run is a round of fits, carried out in sweeps: in each, every fit goes on for
# a part of its epochs. Whole fits are over in one sweep, those that take turns in ten.


def run_round(way, max_iter=EPOCHS_OF_REPORT):
    fits = {}
    for model, hidden in COMPARED.items():
        for n_samples in SAMPLE_SIZES:
            samples = generate_samples(n_samples)
            regressor = MLPRegressor(
                hidden, max_iter=max_iter, engine="eager", random_state=0
            )
            parts = regressor.fit_in_parts(samples.Xtr, samples.ytr, n_epochs=way)
            fits[model, n_samples] = parts
    times = dict.fromkeys(fits, 0.0)
    for _ in range(ceil(max_iter / way)):
        for fit in random.sample(list(fits), len(fits)):
            times[fit] += seconds(partial(next, fits[fit], None))
    return pd.DataFrame({"seconds": times}).rename_axis(["model", "n_samples"])


rounds = measure(run_round, **TAKING_TURNS, warmup={"max_iter": 1}, way=WAYS)
long_fit = rounds["seconds"]
long_fit

# %%
# How precisely can fits be compared? By how much Large takes longer than Small, on each
# sample size:

times_as_long = long_fit[:, "Large"] / long_fit[:, "Small"]
times_as_long

# %%
# And by how much many samples take longer than few, for each model:

growth = long_fit[:, :, SAMPLE_SIZES[-1]] / long_fit[:, :, SAMPLE_SIZES[0]]
growth

# %%
# How many times as wide are the intervals of these ratios if fits do not take turns, on
# average?


def mean_width(way):
    widths = []
    for ratios in (times_as_long[way], growth[way]):
        for cell in ratios:
            ratio = ratios[cell]
            widths.append((ratio.high - ratio.low) / ratio.value)
    return fmean(widths)


gain_of_turns = mean_width("whole") / mean_width("in turns")
print(f"{gain_of_turns:.2g} times as wide")

# %%
# Pauses are not timed, but the first steps after one may be slower, since the caches
# hold the data of others. Is a fit in turns as long as a whole one?

paused = long_fit["in turns"] / long_fit["whole"]
as_long = claim(
    "A fit that takes turns takes as long as a whole one, to within a twentieth.",
    paused.within(0.95, 1.05),
    otherwise="A fit that takes turns does not take as long as a whole one, to within "
    "a twentieth.",
    seen=f"{paused} as long",
)
paused

# %%
# Each small dot is a round, dots with whiskers are medians with their 95 % intervals.

axes = times_as_long.plot(x="n_samples", by="way", kind="dot")
axes.set_ylabel("Time of Large (× that of Small)")
if gain_of_turns > 1:
    headline(
        axes,
        f"If fits take turns, the interval narrows by a factor of {gain_of_turns:.2g}",
    )
else:
    headline(axes, "If fits take turns, the interval is no narrower")

# %%
# The report takes everything from the results folder.

publish(
    "where_to_repeat",
    runs=runs,
    rounds=rounds,
    started=started,
    fit=fit,
    share=share,
    start=start,
    repeats=repeats,
    repeats_in_report=repeats_in_report,
    comparison=comparison,
    gain=f"{gain:.2g}",
    times_as_long=times_as_long,
    growth=growth,
    gain_of_turns=f"{gain_of_turns:.2g}",
    as_long=as_long,
    dots=axes,
)
