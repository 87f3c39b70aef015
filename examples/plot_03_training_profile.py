"""
Which operators does training spend its time and memory on?
===========================================================

Training is run under torch's profiler, for a few epochs of every model and sample size;
all else is as in the timed fits. *Self* leaves out the operators that an operator
calls. Memory is what was allocated inside an operator over all its calls, less what was
freed there: churn, not what is in use at a time.
"""

# sphinx_gallery_tags = ["profile", "time", "memory"]

from mlperf import MLPRegressor, claim, generate_samples, headline, measure, operators
from mlperf import publish
from mlperf.protocol import MODELS, PROFILED, PROFILE_EPOCHS, SAMPLE_SIZES

# %%
# One run: a fit under the profiler. To profile a model of your own, put it here.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(
        model, max_iter=PROFILE_EPOCHS, engine="eager", random_state=0
    )
    profile = operators(lambda: regressor.fit(samples.Xtr, samples.ytr))
    return profile.assign(allocated_bytes=profile.self_cpu_bytes.clip(lower=0))


# %%
# Two runs share the machine, as making a table of a fit takes far longer than the fit.
# The seconds are those of the profiled run: looking takes time too, most where
# operators are many and small.

runs = measure(
    run,
    **PROFILED,
    warmup={"n_samples": SAMPLE_SIZES[0]},
    model=MODELS,
    n_samples=SAMPLE_SIZES,
)
self_time = runs["self_cpu_seconds"]
self_time["Small", SAMPLE_SIZES[0]].nlargest(10, "operator")

# %%
# Which share of the self CPU time do the leading operators take? Names without
# ``aten::`` are parts of the autograd engine and of the optimiser; their self time is
# what they do between operators, in Python where it is the optimiser.

total_time = self_time.sum("operator")
share = (self_time / total_time).to("fraction")
leading = share.nlargest(8, "operator")
leading["Large", SAMPLE_SIZES[-1]]

# %%
# The figure shows them for every model, on the largest sample.

axes = leading[:, SAMPLE_SIZES[-1]].plot(x="operator", by="model", horizontal=True)
first = leading.labels("operator")[0]
headline(axes, f"{first} takes the largest share of training's time")

# %%
# All the tables, with the columns of torch's profiler: medians over the runs.

columns = ["calls", "self_cpu_seconds", "cpu_seconds", "self_cpu_bytes", "cpu_bytes"]
cells = runs.frame.groupby(["model", "n_samples", "operator"], sort=False)
profiles = cells[columns].median().reset_index()
profiles.head()

# %%
# How often an operator is called and what it allocates follows from the shapes alone:
# that is known exactly.

aten = [name for name in self_time.labels("operator") if name.startswith("aten::")]
aten_time = self_time.at(operator=aten)
calls = runs["calls"].at(operator=aten).exact()
allocated = runs["allocated_bytes"].at(operator=aten).exact()
products = share.at(operator=["aten::addmm", "aten::mm"]).sum("operator")
products

# %%
# The claims of the original report, put to the test in every cell.

total_bytes = allocated.sum("operator")
bigger_models = [
    total_time["Medium"] / total_time["Small"],
    total_time["Large"] / total_time["Medium"],
    total_bytes["Medium"] / total_bytes["Small"],
    total_bytes["Large"] / total_bytes["Medium"],
]
few, middle, many = SAMPLE_SIZES
more_samples = [
    total_time[:, middle] / total_time[:, few],
    total_time[:, many] / total_time[:, middle],
    total_bytes[:, middle] / total_bytes[:, few],
    total_bytes[:, many] / total_bytes[:, middle],
]
claims = {
    "products_time": claim(
        "The matrix products aten::addmm and aten::mm take more self CPU time in "
        "training than any other operator.",
        aten_time.leads("aten::addmm", "aten::mm", over="operator"),
        otherwise="The matrix products aten::addmm and aten::mm are not the two "
        "operators with the most self CPU time in training.",
        original="aten::addmm and aten::mm are the heaviest operators by self CPU "
        "time.",
    ),
    "products_memory": claim(
        "The matrix products aten::addmm and aten::mm allocate more memory in training "
        "than any other operator.",
        allocated.leads("aten::addmm", "aten::mm", over="operator"),
        otherwise="The matrix products aten::addmm and aten::mm are not the two "
        "operators that allocate most in training.",
        original="aten::addmm and aten::mm are the heaviest operators by CPU memory.",
    ),
    "most_called": claim(
        "In training, aten::empty_strided is called more often than any other "
        "operator.",
        calls.leads("aten::empty_strided", over="operator"),
        otherwise="In training, aten::empty_strided is not the operator with the most "
        "calls everywhere.",
        original="aten::empty_strided has the largest number of calls, everywhere.",
    ),
    "grows": claim(
        "Self CPU time and allocated memory of training grow with the model and with "
        "the number of samples.",
        *[step > 1 for step in bigger_models],
        *[step > 1 for step in more_samples],
        otherwise="Self CPU time or allocated memory of training does not grow with "
        "the model and the number of samples everywhere.",
        original="Self CPU time and CPU memory grow with the model and with the data.",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "training_profile",
    runs=runs,
    operators=profiles,
    total_time=total_time,
    leading=leading,
    products=products,
    shares=axes,
    **claims,
)
