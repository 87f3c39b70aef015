"""
How long until the model is good enough?
========================================

A user does not wait for epochs, but for a model that predicts well. So the time until
the R2 of the test split reaches a level is what benchmarks such as MLPerf and DAWNBench
report. Here it is put together from three measurements: the epochs that it takes, the
time of an epoch, and what a first fit costs on top. Varied: who trains, the model, the
level. Held fixed: the samples, the layers, the optimiser, the mini-batches, one thread.
A first fit is cold: its library is loaded, but nothing is compiled yet.
"""

# sphinx_gallery_tags = ["time", "engines"]

import os
from bisect import bisect_left
from functools import cache, partial
from time import perf_counter, process_time

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import r2_score

from mlperf import MLPRegressor, Runs, claim, exact, generate_samples, headline
from mlperf import measure, publish, stack
from mlperf.profilers.energy import joules
from mlperf.profilers.timing import empty_caches, fit_costs
from mlperf.protocol import CLEAN_ENVIRONMENT, EPOCHS, FULL, N_FEATURES, RACED
from mlperf.protocol import SAMPLE_SIZES, UNTIMED, by_mode
from mlperf.rivals import installed, missing
from mlperf.training.engines import available

PRICE_PER_CORE_HOUR = 0.05  # yours, in any currency
SAMPLES = generate_samples(SAMPLE_SIZES[-1])
LEVELS = by_mode(
    published={"R2 0.99": 0.99, "R2 0.999": 0.999},
    quick={"R2 0.5": 0.5, "R2 0.9": 0.9},
)
MOST_EPOCHS = by_mode(published=EPOCHS, quick=100)
DRAWS = range(by_mode(published=4, quick=1))
TIMES = by_mode(
    published={"processes": 3, "repeats": 1}, quick={"processes": 1, "repeats": 1}
)
# Its compiling takes longer than all others to be measured: only in a full build.
LEFT_OUT = [] if FULL else ["torch.compile"]

# %%
# Who takes part: functions of the hidden layers and the epochs that return a regressor.
# To race one of your own, add it to the rivals.


def ours(hidden, max_iter, engine):
    return MLPRegressor(hidden, max_iter=max_iter, engine=engine, random_state=0)


engines = {name: partial(ours, engine=name) for name in available()}
rivals = {name: rival for name, rival in installed().items() if name not in LEFT_OUT}
contenders = {**engines, **rivals}
not_measured = "; ".join(sorted({*LEFT_OUT, *missing()})) or "none"
print("Who takes part:", ", ".join(contenders))
print("Not measured:", not_measured)

# %%
# The target is standardised, as the rivals ask for it.

center = SAMPLES.ytr.mean()
scale = SAMPLES.ytr.std()
target = (SAMPLES.ytr - center) / scale
test_target = (SAMPLES.yte - center) / scale

# %%
# How good is a model after some epochs? That depends on random numbers: the initial
# weights and the order of the rows. Not every library lets its users draw them anew,
# but the data can be shuffled, rows and features, which comes to the same.


def score_by_epochs(contender, hidden, draw):
    rng = np.random.default_rng(draw)
    rows = rng.permutation(len(target))
    features = rng.permutation(N_FEATURES)
    X = SAMPLES.Xtr[rows][:, features]

    @cache
    def score(epochs):
        torch.manual_seed(draw)
        trained = contender(hidden, epochs).fit(X, target[rows])
        return r2_score(test_target, trained.predict(SAMPLES.Xte[:, features]))

    return score


# %%
# How many epochs does it take? Twice as many are tried until they are enough, and then
# the fewest of them are searched for.


