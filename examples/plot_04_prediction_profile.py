"""
Which operators does prediction spend its time and memory on?
=============================================================

For every model and sample size a prediction of the test split is profiled, and beside
it one epoch of training. The profile of training says how to read *self* and the memory
columns; all else is as there.
"""

# sphinx_gallery_tags = ["profile", "time", "memory"]

import pandas as pd

from mlperf import MLPRegressor, claim, fact, generate_samples, headline, measure
from mlperf import operators, publish
from mlperf.protocol import MODELS, PROFILED, SAMPLE_SIZES

# %%
# One run: an epoch of training, then a prediction of the test split, each under a
# profiler of its own.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(model, max_iter=1, engine="eager", random_state=0)
    training = operators(lambda: regressor.fit(samples.Xtr, samples.ytr))
    prediction = operators(lambda: regressor.predict(samples.Xte))
    both = pd.concat({"training": training, "prediction": prediction}, names=["phase"])
    return both.assign(allocated_bytes=both.self_cpu_bytes.clip(lower=0))


runs = measure(
    run,
    **PROFILED,
    warmup={"n_samples": SAMPLE_SIZES[0]},
    model=MODELS,
    n_samples=SAMPLE_SIZES,
)
self_time = runs["self_cpu_seconds"]
prediction = self_time.at(phase="prediction")
prediction["Small", SAMPLE_SIZES[0]]

# %%
# CPU time over all operators, of a prediction and of an epoch of training.

total_time = self_time.sum("operator")
total_time

# %%
# Memory, as the sum of all that was allocated. It follows from the shapes alone, so
# that it is known exactly.

allocated = runs["allocated_bytes"].exact()
total_bytes = allocated.sum("operator")
total_bytes

# %%
# Both phases in one figure, for every model and sample size.

panels = total_time.plot(
    x="n_samples", by="phase", panels="model", kind="dot", log=True
)
training_time = total_time.at(phase="training")
prediction_time = total_time.at(phase="prediction")
least = (training_time / prediction_time).min()
headline(
    panels,
    f"An epoch of training takes at least {least:short} the CPU time of a prediction",
)

# %%
# All the tables of prediction, with the columns of torch's profiler.

columns = ["calls", "self_cpu_seconds", "cpu_seconds", "self_cpu_bytes", "cpu_bytes"]
predictions = runs.frame[runs.frame.phase == "prediction"]
cells = predictions.groupby(["model", "n_samples", "operator"], sort=False)
profiles = cells[columns].median().reset_index()
profiles.head()

# %%
# Which operator leads, and by how much does the largest configuration lead all others?

aten = [name for name in prediction.labels("operator") if name.startswith("aten::")]
aten_time = prediction.at(operator=aten)
aten_bytes = allocated.at(phase="prediction", operator=aten)
aten_calls = runs["calls"].at(phase="prediction", operator=aten).exact()
few, middle, many = SAMPLE_SIZES
training_bytes = total_bytes.at(phase="training")
prediction_bytes = total_bytes.at(phase="prediction")

grows_with_model = [
    prediction_time["Medium"] / prediction_time["Small"],
    prediction_time["Large"] / prediction_time["Medium"],
    prediction_bytes["Medium"] / prediction_bytes["Small"],
    prediction_bytes["Large"] / prediction_bytes["Medium"],
]
grows_with_samples = [
    prediction_time[:, middle] / prediction_time[:, few],
    prediction_time[:, many] / prediction_time[:, middle],
    prediction_bytes[:, middle] / prediction_bytes[:, few],
    prediction_bytes[:, many] / prediction_bytes[:, middle],
]
most_time = prediction_time.idxmax()
most_bytes = prediction_bytes.idxmax()
rest = [cell for cell in prediction_time if cell != ("Large", many)]
largest_time = [prediction_time["Large", many] / prediction_time[cell] for cell in rest]

# %%
# The claims of the original report, put to the test in every cell.

claims = {
    "addmm_time": claim(
        "In prediction, aten::addmm takes more self CPU time than any other operator.",
        aten_time.leads("aten::addmm", over="operator"),
        otherwise="In prediction, aten::addmm is not everywhere the operator with the "
        "most self CPU time.",
        original="aten::addmm is the heaviest operator by self CPU time.",
    ),
    "addmm_memory": claim(
        "In prediction, aten::addmm allocates more memory than any other operator.",
        aten_bytes.leads("aten::addmm", over="operator"),
        otherwise="In prediction, aten::addmm is not everywhere the operator that "
        "allocates most.",
        original="aten::addmm is the heaviest operator by CPU memory.",
    ),
    "most_called": claim(
        "In prediction, aten::empty_strided is called more often than any other "
        "operator.",
        aten_calls.leads("aten::empty_strided", over="operator"),
        otherwise="In prediction, aten::empty_strided is not the operator with the "
        "most calls.",
        original="aten::empty_strided has the largest number of calls, everywhere.",
    ),
    "less_than_training": claim(
        "A prediction takes less CPU time and allocates less memory than even one "
        "epoch of training.",
        training_time / prediction_time > 1,
        training_bytes / prediction_bytes > 1,
        otherwise="A prediction does not everywhere take less CPU time and memory than "
        "an epoch of training.",
        original="Prediction uses much less CPU time and memory than training.",
    ),
    "maximum": claim(
        "Prediction takes most CPU time and memory for Large on the largest sample.",
        *[ratio > 1 for ratio in largest_time],
        fact(
            f"{most_bytes[0]} on {most_bytes[1]:,} samples allocates most",
            most_bytes == ("Large", many),
        ),
        otherwise="Prediction does not take most for Large on the largest sample: the "
        f"most CPU time is that of {most_time[0]} on {most_time[1]:,} samples.",
        original="The maximum of prediction is at Large on the most samples.",
    ),
    "grows": claim(
        "Self CPU time and allocated memory of prediction grow with the model and with "
        "the number of samples.",
        *[step > 1 for step in grows_with_model],
        *[step > 1 for step in grows_with_samples],
        otherwise="Self CPU time or allocated memory of prediction does not grow with "
        "the model and the number of samples everywhere.",
        original="Self CPU time and CPU memory grow with the model and with the data.",
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
    training_over_prediction=training_time / prediction_time,
    totals=panels,
    **claims,
)
