"""
How much does looking change?
=============================

The operator tables come from fits under torch's profiler, which writes down every
operator's beginning and end, and every allocation if asked to. The same fit is timed
without it, with it, and with allocations too, in turn: the fit's own time, not that of
making the table afterwards. Varied: the model. Held fixed: the samples, the epochs.
"""

# sphinx_gallery_tags = ["profile", "time"]

from torch.profiler import ProfilerActivity, profile

from mlperf import MLPRegressor, claim, generate_samples, headline, measure, operators
from mlperf import publish, reference, seconds, stack
from mlperf.protocol import MODELS, PROFILE_EPOCHS, SAMPLE_SIZES, by_mode

TIMES = by_mode(
    published={"processes": 6, "repeats": 1, "fresh": "round"},
    quick={"processes": 1, "repeats": 2},
)

# %%
# One run: a fit, watched in each way in turn, and the sum of its operators' times. Put
# your own model here.


def run(model):
    samples = generate_samples(SAMPLE_SIZES[0])
    regressor = MLPRegressor(
        model, max_iter=PROFILE_EPOCHS, engine="eager", random_state=0
    )

    def fit():
        regressor.fit(samples.Xtr, samples.ytr)

    def watched(memory):
        with profile(activities=[ProfilerActivity.CPU], profile_memory=memory):
            return seconds(fit)

    return {
        "alone_seconds": seconds(fit),
        "profiled_seconds": watched(memory=False),
        "with_memory_seconds": watched(memory=True),
        "operators_seconds": operators(fit)["self_cpu_seconds"].sum(),
    }


# %%
# By what factor does a fit take longer, without and with the record of allocations?

runs = measure(run, **TIMES, warmup={"model": MODELS["Small"]}, model=MODELS)
alone = runs["alone_seconds"]
profiled = runs["profiled_seconds"]
with_memory = runs["with_memory_seconds"]
inflation = stack(
    {"profiled": profiled / alone, "profiled with memory": with_memory / alone},
    "how",
)
inflation

# %%
# Bars are medians, whiskers their 95 % intervals, and dots the single runs.

axes = inflation.plot(x="how", by="model", kind="bar")
axes.set_ylabel("Time of a fit (× not profiled)")
reference(axes, 1, "not profiled")
slower = with_memory / alone
headline(
    axes,
    f"Under the profiler that makes the operator tables, a fit takes {slower:short} as "
    "long",
)

# %%
# What do the CPU times of an operator table add up to, over the time of a fit that
# nobody watches?

operator_time = runs["operators_seconds"] / alone
operator_time

# %%
# And over the time of the fit that was watched? What is missing there is what Python
# does between the operators, which the table does not know.

table_share = (runs["operators_seconds"] / with_memory).to("fraction")
table_share

# %%
# What this means for reading the operator tables, with thresholds fixed before the
# numbers were seen.

memory_adds = with_memory / profiled
alike = slower[["Small", "Large"]] / slower["Medium"]
claims = {
    "slower": claim(
        "Under the profiler a fit takes more than half as long again.",
        slower > 1.5,
        holds=f"Under the profiler a fit takes much longer: {slower} as long.",
        otherwise=f"Under the profiler a fit takes {slower} as long.",
        seen=f"{slower} as long",
    ),
    "memory": claim(
        "Recording allocations adds more than a tenth to a profiled fit.",
        memory_adds > 1.1,
        otherwise="Recording allocations does not always add more than a tenth to a "
        "profiled fit.",
        seen=f"it takes {memory_adds} as long",
    ),
    "operator_time": claim(
        "The CPU times of an operator table add up to more than the time of a fit that "
        "is not watched.",
        operator_time > 1,
        otherwise="The CPU times of an operator table do not always add up to more "
        "than the time of a fit that is not watched.",
        seen=f"they are {operator_time} as long",
    ),
    "python_missing": claim(
        "An operator table adds up to less than the time of the fit that was watched, "
        "as it leaves out what Python does between the operators.",
        table_share < 1,
        otherwise="An operator table can add up to the time of the fit that was "
        "watched, or to more.",
        seen=f"it adds up to {table_share}",
    ),
    "alike": claim(
        "The profiler slows all models alike, to within a fifth of Medium's factor.",
        alike.within(0.8, 1.2),
        holds="The profiler slows all models alike, to within a fifth.",
        otherwise="The profiler does not slow all models alike.",
        seen=f"its factor for Small and Large is {alike} that for Medium",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "cost_of_looking",
    runs=runs,
    inflation=inflation,
    slower_ratio=slower,
    memory_adds=memory_adds,
    operators_over_fit=operator_time,
    table_share=table_share,
    factors=axes,
    **claims,
)