def epochs_until(r2, score):
    enough = 1
    while score(enough) < r2:
        if enough >= MOST_EPOCHS:
            raise ValueError(f"R2 {r2} is not reached in {enough} epochs.")
        enough *= 2
    return bisect_left(range(enough), r2, lo=enough // 2 + 1, key=score)


def count(contender, model, draw):
    score = score_by_epochs(contender, model, draw)
    epochs = {level: epochs_until(r2, score) for level, r2 in LEVELS.items()}
    return pd.DataFrame({"epochs": epochs}).rename_axis("level")


# %%
# All engines of this package take the same steps, so that one of them, the fastest, is
# counted for all. It is the draws that vary here, not the processes.

fastest = list(engines)[-1]
counting = {fastest: engines[fastest], **rivals}
counted = measure(count, **UNTIMED, contender=counting, model=RACED, draw=DRAWS)
frame = counted.frame.drop(columns=["process", "repeat"])
draws = Runs(frame, by=["contender", "model", "level"], process="draw")
epochs = draws.quantity("epochs", statistic="mean")
epochs

# %%
# One run: a contender trains each model, on a machine where nothing is compiled yet.
# The warm-up, a small network, loads the library, and with it what a library compiles
# once for all networks. Two more things are measured: how many cores are busy,
# compilers included, and how much power the processor takes, if it has a meter that may
# be read. The meter runs over all fits, and the times are kept for later.


def core_seconds_used():
    children = os.times()  # such as compilers
    return process_time() + children.children_user + children.children_system


def costs(contender, hidden):
    times = {}

    def fit(epochs):
        contender(hidden, epochs).fit(SAMPLES.Xtr, target)

    def time_fits():
        times.update(fit_costs(fit, EPOCHS, at_least=4, at_most=0.3))

    used_before = core_seconds_used()
    start = perf_counter()
    energy = joules(time_fits)
    elapsed = perf_counter() - start
    busy_cores = (core_seconds_used() - used_before) / elapsed
    return {
        **times,
        "busy_cores": busy_cores,
        "core_seconds": busy_cores * times["epoch_seconds"],
        "watts": energy / elapsed,
    }


def run(contender, models=RACED):
    with empty_caches():
        rows = {model: costs(contender, hidden) for model, hidden in models.items()}
    return pd.DataFrame(rows).T.rename_axis("model")


runs = measure(
    run,
    **TIMES,
    warmup={"models": {"small": (8,)}},
    clean_environment=CLEAN_ENVIRONMENT,
    contender=contenders,
)
first_epoch = runs["first_seconds"]
epoch = runs["epoch_seconds"]
epoch

# %%
# The time to a level is that of the epochs it takes. In a first fit, the first of them
# takes longer than the others.

epochs_of = dict.fromkeys(engines, epochs[fastest])
for name in rivals:
    epochs_of[name] = epochs[name]
epochs_needed = stack(epochs_of, "contender")
further = epoch * epochs_needed
first = first_epoch + epoch * (epochs_needed - 1)
times = stack({"first fit": first, "further fits": further}, "fit")
times

# %%
# The figure shows the highest level. Dots are estimates, whiskers their 95 % intervals.

goal = list(LEVELS)[-1]
to_reach = times.at(level=goal)
panels = to_reach.plot(
    x="contender", by="model", panels="fit", kind="dot", horizontal=True, log=True
)
mean_first = to_reach.at(fit="first fit").mean("model")
mean_further = to_reach.at(fit="further fits").mean("model")
headline(
    panels,
    f"A first fit reaches {goal} soonest with “{mean_first.idxmin()}”, further fits "
    f"with “{mean_further.idxmin()}”",
)

# %%
# Do the other libraries need as many epochs as this package? And is one of them there
# before the fused engine, which compiles nothing? Thresholds here and below were fixed
# before the numbers were seen.

n_samples = f"{SAMPLE_SIZES[-1]:,} samples"
to_goal = f"to {goal} on {n_samples}"
to_reach_goal = f"to reach {goal} on {n_samples}"
epochs_to_goal = epochs.at(level=goal)
first_to_goal = to_reach.at(fit="first fit")
others = list(rivals)
epochs_ratio = epochs_to_goal[others] / epochs_to_goal[fastest]
behind_fused = first_to_goal[others] / first_to_goal["fused"]
library_claims = {
    "same_epochs": claim(
        "Other libraries need half to twice as many epochs as this package "
        f"{to_reach_goal}.",
        epochs_ratio.within(0.5, 2),
        otherwise="Not every other library needs half to twice as many epochs as this "
        f"package {to_reach_goal}.",
        seen=f"they need {epochs_ratio} as many",
    ),
    "fused_first": claim(
        f"In a first fit {to_goal}, no other library is there before the fused engine.",
        behind_fused > 1,
        otherwise=f"In a first fit {to_goal}, another library can be there before the "
        "fused engine.",
        seen=f"the others take {behind_fused} as long",
    ),
}
behind_fused

# %%
# When does compiling pay? Its time is spent once, on top of the first epoch. From some
# epoch on, of one fit or of several, the faster epochs have saved more than that.

levels = " and ".join(LEVELS)
single_fit = (
    f"To {levels} on {n_samples}, a first fit with the compiled engine takes less than "
    "half as long as with the fused one, compiling included."
)
further_fits = (
    f"Once compiled, a fit {to_goal} takes less than half as long as with the fused "
    "engine."
)
pays = f"Compiling pays within a fit of {EPOCHS} epochs."
if "compiled" in engines:
    single_ratio = first["compiled"] / first["fused"]
    further_ratio = epoch["compiled"] / epoch["fused"]
    saved = epoch["fused"] - epoch["compiled"]
    once = first_epoch - epoch
    break_even = ((once["compiled"] - once["fused"]) / saved).to("number")
    break_even_fits = (break_even / epochs_to_goal["compiled"]).to("number")
    if saved[saved.idxmin()].value > 0:
        paid = f"it pays from {break_even} epochs on, which is {break_even_fits} fits "
        paid += to_goal
    else:
        paid = f"an epoch takes {further_ratio} as long as with the fused engine"
    compiling = {
        "once": once,
        "single_ratio": single_ratio,
        "further_ratio": further_ratio,
        "break_even": break_even,
        "break_even_fits": break_even_fits,
    }
    compiling_claims = {
        "single_fit": claim(
            single_fit,
            single_ratio < 0.5,
            otherwise=f"To {levels} on {n_samples}, a first fit with the compiled "
            "engine does not always take less than half as long as with the fused "
            "one, compiling included.",
            seen=f"it takes {single_ratio} as long",
        ),
        "further_fits": claim(
            further_fits,
            further_ratio < 0.5,
            otherwise=f"Once compiled, a fit {to_goal} does not always take less than "
            "half as long as with the fused engine.",
            seen=f"it takes {further_ratio} as long",
        ),
        "pays": claim(
            pays,
            saved > 0,
            break_even < EPOCHS,
            otherwise=f"Compiling does not always pay within a fit of {EPOCHS} epochs.",
            seen=paid,
        ),
    }
else:
    reason = "no C++ compiler works"
    compiling = {}
    compiling_claims = {
        "single_fit": claim(single_fit, reason=reason),
        "further_fits": claim(further_fits, reason=reason),
        "pays": claim(pays, reason=reason),
    }
compiling_claims["pays"]

# %%
# From how many epochs on is a first fit ahead of JAX, which compiles as well? For each
# model its best variant counts.

AHEAD_FROM = 20
CONSIDERED = [1, 2, 5, 10, AHEAD_FROM]
ahead_of_jax = (
    f"A first fit of {AHEAD_FROM} epochs or more, compiling included, takes less time "
    "with the compiled engine than with JAX."
)
whole_fit = (
    f"A first fit of {EPOCHS} epochs takes less time with the compiled engine than "
    "with JAX."
)
variants = [name for name in rivals if name.startswith("JAX")]
if not variants:
    beside_jax = {}
    jax_claim = claim(ahead_of_jax, reason="JAX is not installed")
    jax_whole_claim = claim(whole_fit, reason="JAX is not installed")
elif "compiled" not in engines:
    beside_jax = {}
    jax_claim = claim(ahead_of_jax, reason="no C++ compiler works")
    jax_whole_claim = claim(whole_fit, reason="no C++ compiler works")
else:
    ratios = {}
    for n_epochs in [*CONSIDERED, EPOCHS]:
        fit = first_epoch + epoch * (n_epochs - 1)
        ratios[n_epochs] = fit[variants].min("contender") / fit["compiled"]
    jax_first_fit = stack(ratios, "n_epochs")
    jax_epoch = epoch[variants].min("contender") / epoch["compiled"]
    beside_jax = {"jax_first_fit": jax_first_fit, "jax_epoch": jax_epoch}
    jax_claim = claim(
        ahead_of_jax,
        ratios[AHEAD_FROM] > 1,
        jax_epoch > 1,
        otherwise=f"A first fit of {AHEAD_FROM} epochs does not always take less time "
        "with the compiled engine than with JAX.",
        seen=f"JAX takes {ratios[AHEAD_FROM]} as long, and for each further epoch "
        f"{jax_epoch}",
    )
    whole = ratios[EPOCHS].mean("model")
    jax_whole_claim = claim(
        whole_fit,
        whole > 1,
        otherwise=f"A first fit of {EPOCHS} epochs takes less time with JAX than with "
        "the compiled engine.",
        seen=f"on average JAX takes {whole} as long",
    )
jax_claim

# %%
# What does that cost? Cores are paid for by the hour, so that what counts is how many
# of them a fit keeps busy. Here a million fits to the highest level, once compiled:

busy = runs["busy_cores"]
core_seconds = (runs["core_seconds"] * epochs_needed).at(level=goal)
core_hours = (core_seconds / exact(3_600, unit="seconds")).to("number")
cost = exact(1_000_000 * PRICE_PER_CORE_HOUR, name="cost") * core_hours
cost

# %%
# Does every library keep to the one core that a process may use here?

one_core = claim(
    "Every library keeps to one core.",
    busy < 1.1,
    otherwise="Some library keeps more than one core busy.",
    seen=f"on average {busy} cores are busy",
)
busy

# %%
# Energy is measured where the processor has a meter that may be read.

less_energy = (
    "An epoch of the compiled engine takes less than half of the energy that one of "
    "the fused engine takes."
)
if runs.frame["watts"].isna().any():
    energy_claim = claim(
        less_energy, reason="this machine has no readable energy meter"
    )
elif "compiled" not in engines:
    energy_claim = claim(less_energy, reason="no C++ compiler works")
else:
    energy = runs["watts"] * epoch
    energy_ratio = energy["compiled"] / energy["fused"]
    energy_claim = claim(
        less_energy,
        energy_ratio < 0.5,
        otherwise="An epoch of the compiled engine does not always take less than half "
        "of the energy that one of the fused engine takes.",
        seen=f"it takes {energy_ratio} as much",
    )
energy_claim

# %%
# The report takes everything from the results folder.

publish(
    "time_to_accuracy",
    runs=runs,
    counts=counted,
    epochs=epochs,
    times=times,
    first=first_to_goal,
    further=to_reach.at(fit="further fits"),
    busy=busy,
    core_seconds=core_seconds,
    cost=cost,
    price=PRICE_PER_CORE_HOUR,
    goal=goal,
    not_measured=not_measured,
    dots=panels,
    one_core=one_core,
    energy=energy_claim,
    ahead_of_jax=jax_claim,
    jax_whole=jax_whole_claim,
    **beside_jax,
    **compiling,
    **library_claims,
    **compiling_claims,
)
