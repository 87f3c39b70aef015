"""
Which operators does prediction spend its time and memory on?
=============================================================

For every model and sample size a prediction of the test split is profiled, and beside
it one epoch of training. The profile of training says how to read *self* and the memory
columns; all else is as there.
"""

# sphinx_gallery_tags = ["profile", "time", "memory"]

import pandas as pd

from mlperf import MLPRegressor, Table, claim, generate_samples, headline, measure
from mlperf import operators, publish
from mlperf.protocol import DEVICE, MODELS, PROFILED, SAMPLE_SIZES

# %%
# One run: an epoch of training, then a prediction of the test split, each under a
# profiler of its own. To profile a model of your own, put it here.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(
        model, max_iter=1, engine="eager", random_state=0, device=DEVICE
    )
    training = operators(lambda: regressor.fit(samples.Xtr, samples.ytr))
    prediction = operators(lambda: regressor.predict(samples.Xte))
    both = pd.concat({"training": training, "prediction": prediction}, names=["phase"])
    self_bytes = both.filter(["self_cpu_bytes", "self_device_bytes"])
    return both.assign(allocated_bytes=self_bytes.clip(lower=0).sum(axis="columns"))


# %%
# Two runs share the machine, as for training. Shown is the smallest model's prediction
# on the fewest samples.

runs = measure(
    run,
    **PROFILED,
    warmup={"model": MODELS["Small"], "n_samples": SAMPLE_SIZES[0]},
    model=MODELS,
    n_samples=SAMPLE_SIZES,
)
self_time = runs["self_cpu_seconds"]
prediction = self_time.at(phase="prediction")
prediction["Small", SAMPLE_SIZES[0]]

# %%
# The CPU time of a prediction, summed over all operators.

total_time = self_time.sum("operator")
training_time = total_time.at(phase="training")
prediction_time = total_time.at(phase="prediction")
prediction_time

# %%
# How many times as much does an epoch of training take?

training_over_prediction = training_time / prediction_time
training_over_prediction

# %%
# Both phases in one figure, for every model and sample size. Large dots are medians,
# whiskers their 95 % intervals, and small dots the single runs.

panels = total_time.plot(
    x="n_samples", by="phase", panels="model", kind="dot", log=True
)
least = training_over_prediction.min()
headline(
    panels,
    f"An epoch of training takes at least {least:short} the CPU time of a prediction",
)

# %%
# Memory, as the sum of all that was allocated. It follows from the shapes alone, so
# that it is known exactly.

allocated = runs["allocated_bytes"].exact()
total_bytes = allocated.sum("operator")
training_bytes = total_bytes.at(phase="training")
prediction_bytes = total_bytes.at(phase="prediction")
prediction_bytes

# %%
# All the tables of prediction, with the columns of torch's profiler, and those of a
# device where one ran something: medians over the runs, for every model, sample size
# and operator.

medians = runs.medians()
of_prediction = medians[medians.phase == "prediction"]
profiles = of_prediction.drop(columns=["phase", "allocated_bytes"])
Table(profiles.head())

# %%
# Which of torch's own operators, those named ``aten::``, lead over all models and
# sample sizes?

aten = [name for name in prediction.labels("operator") if name.startswith("aten::")]
aten_time = prediction.at(operator=aten)
aten_bytes = allocated.at(phase="prediction", operator=aten)
aten_calls = runs["calls"].at(phase="prediction", operator=aten).exact()

most_time = aten_time.nlargest(1, "operator").labels("operator")[0]
most_memory = aten_bytes.nlargest(1, "operator").labels("operator")[0]
most_calls = aten_calls.nlargest(1, "operator").labels("operator")[0]
print(f"CPU time: {most_time}. Memory: {most_memory}. Calls: {most_calls}.")

# %%
# Does the largest model take the most on the most samples, compared with all others?


def is_largest(amount):
    largest = ("Large", SAMPLE_SIZES[-1])
    others = [cell for cell in amount if cell != largest]
    return [amount[largest] / amount[other] > 1 for other in others]


model, n_samples = prediction_time.idxmax()
longest = f"{model} on {n_samples:,} samples"

# %%
# The claims of the original report, put to the test for every model and sample size.

claims = {
    "addmm_time": claim(
        "In prediction, aten::addmm takes more self CPU time than any other of torch's "
        "operators.",
        aten_time.leads("aten::addmm", over="operator"),
        otherwise=f"In total, {most_time} takes the most self CPU time of torch's "
        "operators in prediction; aten::addmm does not lead for every model and sample "
        "size.",
        original="aten::addmm is the heaviest operator by self CPU time.",
    ),
    "addmm_memory": claim(
        "In prediction, aten::addmm allocates more memory than any other of torch's "
        "operators.",
        aten_bytes.leads("aten::addmm", over="operator"),
        otherwise=f"In total, {most_memory} allocates the most memory of torch's "
        "operators in prediction; aten::addmm does not lead for every model and sample "
        "size.",
        original="aten::addmm is the heaviest operator by CPU memory.",
    ),
    "most_called": claim(
        "In prediction, aten::empty_strided is called more often than any other of "
        "torch's operators.",
        aten_calls.leads("aten::empty_strided", over="operator"),
        otherwise=f"In total, {most_calls} is called most often in prediction; "
        "aten::empty_strided does not lead for every model and sample size.",
        original="aten::empty_strided has the largest number of calls in prediction.",
    ),
    "less_than_training": claim(
        "A prediction takes less CPU time and memory than even one epoch of training.",
        training_over_prediction > 1,
        training_bytes / prediction_bytes > 1,
        holds="A prediction of the test split takes less CPU time and memory than even "
        "one epoch of training.",
        otherwise="A prediction of the test split can take as much CPU time or memory "
        "as an epoch of training.",
        seen=f"an epoch takes {training_over_prediction} the CPU time",
        original="Prediction uses much less CPU time and memory than training.",
    ),
    "maximum": claim(
        "Prediction takes the most CPU time and memory for Large on the largest "
        "sample.",
        *is_largest(prediction_time),
        *is_largest(prediction_bytes),
        otherwise="Prediction does not take both the most CPU time and the most memory "
        f"for Large on the largest sample; it takes the most CPU time for {longest}.",
        original="The maximum of prediction is at Large on the most samples.",
    ),
    "grows": claim(
        "Self CPU time and allocated memory of prediction grow with the model and with "
        "the number of samples.",
        prediction_time.rises("model", "n_samples"),
        prediction_bytes.rises("model", "n_samples"),
        otherwise="Self CPU time or allocated memory of prediction does not grow at "
        "every step to a larger model or to more samples.",
        original="In prediction, self CPU time and CPU memory grow with the model and "
        "with the data.",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "prediction_profile",
    runs=runs,
    operators=profiles,
    total_time=total_time,
    total_bytes=total_bytes,
    training_over_prediction=training_over_prediction,
    totals=panels,
    **claims,
)
