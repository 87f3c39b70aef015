"""
Who trains fastest, on which network?
=====================================

The report's own networks are small ones. Here are 45 others, spread evenly from 5 to
784 features, from 8 to 1,024 units in each layer, from 1 to 10 hidden layers and from
16 to 4,096 rows in a mini-batch. Varied: the shape, the threads, who trains: the
engines, the one that the default takes, and JAX where it is installed. Held fixed: the
optimiser and float32. Measured is the time of a step in the steady state.
"""

# sphinx_gallery_tags = ["time", "engines"]

# mlperf: only in a full build

import random

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator

from mlperf import claim, headline, measure, not_measured, publish, reference
from mlperf import seconds_per_call, stack, subplots
from mlperf.profilers.work import step_flops
from mlperf.protocol import CLEAN_ENVIRONMENT, by_mode
from mlperf.quantities.drawing import COLORS, QUIET
from mlperf.quantities.scales import Prefixed, format_numbers
from mlperf.rivals import installed
from mlperf.training.engines import ENGINES, available, suited
from mlperf.training.network import training_steps

TIMES = by_mode(
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 1}
)
THREADS = (1, 2)
BEHIND = 1.05
AHEAD = 1.5
NARROW = 256  # units of a layer, at most

# %%
# The shapes were written down before any of them was measured. Each column takes values
# that are evenly spaced on a log scale, all of them equally often; they are arranged so
# that no two shapes are near each other, and no two columns go together.

GRID = by_mode(
    published=[  # features, units of a layer, hidden layers, rows of a mini-batch
        (30, 16, 1, 64),
        (180, 12, 2, 16),
        (5, 16, 2, 128),
        (90, 8, 6, 64),
        (10, 12, 6, 64),
        (7, 64, 2, 16),
        (128, 100, 1, 16),
        (60, 8, 3, 512),
        (30, 12, 1, 1024),
        (360, 48, 6, 16),
        (20, 512, 1, 64),
        (15, 64, 10, 16),
        (20, 100, 1, 512),
        (60, 100, 3, 32),
        (40, 8, 10, 1024),
        (256, 24, 1, 256),
        (550, 24, 3, 128),
        (550, 32, 10, 128),
        (784, 200, 2, 32),
        (7, 32, 10, 512),
        (5, 48, 3, 1024),
        (60, 64, 10, 128),
        (180, 384, 1, 128),
        (40, 32, 2, 4096),
        (5, 200, 2, 256),
        (360, 16, 6, 2048),
        (10, 512, 3, 32),
        (550, 24, 2, 2048),
        (90, 128, 3, 512),
        (40, 512, 1, 2048),
        (180, 384, 10, 32),
        (20, 48, 6, 4096),
        (7, 200, 6, 256),
        (784, 128, 1, 1024),
        (128, 1024, 3, 32),
        (784, 256, 6, 256),
        (15, 700, 10, 64),
        (128, 128, 10, 2048),
        (360, 256, 2, 4096),
        (30, 256, 3, 4096),
        (256, 1024, 2, 512),
        (90, 700, 6, 256),
        (10, 1024, 3, 1024),
        (15, 384, 10, 2048),
        (256, 700, 6, 4096),
    ],
    quick=[(5, 8, 1, 16), (10, 16, 2, 32), (7, 300, 1, 16)],
)
SHAPES = {}
for features, width, depth, batch in GRID:
    name = f"{features}-({width})×{depth}-1, batch {batch:,}"
    SHAPES[name] = (features, *[width] * depth, 1), batch

# %%
# An epoch has as many steps as can be timed well, for the largest shapes only a few.

EPOCH_FLOP = 2e9
FEWEST = 2
MOST = 64


def steps_of_an_epoch(sizes, batch):
    n_steps = EPOCH_FLOP / step_flops(sizes, batch)
    return int(np.clip(n_steps, FEWEST, MOST))


# %%
# The engines take turns, so that what disturbs one disturbs all; the largest shapes
# take long enough to be timed once. The default is asked which engine it takes for a
# long fit.

PASSES = 3
AT_LEAST = 0.02  # seconds


