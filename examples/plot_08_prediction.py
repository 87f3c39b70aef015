"""
How fast is a prediction?
=========================

A trained network predicts one row, a thousand and far more. Varied: who predicts (this package's estimator,
scikit-learn's of the same layers, and plain torch as its users write it), the model, and the rows. Held fixed: one
thread, float64 input, predictions in the units of the target. Both estimators also check what they are given; plain
torch does not.
"""

# sphinx_gallery_tags = ["time", "engines"]
import warnings

import matplotlib.pyplot as plt
import pandas as pd
import torch
from sklearn.neural_network import MLPRegressor as ScikitLearnRegressor

from mlperf.data import generate_samples
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.model import MLPRegressor
from mlperf.protocol import MODELS, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median, summarise
from mlperf.profilers.timing import seconds_per_call
from mlperf.quantities.units import duration, factor

plt.style.use("mlperf.quantities.report")
PROCESSES, REPEATS, ROWS = by_mode(published=(4, 4, (1, 1_000, 200_000)), quick=(1, 2, (1, 1_000, 20_000)))

# %%
# Who predicts; how well they are trained does not matter to the time. The plain function does what has to be done in
# torch to get the same numbers: standardise, run the module, undo the target's scale.


def plain_torch(module, X, y):
    center, scale = (torch.tensor(part, dtype=torch.float32) for part in (X.mean(axis=0), X.std(axis=0)))
    shift, spread = float(y.mean()), float(y.std())

    @torch.inference_mode()
    def predict(X):
        standard = (torch.as_tensor(X, dtype=torch.float32) - center) / scale
        return (module(standard)[:, 0] * spread + shift).numpy()

    return predict


def run(model):
    warnings.filterwarnings("ignore", "Stochastic Optimizer")  # one epoch has to do
    samples = generate_samples(max(ROWS))
    few = samples.Xtr[:1_000], samples.ytr[:1_000]
    ours = MLPRegressor(model, max_iter=1).fit(*few)
    theirs = ScikitLearnRegressor(hidden_layer_sizes=model, max_iter=1).fit(*few)
    predictors = {"ours": ours.predict, "scikit-learn": theirs.predict, "torch": plain_torch(ours.module_, *few)}
    rows = []
    for n in ROWS:  # in turn, so that what disturbs one disturbs all
        times = {who: seconds_per_call(lambda: f(samples.X[:n])) for who, f in predictors.items()}  # noqa: B023
        rows += [(who, n, time, time / times["ours"]) for who, time in times.items()]
    return pd.DataFrame(rows, columns=["who", "rows", "seconds", "time_ratio"])


runs = measure(run, repeats=REPEATS, processes=PROCESSES, warmup=False, model=MODELS)
times = summarise(runs, by=["who", "model", "rows"])
times["rows_per_second"] = times.rows / times["median"]
times

# %%
# Bars are medians, whiskers their 95 % intervals, and dots the single runs.

figure, panels = plt.subplots(1, len(ROWS))
cells = dict(list(runs.groupby(["rows", "model", "who"])))
for axes, n in zip(panels, ROWS, strict=True):
    for place, who in enumerate(("ours", "scikit-learn", "torch")):
        for number, model in enumerate(MODELS):
            part = cells[n, model, who]
            at, estimate = place + 0.27 * (number - 1), median(part.seconds, part.process)
            draw_estimate(axes, at, estimate, part.seconds, scale=1e3, bar=0.24, color=f"C{number}")
    axes.set_xticks(range(3), ["ours", "scikit-\nlearn", "torch"], fontsize="x-small")
    axes.set_title(f"{n:,} row{'s' * (n > 1)}")
for number, model in enumerate(MODELS):
    panels[0].annotate(model, (0.05, 0.93 - 0.07 * number), xycoords="axes fraction", color=f"C{number}")
panels[0].set(ylabel="Time of one prediction (ms)", ylim=(0, 1.3 * panels[0].get_ylim()[1]))
over = {key: median(part.time_ratio, part.process) for key, part in cells.items()}
ahead = [over[n, model, "scikit-learn"].value for n in ROWS for model in MODELS]
headline(figure, f"scikit-learn takes {min(ahead):.1f} to {max(ahead):.1f} times as long\nas this package's estimator")

# %%
# Ratios are taken within a process, call beside call.


def against(who, rows, **asked):
    for n in rows:
        yield from (check(f"{who}, {model}, {n:,} rows", factor(over[n, model, who]), **asked) for model in MODELS)


findings = {
    "scikit_learn": judge("scikit-learn's predictions take longer.", *against("scikit-learn", ROWS, above=1)),
    "torch": judge("From a thousand rows on, torch is at most a tenth ahead.", *against("torch", ROWS[1:], above=0.9)),
}
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {f"{model}_one_row".lower(): duration(median(cells[1, model, "ours"].seconds)) for model in MODELS}
publish(
    "prediction", tables={"runs": runs, "times": times}, values=values, findings=findings, figures={"times": figure}
)
