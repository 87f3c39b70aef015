"""
What does it cost to train on data that do not fit into memory?
===============================================================

A file can be opened as an array without being read, ``np.load(path, mmap_mode="r")``.
``fit`` takes it as it takes any other array, and reads the rows chunk by chunk, in
blocks that are drawn from all over the file. Each epoch draws them anew, and takes
every row once. Varied: whether the data are held in memory or lie on disk, and how many
they are. Measured are the time, the error on samples that were not trained on, and the
memory. Held fixed: the model, the mini-batches, the size of a chunk, the threads.
"""

# sphinx_gallery_tags = ["time", "memory", "accuracy"]

# mlperf: only in a full build

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mlperf import MLPRegressor, claim, headline, measure, publish, seconds
from mlperf.profilers.memory import heap_peak
from mlperf.protocol import MODELS, N_FEATURES, by_mode
from mlperf.training.engines import available

N_SAMPLES = by_mode(published=1_000_000, quick=20_000)
MANY_SAMPLES = by_mode(published=[1_000_000, 20_000_000], quick=[20_000, 80_000])
CHUNK_BYTES = by_mode(published=2**24, quick=2**17)
TIMES = by_mode(
    published={"processes": 8, "repeats": 1}, quick={"processes": 1, "repeats": 1}
)
ENGINE = "compiled" if "compiled" in available() else "fused"
ONCE = by_mode(published={"processes": 3}, quick={"processes": 1})


def regressor(epochs):
    return MLPRegressor(
        MODELS["Small"], max_iter=epochs, engine=ENGINE, chunk_bytes=CHUNK_BYTES
    )


# %%
# The samples: linear in the features, and noise with a variance of 1.


def draw(n_samples):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, N_FEATURES), dtype=np.float32)
    noise = rng.standard_normal(n_samples, dtype=np.float32)
    return X, X.sum(axis=1) * 10 + noise


def on_disk(values, folder, name):
    path = Path(folder, name)
    np.save(path, values)
    return np.load(path, mmap_mode="r")


# %%
# One run: the same fit, on arrays or on files. The network is drawn anew in each
# process, so that the errors spread as those of many fits do.


def run(data):
    X, y = draw(N_SAMPLES)
    X_more, y_more = draw(N_SAMPLES + 10_000)
    X_test = X_more[N_SAMPLES:]
    y_test = y_more[N_SAMPLES:]
    with TemporaryDirectory() as folder:
        if data == "on disk":
            X = on_disk(X, folder, "X.npy")
            y = on_disk(y, folder, "y.npy")
        model = regressor(epochs=4)
        model.fit(X[:100], y[:100])  # loads, and compiles, what it has to
        took = seconds(lambda: model.fit(X, y))
        error = np.mean((model.predict(X_test) - y_test) ** 2)
    return {"seconds": took, "mse": error}


runs = measure(run, **TIMES, warmup=False, data=["in memory", "on disk"])
fit = runs["seconds"]
fit

# %%
# Before training, both pass over the data once, for the mean and the standard deviation
# of each column.

speed = (fit["in memory"] / fit["on disk"]).to("fraction")
axes = fit.plot(x="data", kind="bar", horizontal=True)
headline(axes, f"From disk, training reaches {speed:short} of the speed in memory")

# %%
# The mean squared error on test samples, of which the noise alone makes up 1.

mse = runs["mse"]
mse

# %%
# How much memory does a fit on files take? Here the rows may all be zeros, as a file of
# zeros takes no room on the disk. What the system keeps of a file in memory is not
# counted, as it gives that up when memory is needed.


def run_memory(n_samples):
    with TemporaryDirectory() as folder:
        shape = n_samples, N_FEATURES
        X = np.memmap(Path(folder, "X"), np.float32, "w+", shape=shape)
        y = np.memmap(Path(folder, "y"), np.float32, "w+", shape=(n_samples,))
        model = regressor(epochs=1)
        model.fit(X[:100], y[:100])
        heap = heap_peak(lambda: model.fit(X, y))
    return {} if heap is None else {"bytes": heap}


STATEMENTS = {
    "bounded": "The memory of a fit on files is independent of the number of rows.",
    "little": "A fit on files takes less than 200 MB.",
}
memory_runs = measure(
    run_memory, **ONCE, warmup=False, n_jobs=2, n_samples=MANY_SAMPLES
)

# %%
# The same memory for many more rows?

if "bytes" in memory_runs.measured:
    peak = memory_runs["bytes"]
    fewest = MANY_SAMPLES[0]
    most = MANY_SAMPLES[-1]
    grows = peak[most] / peak[fewest]
    peak_axes = peak.plot(x="n_samples", kind="bar", horizontal=True)
    headline(
        peak_axes,
        f"{most // fewest} times the rows take {grows.value:.2g}× the memory",
    )
    memory = {"peak": peak, "peaks": peak_axes, "grows": grows}
    claims = {
        "bounded": claim(
            STATEMENTS["bounded"],
            grows.within(0.9, 1.1),
            otherwise="The memory of a fit on files depends on the number of rows.",
            seen=f"{most // fewest} times the rows take {grows} the memory, "
            f"{peak[most]:short} in all",
        ),
        "little": claim(
            STATEMENTS["little"],
            peak < 200e6,
            otherwise="A fit on files can take more than 200 MB.",
            seen=f"it takes {peak}",
        ),
    }
else:
    memory = {}
    claims = {
        name: claim(statement, reason="memray is not installed")
        for name, statement in STATEMENTS.items()
    }
claims["bounded"]

# %%
# Claims on time and error, with thresholds fixed before the numbers were seen.

error_ratio = mse["on disk"] / mse["in memory"]
claims["fast_enough"] = claim(
    "Training on files reaches more than seven tenths of the speed in memory.",
    speed > 0.7,
    holds=f"Training on files reaches {speed} of the speed in memory.",
    otherwise="Training on files does not reach seven tenths of the speed in memory.",
    seen=speed,
)
claims["as_good"] = claim(
    "Samples that are shuffled chunk by chunk are learned as well as in memory, to "
    "within a twentieth of the error.",
    error_ratio.within(0.95, 1.05),
    holds="Samples that are shuffled chunk by chunk are learned as well as in memory: "
    f"the error is {error_ratio} that in memory.",
    otherwise="Samples that are shuffled chunk by chunk are not learned as well as in "
    "memory, to within a twentieth of the error.",
    seen=f"the error is {error_ratio} that in memory",
)
claims["as_good"]

# %%
# The report takes everything from the results folder.

publish(
    "data_on_disk",
    runs=runs,
    memory_runs=memory_runs,
    fit=fit,
    speed=speed,
    mse=mse,
    times=axes,
    **memory,
    **claims,
)
