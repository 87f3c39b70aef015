"""
How accurate do the models get, and does more data help?
========================================================

Every model is trained on every sample size, as in the timed fits, and judged on each
split by mean squared error (MSE) and R2. The generator added noise to the target: on
data that were not trained on, an error below the noise's variance would be luck. The
seed is not varied; the intervals say how much a score depends on the samples that
happen to be in a split.
"""

# sphinx_gallery_tags = ["accuracy", "scaling"]

from mlperf import MLPRegressor, accuracy, claim, generate_samples, headline, measure
from mlperf import publish, reference, stack
from mlperf.protocol import DEVICE, EPOCHS, MODELS, NOISE, SAMPLE_SIZES, UNTIMED

# %%
# One run: a fit, and its accuracy on the three splits. To judge a model of your own,
# put it here. All engines take the same steps, up to rounding; this one is quicker
# than the one that is timed.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(
        model, max_iter=EPOCHS, engine="fused", random_state=0, device=DEVICE
    )
    return accuracy(regressor.fit(samples.Xtr, samples.ytr), samples)


# %%
# Nothing is timed, so that two runs may share the machine, and none needs a warm-up.

runs = measure(run, **UNTIMED, model=MODELS, n_samples=SAMPLE_SIZES)
mse = runs["mse"]
r2 = runs["r2"]
mse

# %%
# R2 is the share of the target's variance that the models explain.

r2

# %%
# One panel a split. Whiskers are 95 % intervals over the rows of the split.

panels = mse.plot(x="n_samples", by="model", panels="split", kind="dot", log=True)
for axes in panels:
    reference(axes, NOISE**2, "noise")
model, n_samples = mse.at(split="test").idxmin()
headline(
    panels,
    f"On the test split, {model} with {n_samples:,} samples has the smallest error",
)

# %%
# How does the test error change from one sample size to the next? Below 1 it falls.

few, middle, many = SAMPLE_SIZES
test_mse = mse.at(split="test")
test_r2 = r2.at(split="test")
error_growth = stack(
    {
        f"{few:,} to {middle:,}": test_mse[:, middle] / test_mse[:, few],
        f"{middle:,} to {many:,}": test_mse[:, many] / test_mse[:, middle],
    },
    "samples",
)
error_growth

# %%
# The claims of the original report, put to the test. "No clean pattern" means that the
# error neither falls at every step nor rises at every step; ``~`` is read as "not".


def no_pattern(changes):
    return ~(changes < 1) & ~(changes > 1)


small_changes = error_growth[["Small", "Medium"]]
large_changes = error_growth["Large"]

claims = {
    "r2_999": claim(
        "R2 is 0.999, to three digits, everywhere.",
        r2.within(0.9985, 0.9995),
        otherwise="R2 does not round to 0.999 everywhere.",
        seen=f"it is {r2}",
        original="R2 is about 0.999 everywhere.",
    ),
    "small": claim(
        "The error is small: less than a hundredth of the target's variance.",
        r2 > 0.99,
        holds="The error is less than a hundredth of the target's variance for every "
        "model and sample size.",
        otherwise="The error is a hundredth of the target's variance or more for some "
        "model and sample size.",
        seen=f"R2 is {r2}",
        original="The error is already small.",
    ),
    "no_pattern": claim(
        "For Small and Medium the test error has no clean pattern over the sample "
        "sizes.",
        no_pattern(error_growth["Small"]),
        no_pattern(error_growth["Medium"]),
        otherwise="For Small or Medium the test error changes in the same direction "
        "at every step to more samples.",
        seen=f"from one size to the next it becomes {small_changes} as large",
        original="MSE and R2 show no clean pattern over the sample sizes.",
    ),
    "large_falls": claim(
        "For Large the test error falls as the samples grow.",
        large_changes < 1,
        otherwise="For Large the test error does not fall at every step to more "
        "samples.",
        seen=f"from one sample size to the next it becomes {large_changes} as large",
        original="For Large the MSE falls as the samples grow.",
    ),
    "noise_left": claim(
        "The error that remains on the test split is the noise, to within a tenth of "
        "its variance.",
        test_mse.within(0.9 * NOISE**2, 1.1 * NOISE**2),
        otherwise="The error that remains on the test split is not the noise alone.",
        seen=f"the MSE is {test_mse}, where the noise alone would leave {NOISE**2:g}",
        original="The error that remains is the irreducible noise of the generator.",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "accuracy",
    runs=runs,
    mse=mse,
    r2=r2,
    test_mse=test_mse,
    test_r2=test_r2,
    error_growth=error_growth,
    scores=panels,
    **claims,
)
