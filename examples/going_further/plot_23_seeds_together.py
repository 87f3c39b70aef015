"""
Does it pay to train many networks together?
============================================

What depends on the seed is known only from many seeds, and so from many small networks. They can be trained one by one,
or together: ``torch.func.vmap`` makes of each operator one batched call for all. Varied: the model, and the number of
networks, each with its own data. Measured is the time of the same epochs, one by one and together, in one process.
"""

# sphinx_gallery_tags = ["time", "engines"]
import matplotlib.pyplot as plt
import pandas as pd
import torch

from mlperf.training.engines import fused
from mlperf.training.together import one_by_one, together
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median
from mlperf.profilers.timing import seconds
from mlperf.quantities.units import factor

plt.style.use("mlperf.quantities.report")

# Fewer fresh processes than elsewhere: every factor is taken within one run.
FRESH, RUNS = by_mode(published=(3, 6), quick=(1, 2))
COUNTS = by_mode(published=(1, 3, 6, 12), quick=(1, 3))
MANY = COUNTS[-1]
EPOCHS = by_mode(published=4, quick=2)
N_SAMPLES = 600

# %%
# One run: a few networks of each model and many, trained in three ways. Together they are trained by autograd; one by
# one by autograd as well, or by the engine with a gradient written out. The first epoch is not counted.


def written_out(modules, X, y, generators, **settings):
    networks = zip(modules, X, y, generators, strict=True)
    trainings = [fused(*network, generator=generator, **settings) for *network, generator in networks]
    while True:
        yield [next(training) for training in trainings]


def training_seconds(train, model, n_networks, **adam):
    X, y = torch.randn(n_networks, N_SAMPLES, N_FEATURES), torch.randn(n_networks, N_SAMPLES, 1)
    modules = [MLPRegressor(model, max_iter=1).fit(X[0, :2], y[0, :2, 0]).module_.requires_grad_(True) for _ in X]
    generators = [torch.Generator() for _ in X]
    training = train(modules, X, y, generators=generators, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, **adam)
    next(training)
    return seconds(lambda: [next(training) for _ in range(EPOCHS)])


def run():
    rows = []
    for name, model in MODELS.items():
        for n_networks in COUNTS:
            batched = training_seconds(together, model, n_networks)
            autograd = training_seconds(one_by_one, model, n_networks, fused=True)
            no_graph = training_seconds(written_out, model, n_networks)
            rows.append((name, n_networks, batched, autograd / batched, no_graph / batched))
    return pd.DataFrame(rows, columns=["model", "n_networks", "seconds", "autograd", "written_out"])


runs = measure(run, repeats=RUNS, processes=FRESH, warmup=False)
of = dict(list(runs.groupby(["model", "n_networks"], sort=False)))
WAYS = {"autograd": "over one by one by autograd", "written_out": "over one by one without autograd"}
speed = {(way, *cell): median(rows[way], rows.process) for way in WAYS for cell, rows in of.items()}
names = ["one_by_one", "model", "n_networks", "speed_ratio", "speed_ratio_low", "speed_ratio_high"]
table = pd.DataFrame([(*cell, *estimate) for cell, estimate in speed.items()], columns=names)
table

# %%
# Above the line it pays.

figure, panels = plt.subplots(1, 2, sharey=True)
for axes, way in zip(panels, WAYS, strict=True):
    for i, model in enumerate(MODELS):
        for x, n in enumerate(COUNTS):
            draw_estimate(axes, x + (i - 1) / 5, speed[way, model, n], of[model, n][way], color=f"C{i}")
        axes.annotate(model, (0.05, 0.78 - 0.08 * i), xycoords="axes fraction", color=f"C{i}")
    axes.axhline(1, color="C6", linewidth=0.8, linestyle="--")
    axes.set_xticks(range(len(COUNTS)), COUNTS)
    axes.set(xlabel="Networks", ylim=(0, None))
    axes.set_title(WAYS[way], fontsize="small", fontweight="normal")
panels[0].set_ylabel("Speed together (× one by one)")
most = max(speed["autograd", model, MANY].value for model in MODELS)
headline(figure, f"{MANY} networks are trained together up to {most:.1f} times as fast\nas one by one by autograd")

# %%
# Does it pay for many networks, whichever way they are trained one by one?

claims = {
    "autograd": (f"{MANY} networks are trained by autograd in less than half the time if trained together.", 2),
    "written_out": (f"{MANY} networks are trained faster together than one by one with the gradient written out.", 1),
}
findings = {
    way: judge(claim, *(check(model, factor(speed[way, model, MANY]), above=limit) for model in MODELS))
    for way, (claim, limit) in claims.items()
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.
values = {f"{way}_{model}".lower(): factor(speed[way, model, MANY]) for way in WAYS for model in MODELS}
tables = {"runs": runs, "speed": table}
publish("seeds_together", tables=tables, values=values, findings=findings, figures={"speed": figure})
