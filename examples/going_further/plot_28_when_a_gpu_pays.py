"""
When does a GPU pay?
====================

A graphics processor computes on thousands of numbers at a time, but each operator has
to be launched, and a launch takes its time however few the numbers are. More numbers
come from more rows in a mini-batch, more units in a layer, or more networks that are
trained together. Varied: one of these at a time, and where a network of two hidden
layers is trained. Held fixed: the optimiser and float32; the CPU may use all its cores.
Measured are the time of a step in the steady state, and that of a launch.
"""

# sphinx_gallery_tags = ["time", "engines", "machine"]

from functools import partial
from itertools import takewhile

import joblib
import numpy as np
import pandas as pd
import torch

from mlperf import claim, headline, measure, not_measured, publish, reference
from mlperf import seconds_per_call, subplots
from mlperf.machine import devices
from mlperf.profilers.device import device_peak
from mlperf.profilers.work import step_flops
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, N_FEATURES, RACED
from mlperf.protocol import by_mode
from mlperf.quantities.drawing import COLORS
from mlperf.rivals import torch_compile
from mlperf.training.cuda_graph import replayed
from mlperf.training.eager import by_autograd
from mlperf.training.engines import ENGINES, available, suited
from mlperf.training.network import network, training_steps
from mlperf.training.together import compiled_together, together

WIDTH = 64
ROWS = by_mode(published=(16, 64, 256, 1024, 4096, 16384), quick=(16, 64))
UNITS = by_mode(published=(16, 64, 256, 1024, 2048), quick=(16, 64))
NETWORKS = by_mode(published=(1, 4, 16, 64, 256), quick=(1, 4))
LAUNCHES = by_mode(published=1_000, quick=50)
NETWORK_STEPS = by_mode(published=32, quick=4)
TIMES = by_mode(
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 1}
)

# %%
# The GPU of this machine comes last among its devices. Where there is
# none, the report says so.

GPU = devices()[-1]
REASON = "torch finds no GPU" if GPU == "cpu" else ""
print("Devices:", ", ".join(devices()))

# %%
# A step of one network, by the engine that the default takes for a long fit. An epoch
# has as many steps as can be timed well, for the largest shapes only a few.

EPOCH_FLOP = by_mode(published=4e9, quick=1e8)
FEWEST = 4
MOST = 128


def step_seconds(sizes, batch, device, engine=None):
    n_steps = int(np.clip(EPOCH_FLOP / step_flops(sizes, batch), FEWEST, MOST))
    train = engine or ENGINES[suited(sizes, 1_000_000, device)]
    epoch = training_steps(train, sizes, batch, n_steps, device=device)
    return seconds_per_call(epoch) / n_steps


# %%
# A step of many networks, trained together.


