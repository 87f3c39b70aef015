"""
How near is a training step to the machine's ceilings?
======================================================

Arithmetic, memory, or the fixed cost of every operator can limit a step. Each of these
ceilings is measured: a loop that multiplies and adds in registers, which no program on
a core can outrun; products of matrices, a large one and those of the step; copies that
fit the caches and one that does not; and a step of the same operators on tensors of one
element. Varied: the model, one of them far wider. Held fixed: the mini-batch, one
thread.
"""

# sphinx_gallery_tags = ["time", "machine"]

from mlperf import claim, exact, fact, headline, measure, publish, reference, seconds
from mlperf import seconds_per_call, stack, subplots
from mlperf.profilers.ceilings import product_seconds, roofs
from mlperf.profilers.work import counted_flops, step_bytes, step_flops
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.training.eager import eager
from mlperf.training.engines import available
from mlperf.training.network import training_steps
from mlperf.training.peak import multiply_and_add

WIDE = by_mode(published=(1024, 1024, 1024), quick=(256, 256, 256))
FAR = by_mode(published=2**28, quick=2**26)
STEPS = by_mode(published=25, quick=5)
TURNS = 1_000_000
TIMES = by_mode(
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)

# %%
# The highest rate of a core. The loop is compiled, for which a C++ compiler is needed.

COMPILES = "compiled" in available()


def highest_rate():
    if not COMPILES:
        return {}
    n_operations = multiply_and_add(TURNS)
    per_call = seconds_per_call(lambda: multiply_and_add(TURNS))
    return {"core_flop_per_second": n_operations / per_call}


# %%
# Beside the models of the report stands one that is far wider. Of each, a step is timed
# as it is, then the same operators on next to no data, and the products alone.

all_models = {**MODELS, "Wide": WIDE}


def costs_of_a_step(hidden):
    sizes = [N_FEATURES, *hidden, 1]
    step = training_steps(eager, sizes, BATCH_SIZE, STEPS)
    idle = training_steps(eager, [1] * len(sizes), 1, STEPS)
    return {
        "step_seconds": seconds(step) / STEPS,
        "dispatch_seconds": seconds(idle) / STEPS,
        "products_seconds": product_seconds(sizes, BATCH_SIZE),
        "counted_flop": counted_flops(step) / STEPS,
    }


# %%
# One run: the machine's roofs, then the models in turn, all in one process, so that
# what disturbs one disturbs the others. Each number has a column of its own.


def run():
    numbers = {**highest_rate(), **roofs(product=WIDE, n_bytes=FAR)}
    for model, hidden in all_models.items():
        for cost, number in costs_of_a_step(hidden).items():
            numbers[f"{model}_{cost}"] = number
    return numbers


def by_model(cost):
    quantities = {}
    for model in all_models:
        quantities[model] = runs[f"{model}_{cost}"]
    return stack(quantities, "model")


runs = measure(run, **TIMES, warmup=False)
step = by_model("step_seconds")
step

# %%
# What does a step have to compute, and what must it move? Both follow from the sizes of
# the layers. How much it computes for each byte that it moves is its intensity.

flops = {}
moved = {}
for model, hidden in all_models.items():
    sizes = [N_FEATURES, *hidden, 1]
    flops[model] = step_flops(sizes, BATCH_SIZE)
    moved[model] = step_bytes(sizes, BATCH_SIZE)
work = exact(flops, by="model", unit="flop")
traffic = exact(moved, by="model", unit="bytes")
intensity = work / traffic
intensity

# %%
# The roofs: a core's highest rate, and those of a large product by two libraries that
# lie in torch, oneDNN and the BLAS, which ``torch.mm`` calls,

PEAK = "a core at its peak"
BLAS = "torch.mm"
ONEDNN = "oneDNN"
COLUMNS = {
    PEAK: "core_flop_per_second",
    ONEDNN: "onednn_product_flop_per_second",
    BLAS: "product_flop_per_second",
}
measured = {}
for name, column in COLUMNS.items():
    if column in runs.measured:
        measured[name] = runs[column]
rates = stack(measured, "what")
rates

# %%
# and the bandwidths of copies: of data that fit into a cache, as far as there is one,
# and of data that do not.

bandwidths = {}
for place in ("L2", "L3", "memory"):
    column = f"{place}_bytes_per_second"
    if column in runs.measured:
        bandwidths[place] = runs[column]
bandwidth = stack(bandwidths, "place")
bandwidth

# %%
# A roofline: what a step can reach, given its intensity. A sloping roof is a bandwidth;
# the level one is a core's highest rate, or where that is not measured the best
# library's. Dashed are the rates of both libraries. Dots are steps; the stroke above a
# dot is what the step would reach if only the dispatch of its operators took time.

GIGA = 1e9
LOW = 0.1
HIGH = 100
reached = work / step
if_only_dispatch = work / by_model("dispatch_seconds")

figure, axes = subplots()
axes.set(xscale="log", yscale="log", xlim=(0.02, HIGH))
axes.set(xlabel="Arithmetic per byte (FLOP/B)", ylabel="Rate (GFLOP/s)")
axes.xaxis.set_major_formatter("{x:g}")
axes.yaxis.set_major_formatter("{x:g}")
roof = rates.labels("what")[0]
top = rates[roof].value / GIGA
for place in bandwidth.labels("place"):
    speed = bandwidth[place].value / GIGA
    axes.plot([LOW, top / speed, HIGH], [LOW * speed, top, top], color="0.5")
    where = "top" if place == "memory" else "bottom"
    axes.text(LOW, LOW * speed, f"{place} ", ha="right", va=where)
