"""
How near is a training step to the machine's ceilings?
======================================================

Arithmetic, memory, or the fixed cost of every operator can limit a step. Each of these
ceilings is measured: products of matrices, a large one and those of the step; copies
that fit the caches and one that does not; and a step of the same operators on tensors
of one element. Varied: the model, one of them far wider. Held fixed: the mini-batch,
the threads.
"""

# sphinx_gallery_tags = ["time", "machine"]

from mlperf import claim, exact, fact, headline, measure, publish, seconds
from mlperf import stack, subplots
from mlperf.profilers.ceilings import product_seconds, roofs
from mlperf.profilers.work import counted_flops, step_bytes, step_flops
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.training.eager import eager
from mlperf.training.network import training_steps

WIDE = by_mode(published=(1024, 1024, 1024), quick=(256, 256, 256))
FAR = by_mode(published=2**28, quick=2**26)
STEPS = by_mode(published=25, quick=5)
TIMES = by_mode(
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)

# %%
# One run: the machine's roofs, then a step as it is, the same operators on next to no
# data, and the products alone.


def run(model):
    sizes = [N_FEATURES, *model, 1]
    step = training_steps(eager, sizes, BATCH_SIZE, STEPS)
    idle = training_steps(eager, [1] * len(sizes), 1, STEPS)
    return {
        **roofs(product=WIDE, n_bytes=FAR),
        "step_seconds": seconds(step) / STEPS,
        "dispatch_seconds": seconds(idle) / STEPS,
        "products_seconds": product_seconds(sizes, BATCH_SIZE),
        "counted_flop": counted_flops(step) / STEPS,
    }


all_models = {**MODELS, "Wide": WIDE}
runs = measure(run, **TIMES, warmup=False, model=all_models)
step = runs["step_seconds"]
step

# %%
# What does a step have to compute, and what must it move? Both follow from the sizes of
# the layers.

layer_sizes = {name: [N_FEATURES, *hidden, 1] for name, hidden in all_models.items()}
work = exact(
    {name: step_flops(sizes, BATCH_SIZE) for name, sizes in layer_sizes.items()},
    by="model",
    unit="flop",
)
traffic = exact(
    {name: step_bytes(sizes, BATCH_SIZE) for name, sizes in layer_sizes.items()},
    by="model",
    unit="bytes",
)
work / traffic

# %%
# The roofs: the rate of a large product, and the bandwidths of copies.

rate = runs["product_flop_per_second"]["Wide"]
bandwidth = stack(
    {
        place: runs[f"{place}_bytes_per_second"]["Wide"]
        for place in ("L2", "L3", "memory")
        if f"{place}_bytes_per_second" in runs.measured
    },
    "place",
)
bandwidth

# %%
# A roofline: what a step can reach, given how much it computes for each byte that it
# moves. Dots are steps; the strokes above them are what they would reach if only the
# dispatch of their operators took time.

intensity = work / traffic
reached = work / step
idle = work / runs["dispatch_seconds"]

figure, axes = subplots()
axes.set(xscale="log", yscale="log", xlim=(0.1, 100))
axes.set(xlabel="Arithmetic per byte (FLOP/B)", ylabel="Rate (GFLOP/s)")
top = rate.value / 1e9
for number, ((place,), speed) in enumerate(bandwidth.items(), 1):
    ridge = rate.value / speed.value
    axes.plot([0.1, ridge], [0.1 * speed.value / 1e9, top], color="0.5", linewidth=1)
    x = 0.1 * (ridge / 0.1) ** (number / 4)
    axes.text(x, x * speed.value / 1e9, f"{place} ", ha="right", va="bottom")
axes.axhline(top, color="0.5", linewidth=1)
axes.text(100, 1.1 * top, "large product", ha="right")
for (model,), speed in reached.items():
    x = intensity[model].value
    (dot,) = axes.plot(x, speed.value / 1e9, "o")
    color = dot.get_color()
    axes.plot(x, idle[model].value / 1e9, "_", color=color, markersize=18)
    axes.text(1.2 * x, speed.value / 1e9, model, va="center", color=color)
axes.set(ylim=(None, 3 * top))
share_of_rate = (reached / rate).to("fraction")
headline(
    axes,
    "Of the rate of a large product, a step of Large reaches "
    f"{share_of_rate['Large']:short}, one of Wide {share_of_rate['Wide']:short}",
)

# %%
# Which share of a step's time would each suspect take by itself? Memory is given its
# slowest rate, that of data that are in no cache.

products = (runs["products_seconds"] / step).to("fraction")
dispatch = (runs["dispatch_seconds"] / step).to("fraction")
memory = (traffic / bandwidth["memory"] / step).to("fraction")
suspects = {"matrix products": products, "memory": memory, "dispatch": dispatch}
shares = stack(suspects, "suspect")
shares

# %%
# From Medium to Large, how much more arithmetic, and how much more time?

published = list(MODELS)
slower = step["Large"] / step["Medium"]
more_work = work["Large"] / work["Medium"]
more_than_small = work["Large"] / work["Small"]
slower

# %%
# Claims, with thresholds fixed before the numbers were seen. A limit would take more
# than half of a step's time.

counted = runs["counted_flop"].exact()
agree = [counted[name].value == work[name].value for name in all_models]
claims = {
    "flops": claim(
        "The work of a step is what the layers' sizes say: torch counts as many "
        "operations.",
        fact("torch's count agrees with the formula for every model", all(agree)),
    ),
    "products_limit": claim(
        "Arithmetic is the limit: matrix products take more than half of a step.",
        products[published] > 0.5,
        otherwise="Arithmetic is not the limit: the matrix products take "
        f"{products[published]} of a step.",
        undecided=f"The matrix products take {products[published]} of a step.",
        original="The plateau hints at a limit in CPU throughput.",
    ),
    "memory_limit": claim(
        "Memory bandwidth is the limit: moving memory takes more than half of a step.",
        memory[published] > 0.5,
        otherwise="Memory bandwidth is not the limit: moving memory takes at most "
        f"{memory[published].max('model'):short} of a step.",
        undecided=f"Moving memory takes {memory[published]} of a step.",
        original="The plateau hints at a limit in memory bandwidth.",
    ),
    "dispatch_limit": claim(
        "A step is mostly overhead: the same operators on tensors of one element "
        f"already take {dispatch[published]} of it.",
        dispatch[published] > 0.5,
        otherwise="Overhead is less than half of a step: the same operators on "
        f"tensors of one element take {dispatch[published]} of it.",
        undecided="The same operators on tensors of one element take "
        f"{dispatch[published]} of a step.",
        original="Constant factors may dominate.",
    ),
    "products_wide": claim(
        "In a network far wider than those of the report, matrix products take more "
        "than half of a step.",
        products["Wide"] > 0.5,
        otherwise="Even in a far wider network, matrix products take only "
        f"{products['Wide']} of a step.",
    ),
    "larger_hardly_slower": claim(
        f"Large does {more_work:short} the arithmetic of Medium in a step and takes "
        f"{slower} the time: less than half as much more.",
        slower < more_work.value / 2,
        otherwise=f"A step of Large takes {slower} the time of Medium, for "
        f"{more_work:short} the arithmetic.",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "ceilings",
    runs=runs,
    step=step,
    shares=shares,
    products=products,
    memory=memory,
    dispatch=dispatch,
    rate=rate,
    bandwidth=bandwidth,
    slower=slower,
    more_work=more_work,
    more_than_small=more_than_small,
    roofline=figure,
    **claims,
)
