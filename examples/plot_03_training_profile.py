"""
Which operators does training spend its time and memory on?
===========================================================

Training is run under torch's profiler, for a few epochs of every model and sample size;
all else is as in the timed fits. *Self* leaves out the operators that an operator
calls. Memory is what was allocated inside an operator over all its calls, less what was
freed there: churn, not what is in use at a time.
"""

# sphinx_gallery_tags = ["profile", "time", "memory"]

from mlperf import MLPRegressor, Table, claim, generate_samples, headline, measure
from mlperf import operators, publish
from mlperf.protocol import DEVICE, MODELS, PROFILED, PROFILE_EPOCHS, SAMPLE_SIZES

# %%
# One run: a fit under the profiler. To profile a model of your own, put it here.


def run(model, n_samples):
    samples = generate_samples(n_samples)
    regressor = MLPRegressor(
        model, max_iter=PROFILE_EPOCHS, engine="eager", random_state=0, device=DEVICE
    )
    profile = operators(lambda: regressor.fit(samples.Xtr, samples.ytr))
    self_bytes = profile.filter(["self_cpu_bytes", "self_device_bytes"])
    return profile.assign(allocated_bytes=self_bytes.clip(lower=0).sum(axis="columns"))


# %%
# Two runs share the machine, as making a table of a fit takes far longer than the fit.
# The seconds are those of the profiled run: looking takes time too, most where
# operators are many and small. Shown are the ten operators that take most of them, for
# the smallest model on the fewest samples.

runs = measure(
    run,
    **PROFILED,
    warmup={"model": MODELS["Small"], "n_samples": SAMPLE_SIZES[0]},
    model=MODELS,
    n_samples=SAMPLE_SIZES,
)
self_time = runs["self_cpu_seconds"]
self_time["Small", SAMPLE_SIZES[0]].nlargest(10, "operator")

# %%
# What share of the self CPU time do the leading operators take? Names without
# ``aten::`` are parts of the autograd engine and of the optimiser; their self time is
# what they do between operators, in Python where it is the optimiser.

total_time = self_time.sum("operator")
share = (self_time / total_time).to("fraction")
leading = share.nlargest(8, "operator")
leading["Large", SAMPLE_SIZES[-1]]

# %%
# The figure shows them for every model, on the largest sample. Bars are medians,
# whiskers their 95 % intervals, and dots the single runs.

largest = leading[:, SAMPLE_SIZES[-1]]
axes = largest.plot(x="operator", by="model", kind="bar", horizontal=True)
axes.set_xlabel("Share of the self CPU time (%)")
first = leading.labels("operator")[0]
first_share = largest.at(operator=first)
headline(
    axes, f"{first} takes the largest share of the training time: {first_share:short}"
)

# %%
# All the tables, with the columns of torch's profiler, and those of a device where one
# ran something: medians over the runs, for every model, sample size and operator.

profiles = runs.medians().drop(columns="allocated_bytes")
Table(profiles.head())

# %%
# The matrix products of training are two operators: what share do they take together?

products = share.at(operator=["aten::addmm", "aten::mm"]).sum("operator")
products

# %%
# Which of torch's own operators, those named ``aten::``, lead over all models and
# sample sizes? How often they are called and what they allocate follows from the shapes
# alone: that is known exactly.

aten = [name for name in self_time.labels("operator") if name.startswith("aten::")]
aten_time = self_time.at(operator=aten)
calls = runs["calls"].at(operator=aten).exact()
allocated = runs["allocated_bytes"].at(operator=aten).exact()

most_time = " and ".join(aten_time.nlargest(2, "operator").labels("operator"))
most_memory = " and ".join(allocated.nlargest(2, "operator").labels("operator"))
most_calls = calls.nlargest(1, "operator").labels("operator")[0]
print(f"CPU time: {most_time}. Memory: {most_memory}. Calls: {most_calls}.")

# %%
# Does one operator dominate? And the claims of the original report, put to the test for
# every model and sample size.

claims = {
    "one_dominates": claim(
        "A single operator takes more than half of training's self CPU time.",
        first_share > 0.5,
        holds="One operator dominates.",
        otherwise="No single operator dominates.",
        seen="the largest share of training's self CPU time, that of "
        f"{first}, is {first_share}",
    ),
    "products_time": claim(
        "The matrix products aten::addmm and aten::mm take more self CPU time in "
        "training than any other of torch's operators.",
        aten_time.leads("aten::addmm", "aten::mm", over="operator"),
        otherwise=f"In total, {most_time} take the most self CPU time of torch's "
        "operators in training; the matrix products aten::addmm and aten::mm do not "
        "lead for every model and sample size.",
        original="aten::addmm and aten::mm are the heaviest operators by self CPU "
        "time.",
    ),
    "products_memory": claim(
        "The matrix products aten::addmm and aten::mm allocate more memory in training "
        "than any other of torch's operators.",
        allocated.leads("aten::addmm", "aten::mm", over="operator"),
        otherwise=f"In total, {most_memory} allocate the most memory of torch's "
        "operators in training; the matrix products aten::addmm and aten::mm do not "
        "lead for every model and sample size.",
        original="aten::addmm and aten::mm are the heaviest operators by CPU memory.",
    ),
    "most_called": claim(
        "In training, aten::empty_strided is called more often than any other of "
        "torch's operators.",
        calls.leads("aten::empty_strided", over="operator"),
        otherwise=f"In total, {most_calls} is called most often in training; "
        "aten::empty_strided does not lead for every model and sample size.",
        original="aten::empty_strided has the largest number of calls in training.",
    ),
    "grows": claim(
        "Self CPU time and allocated memory of training grow with the model and with "
        "the number of samples.",
        total_time.rises("model", "n_samples"),
        allocated.sum("operator").rises("model", "n_samples"),
        otherwise="Self CPU time or allocated memory of training does not grow at "
        "every step to a larger model or to more samples.",
        original="In training, self CPU time and CPU memory grow with the model and "
        "with the data.",
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