for name in measured:
    reference(axes, rates[name].value / GIGA, name, vertical=False)
for model in all_models:
    x = intensity[model].value
    y = reached[model].value / GIGA
    (dot,) = axes.plot(x, y, "o")
    color = dot.get_color()
    axes.text(1.2 * x, y, model, va="top", color=color)
    stroke = if_only_dispatch[model].value / GIGA
    axes.plot(x, stroke, "_", color=color, markersize=18)
    if model == "Small":
        said = "if only dispatch\ntook time"
        axes.text(0.7 * x, stroke, said, ha="right", va="center")
axes.set(ylim=(None, 3 * top))
of_roof = (reached / rates[roof]).to("fraction")
headline(
    axes,
    f"A step of Large runs at {of_roof['Large']:short} of the rate of {roof}, one of "
    f"Wide at {of_roof['Wide']:short}",
)

# %%
# What share of a step's time would each suspect take by itself? Memory is given its
# slowest rate, that of data that are in no cache.

products = (by_model("products_seconds") / step).to("fraction")
dispatch = (by_model("dispatch_seconds") / step).to("fraction")
memory = (traffic / bandwidth["memory"] / step).to("fraction")
suspects = {"matrix products": products, "memory": memory, "dispatch": dispatch}
shares = stack(suspects, "suspect")
shares

# %%
# From Medium to Large, how much more arithmetic, and how much more time?

more_than_small = work["Large"] / work["Small"]
more_work = work["Large"] / work["Medium"]
slower = step["Large"] / step["Medium"]
print(f"{more_work} the arithmetic, {slower} the time")

# %%
# The suspects, with a threshold fixed before the numbers were seen: a limit would take
# more than half of a step's time, for every model of the report.

published = list(MODELS)
of_products = products[published]
of_memory = memory[published]
of_dispatch = dispatch[published]
limit_claims = {
    "products_limit": claim(
        "Arithmetic is the limit: matrix products take more than half of a step.",
        of_products > 0.5,
        holds="Arithmetic is the limit.",
        otherwise="Arithmetic is not the limit.",
        seen=f"the matrix products take {of_products} of a step",
        original="The plateau hints at a limit in CPU throughput.",
    ),
    "memory_limit": claim(
        "Memory bandwidth is the limit: moving data takes more than half of a step.",
        of_memory > 0.5,
        holds="Memory bandwidth is the limit.",
        otherwise="Memory bandwidth is not the limit.",
        seen=f"moving data takes {of_memory} of a step",
        original="The plateau hints at a limit in memory bandwidth.",
    ),
    "dispatch_limit": claim(
        "A step is mostly overhead: the same operators on tensors of one element "
        "take more than half of its time.",
        of_dispatch > 0.5,
        holds="A step is mostly overhead.",
        otherwise="A step is not mostly overhead for every model.",
        seen="the same operators on tensors of one element take "
        f"{of_dispatch} of its time",
        original="Constant factors may dominate.",
    ),
    "products_wide": claim(
        "In a network far wider than those of the report, matrix products take more "
        "than half of a step.",
        products["Wide"] > 0.5,
        otherwise="Even in a network far wider than those of the report, matrix "
        "products take less than half of a step.",
        seen=products["Wide"],
    ),
}

# %%
# Does torch count as many operations as the formula? And does the time grow less than
# half as much as the arithmetic?

counted = by_model("counted_flop").exact()
agree = [counted[model].value == work[model].value for model in all_models]
growth = (
    f"a step of Large takes {slower} as long as one of Medium, for {more_work:short} "
    "the arithmetic"
)
claims = {
    "flops": claim(
        "The work of a step is what the layers' sizes say: torch counts as many "
        "operations.",
        fact("torch's count agrees with the formula for every model", all(agree)),
        otherwise="The work of a step is not what the layers' sizes say: torch counts "
        "a different number of operations.",
    ),
    "larger_hardly_slower": claim(
        "Time grows less than half as much as arithmetic.",
        slower < more_work.value / 2,
        otherwise="Time grows more than half as much as arithmetic.",
        seen=growth,
    ),
}

# %%
# Does the BLAS use what a core can do? On x86 the BLAS of torch is MKL. It goes by who
# made the processor, and may leave the widest vectors of AMD's unused; oneDNN goes by
# what the processor can do. That concerns all who multiply matrices with torch there.

below_peak = "In a large product, torch.mm leaves more than a quarter of a core unused."
if COMPILES:
    of_peak = (rates / rates[PEAK]).to("fraction")
    reaches = f"{of_peak[BLAS]} of a core's peak"
    if ONEDNN in measured:
        reaches += f", and oneDNN {of_peak[ONEDNN]}"
    claims["blas_below_peak"] = claim(
        below_peak,
        of_peak[BLAS] < 0.75,
        holds=f"In a large product, torch.mm reaches only {reaches}.",
        otherwise="In a large product, torch.mm uses three quarters of a core or more.",
        seen=reaches,
    )
else:
    claims["blas_below_peak"] = claim(below_peak, reason="no C++ compiler works")
claims["blas_below_peak"]

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
    rates=rates,
    bandwidth=bandwidth,
    slower=slower,
    more_work=more_work,
    more_than_small=more_than_small,
    roofline=figure,
    **limit_claims,
    **claims,
)
