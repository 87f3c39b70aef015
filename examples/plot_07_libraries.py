"""
Does another library train faster?
==================================

What a user would pick instead: plain torch, scikit-learn, skorch, Lightning, Keras, JAX
and more, as far as they are installed, each set to the same network, mini-batches,
optimiser and epochs, beside the engines of this package. Varied: who trains, the model,
the samples. Held fixed: everything else, one thread. Measured are the time of a step in
the steady state, what the first fit costs on top, and the accuracy: nobody is fast by
training less.
"""

# sphinx_gallery_tags = ["time", "engines"]

from functools import partial
from math import ceil

from sklearn.metrics import r2_score

from mlperf import MLPRegressor, claim, generate_samples, headline, measure, publish
from mlperf.profilers.timing import fit_costs
from mlperf.protocol import BATCH_SIZE, EPOCHS, RACED, SAMPLE_SIZES, by_mode
from mlperf.rivals import installed, missing
from mlperf.training.engines import available

LEAST_STEPS = by_mode(published=600, quick=40)
TIMES = by_mode(
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 1}
)

# %%
# Who takes part: functions of the hidden layers and the epochs that return a regressor.


def ours(hidden, max_iter, engine):
    return MLPRegressor(hidden, max_iter=max_iter, engine=engine)


engines = {name: partial(ours, engine=name) for name in available()}
rivals = installed()
absent = missing()
contenders = {**rivals, **engines}
list(contenders)

# %%
# One run: a model on a sample size, by one contender. Where the whole fit would take
# long, fewer epochs are timed. Accuracy is judged after the last epoch only.


def run(contender, model, n_samples):
    samples = generate_samples(n_samples)
    center, scale = samples.ytr.mean(), samples.ytr.std()
    target = (samples.ytr - center) / scale
    steps = ceil(len(target) / BATCH_SIZE)
    trained = {}

    def fit(epochs):
        trained[epochs] = contender(model, epochs).fit(samples.Xtr, target)

    at_least = min(EPOCHS, ceil(LEAST_STEPS / steps))
    costs = fit_costs(fit, EPOCHS, at_least=max(2, at_least))
    if EPOCHS in trained:
        predicted = trained[EPOCHS].predict(samples.Xte)
        costs["test_r2"] = r2_score((samples.yte - center) / scale, predicted)
    return {**costs, "step_seconds": costs["epoch_seconds"] / steps}


runs = measure(
    run,
    **TIMES,
    warmup=False,
    contender=contenders,
    model=RACED,
    n_samples=SAMPLE_SIZES,
)
step = runs["step_seconds"]
whole = runs["whole_seconds"]
step.mean("n_samples")

# %%
# A whole first fit: what is paid once, such as loading and compiling, and all epochs.

whole.mean("n_samples")

# %%
# Dots are medians, whiskers their 95 % intervals, and small dots the single runs.

middle = step[:, :, SAMPLE_SIZES[1]]
panels = middle.plot(
    x="contender", panels="model", kind="dot", horizontal=True, log=True
)
mean_step = middle.mean("model")
headline(
    panels,
    f"A step takes longest with {mean_step.idxmax()}, and is shortest with "
    f"{mean_step.idxmin()}",
)

# %%
# How many times as long as the fastest engine of this package does everybody take, on
# average?

fastest = "compiled" if "compiled" in engines else "fused"
overall = step.mean("model", "n_samples")
times_as_long = overall / overall[fastest]
times_as_long

# %%
# Claims, with thresholds fixed before the numbers were seen. What is not installed is
# not measured.


def is_here(*names):
    return all(name in contenders for name in names)


def faster_than(rival, times, spelled):
    statement = f"The compiled engine is at least {spelled} times as fast as {rival}."
    if not is_here(rival, "compiled"):
        return claim(statement, reason=f"{rival} is not installed")
    ratio = step[rival] / step["compiled"]
    return claim(
        f"The compiled engine is {ratio} as fast as {rival}.",
        ratio > times,
        otherwise=f"The compiled engine is {ratio} as fast as {rival}: not {spelled} "
        "times everywhere.",
        undecided=f"The compiled engine is {ratio} as fast as {rival}.",
    )


larger = [name for name in RACED if name != "Small"]
fused_ratio = (step["scikit-learn"] / step["fused"])[larger]
claims = {
    "fused_ahead": claim(
        f"For the larger models, the fused engine is {fused_ratio} as fast as "
        "scikit-learn.",
        fused_ratio > 1,
        undecided="For the larger models, the fused engine is "
        f"{fused_ratio} as fast as scikit-learn.",
        otherwise=f"For the larger models, the fused engine is {fused_ratio} as "
        "fast as scikit-learn.",
    ),
    "scikit_learn": faster_than("scikit-learn", 4, "four"),
    "lightning": faster_than("Lightning", 8, "eight"),
    "skorch": faster_than("skorch", 8, "eight"),
}

# %%
# JAX is the strongest rival: each of its variants is compared, and the best one counts.

jax_variants = [name for name in contenders if name.startswith("JAX")]
jax_statement = "A compiled step is shorter than one of JAX."
if jax_variants and is_here("compiled"):
    jax_step = step.at(contender=jax_variants).min("contender")
    jax_whole = whole.at(contender=jax_variants).min("contender")
    jax_ratio = (jax_step / step["compiled"]).mean()
    jax_whole_ratio = (jax_whole / whole["compiled"]).mean()
    claims["jax"] = claim(
        f"On average a step of JAX, in its best variant, takes {jax_ratio} the time "
        "of a compiled one.",
        jax_ratio > 1,
        undecided="On average a step of JAX, in its best variant, takes "
        f"{jax_ratio} the time of a compiled one.",
        otherwise=f"On average JAX is faster: its step takes {jax_ratio} the time of "
        "a compiled one.",
    )
    claims["jax_whole"] = claim(
        f"On average a first fit of JAX takes {jax_whole_ratio} the time of a "
        "compiled one.",
        jax_whole_ratio > 1,
        undecided="On average a first fit of JAX takes "
        f"{jax_whole_ratio} the time of a compiled one.",
        otherwise="On average a first fit of JAX is faster: it takes "
        f"{jax_whole_ratio} the time.",
    )
    claims["jax_cells"] = claim(
        "Nowhere is the compiled engine more than a twentieth behind JAX.",
        jax_step / step["compiled"] > 0.95,
        jax_whole / whole["compiled"] > 0.95,
        otherwise="Somewhere the compiled engine is more than a twentieth behind JAX.",
    )
else:
    reason = "JAX is not installed" if not jax_variants else "no C++ compiler works"
    claims["jax"] = claim(jax_statement, reason=reason)
    claims["jax_whole"] = claim(
        "A compiled first fit is shorter than one of JAX.", reason=reason
    )
    claims["jax_cells"] = claim(
        "Nowhere is the compiled engine behind JAX.", reason=reason
    )

# %%
# The report takes everything from the results folder.

publish(
    "libraries",
    runs=runs,
    step=step,
    whole=whole,
    overall=overall,
    times_as_long=times_as_long,
    not_measured=", ".join(absent) or "none",
    steps=panels,
    **claims,
)
