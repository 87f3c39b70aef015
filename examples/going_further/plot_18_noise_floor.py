"""
What error is left, and does it follow the samples?
===================================================

The generator adds noise of known variance to the target, and no model can predict it.
Many problems, each with its own data and initial weights, are trained together, on few
to many samples and with less and more noise. Measured are the squared errors on the
training and the test split, over the noise's variance. Held fixed: the rest of the
protocol.
"""

# sphinx_gallery_tags = ["accuracy", "scaling"]

import numpy as np
import pandas as pd

from mlperf import Runs, claim, generate_samples, headline, measure, publish, reference
from mlperf.protocol import EPOCHS, MODELS, NOISE, SAMPLE_SIZES, UNTIMED, by_mode
from mlperf.quantities.scaling import exponent
from mlperf.training.together import fit_together

SEEDS = range(by_mode(published=12, quick=2))
FEW, MIDDLE, MANY = SAMPLE_SIZES
PLACES = {
    "quiet": (FEW, NOISE / 10),
    "few": (FEW, NOISE),
    "middle": (MIDDLE, NOISE),
    "many": (MANY, NOISE),
    "loud": (FEW, NOISE * 10),
}

# %%
# One run: as many fits as there are seeds, together. What is measured does not depend
# on the time it takes, so that two runs may share the machine. Errors are given in
# variances of the noise.


def squared_error(predict, X, y, noise):
    return np.mean((y - predict(X)) ** 2) / noise**2


def run(model, place):
    n_samples, noise = place
    problems = [
        generate_samples(n_samples, noise=noise, random_state=seed) for seed in SEEDS
    ]
    training = [(problem.Xtr, problem.ytr) for problem in problems]
    predictors = fit_together(model, training, random_states=SEEDS, max_iter=EPOCHS)
    rows = []
    for seed, problem, predict in zip(SEEDS, problems, predictors, strict=True):
        on_training = squared_error(predict, problem.Xtr, problem.ytr, noise)
        on_test = squared_error(predict, problem.Xte, problem.yte, noise)
        rows.append((seed, on_training, on_test))
    columns = ["seed", "training_ratio", "test_ratio"]
    return pd.DataFrame(rows, columns=columns).set_index("seed")


measured = measure(run, **UNTIMED, model=MODELS, place=PLACES)

# %%
# Here it is the seeds that vary, not the processes: each seed is a problem of its own,
# and they are independent.

frame = measured.frame.drop(columns=["process", "repeat"])
runs = Runs(frame, by=["model", "place"], process="seed")
test = runs.quantity("test_ratio", statistic="mean")
training = runs.quantity("training_ratio", statistic="mean")
test

# %%
# At 1 the error is all noise. Dots are means, whiskers their 95 % intervals, and small
# dots the single seeds. Quiet and loud are few samples with a tenth of the noise, and
# with ten times the noise.

axes = test.plot(x="place", by="model", kind="dot", log=True)
shown = [f"{n:,}\nsamples,\nnoise {noise:g}" for n, noise in PLACES.values()]
axes.set_xticks(range(len(PLACES)), shown)
axes.set_ylabel("Test error (× noise variance)")
reference(axes, 1, "noise alone")
headline(
    axes,
    f"With {MANY:,} samples, the test error is {test[:, 'many']:short} the noise's "
    "variance",
)

# %%
# Does the error follow the samples? The exponent of a power law is fitted to each
# seed's errors on few, middle and many samples: below 0 they fall.

sizes = {"few": FEW, "middle": MIDDLE, "many": MANY}
over_sizes = frame[frame.place.isin(list(sizes))]
over_sizes = over_sizes.assign(n_samples=over_sizes.place.map(sizes))
curves = Runs(over_sizes, by=["model", "n_samples"], process="seed")
trend = curves.quantity("test_ratio", statistic="mean").along("n_samples", exponent)
trend

# %%
# Is the noise all that is left? Thresholds here and below were fixed before the numbers
# were seen: to within a tenth.


def floor_claim(place, where):
    error = test[:, place]
    return claim(
        f"{where}, the error that remains is the noise.",
        error.within(0.9, 1.1),
        otherwise=f"{where}, the error that remains is not the noise alone.",
        seen=f"the test error is {error} the noise's variance",
    )


quiet = test[:, "quiet"]
floor_claims = {
    "floor_many": floor_claim("many", f"On {MANY:,} samples"),
    "floor_few": floor_claim("few", f"On {FEW:,} samples"),
    "floor_loud": floor_claim("loud", f"On {FEW:,} samples with ten times the noise"),
    "floor_quiet": claim(
        f"On {FEW:,} samples with a tenth of the noise, the test error is more than "
        "twice the noise's variance: more than the noise is left.",
        quiet > 2,
        holds=f"On {FEW:,} samples with a tenth of the noise, more than the noise is "
        "left.",
        otherwise=f"Even on {FEW:,} samples with a tenth of the noise, little more "
        "than the noise is left for some model.",
        seen=f"the test error is {quiet} the noise's variance",
    ),
}

# %%
# Are the samples that a model was trained on predicted better than others?

gap = test[:, "few"] - training[:, "few"]
overfitting = claim(
    f"On {FEW:,} samples the models overfit: the test error is above the training "
    "error.",
    gap > 0,
    holds=f"On {FEW:,} samples the models overfit.",
    otherwise=f"On {FEW:,} samples not every model overfits.",
    seen=f"the test error minus the training error is {gap} the noise's variance",
)
overfitting

# %%
# Does the error of each model fall?

trend_claims = {}
for model in MODELS:
    trend_claims[f"falls_{model.lower()}"] = claim(
        f"The test error of {model} falls as the samples grow.",
        trend[model] < 0,
        otherwise=f"The test error of {model} does not fall as the samples grow.",
        seen=f"the exponent is {trend[model]}",
    )

# %%
# The report takes everything from the results folder.

publish(
    "noise_floor",
    runs=measured,
    test=test,
    training=training,
    trend=trend,
    errors=axes,
    overfitting=overfitting,
    **floor_claims,
    **trend_claims,
)
