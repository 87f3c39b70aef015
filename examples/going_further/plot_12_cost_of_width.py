"""
How does the cost grow with the width of the network?
=====================================================

A network with two equally wide hidden layers takes training steps on the same
mini-batches while its width grows over several orders of magnitude. The operators of a
step stay the same, in kind and in number; what grows is the arithmetic in each.
Measured are the time of one step, and the width at which arithmetic begins to matter.
Held fixed: the samples, the mini-batches, the number of layers, the threads.
"""

# sphinx_gallery_tags = ["time", "scaling"]

import pandas as pd

from mlperf import claim, exact, headline, measure, publish, reference, seconds
from mlperf.profilers.work import n_parameters
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.quantities.scaling import break_even, exponent, fit
from mlperf.training.eager import eager
from mlperf.training.network import training_steps

WIDTHS = by_mode(
    published=[8, 16, 32, 64, 100, 200, 400, 800, 1600, 3162],
    quick=[8, 32, 100, 200, 400],
)
PROCESSES = by_mode(published=6, quick=1)
STEPS = 5

# %%
# One run: every width in turn, in one process. Narrow networks take more epochs, as
# their steps are short.


def parameters_of(width):
    return n_parameters([N_FEATURES, width, width, 1])


def step_seconds(width):
    sizes = [N_FEATURES, width, width, 1]
    epoch = training_steps(eager, sizes, BATCH_SIZE, STEPS)
    epochs = max(1, min(50, 1_000_000 // parameters_of(width)))
    return seconds(lambda: [epoch() for _ in range(epochs)]) / epochs / STEPS


def run():
    times = {parameters_of(width): step_seconds(width) for width in WIDTHS}
    return pd.DataFrame({"seconds": times}).rename_axis("n_parameters")


runs = measure(run, processes=PROCESSES, warmup=False)
step = runs["seconds"]
step

# %%
# A step costs something whatever it computes, and something for each parameter. The
# first part:


def fixed_cost(n_parameters, times):
    return fit("affine", n_parameters, times).a


floor = step.along("n_parameters", fixed_cost, unit="seconds")
floor

# %%
# At how many parameters are the two parts equal?

break_even_at = step.along("n_parameters", break_even)
break_even_at

# %%
# The flat part of the curve is what a step costs whatever it computes; the rising part
# is arithmetic and memory. The dashed lines are the models of the report.

axes = step.plot(x="n_parameters", kind="line", log=True)
models = {
    name: n_parameters([N_FEATURES, *hidden, 1]) for name, hidden in MODELS.items()
}
for name, count in models.items():
    reference(axes, count, name, vertical=True)
headline(
    axes,
    f"Up to about {break_even_at:short} parameters, most of a step's time is a fixed "
    "cost",
)

# %%
# How fast does the cost grow on either side? The exponent of a power law says it: near
# 0 the curve is flat, and 1 means in proportion. Up to the size of Large:

up_to_large = [n for n in step.labels("n_parameters") if n <= parameters_of(100)]
narrow_exponent = step.at(n_parameters=up_to_large).along("n_parameters", exponent)
narrow_exponent

# %%
# And over the three widest networks:

widest = step.labels("n_parameters")[-3:]
wide_exponent = step.at(n_parameters=widest).along("n_parameters", exponent)
wide_exponent

# %%
# Claims, with thresholds fixed before the numbers were seen.

claims = {}
for name, count in models.items():
    claims[f"{name.lower()}_fixed"] = claim(
        f"A step of a network with as many parameters as {name} is mostly fixed cost.",
        break_even_at > count,
        otherwise=f"A step of a network with as many parameters as {name} is mostly "
        "arithmetic.",
    )
claims["flat"] = claim(
    "Up to the size of Large, the time of a step grows more slowly than the square "
    "root of the parameters.",
    narrow_exponent < 0.5,
    otherwise="Even up to the size of Large, the time of a step grows faster than "
    "the square root of the parameters.",
    seen=f"the exponent is {narrow_exponent}",
)
claims["linear_wide"] = claim(
    "For the widest networks, a step takes time in proportion to the parameters.",
    wide_exponent.within(0.9, 1.1),
    otherwise="Even for the widest networks, a step does not take time in proportion "
    "to the parameters.",
    seen=f"the exponent is {wide_exponent}",
)

# %%
# The report takes everything from the results folder.

publish(
    "cost_of_width",
    runs=runs,
    step=step,
    break_even=break_even_at,
    floor=floor,
    narrow=narrow_exponent,
    wide=wide_exponent,
    parameters=exact(models, by="model"),
    per_step=axes,
    **claims,
)
