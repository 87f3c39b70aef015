"""
Does another library train faster?
==================================

What a user would pick instead: plain torch, scikit-learn, skorch, Lightning, Keras and JAX, as far as they are
installed, each set to the same network, mini-batches, optimiser and epochs, beside the engines of this package. Varied:
who trains, the model, the samples. Held fixed: everything else, one thread. Measured are the time of a step in the
steady state, what the first fit costs on top, and the accuracy: nobody is fast by training less.
"""

# sphinx_gallery_tags = ["time", "engines"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import r2_score

from mlperf.training.compiled import compile_seconds
from mlperf.data import generate_samples
from mlperf.training.engines import available
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import check, fact, judge, unmeasured
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.rivals.peers import installed, missing
from mlperf.protocol import BATCH_SIZE, EPOCHS, N_FEATURES, RACED, SAMPLE_SIZES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median, ratio, summarise
from mlperf.profilers.timing import fit_costs
from mlperf.quantities.units import factor

plt.style.use("mlperf.quantities.report")
PROCESSES, LEAST_STEPS = by_mode(published=(4, 600), quick=(1, 40))
CELLS = [(model, n_samples) for model in RACED for n_samples in SAMPLE_SIZES]

# %%
# Who takes part: functions of the hidden layers and the epochs that return a regressor. To compile is not timed here.

ours = {e: lambda hidden, n, e=e: MLPRegressor(hidden, max_iter=n, engine=e) for e in available()}
contenders, absent = installed() | ours, missing()
if "compiled" in contenders:
    sizes = {model: (N_FEATURES, *hidden, 1) for model, hidden in RACED.items()}
    measure(lambda sizes: {"seconds": compile_seconds(sizes, BATCH_SIZE)}, repeats=1, n_jobs=2, sizes=sizes)
else:
    absent.append("compiled")

# %%
# One run: every model on every sample size. Where the whole fit would take long, fewer epochs are timed, and the table
# says how many.


def train(contender, model, n_samples):
    samples, trained = generate_samples(n_samples), {}
    target, unseen = ((y - samples.ytr.mean()) / samples.ytr.std() for y in (samples.ytr, samples.yte))
    steps = -(-len(target) // BATCH_SIZE)

    def fit(epochs):
        trained[epochs] = contender(RACED[model], epochs).fit(samples.Xtr, target)

    costs = fit_costs(fit, EPOCHS, at_least=min(EPOCHS, LEAST_STEPS // steps))
    costs["step_seconds"] = costs["epoch_seconds"] / steps
    if EPOCHS in trained:  # nobody is judged before the last epoch
        costs["test_r2"] = r2_score(unseen, trained[EPOCHS].predict(samples.Xte))
    return {"model": model, "n_samples": n_samples, **costs}


def run(contender):
    return pd.DataFrame([train(contender, *cell) for cell in CELLS])


runs = measure(run, repeats=PROCESSES, processes=PROCESSES, warmup=False, contender=contenders)
keys, step, whole = ["contender", "model", "n_samples"], "step_seconds", "whole_seconds"
steps = summarise(runs, keys, step).rename(columns={"median": step}).drop(columns=["mean", "n"])
steps = steps.join(runs.groupby(keys)[["first_seconds", whole, "epochs", "test_r2"]].median(), on=keys)
steps

# %%
# Each dot is a contender, its whisker the 95 % interval; small dots are single runs.

of = dict(list(runs.groupby(keys)))
middle = steps[steps.n_samples == SAMPLE_SIZES[1]]
order = list(middle.groupby("contender").step_seconds.mean().sort_values().index)
figure, panels = plt.subplots(1, len(RACED), sharex=True, sharey=True)
for axes, (model, rows) in zip(panels, middle.groupby("model", sort=False), strict=True):
    for row in rows.itertuples():
        single, color = of[row.contender, model, row.n_samples].step_seconds, "C1" if row.contender in ours else "C0"
        draw_estimate(axes, order.index(row.contender), row[4:7], single, scale=1e6, color=color, horizontal=True)
    axes.set(xscale="log", title=model)
axes.set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.5, -0.5))
figure.supxlabel(f"Time of one step, {SAMPLE_SIZES[1]:,} samples (µs)", fontsize="medium")
headline(figure, f"A step takes longest with {order[-1]}, and is\nshortest with {order[0]}")

# %%
# The claims of the engines, put to the test against everybody who is here: in every cell, or in the geometric mean.


def each(slow, fast, column=step, cells=CELLS):
    for cell in cells if {slow, fast} <= contenders.keys() else []:
        a, b = of[slow, *cell], of[fast, *cell]
        yield f"{slow} over {fast}, {cell[0]}, {cell[1]:,}", factor(ratio(a[column], b[column], (a.process, b.process)))


def mean(slow, fast, column=step):
    if {slow, fast} <= contenders.keys():
        logs = np.log(runs.pivot_table(index="process", columns=keys, values=column))
        yield f"{slow} over {fast}, geometric mean", factor(median(np.exp((logs[slow] - logs[fast]).mean(axis=1))))


def claim(statement, *pairs, **asked):
    checks = [check(name, e, **asked) if asked else fact(f"{name}: {e}", not e.estimate.high < 1) for name, e in pairs]
    return judge(statement, *checks) if checks else unmeasured(statement, f"{', '.join(absent)} not available")


jax, larger = ("JAX lax.scan", "compiled"), [cell for cell in CELLS if cell[0] != "Small"]
least = "The compiled engine is at least {} times as fast as {}.".format
ahead = "For Medium and Large, the fused engine is faster than scikit-learn."
findings = {
    "fused": claim(ahead, *each("scikit-learn", "fused", cells=larger), above=1),
    "jax": claim("A compiled step is shorter than one of JAX, on average.", *mean(*jax), above=1),
    "jax_whole": claim("A compiled first fit is shorter than one of JAX, on average.", *mean(*jax, whole), above=1),
    "jax_cells": claim("Nowhere is compiled behind JAX by more than the noise.", *each(*jax), *each(*jax, whole)),
    "scikit_learn": claim(least("four", "scikit-learn"), *each("scikit-learn", "compiled"), above=4),
    "lightning": claim(least("eight", "Lightning"), *each("Lightning", "compiled"), above=8),
    "skorch": claim(least("eight", "skorch"), *each("skorch", "compiled"), above=8),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {"not_measured": ", ".join(absent) or "none"}
publish("libraries", tables={"runs": runs, "steps": steps}, values=values, findings=findings, figures={"steps": figure})
