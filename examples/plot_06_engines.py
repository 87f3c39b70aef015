"""
How fast can this training get?
===============================

The same network, mini-batches, optimiser and epochs, carried out in different ways: by a plain torch loop over a
DataLoader, by slices of tensors (*eager*), with the gradient written out and Adam in one call (*fused*), as one
compiled function (*compiled*), and by the libraries that a user would pick instead, as far as they are installed.
Varied: who trains, the model, the samples. Held fixed: everything else, one thread. Measured are the time of a step in
the steady state, what the first fit costs on top, and the accuracy: nobody is fast by training less.
"""

# sphinx_gallery_tags = ["time", "engines"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import r2_score

from mlperf.ceilings import product_seconds
from mlperf.compiled import check_compiler, compile_seconds
from mlperf.data import generate_samples
from mlperf.figures import draw_estimate, headline
from mlperf.findings import check, fact, judge, unmeasured
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.peers import installed, missing
from mlperf.protocol import BATCH_SIZE, EPOCHS, MODELS, N_FEATURES, SAMPLE_SIZES, by_mode
from mlperf.results import publish
from mlperf.stats import median, ratio, summarise
from mlperf.timing import fit_costs
from mlperf.units import duration, factor

plt.style.use("mlperf.mlperf")

# %%
# Who takes part: functions of the hidden layers and the epochs that return a regressor. What is compiled is compiled
# before anything is timed, and kept.

PROCESSES, LEAST_STEPS = by_mode(published=(4, 1_000), quick=(1, 40))
NETWORKS = by_mode(published=MODELS, quick={model: MODELS[model] for model in ("Small", "Large")})
SIZES = {model: (N_FEATURES, *hidden, 1) for model, hidden in NETWORKS.items()}
CELLS = [(model, n_samples) for model in NETWORKS for n_samples in SAMPLE_SIZES]
ours = {e: lambda hidden, n, e=e: MLPRegressor(hidden, max_iter=n, engine=e) for e in ("eager", "fused", "compiled")}
values, absent = {f"compile_{model}".lower(): "not measured" for model in NETWORKS}, missing()
try:
    check_compiler()
except RuntimeError as error:
    print(error)
    del ours["compiled"]
    absent.append("compiled")
else:
    compiling = measure(lambda sizes: {"seconds": compile_seconds(sizes, BATCH_SIZE)}, repeats=1, n_jobs=2, sizes=SIZES)
    values |= {f"compile_{row.sizes}".lower(): duration(row.seconds) for row in compiling.itertuples()}
contenders = {**installed(), **ours}

# %%
# One run: every model on every sample size. Where the whole fit would take long, fewer epochs are timed, and the table
# says how many. Beside it stands what the BLAS takes for the matrix products of a step, called one by one.


