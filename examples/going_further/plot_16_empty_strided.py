"""
Who makes all those small tensors?
==================================

Training calls ``aten::empty_strided``, which makes a tensor of given shape, again and
again. The profiler's stacks tell on whose behalf. The cause that they show is then
taken away, and what changes is measured: the calls, and the time of the optimiser's
arithmetic. Held fixed: the model, and, but for rounding, what the optimiser computes.
"""

# sphinx_gallery_tags = ["profile", "memory"]

from functools import partial
from itertools import pairwise

import torch

from mlperf import callers, claim, headline, measure, publish, seconds_per_call
from mlperf.protocol import BATCH_SIZE, MODELS, N_FEATURES, by_mode
from mlperf.training.eager import eager
from mlperf.training.network import training_steps

OPERATOR = "aten::empty_strided"
SIZES = [N_FEATURES, *MODELS["Medium"], 1]
STEPS = by_mode(published=10, quick=3)
TIMES = by_mode(
    published={"processes": 6, "repeats": 1}, quick={"processes": 1, "repeats": 2}
)

# %%
# Who calls? The Python function that began it, and the operator that it asked for.


def find_callers():
    return callers(training_steps(eager, SIZES, BATCH_SIZE, STEPS), OPERATOR)


called = measure(find_callers, processes=1, warmup=False)
calls = called["calls"].exact() / STEPS
calls

# %%
# Most of these calls come from an operation with a Python number: ``tensor.mul_(0.9)``.
# The operator makes a tensor of such a number, in double precision, and another one in
# its own precision; a number that is a tensor already needs neither. So the optimiser's
# arithmetic is written out, to be carried out with numbers or with tensors of one
# element.

CONSTANTS = {"one": 1, "decay": 0.999, "root": 0.5, "epsilon": 1e-8}
TENSORS = {name: torch.tensor(float(value)) for name, value in CONSTANTS.items()}


def adam(states, one, decay, root, epsilon):
    for parameter, gradient, mean, square, count in states:
        count.add_(one)
        mean.lerp_(gradient, 0.1)
        square.mul_(decay).addcmul_(gradient, gradient, value=0.001)
        denominator = square.sqrt().div(root).add_(epsilon)
        parameter.addcdiv_(mean, denominator, value=-0.001)


def new_states():
    shapes = []
    for n_inputs, n_outputs in pairwise(SIZES):
        shapes += [(n_outputs, n_inputs), (n_outputs,)]
    return [[*torch.rand(4, *shape), torch.zeros(())] for shape in shapes]


# %%
# One run: the arithmetic both ways, and beside it a whole training step.


def run():
    states = new_states()
    update_by_numbers = partial(adam, states, **CONSTANTS)
    update_by_tensors = partial(adam, states, **TENSORS)
    step = training_steps(eager, SIZES, BATCH_SIZE, STEPS)
    return {
        "step_seconds": seconds_per_call(step) / STEPS,
        "numbers_seconds": seconds_per_call(update_by_numbers, at_least=0.1),
        "tensors_seconds": seconds_per_call(update_by_tensors, at_least=0.1),
        "numbers_calls": callers(update_by_numbers, OPERATOR).calls.sum(),
        "tensors_calls": callers(update_by_tensors, OPERATOR).calls.sum(),
    }


runs = measure(run, **TIMES, warmup=False)
with_numbers = runs["numbers_seconds"]
with_tensors = runs["tensors_seconds"]
time_left = (with_tensors / with_numbers).to("fraction")
time_left

# %%
# The figure shows who is behind the calls of one step, whatever the operator.

of_optimiser = [name for name in calls.labels("function") if "optim/" in name]
by_optimiser = calls.at(function=of_optimiser).sum() / calls.sum()
by_optimiser = by_optimiser.to("fraction")
by_function = calls.sum("operator")
axes = by_function.plot(x="function", kind="bar", horizontal=True)
axes.set_xlabel("Calls in a step")
headline(axes, f"{by_optimiser:short} of the calls come from the optimiser")

# %%
# What share of a whole training step do these calls cost?

saved = ((with_numbers - with_tensors) / runs["step_seconds"]).to("fraction")
saved

# %%
# Claims, with thresholds fixed before the numbers were seen.

calls_left = runs["tensors_calls"].exact()
claims = {
    "caller": claim(
        "The optimiser is behind more than half of the calls of aten::empty_strided.",
        by_optimiser > 0.5,
        holds=f"Of the calls of aten::empty_strided, {by_optimiser} come from the "
        "optimiser.",
        otherwise="The optimiser is behind half of the calls of aten::empty_strided or "
        "fewer.",
        seen=by_optimiser,
    ),
    "cause": claim(
        "The optimiser turns each Python number that it computes with into a tensor: "
        "given tensors of one element instead, it never calls aten::empty_strided.",
        calls_left < 1,
        otherwise="Given tensors of one element instead of Python numbers, the "
        f"optimiser still makes {calls_left} calls of aten::empty_strided.",
    ),
    "faster": claim(
        "Without calls of aten::empty_strided, the optimiser's arithmetic saves at "
        "least a tenth of its time.",
        time_left < 0.9,
        otherwise="Without calls of aten::empty_strided, the optimiser's arithmetic "
        "does not save a tenth of its time.",
        seen=f"it takes {time_left} of it",
    ),
    "overhead": claim(
        "The tensors made by aten::empty_strided cost more than a twentieth of a "
        "training step.",
        saved > 0.05,
        holds="The tensors made by aten::empty_strided add overhead.",
        otherwise="The tensors made by aten::empty_strided add little overhead.",
        seen="without them, and what fills and reads them, a training step would be "
        f"{saved} shorter",
        original="Too many tensors made by aten::empty_strided may add overhead.",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "empty_strided",
    runs=runs,
    called=called,
    callers=calls,
    by_optimiser=by_optimiser,
    faster_ratio=time_left,
    saved=saved,
    calls=axes,
    **claims,
)
