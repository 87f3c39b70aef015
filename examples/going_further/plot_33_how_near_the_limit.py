"""
How near is a compiled step to what a core can do?
==================================================

No program computes faster on a core than a loop that multiplies and adds in registers,
and none updates parameters faster than memory hands them over. Both limits are
measured, beside the best library's large product. Varied: the network, one of the
report and one far wider. Measured are steps of the compiled engine. Held fixed: one
thread, float32.
"""

# sphinx_gallery_tags = ["time", "engines", "machine"]

# mlperf: only in a full build

from mlperf import claim, exact, headline, measure, not_measured, publish
from mlperf import reference, seconds_per_call, stack
from mlperf.profilers.ceilings import copy_rate, libraries, product_rate
from mlperf.profilers.work import n_parameters, step_flops
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.training.compiled import compiled
from mlperf.training.engines import available
from mlperf.training.network import training_steps
from mlperf.training.peak import multiply_and_add

MODEL = by_mode(published="Large", quick="Small")
WIDE = by_mode(published=(64, 1024, 1024, 1024, 1), quick=(64, 128, 128, 1))
NETWORKS = {
    MODEL: {
        "layer_sizes": (N_FEATURES, *MODELS[MODEL], 1),
        "n_rows": BATCH_SIZE,
        "n_steps": by_mode(published=50, quick=5),
    },
    "Wide": {
        "layer_sizes": WIDE,
        "n_rows": 256,
        "n_steps": by_mode(published=8, quick=2),
    },
}
TURNS = 1_000_000
TIMES = by_mode(
    published={"processes": 8, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)
OF_PEAK = 0.7
OF_ROOFLINE = 0.85

# %%
# What do both networks have to do? Adam reads a gradient, a parameter and its two
# moments, and writes the last three: seven numbers in float32.

flops = {}
moved = {}
for network, settings in NETWORKS.items():
    flops[network] = step_flops(settings["layer_sizes"], settings["n_rows"])
    moved[network] = 7 * 4 * n_parameters(settings["layer_sizes"])
work = exact(flops, by="network", unit="flop")
traffic = exact(moved, by="network", unit="bytes")
work / traffic

# %%
# One run: the limits, then a step. The limit of the memory is the rate of a copy as
# large as what Adam moves.


def run(network):
    settings = NETWORKS[network]
    n_operations = multiply_and_add(TURNS)
    peak_seconds = seconds_per_call(lambda: multiply_and_add(TURNS))
    product = max(product_rate(1024, 1024, 1024, library=name) for name in libraries())
    epoch = training_steps(compiled, **settings)
    return {
        "peak_flop_per_second": n_operations / peak_seconds,
        "product_flop_per_second": product,
        "copied_bytes_per_second": copy_rate(moved[network]),
        "step_seconds": seconds_per_call(epoch) / settings["n_steps"],
    }


# %%
# What share of a step's time would each limit take by itself?

BOTH = "both, one after the other"


def shares_of_step(runs):
    step = runs["step_seconds"]
    arithmetic = work / runs["peak_flop_per_second"]
    adam = traffic / runs["copied_bytes_per_second"]
    product = work / runs["product_flop_per_second"]
    limits = {
        "arithmetic": arithmetic,
        "Adam's traffic": adam,
        BOTH: arithmetic + adam,
        "the best library's product": product,
    }
    return (stack(limits, "limit") / step).to("fraction")


# %%
# What is put to the test: is a step near its limits? Thresholds were fixed before the
# numbers were seen.

STATEMENTS = {
    "of_peak": f"A whole compiled step of {MODEL} computes at more than seven "
    "tenths of the rate that a core reaches at most.",
    "of_roofline": "In a wide network, arithmetic at a core's highest rate and Adam's "
    "traffic at the memory's explain more than 85 % of a compiled step.",
}


def peak_claim(of_peak):
    return claim(
        STATEMENTS["of_peak"],
        of_peak > OF_PEAK,
        otherwise=f"A whole compiled step of {MODEL} computes at less than seven "
        "tenths of the rate that a core reaches at most.",
        seen=f"it reaches {of_peak}",
    )


def roofline_claim(of_roofline):
    return claim(
        STATEMENTS["of_roofline"],
        of_roofline > OF_ROOFLINE,
        otherwise="In a wide network, arithmetic at a core's highest rate and Adam's "
        "traffic at the memory's explain less than 85 % of a compiled step.",
        seen=f"together they would take {of_roofline} of it",
    )


# %%
# Without a C++ compiler there is nothing to measure, and the report says so.

if "compiled" not in available():
    reason = "no C++ compiler works"
    results = not_measured(STATEMENTS, reason=reason, figure="limits")
else:
    runs = measure(run, **TIMES, warmup=False, network=list(NETWORKS))
    shares = shares_of_step(runs)
    of_peak = shares[MODEL, "arithmetic"]
    of_roofline = shares["Wide", BOTH]
    axes = shares.plot(x="limit", by="network", kind="dot", horizontal=True)
    axes.set_xlabel("Share of a step's time (%)")
    reference(axes, 1, "the whole step")
    headline(
        axes,
        f"Arithmetic at a core's peak would take {of_peak:short} of a step of {MODEL}",
    )
    results = {
        "runs": runs,
        "step": runs["step_seconds"],
        "rate": runs["peak_flop_per_second"],
        "product": runs["product_flop_per_second"],
        "copied": runs["copied_bytes_per_second"],
        "shares": shares,
        "limits": axes,
        "of_peak": peak_claim(of_peak),
        "of_roofline": roofline_claim(of_roofline),
    }

# %%
# How near is the step of the report's network to what a core can do?

results["of_peak"]

# %%
# The report takes everything from the results folder.

publish("how_near_the_limit", **results)
