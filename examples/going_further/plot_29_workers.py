"""
When do more workers pay?
=========================

Processes can share a fit: each computes the gradient of its part of the mini-batch, and
the gradients are averaged before every step. ``torchrun`` starts such workers, on one
machine or on many, and ``fit`` is called as ever. Varied: the width of the network, and
whether the mini-batch stays as it is (strong scaling) or grows with the workers (weak
scaling). Computation and communication are measured apart, too. From these two, a model
says how many workers would pay if there were more of them, each with a core of its own,
all as fast and as well connected as those that were measured. Held fixed: the number of
layers, one thread for each worker.
"""

# sphinx_gallery_tags = ["time", "scaling"]

# mlperf: only in a full build

from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from scipy.optimize import nnls
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mlperf import claim, exact, headline, measure, publish, reference, seconds
from mlperf import stack, subplots
from mlperf.profilers.work import n_parameters, step_bytes, step_flops
from mlperf.protocol import N_FEATURES, by_mode
from mlperf.quantities.drawing import COLORS, label
from mlperf.quantities.scaling import fit
from mlperf.training.distributed import Workers, joined
from mlperf.training.fused import fused
from mlperf.training.network import training_steps

WIDTHS = by_mode(published=[32, 128, 512, 1024], quick=[16, 32, 64])
BATCH = 512
PROCESSES = by_mode(published=8, quick=1)
STEPS = by_mode(published=2_048, quick=320)
WORKERS = 2
PARTS = [1, 2, 4, 8]  # of a mini-batch
MANY_WORKERS = [1, 2, 4, 8, 16, 32, 64]


def layers(width):
    return [N_FEATURES, width, width, 1]


# %%
# How long does a step take? Narrow networks take more steps, as theirs are short.


