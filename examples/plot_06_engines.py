"""
How fast can this training get?
===============================

The same network, mini-batches, optimiser and epochs, carried out in different ways: by a plain torch loop over a
DataLoader, by slices of tensors (*eager*), with Adam in one call (*fused*), with the whole step in one compiled
function (*compiled*), and by the libraries that a user would pick instead, as far as they are installed. Measured is
the time of one optimiser step in the steady state: the difference of a long and a one-epoch fit, so that starting up
cancels out. Start-up is reported apart, and accuracy beside it: nobody is fast by training less.
"""

import matplotlib.pyplot as plt
import pandas as pd

from mlperf.accuracy import accuracy
from mlperf.compiled import check_compiler
from mlperf.data import generate_samples
from mlperf.findings import check, judge
from mlperf.flops import product_seconds
from mlperf.measure import measure
from mlperf.model import MLPRegressor
from mlperf.peers import installed, missing
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.results import publish
from mlperf.stats import median, ratio, summarise
from mlperf.timing import seconds
from mlperf.units import duration, factor

plt.style.use("mlperf.mlperf")

# %%
# Who takes part. Without a C++ compiler the compiled engine cannot, and says what to install.

N_SAMPLES, EPOCHS = by_mode(published=5_000, quick=1_000), by_mode(published=100, quick=40)


def ours(engine):
    return lambda hidden, max_iter: MLPRegressor(hidden, max_iter=max_iter, engine=engine, random_state=0)


engines = ["eager", "fused", "compiled"]
try:
    check_compiler()
except RuntimeError as error:
    print(error)
    engines.remove("compiled")
contenders = {**installed(), **{engine: ours(engine) for engine in engines}}
print("Not measured, as not installed:", ", ".join(missing()) or "none")

# %%
# One run: a fit of one epoch and a longer one, on standardised data for all. The first one may compile and import. The
# floor is what the step's matrix products take alone, each as fast as a product of its shape is when measured alone.


def run(contender, model):
    samples = generate_samples(N_SAMPLES)
    center, scale = samples.ytr.mean(), samples.ytr.std()
    target = (samples.ytr - center) / scale
    first = seconds(lambda: contender(model, 1).fit(samples.Xtr, target))
    short = min(seconds(lambda: contender(model, 1).fit(samples.Xtr, target)) for _ in range(2))
    trained = contender(model, EPOCHS + 1)
    long = seconds(lambda: trained.fit(samples.Xtr, target))
    scores = accuracy(trained, samples._replace(ytr=target, yte=(samples.yte - center) / scale)).set_index("split")
    steps = -(-len(target) // BATCH_SIZE)
    return {
        # A short fit that was disturbed must not make the rest of the long one vanish.
        "step_seconds": max(long - short, long / 20) / (EPOCHS * steps),
        "first_fit_seconds": first,
        "floor_seconds": product_seconds([N_FEATURES, *model, 1], BATCH_SIZE),
        "test_r2": scores.r2["test"],
    }


repeats = by_mode(published=3, quick=2)
runs = measure(
    run, repeats=repeats, processes=by_mode(published=3, quick=1), warmup=False, contender=contenders, model=MODELS
)
steps = summarise(runs, by=["contender", "model"], value="step_seconds")
steps = steps.rename(columns={"median": "step_seconds"}).drop(columns="mean")
beside = runs.groupby(["contender", "model"], sort=False)[["first_fit_seconds", "test_r2"]].median()
table = steps.merge(beside.reset_index(), on=["contender", "model"])
table

# %%
# Each dot is a way of training, its whisker the 95 % interval; small dots are single runs. The line is the floor.

order = steps.groupby("contender").step_seconds.mean().sort_values(ascending=False).index
figure, panels = plt.subplots(1, len(MODELS), sharey=True)
for axes, model in zip(panels, MODELS, strict=True):
    part = steps[steps.model == model].set_index("contender").loc[order]
    whiskers = [1e6 * (part.step_seconds - part.low), 1e6 * (part.high - part.step_seconds)]
    axes.errorbar(1e6 * part.step_seconds, order, xerr=whiskers, fmt="o")
    single = runs[runs.model == model]
    axes.plot(1e6 * single.step_seconds, single.contender, ".", markersize=3, color="grey", zorder=1)
    axes.axvline(1e6 * single.floor_seconds.median(), color="black", linestyle="--", linewidth=1)
    axes.set(xscale="log", title=model)
panels[1].set_xlabel("Time of one step (µs); dashed: its matrix products alone")
fastest = steps.loc[steps.groupby("model").step_seconds.idxmin()].contender.mode().iloc[0]
figure.suptitle(f"The fastest way to train, for most models, is {fastest}")

# %%
# The claims of the engines, put to the test against everybody who is here.

of = dict(list(runs.groupby(["contender", "model"])))


def times_faster(slow, fast, model, **threshold):
    a, b = of[slow, model], of[fast, model]
    return check(
        f"{slow} over {fast}, {model}",
        factor(ratio(a.step_seconds, b.step_seconds, groups=(a.process, b.process))),
        **threshold,
    )


findings = {
    "fused_beats_eager": judge(
        "Adam in one call makes a step faster than one parameter after another.",
        *(times_faster("eager", "fused", model, above=1) for model in MODELS),
    ),
    "fused_beats_scikit_learn": judge(
        "For Medium and Large, the fused engine is faster than scikit-learn.",
        *(times_faster("scikit-learn", "fused", model, above=1) for model in ("Medium", "Large")),
    ),
}
if "compiled" in contenders:
    findings["compiled_first"] = judge(
        "No other way of training measured here is faster than the compiled engine, for any model.",
        *(times_faster(c, "compiled", m, above=1) for c in contenders for m in MODELS if c != "compiled"),
    )
    findings["compiled_scikit_learn"] = judge(
        "The compiled engine is at least four times as fast as scikit-learn.",
        *(times_faster("scikit-learn", "compiled", model, above=4) for model in MODELS),
    )
    large = of["compiled", "Large"]
    findings["compiled_floor"] = judge(
        "For Large, a compiled step takes less than two and a half times what its matrix products take alone.",
        check("Large", factor(ratio(large.step_seconds, large.floor_seconds, groups=(large.process,) * 2)), below=2.5),
    )
pd.DataFrame(findings.values())

# %%
# The report takes everything from the results folder.

values = {
    f"{contender}_{model}".lower(): duration(median(part.step_seconds, part.process))
    for (contender, model), part in of.items()
    if contender in engines
}
publish(
    "engines",
    tables={"runs": runs, "steps": table},
    values={**values, "not_measured": ", ".join(missing()) or "none", "fastest": fastest},
    findings=findings,
    figures={"steps": figure},
)
