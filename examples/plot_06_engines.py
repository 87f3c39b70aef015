"""
How fast can this training get?
===============================

The same network, mini-batches, optimiser and epochs, carried out in different ways: by a plain torch loop over a
DataLoader, by slices of tensors (*eager*), with the gradient written out and Adam in one call (*fused*), and as one
compiled function (*compiled*). Varied: the way, the model. Held fixed: everything else, one thread. Measured is the
time of a step in the steady state, and beside it what the BLAS takes for the matrix products of a step alone.
"""

# sphinx_gallery_tags = ["time", "engines"]
import matplotlib.pyplot as plt
import pandas as pd

from mlperf.profilers.ceilings import product_seconds
from mlperf.training.compiled import compile_seconds
from mlperf.data import generate_samples
from mlperf.training.engines import available
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import check, judge, unmeasured
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.rivals.peers import dataloader
from mlperf.protocol import BATCH_SIZE, N_FEATURES, RACED, SAMPLE_SIZES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median, summarise
from mlperf.profilers.timing import fit_costs
from mlperf.quantities.units import duration, factor

plt.style.use("mlperf.quantities.report")
PROCESSES, EPOCHS = by_mode(published=(5, 20), quick=(1, 5))
SAMPLES = generate_samples(SAMPLE_SIZES[1])
STEPS = -(-len(SAMPLES.ytr) // BATCH_SIZE)

# %%
# Who takes part: functions of the hidden layers and the epochs that return a regressor. To compile is timed apart.

engines = {e: lambda hidden, n, e=e: MLPRegressor(hidden, max_iter=n, engine=e) for e in available()}
ways, blas = {"torch, DataLoader": dataloader, **engines}, "the BLAS, products alone"
values = {f"compile_{model}".lower(): "not measured" for model in RACED}
if "compiled" in ways:
    sizes = {model: (N_FEATURES, *hidden, 1) for model, hidden in RACED.items()}
    compiling = measure(lambda sizes: {"seconds": compile_seconds(sizes, BATCH_SIZE)}, repeats=1, n_jobs=2, sizes=sizes)
    values |= {f"compile_{row.sizes}".lower(): duration(row.seconds) for row in compiling.itertuples()}

# %%
# One run: every way in turn, so that what disturbs one disturbs all. A step's time is what further epochs add to a fit.


def run(model):
    y = (SAMPLES.ytr - SAMPLES.ytr.mean()) / SAMPLES.ytr.std()

    def step_seconds(way):
        costs = fit_costs(lambda n: ways[way](model, n).fit(SAMPLES.Xtr, y), EPOCHS, at_least=EPOCHS)
        return costs["epoch_seconds"] / STEPS

    times = {way: step_seconds(way) for way in ways} | {blas: product_seconds((N_FEATURES, *model, 1), BATCH_SIZE)}
    return pd.DataFrame(times.items(), columns=["way", "step_seconds"])


runs = measure(run, repeats=PROCESSES, processes=PROCESSES, warmup=False, model=RACED)
steps = summarise(runs, ["model", "way"], "step_seconds").rename(columns={"median": "step_seconds"})
steps

# %%
# Each dot is a way of training, its whisker the 95 % interval; small dots are single runs. The line is the BLAS.

of = dict(list(runs.groupby(["way", "model"])))
figure, panels = plt.subplots(1, len(RACED), sharex=True, sharey=True)
for axes, model in zip(panels, RACED, strict=True):
    for place, way in enumerate(ways):
        seen, process = of[way, model].step_seconds, of[way, model].process
        draw_estimate(axes, place, median(seen, process), seen, scale=1e6, color=f"C{place}", horizontal=True)
    axes.axvline(1e6 * of[blas, model].step_seconds.median(), color="C6", linestyle="--", linewidth=1)
    axes.set(xscale="log", title=model)
axes.set(yticks=range(len(ways)), yticklabels=ways, ylim=(len(ways) - 0.5, -0.5))
figure.supxlabel("Time of one step (µs); dashed: the BLAS, for its matrix products", fontsize="medium")
order = steps[steps.way.isin(ways)].groupby("way").step_seconds.mean().sort_values().index
headline(figure, f"A step takes longest with {order[-1]}, and is\nshortest with {order[0]}")

# %%
# Each rung of the ladder against the one before, and the last one against the BLAS, run by run.


def over(slow, fast, model):
    a, b = (of[way, model].set_index(["process", "repeat"]).step_seconds for way in (slow, fast))
    return factor(median(a / b))


def claim(statement, slow, fast, models=RACED, **asked):
    if not {slow, fast} <= {*ways, blas}:
        return unmeasured(statement, "no C++ compiler works")
    return judge(statement, *(check(f"{slow} over {fast}, {m}", over(slow, fast, m), **asked) for m in models))


near = "For Large, a compiled step takes less than two and a half times what the BLAS takes for its products."
findings = {
    "eager": claim("Slices of tensors are faster than a DataLoader.", "torch, DataLoader", "eager", above=1),
    "fused": claim("The fused engine is faster than the eager one.", "eager", "fused", above=1),
    "compiled": claim("The compiled engine is faster than the fused one.", "fused", "compiled", above=1),
    "blas": claim(near, "compiled", blas, ["Large"], below=2.5),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values["eager_to_fused"] = over("eager", "fused", "Large")
publish("engines", tables={"runs": runs, "steps": steps}, values=values, findings=findings, figures={"steps": figure})