def step_seconds(width, n_rows, workers=None):
    n_steps = max(3, STEPS // width)
    engine = partial(fused, workers=workers)
    epoch = training_steps(engine, layers(width), n_rows, n_steps)
    return seconds(epoch) / n_steps


# %%
# How long does a worker spend in the sum of the gradients? It is timed within steps on
# small mini-batches, as a sum that follows another one at once finds everybody awake.
# To wait for the others is part of it.


class TimedWorkers(Workers):
    def average(self, *arguments):
        start = perf_counter()
        loss = super().average(*arguments)
        self.sums.append(perf_counter() - start)
        return loss


def sum_seconds(width, workers):
    timed = TimedWorkers(workers.rank, workers.size)
    timed.sums = []
    step_seconds(width, BATCH // 8, timed)
    first_epoch = len(timed.sums) // 2
    return np.mean(timed.sums[first_epoch:])


# %%
# This runs in every worker, in all of them at the same time. The computation of a part
# of the mini-batch is timed without communication, for smaller and smaller parts.


def times_of_worker():
    workers = joined()
    times = {}
    for width in WIDTHS:
        times[width, WORKERS, "strong"] = step_seconds(width, BATCH, workers)
        times[width, WORKERS, "weak"] = step_seconds(width, WORKERS * BATCH, workers)
        times[width, WORKERS, "communication"] = sum_seconds(width, workers)
        for n_parts in PARTS:
            torch.distributed.barrier()  # all compute at the same time
            n_rows = BATCH // n_parts
            times[width, n_parts, "computation"] = step_seconds(width, n_rows)
    return times


# %%
# What ``torchrun`` does, from within Python: workers are started, and what the first of
# them returns is returned.


def on_workers(function):
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=WORKERS,
        run_id="workers",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="fork",
        monitor_interval=0.05,
    )
    return elastic_launch(config, function)()[0]


# %%
# The model of computation has three numbers: a time that is the same for every step,
# one for each operation, and one for each byte that is moved. None may be negative.
# What is fitted is the predicted time over the measured one, which should be 1, so that
# short steps weigh as much as long ones.


def work_of(width, n_rows):
    sizes = layers(width)
    return [1, step_flops(sizes, n_rows), step_bytes(sizes, n_rows)]


def fit_computation(times):
    rows = []
    for width in WIDTHS:
        for n_parts in PARTS:
            measured = times[width, n_parts, "computation"]
            rows.append(np.divide(work_of(width, BATCH // n_parts), measured))
    rows = np.array(rows)
    scale = rows.max(axis=0)  # the solver wants columns of about one size
    times_per_unit, _ = nnls(rows / scale, np.ones(len(rows)))
    return times_per_unit / scale


# %%
# The model of communication has two numbers: a time for each message (latency), and
# one for each byte (the inverse of the bandwidth).


def gradient_bytes(width):
    return 4 * n_parameters(layers(width))


def fit_communication(widths, sums):
    payloads = [gradient_bytes(int(width)) for width in widths]
    return fit("affine", payloads, sums)


# %%
# In a ring of n workers, each sends 2 (n - 1) messages, which together are
# 2 (n - 1) / n times the gradient. With two workers, to which the model was fitted,
# that is two messages, and the gradient once.


def predicted(width, n_workers, times_per_unit, link):
    computation = times_per_unit @ work_of(width, BATCH / n_workers)
    latency = link.a * (n_workers - 1)
    sent_bytes = 2 * (n_workers - 1) / n_workers * gradient_bytes(width)
    return computation + latency + link.b * sent_bytes


# %%
# One run: one worker, then several, then what the model makes of computation and
# communication. It is not shown the steps that it is to predict.


def run():
    times = {(width, 1, "one"): step_seconds(width, BATCH) for width in WIDTHS}
    times |= on_workers(times_of_worker)
    times_per_unit = fit_computation(times)
    sums = [times[width, WORKERS, "communication"] for width in WIDTHS]
    link = fit_communication(WIDTHS, sums)
    for width in WIDTHS:
        for n_workers in MANY_WORKERS:
            prediction = predicted(width, n_workers, times_per_unit, link)
            times[width, n_workers, "predicted"] = prediction
    frame = pd.DataFrame({"seconds": times})
    return frame.rename_axis(["width", "n_workers", "what"])


runs = measure(run, processes=PROCESSES, warmup=False)
times = runs["seconds"]
one = times.at(what="one", n_workers=1)
strong = times.at(what="strong", n_workers=WORKERS)
weak = times.at(what="weak", n_workers=WORKERS)
stack({"1": one, "2, same mini-batch": strong, "2, twice as large": weak}, "workers")

# %%
# What does a step of two workers consist of?

computation = times.at(what="computation", n_workers=WORKERS)
communication = times.at(what="communication", n_workers=WORKERS)
parts = stack(
    {
        "step": strong,
        "computation": computation,
        "communication": communication,
    },
    "part",
)
axes = parts.plot(x="width", by="part", kind="dot", log=True)
share = (communication / strong).to("fraction")
narrow = WIDTHS[0]
wide = WIDTHS[-1]
headline(
    axes,
    f"Communication takes {share[narrow]:short} of a step at width {narrow:,}, "
    f"{share[wide]:short} at width {wide:,}",
)

# %%
# The time of a message, which is paid whatever it carries, and the bandwidth.


def latency_of(widths, sums):
    return fit_communication(widths, sums).a


latency = communication.along("width", latency_of, unit="seconds")
sizes = {width: gradient_bytes(width) for width in WIDTHS}
payload = exact(sizes, by="width", unit="bytes")
bandwidth = (payload / communication)[wide]
print(f"latency {latency}, bandwidth with the largest gradient {bandwidth}")

# %%
# Two workers: how many times as fast is the same mini-batch done? And how much of the
# speed of one worker does each of them reach where the mini-batch grows with them?

speed = one / strong
efficiency = (one / weak).to("fraction")
stack({"speed-up": speed, "efficiency": efficiency.to("ratio")}, "scaling")

# %%
# Does the model predict the steps of two workers?

prediction = times.at(what="predicted", n_workers=WORKERS) / strong
prediction

# %%
# How many workers are the fastest, by the model? From there on, more do not pay.


def fastest(n_workers, predictions):
    return n_workers[np.argmin(predictions)]


by_model = times.at(what="predicted")
stops = by_model.along("n_workers", fastest)
stops

# %%
# Lines are the model, dots what was measured, with 95 % intervals. Below the dashed
# line, one worker alone is faster.

figure, curves = subplots()
for color, width in zip(COLORS, WIDTHS, strict=False):
    alone = by_model[width, 1].value
    line = [alone / by_model[width, n].value for n in MANY_WORKERS]
    curves.plot(MANY_WORKERS, line, color=color)
    label(curves, line[-1], f"width {width:,}", color=color)
    curves.plot(WORKERS, speed[width].value, "o", color=color)
    curves.plot([WORKERS] * 2, [speed[width].low, speed[width].high], color=color)
curves.set(xscale="log", yscale="log", xlabel="Workers", ylabel="Speed (× one worker)")
curves.set_xticks(MANY_WORKERS, [f"{n}" for n in MANY_WORKERS])
curves.yaxis.set_major_formatter("{x:g}×")
curves.minorticks_off()
reference(curves, 1, "one worker")
headline(
    figure,
    f"The model predicts the fastest number of workers: {stops[narrow]:short} at width "
    f"{narrow:,}, {stops[wide]:short} at width {wide:,}",
)

# %%
# Claims, with thresholds fixed before the numbers were seen.

added = (computation + communication) / strong
added_up = f"one after the other, these take {added} as long"
two_wide = f"they reach {speed[wide]} its speed"
two_narrow = f"they reach {speed[narrow]} its speed"
claims = {
    "adds_up": claim(
        "A step of two workers is the computation of half of the mini-batch and the "
        "communication, to within a quarter.",
        added.within(0.75, 1.25),
        otherwise="A step of two workers is not just the computation of half of the "
        "mini-batch and the communication.",
        seen=added_up,
    ),
    "narrow": claim(
        f"At width {narrow:,}, two workers are slower than one.",
        speed[narrow] < 1,
        otherwise=f"Even at width {narrow:,}, two workers are faster than one.",
        seen=two_narrow,
    ),
    "wide": claim(
        f"At width {wide:,}, two workers are faster than one.",
        speed[wide] > 1,
        otherwise=f"Even at width {wide:,}, two workers are slower than one.",
        seen=two_wide,
    ),
    "weak": claim(
        f"At width {wide:,}, two workers do twice the mini-batch at more than three "
        "quarters of the speed of one worker each.",
        efficiency[wide] > 0.75,
        otherwise=f"Even at width {wide:,}, two workers do twice the mini-batch at "
        "less than three quarters of the speed of one worker each.",
        seen=f"each reaches {efficiency[wide]} of it",
    ),
    "predicted": claim(
        "Latency, bandwidth and arithmetic predict the step of two workers to within "
        "a third at every width.",
        prediction.within(0.75, 1.33),
        otherwise="Latency, bandwidth and arithmetic do not predict the step of two "
        "workers to within a third at every width.",
        seen=f"the predicted time is {prediction} what was measured",
    ),
    "more_pay": claim(
        f"By the model, more workers pay at width {wide:,} than at width {narrow:,}.",
        stops[wide] > stops[narrow],
        otherwise=f"By the model, no more workers pay at width {wide:,} than at width "
        f"{narrow:,}.",
        seen="with a core for each of them, the number with which a step is shortest "
        f"is about {stops[narrow].value:.0f} at width {narrow:,} and about "
        f"{stops[wide].value:.0f} at width {wide:,}",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "workers",
    runs=runs,
    parts=parts,
    share=share,
    latency=latency,
    bandwidth=bandwidth,
    speed=speed,
    efficiency=efficiency,
    prediction=prediction,
    stops=stops,
    made_of=axes,
    curves=figure,
    **claims,
)