def engines_on(sizes, batch):
    n_steps = steps_of_an_epoch(sizes, batch)
    n_passes = 1 if n_steps == FEWEST else PASSES
    epochs = {}
    for way in available():
        epochs[way] = training_steps(ENGINES[way], sizes, batch, n_steps)
    passes = {}
    for number in range(n_passes):
        passes[number] = {
            way: seconds_per_call(epoch, at_least=AT_LEAST)
            for way, epoch in epochs.items()
        }
    times = pd.DataFrame(passes).median(axis="columns") / n_steps
    times["default"] = times[suited(sizes, n_steps=1_000_000)]
    return times


# %%
# JAX is timed by what further epochs add to a fit of one, in all variants: each shape
# is given to the best of them. The first fit, which compiles, is not counted.

VARIANTS = [name for name in installed() if name.startswith("JAX")]
MORE_FLOP = 25e9
FEWEST_EPOCHS = 4
MOST_EPOCHS = 60


def variant_seconds(variant, sizes, batch, n_steps):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_steps * batch, sizes[0]), dtype=np.float32)
    y = rng.standard_normal(n_steps * batch, dtype=np.float32)
    regressor = installed()[variant]

    def fit(epochs):
        regressor(sizes[1:-1], epochs, batch_size=batch).fit(X, y)

    epochs = MORE_FLOP / (n_steps * step_flops(sizes, batch))
    more = int(np.clip(epochs, FEWEST_EPOCHS, MOST_EPOCHS))
    one = seconds_per_call(lambda: fit(1), at_least=AT_LEAST)
    many = seconds_per_call(lambda: fit(1 + more), at_least=AT_LEAST)
    return (many - one) / more


def jax_on(sizes, batch):
    n_steps = steps_of_an_epoch(sizes, batch)
    times = {}
    for variant in VARIANTS:
        times[variant] = variant_seconds(variant, sizes, batch, n_steps) / n_steps
    return times


# %%
# One run: all shapes, in an order drawn anew. Each library has processes of its own.


def run(library):
    rows = []
    order = random.sample(list(SHAPES), len(SHAPES))
    for turn, shape in enumerate(order):
        sizes, batch = SHAPES[shape]
        for way, seconds in library(sizes, batch).items():
            row = {"shape": shape, "way": way, "turn": turn, "step_seconds": seconds}
            rows.append(row)
    return pd.DataFrame(rows).set_index(["shape", "way"])


# %%
# Without a C++ compiler there is nothing to compare, and the report says so.

STATEMENTS = {
    "default": "On no shape does the default engine take more than a twentieth longer "
    "than the eager one.",
    "compiled": "On no shape does the compiled engine take more than a twentieth "
    "longer than the fastest of the others.",
    "on_average": "Over networks of up to 256 units a layer, the compiled engine is "
    "more than one and a half times as fast as each of the others; over wider ones it "
    "is ahead.",
}
REASON = "" if "compiled" in available() else "no C++ compiler works"

# %%
# The map: right are the shapes with much arithmetic in a step, above the dashed line
# those on which the compiled engine is the fastest. Dots are medians, strokes their
# 95 % intervals.

DEPTHS = sorted({len(sizes) - 2 for sizes, _ in SHAPES.values()})


def draw_panel(axes, ahead):
    for (shape,), ratio in ahead.items():
        sizes, batch = SHAPES[shape]
        work = step_flops(sizes, batch)
        color = COLORS[DEPTHS.index(len(sizes) - 2)]
        axes.plot([work, work], [ratio.low, ratio.high], color=color)
        axes.plot(work, ratio.value, "o", color=color, markersize=5)
        if shape == ahead.idxmin():
            axes.annotate(
                f"{shape}: {ratio:short}",
                xy=(work, ratio.value),
                xytext=(0.42, 0.9),
                textcoords="axes fraction",
                ha="center",
                arrowprops={"arrowstyle": "-", "color": QUIET},
            )