def train(contender, model, n_samples):
    samples, trained = generate_samples(n_samples), {}
    target, unseen = ((y - samples.ytr.mean()) / samples.ytr.std() for y in (samples.ytr, samples.yte))
    steps = -(-len(target) // BATCH_SIZE)

    def fit(epochs):
        trained[epochs] = contender(NETWORKS[model], epochs).fit(samples.Xtr, target)

    costs = fit_costs(fit, EPOCHS, at_least=min(EPOCHS, LEAST_STEPS // steps))
    costs["step_seconds"] = costs["epoch_seconds"] / steps
    if EPOCHS in trained:  # nobody is judged before the last epoch
        costs["test_r2"] = r2_score(unseen, trained[EPOCHS].predict(samples.Xte))
    return {"model": model, "n_samples": n_samples, **costs}


def run(contender):
    floors = {model: product_seconds(sizes, BATCH_SIZE) for model, sizes in SIZES.items()}
    rows = pd.DataFrame([train(contender, *cell) for cell in CELLS])
    return rows.assign(floor_seconds=rows.model.map(floors))


runs = measure(run, repeats=PROCESSES, processes=PROCESSES, warmup=False, contender=contenders)
keys = ["contender", "model", "n_samples"]
of = dict(list(runs.groupby(keys, sort=False)))
table = summarise(runs, keys, "step_seconds").rename(columns={"median": "step_seconds"}).drop(columns=["mean", "n"])
table = table.join(runs.groupby(keys)[["first_seconds", "whole_seconds", "epochs", "test_r2"]].median(), on=keys)
table

# %%
# Each dot is a way of training, its whisker the 95 % interval; small dots are single runs. The line is the BLAS.

middle = table[table.n_samples == SAMPLE_SIZES[1]]
order = list(middle.groupby("contender").step_seconds.mean().sort_values(ascending=False).index)
figure, panels = plt.subplots(1, len(NETWORKS), sharex=True, sharey=True)
for axes, (model, rows) in zip(panels, middle.groupby("model", sort=False), strict=True):
    for row in rows.itertuples():
        single, color = of[row.contender, model, row.n_samples].step_seconds, "C1" if row.contender in ours else "C0"
        draw_estimate(axes, order.index(row.contender), row[4:7], single, scale=1e6, color=color, horizontal=True)
    axes.axvline(1e6 * runs[runs.model == model].floor_seconds.median(), color="C6", linestyle="--", linewidth=1)
    axes.set(xscale="log", title=model)
panels[0].set_yticks(range(len(order)), order)
figure.supxlabel("Time of one step (µs); dashed: the BLAS, for its matrix products", fontsize="medium")
headline(
    figure, f"A step takes longest with {order[0]}, and is\nshortest with {order[-1]} ({SAMPLE_SIZES[1]:,} samples)"
)

# %%
# The claims of the engines, put to the test against everybody who is here; whole fits with their start-up.


def slower(slow, fast, column="step_seconds", cells=CELLS):
    for cell in cells if slow in contenders and fast in contenders else []:
        a, b = of[slow, *cell], of[fast, *cell]
        yield f"{slow} over {fast}, {cell[0]}, {cell[1]:,}", factor(ratio(a[column], b[column], (a.process, b.process)))


def on_average(slow, fast, column):
    if slow in contenders and fast in contenders:
        logs = np.log(runs.pivot_table(index="process", columns=keys, values=column))
        yield f"{slow} over {fast}, geometric mean", factor(median(np.exp((logs[slow] - logs[fast]).mean(axis=1))))


def claim(statement, *pairs, **asked):
    checks = [
        check(label, e, **asked) if asked else fact(f"{label}: {e}", not e.estimate.high < 1) for label, e in pairs
    ]
    return judge(statement, *checks) if checks else unmeasured(statement, f"{', '.join(absent)} not installed")


larger = [cell for cell in CELLS if cell[0] != "Small"]
jax = "JAX lax.scan", "compiled"
findings = {
    "fused_beats_eager": claim("The fused engine is faster than the eager one.", *slower("eager", "fused"), above=1),
    "fused_beats_scikit_learn": claim(
        "For Medium and Large, the fused engine is faster than scikit-learn.",
        *slower("scikit-learn", "fused", cells=larger),
        above=1,
    ),
    "compiled_jax": claim(
        "A step of the compiled engine is shorter than one of JAX, in the geometric mean.",
        *on_average(*jax, "step_seconds"),
        above=1,
    ),
    "compiled_jax_whole": claim(
        "A first fit with the compiled engine is shorter than one with JAX, in the geometric mean.",
        *on_average(*jax, "whole_seconds"),
        above=1,
    ),
    "compiled_jax_cells": claim(
        "Nowhere is the compiled engine behind JAX by more than the noise.",
        *slower(*jax),
        *slower(*jax, "whole_seconds"),
    ),
    "compiled_scikit_learn": claim(
        "The compiled engine is at least four times as fast as scikit-learn.",
        *slower("scikit-learn", "compiled"),
        above=4,
    ),
    "compiled_torch_libraries": claim(
        "The compiled engine is at least eight times as fast as Lightning and skorch.",
        *slower("Lightning", "compiled"),
        *slower("skorch", "compiled"),
        above=8,
    ),
}
if "compiled" in contenders:
    large = [of["compiled", "Large", n] for n in SAMPLE_SIZES]
    over_floor = [factor(ratio(x.step_seconds, x.floor_seconds, (x.process, x.process))) for x in large]
    pairs = [(f"Large, {n:,}", e) for n, e in zip(SAMPLE_SIZES, over_floor, strict=True)]
    values["over_floor"] = over_floor[1]
else:
    pairs = []
findings["compiled_floor"] = claim(
    "For Large, a compiled step takes less than two and a half times what the BLAS takes for its matrix products.",
    *pairs,
    below=2.5,
)
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

for fast in ("fused", "compiled"):
    values |= {f"eager_to_{fast}": estimate for _, estimate in on_average("eager", fast, "step_seconds")}
values |= {"not_measured": ", ".join(absent) or "none", "fastest": order[-1]}
publish("engines", tables={"runs": runs, "steps": table}, values=values, findings=findings, figures={"steps": figure})