def step_of_many(n_networks, device):
    sizes = [N_FEATURES, WIDTH, WIDTH, 1]
    generators = [torch.Generator() for _ in range(n_networks)]
    modules = [network(sizes, generator).to(device) for generator in generators]
    X = torch.randn(n_networks, NETWORK_STEPS * BATCH_SIZE, N_FEATURES).to(device)
    is_compiled = suited(sizes, 1_000_000, device) == "compiled"
    train = compiled_together if is_compiled else together
    settings = {"learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE}
    epochs = train(modules, X, X[..., :1], generators=generators, **settings)
    next(epochs)
    return seconds_per_call(partial(next, epochs)) / NETWORK_STEPS


# %%
# One run: a device with all of these, in a process of its own.


def run(device):
    times = {}
    for n_rows in ROWS:
        sizes = [N_FEATURES, WIDTH, WIDTH, 1]
        times["rows", n_rows] = step_seconds(sizes, n_rows, device)
    for n_units in UNITS:
        sizes = [N_FEATURES, n_units, n_units, 1]
        times["units", n_units] = step_seconds(sizes, BATCH_SIZE, device)
    for n_networks in NETWORKS:
        times["networks", n_networks] = step_of_many(n_networks, device)
    return pd.DataFrame({"step_seconds": times}).rename_axis(["varied", "amount"])


# %%
# The networks of the report, by every engine that trains on the GPU, and by
# ``torch.compile``, which makes graphs of a module, forward and backward. Beside them:
# the CPU; and the floor, which is a step on tensors of a single element.

CPU = "the CPU"
FLOOR = "the floor"
COMPILE = "torch.compile"
GRAPH = "cuda_graph"


def torch_compiled(module, X, y, *, learning_rate, batch_size, generator):
    compiled = torch.compile(module, mode="reduce-overhead", dynamic=False)
    optimiser = torch.optim.Adam(module.parameters(), lr=learning_rate, fused=True)
    settings = {"batch_size": batch_size, "generator": generator}
    return by_autograd(compiled, X, y, optimiser, **settings)


engines = {name: ENGINES[name] for name in available(GPU)}
if GPU == "cuda" and torch_compile.available():
    engines[COMPILE] = torch_compiled


def run_engines(model):
    sizes = [N_FEATURES, *model, 1]
    times = {CPU: step_seconds(sizes, BATCH_SIZE, "cpu")}
    for name, engine in engines.items():
        times[name] = step_seconds(sizes, BATCH_SIZE, GPU, engine)
    times[FLOOR] = step_seconds([1] * len(sizes), 1, GPU)
    return pd.DataFrame({"step_seconds": times}).rename_axis("engine")


# %%
# The most memory that torch holds on the GPU at once, where its allocator counts it.


def run_memory(model):
    peaks = {}
    for name, engine in engines.items():
        sizes = [N_FEATURES, *model, 1]
        train = partial(step_seconds, sizes, BATCH_SIZE, GPU, engine)
        peaks[name] = device_peak(train)
    return pd.DataFrame({"peak_bytes": peaks}).rename_axis("engine")


# %%
# The time of a launch: an operator on a single number, called from Python, and as one
# of many in a graph.


def run_launches():
    number = torch.zeros(1, device=GPU)

    def many(number):
        for _ in range(LAUNCHES):
            number = number + 1
        return number

    times = {"from Python": seconds_per_call(partial(many, number)) / LAUNCHES}
    if GPU == "cuda":
        graph = replayed(many)
        graph(number)
        times["in a graph"] = seconds_per_call(partial(graph, number)) / LAUNCHES
    return pd.DataFrame({"launch_seconds": times}).rename_axis("how")


# %%
# What is put to the test, with thresholds that were fixed before anything was measured.
# The GPU pays from some amount on if it is faster with that and with all larger ones.

STATEMENTS = {
    "rows": "With enough rows in a mini-batch, the GPU is faster than the CPU.",
    "units": "With enough units in a layer, the GPU is faster than the CPU.",
    "networks": "With enough networks trained together, the GPU is faster than the "
    "CPU.",
    "report": "On the networks of the report, the CPU is faster than the GPU.",
    "launches": "On the networks of the report, a step on the GPU is mostly launches.",
    "graph": "On the networks of the report, one graph of an epoch is faster than "
    "torch.compile and than operators called one by one.",
}


def pays_claim(varied, speed):
    amounts = speed.labels("amount")
    most = amounts[-1]

    def is_ahead(amount):
        return speed[amount].low > 1

    # From the largest amount down, as far as the GPU is surely ahead.
    ahead = list(takewhile(is_ahead, reversed(amounts)))
    fewest = ahead[-1] if ahead else most
    return claim(
        STATEMENTS[varied],
        speed[most] > 1,
        holds=f"The GPU is faster than the CPU from {fewest:,} {varied} on.",
        otherwise=f"The GPU is not faster than the CPU even with the most {varied}.",
        seen=f"with {most:,} {varied} it is {speed[most]} as fast",
    )


def report_claim(step):
    slower = step.at(engine=available(GPU)).min("engine") / step[:, CPU]
    return claim(
        STATEMENTS["report"],
        slower > 1,
        otherwise="On the networks of the report, the CPU is not always faster than "
        "the GPU.",
        seen=f"a step on the GPU takes {slower} as long",
    )


def launches_claim(step):
    best = step.at(engine=suited([1, 1], 1, GPU))
    share = (step[:, FLOOR] / best).to("fraction")
    return claim(
        STATEMENTS["launches"],
        share > 0.5,
        otherwise="On the networks of the report, a step on the GPU is not always "
        "mostly launches.",
        seen=f"on tensors of a single element it takes {share} of its time",
    )


def graph_claim(step):
    if GRAPH not in step.labels("engine"):
        return claim(STATEMENTS["graph"], reason="only CUDA has graphs")
    called = ["eager", "fused", COMPILE]
    others = [name for name in called if name in step.labels("engine")]
    ahead = step.at(engine=others) / step[:, GRAPH]
    return claim(
        STATEMENTS["graph"],
        ahead > 1,
        otherwise="On the networks of the report, one graph of an epoch is not always "
        "the fastest.",
        seen=f"it is {ahead} as fast as the others",
    )


# %%
# The figure: above the dashed line the GPU is faster. Dots are medians, strokes their
# 95 % intervals.

LABELS = {
    "rows": "Rows of a mini-batch",
    "units": "Units of a layer",
    "networks": "Networks trained together",
}


def draw_panel(axes, speed):
    for (amount,), ratio in speed.items():
        axes.plot([amount, amount], [ratio.low, ratio.high], color=COLORS[0])
        axes.plot(amount, ratio.value, "o", color=COLORS[0])
    axes.set(xscale="log", yscale="log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g}×")
    reference(axes, 1, "the CPU", vertical=False)


def draw(speed):
    figure, panels = subplots(len(LABELS), 1, sharey=True, figsize=(6, 8))
    for axes, (varied, label) in zip(panels, LABELS.items(), strict=True):
        draw_panel(axes, speed.at(varied=varied))
        axes.set_xlabel(label)
        axes.set_ylabel("Speed (× the CPU)")
    varied, amount = speed.idxmax()
    fastest = speed[varied, amount]
    headline(
        figure,
        f"With {amount:,} {varied} the GPU is {fastest:short} as fast as the CPU",
    )
    return figure


# %%
# Measure, where there is a GPU.

if REASON:
    results = not_measured(STATEMENTS, reason=REASON, figure="speeds")
else:
    options = {**TIMES, "threads": joblib.cpu_count(), "warmup": False}
    runs = measure(run, **options, device=["cpu", GPU])
    engine_runs = measure(run_engines, **options, model=RACED)
    launch_runs = measure(run_launches, **options)
    speed = runs["step_seconds"]["cpu"] / runs["step_seconds"][GPU]
    step = engine_runs["step_seconds"]
    results = {
        "runs": runs,
        "engine_runs": engine_runs,
        "speed": speed,
        "step": step,
        "launch": launch_runs["launch_seconds"],
        "speeds": draw(speed),
        "report": report_claim(step),
        "launches": launches_claim(step),
        "graph": graph_claim(step),
    }
    for varied in LABELS:
        results[varied] = pays_claim(varied, speed.at(varied=varied))
    if GPU == "cuda":
        memory_runs = measure(run_memory, processes=1, warmup=False, model=RACED)
        results["peak"] = memory_runs["peak_bytes"]

# %%
# From how many rows on does the GPU pay?

results["rows"]

# %%
# The report takes everything from the results folder.

publish("when_a_gpu_pays", **results)