def draw_map(ahead):
    figure, panels = subplots(
        len(THREADS), 1, sharex=True, sharey=True, figsize=(6.5, 6.5)
    )
    for threads, axes in zip(THREADS, panels, strict=True):
        draw_panel(axes, ahead[:, threads])
        axes.set(xscale="log", yscale="log", ylabel="Times as fast")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}×")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_title(f"{threads} threads" if threads > 1 else "1 thread", loc="left")
        reference(axes, 1, "the fastest other", vertical=False)
    for place, depth in enumerate(DEPTHS):
        panels[0].text(
            1.02,
            0.95 - 0.1 * place,
            f"{depth} hidden layers" if depth > 1 else "1 hidden layer",
            color=COLORS[place],
            transform=panels[0].transAxes,
        )
    with_units = Prefixed(unit="flop")
    format_numbers(panels[-1].xaxis, log=True, n_ticks=6, text=with_units)
    panels[-1].set_xlabel("Arithmetic of a step")
    fastest = [ratio.value > 1 for _, ratio in ahead.items()]
    headline(
        figure,
        f"On {sum(fastest)} of {len(fastest)} combinations of shape and threads the "
        "compiled engine is the fastest",
    )
    return figure


# %%
# What is put to the test. The thresholds, a twentieth and one and a half times, were
# fixed before the numbers were seen. For a short fit on a network that was never
# compiled, the default takes the fused engine, so that this must not be behind either.


def default_claim(step):
    of_a_long_fit = step[:, "default"] / step[:, "eager"]
    of_a_short_fit = step[:, "fused"] / step[:, "eager"]
    as_long = (
        f"it takes {of_a_long_fit} as long as the eager one, and for short fits "
        f"{of_a_short_fit}"
    )
    return claim(
        STATEMENTS["default"],
        of_a_long_fit < BEHIND,
        of_a_short_fit < BEHIND,
        holds="The default engine is nowhere more than a twentieth behind the eager "
        "one.",
        otherwise="The default engine is more than a twentieth behind the eager one on "
        "some shape.",
        seen=as_long,
    )


def compiled_claim(ahead):
    behind = [ratio.high < 1 / BEHIND for _, ratio in ahead.items()]
    return claim(
        STATEMENTS["compiled"],
        ahead > 1 / BEHIND,
        holds="The compiled engine is nowhere more than a twentieth behind.",
        otherwise=f"The compiled engine is behind on {sum(behind)} of {len(behind)} "
        "combinations of shape and threads.",
        seen=f"it is {ahead} as fast as the fastest of the others",
    )


def average_claim(times_as_fast):
    narrow = [shape for shape, (sizes, _) in SHAPES.items() if sizes[1] <= NARROW]
    wide = [shape for shape in SHAPES if shape not in narrow]
    over_narrow = times_as_fast.at(shape=narrow).mean("shape")
    over_wide = times_as_fast.at(shape=wide).mean("shape")
    as_fast = (
        f"over networks of up to {NARROW} units a layer it is {over_narrow} as fast as "
        f"each of the others, over wider ones {over_wide}"
    )
    return claim(
        STATEMENTS["on_average"],
        over_narrow > AHEAD,
        over_wide > 1,
        holds="On average the compiled engine is ahead.",
        otherwise="On average the compiled engine is not ahead everywhere.",
        seen=as_fast,
    )


# %%
# Measure, one thread and then two.


def measured():
    runs = {}
    steps = {}
    libraries = {"torch": engines_on}
    if VARIANTS:
        libraries["JAX"] = jax_on
    for threads in THREADS:
        of_threads = measure(
            run,
            **TIMES,
            threads=threads,
            warmup=False,
            clean_environment=CLEAN_ENVIRONMENT,
            library=libraries,
        )
        runs[f"runs_{threads}"] = of_threads
        # Each way was timed by one library only, so that this is its one number.
        steps[threads] = of_threads["step_seconds"].min("library")
    return runs, stack(steps, "n_threads").at(shape=list(SHAPES))


if REASON:
    results = not_measured(STATEMENTS, reason=REASON, figure="map")
else:
    runs, step = measured()
    others = {"eager": step[:, "eager"], "fused": step[:, "fused"]}
    if VARIANTS:
        others["JAX"] = step.at(way=VARIANTS).min("way")
    times_as_fast = stack(others, "other") / step[:, "compiled"]
    ahead = times_as_fast.min("other")
    results = {
        **runs,
        "step": step,
        "times_as_fast": times_as_fast,
        "ahead": ahead,
        "map": draw_map(ahead),
        "default": default_claim(step),
        "compiled": compiled_claim(ahead),
        "on_average": average_claim(times_as_fast),
    }

# %%
# On which shapes is the compiled engine the fastest?

results["compiled"]

# %%
# The report takes everything from the results folder.

publish("map_of_shapes", **results)
