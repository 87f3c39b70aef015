"""
Where does one training step go?
================================

The loop of the ``eager`` engine is written out, and each part of it timed: making the
mini-batch, resetting the gradients, the forward pass, the loss, the backward pass, the
optimiser, and what is left between them. The engine itself, without clocks, tells
whether the parts add up. Varied: the model. Held fixed: samples, mini-batches, threads.
"""

# sphinx_gallery_tags = ["profile", "time"]

import torch

from mlperf import MLPRegressor, claim, headline, measure, publish, seconds, stack
from mlperf.profilers.timing import seconds_per_part
from mlperf.protocol import BATCH_SIZE, LEARNING_RATE, MODELS, N_FEATURES, by_mode
from mlperf.training.eager import eager
from mlperf.training.network import network

PARTS = ["batch", "reset", "forward", "loss", "backward", "optimiser", "between"]
STEPS = by_mode(published=100, quick=20)
FIT_EPOCHS = 4
TIMES = by_mode(
    published={"processes": 6, "min_run_time": 0.3, "fresh": "round"},
    quick={"processes": 1, "repeats": 2},
)

# %%
# An epoch of training that tells a clock, by ``yield``, which part has just ended.


def epoch(module, optimiser, X, y):
    order = torch.randperm(len(X))
    batches = zip(X[order].split(BATCH_SIZE), y[order].split(BATCH_SIZE), strict=True)
    for X_batch, y_batch in batches:
        yield "batch"
        optimiser.zero_grad()
        yield "reset"
        prediction = module(X_batch)
        yield "forward"
        loss = torch.nn.functional.mse_loss(prediction, y_batch)
        yield "loss"
        loss.backward()
        yield "backward"
        optimiser.step()
        yield "optimiser"


# %%
# One run: an epoch with clocks, and one of the engine without; the first of each does
# not count. And a whole fit of a few epochs, as the report times it.


def run(model):
    X = torch.randn(STEPS * BATCH_SIZE, N_FEATURES)
    y = torch.randn(STEPS * BATCH_SIZE, 1)
    module = network([N_FEATURES, *model, 1], torch.Generator())
    optimiser = torch.optim.Adam(
        module.parameters(), lr=LEARNING_RATE, foreach=False, fused=False
    )
    settings = {"learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE}
    training = eager(module, X, y, generator=torch.Generator(), **settings)
    for _ in range(2):
        spent = seconds_per_part(epoch(module, optimiser, X, y))
        whole = seconds(lambda: next(training))
    regressor = MLPRegressor(model, max_iter=FIT_EPOCHS, engine="eager", random_state=0)
    fit = seconds(lambda: regressor.fit(X.numpy(), y[:, 0].numpy()))
    times = {f"{part}_seconds": spent[part] / STEPS for part in PARTS}
    return {
        **times,
        "step_seconds": whole / STEPS,
        "fit_seconds": fit / STEPS / FIT_EPOCHS,
    }


runs = measure(run, **TIMES, warmup=False, model=MODELS)
parts = stack({part: runs[f"{part}_seconds"] for part in PARTS}, "part")
parts

# %%
# Bars are medians, whiskers their 95 % intervals, and dots the single runs.

axes = parts.plot(x="part", by="model", kind="bar", horizontal=True)
total = parts.sum("part")
share = (parts / total).to("fraction")
longest = share.mean("model").idxmax()
headline(
    axes,
    f"The longest part of a training step is “{longest}”: {share[:, longest]:short}",
)

# %%
# The share of each part, taken within the same run, of the largest model.

share["Large"]

# %%
# Do the parts add up to the step without clocks?

step = runs["step_seconds"]
parts_ratio = total / step
parts_ratio

# %%
# And is it the step of a whole fit? What a fit does once, such as standardising the
# samples, is spread over its steps.

fit_ratio = runs["fit_seconds"] / step
fit_ratio

# %%
# Claims, with thresholds fixed before the numbers were seen.

optimiser = share[:, "optimiser"]
forward_and_backward = share[:, ["forward", "loss", "backward"]].sum("part")
rest = share[:, ["batch", "reset", "between"]].sum("part")
claims = {
    "closes": claim(
        "The parts of a step add up to the step without clocks, to within a tenth.",
        parts_ratio.within(0.9, 1.1),
        holds=f"The parts add up: together they take {parts_ratio} as long as a step "
        "without clocks.",
        otherwise="The parts of a step do not add up to the step without clocks, to "
        "within a tenth, for every model.",
        seen=f"together they take {parts_ratio} as long",
    ),
    "same_in_a_fit": claim(
        "A step alone takes as long as a step of a whole fit, to within a tenth.",
        fit_ratio.within(0.9, 1.1),
        otherwise="For some model, a step alone does not take as long as a step of a "
        "whole fit, to within a tenth.",
        seen=f"that of a fit takes {fit_ratio} as long",
    ),
    "optimiser_most": claim(
        "The optimiser takes more than half of a step.",
        optimiser > 0.5,
        holds="The optimiser, with all that it calls, takes more than half of a step.",
        otherwise=f"The optimiser, with all that it calls, takes {optimiser} of a "
        "step.",
        seen=optimiser,
    ),
    "network_most": claim(
        "The network itself, forward and backward, takes more than half of a step.",
        forward_and_backward > 0.5,
        otherwise="The network itself, forward and backward, takes "
        f"{forward_and_backward} of a step.",
        seen=forward_and_backward,
    ),
    "python_little": claim(
        "Making the mini-batch, resetting the gradients and Python between the parts "
        "take less than a tenth of a step.",
        rest < 0.1,
        otherwise="Making the mini-batch, resetting the gradients and Python between "
        "the parts take a tenth of a step or more for some model.",
        seen=rest,
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "parts_of_a_step",
    runs=runs,
    times=parts,
    share=share,
    step=step,
    of_fit=fit_ratio,
    optimiser=optimiser,
    network=forward_and_backward,
    parts=axes,
    **claims,
)
