"""
Are more processes or more repeats the better use of time?
==========================================================

Runs in one process resemble each other: they share its memory layout and its luck. A
pilot measures how much, with many runs in each of many processes, and how long a
process takes to start. Two questions follow. How many runs in each process make the
narrowest interval? And what is gained by comparing two models in the same process,
round by round? Held fixed: the samples and the epochs.
"""

# sphinx_gallery_tags = ["time", "scaling"]

# mlperf: only in a full build

import subprocess
import sys

from mlperf import MLPRegressor, Runs, generate_samples, headline, measure, publish
from mlperf import seconds, stack
from mlperf.protocol import EPOCHS as EPOCHS_OF_REPORT
from mlperf.protocol import MODELS, SAMPLE_SIZES, by_mode
from mlperf.quantities.variance import best_repeats, between_share

EPOCHS = by_mode(published=20, quick=2)
PILOT = by_mode(
    published={"processes": 8, "repeats": 5, "fresh": "round"},
    quick={"processes": 2, "repeats": 3},
)
COMPARED = {name: MODELS[name] for name in ("Small", "Large")}

# %%
# One run: a fit. In each round a fresh process fits one model several times, then the
# other.


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
# time that they take. Of a fit as short as this one, which is over long before a
# process has started:

repeats = best_repeats(share, start, fit)
repeats

# %%
# And in the report's timing of training, where a process that has started visits every
# model and sample size, with more epochs? Below 1.4 runs, a single one is best: the
# time of a second is better spent on a further process.

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
# Each small dot is a run, dots with whiskers are medians with their 95 % intervals.

axes = fit.plot(x="model", kind="dot")
if gain > 1:
    headline(
        axes, f"Compared round by round, the interval is {gain:.2g} times narrower"
    )
else:
    headline(axes, "Compared round by round, the interval is no narrower")

# %%
# The report takes everything from the results folder.

publish(
    "where_to_repeat",
    runs=runs,
    started=started,
    fit=fit,
    share=share,
    start=start,
    repeats=repeats,
    repeats_in_report=repeats_in_report,
    comparison=comparison,
    gain=f"{gain:.2g}",
    dots=axes,
)
