import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from mlperf.data import generate_samples
from mlperf.model import MLPRegressor
from mlperf.training.engines import available
from mlperf.training.streamed import chunks, slices

SAMPLES = generate_samples(2_000)
# Chunks of 256 rows: a fit of 1,200 samples takes several, the last of which is not full.
CHUNK = 4 * 6 * 256


class Sliced:
    """What a dataset of h5py is to its reader: a shape, a dtype and slices. It keeps count of what is read."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.read, self.most_rows = 0, 0

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        part = self.values[rows].copy()
        self.read += len(part)
        self.most_rows = max(self.most_rows, len(part))
        return part


def small(**parameters):
    return MLPRegressor(**{"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, **parameters})


def weights(regressor):
    return [parameter.numpy() for parameter in regressor.module_.parameters()]


@pytest.fixture
def on_disk(tmp_path):
    """Return a function that puts an array into a file and returns it as a memmap."""

    def put(values):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, values)
        return np.load(path, mmap_mode="r")

    return put


def test_in_an_epoch_every_row_is_in_one_chunk_once():
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        epoch = list(chunks(10_007, n_rows=1_000, generator=generator))
        rows = np.concatenate([np.r_[part] for chunk in epoch for part in chunk])
        assert np.array_equal(np.sort(rows), np.arange(10_007))
        assert [sum(part.stop - part.start for part in chunk) for chunk in epoch] == [1_000] * 10 + [7]


def test_every_epoch_fills_its_chunks_with_rows_from_everywhere_in_a_new_order():
    generator = torch.Generator().manual_seed(0)
    first, second = (list(chunks(100_000, n_rows=10_000, generator=generator)) for _ in range(2))
    assert first != second
    for chunk in first + second:
        middle = np.mean(np.concatenate([np.r_[part] for part in chunk]))
        assert 25_000 < middle < 75_000


@pytest.mark.parametrize("engine", available())
def test_sorted_data_on_disk_are_learned_as_well_as_in_memory(engine, on_disk):
    order = np.argsort(SAMPLES.ytr)
    X, y = SAMPLES.Xtr[order], SAMPLES.ytr[order]
    settings = {"hidden_layer_sizes": (32,), "max_iter": 30, "learning_rate_init": 0.01, "engine": engine}
    held = small(**settings).fit(X, y)
    streamed = small(**settings, chunk_bytes=CHUNK).fit(on_disk(X), on_disk(y))
    assert held.score(SAMPLES.Xte, SAMPLES.yte) > 0.999
    assert streamed.score(SAMPLES.Xte, SAMPLES.yte) > 0.999


@pytest.mark.parametrize("engine", available())
def test_rows_are_seen_once_an_epoch_whatever_the_engine(engine):
    # With a step size near zero the network stays as it was drawn: the loss of an epoch is then that of all rows.
    settings = {"engine": engine, "learning_rate_init": 1e-12, "max_iter": 2}
    held = small(**settings).fit(SAMPLES.Xtr, SAMPLES.ytr)
    streamed = small(**settings, chunk_bytes=CHUNK).fit(Sliced(SAMPLES.Xtr), Sliced(SAMPLES.ytr))
    assert np.allclose(streamed.loss_curve_, held.loss_curve_, rtol=1e-5)


def test_as_many_steps_are_taken_as_in_memory(monkeypatch):
    from mlperf.training import fused

    taken = []
    monkeypatch.setattr(fused, "adam", lambda *_, **__: taken.append(1))
    counts = []
    for data in ((SAMPLES.Xtr, SAMPLES.ytr), (Sliced(SAMPLES.Xtr), SAMPLES.ytr)):
        taken.clear()
        small(engine="fused", chunk_bytes=CHUNK).fit(*data)
        counts.append(len(taken))
    assert counts == [3 * 19, 3 * 19]


def test_the_same_random_state_gives_the_same_weights():
    first, second = (weights(small(chunk_bytes=CHUNK).fit(Sliced(SAMPLES.Xtr), Sliced(SAMPLES.ytr))) for _ in range(2))
    assert all(map(np.array_equal, first, second))


def test_what_fits_into_a_chunk_is_trained_on_as_in_memory(on_disk):
    held = small().fit(SAMPLES.Xtr, SAMPLES.ytr)
    opened = small().fit(on_disk(SAMPLES.Xtr), on_disk(SAMPLES.ytr))
    assert all(map(np.array_equal, weights(held), weights(opened)))


def test_settings_of_torch_change_nothing_for_data_on_disk_either(on_disk):
    """Tried: where the caller's default dtype was float64, a fit on files failed."""
    files = on_disk(SAMPLES.Xtr), on_disk(SAMPLES.ytr)
    usual = weights(small(chunk_bytes=CHUNK).fit(*files))
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            changed = weights(small(chunk_bytes=CHUNK).fit(*files))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(np.array_equal, usual, changed))


def test_scaling_is_that_of_all_rows():
    X, y = SAMPLES.Xtr.copy(), SAMPLES.ytr.copy()
    X[-1] = 1e6  # in the last piece that is read
    held = small(max_iter=1).fit(X, y)
    streamed = small(max_iter=1, chunk_bytes=CHUNK).fit(Sliced(X), Sliced(y))
    assert np.allclose(streamed._x_scaler.scale_, held._x_scaler.scale_)
    assert np.allclose(streamed._y_scaler.mean_, held._y_scaler.mean_)


def test_no_more_than_a_piece_is_read_at_a_time_and_each_epoch_reads_all_rows_once(monkeypatch):
    from mlperf.training import streamed

    monkeypatch.setattr(streamed, "READ_BYTES", CHUNK)
    X, X_val = Sliced(SAMPLES.Xtr), Sliced(SAMPLES.Xval)
    fitted = small(chunk_bytes=CHUNK).fit(X, Sliced(SAMPLES.ytr), X_val, SAMPLES.yval)
    # A few rows are tried, all give their mean and deviation, and then come the epochs.
    assert X.read == 64 + (1 + 3) * 1_200
    assert X_val.read == 64 + 3 * 400
    fitted.predict(X)
    assert max(X.most_rows, X_val.most_rows) <= CHUNK // (4 * 5)  # a prediction reads no targets


def test_targets_may_lie_on_disk_while_features_are_held_and_the_other_way_round(on_disk):
    held = small(chunk_bytes=CHUNK).fit(SAMPLES.Xtr, SAMPLES.ytr)
    targets = small(chunk_bytes=CHUNK).fit(SAMPLES.Xtr, on_disk(SAMPLES.ytr))
    assert all(map(np.array_equal, weights(held), weights(targets)))
    features = small(chunk_bytes=CHUNK).fit(on_disk(SAMPLES.Xtr), SAMPLES.ytr.tolist())
    both = small(chunk_bytes=CHUNK).fit(on_disk(SAMPLES.Xtr), on_disk(SAMPLES.ytr))
    assert all(map(np.array_equal, weights(features), weights(both)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_several_targets_and_other_types_come_back_in_their_shape(dtype, on_disk):
    X = (100 * SAMPLES.Xtr).astype(dtype)
    y = np.column_stack([X.sum(1), -X.sum(1)])
    fitted = small(max_iter=60, chunk_bytes=CHUNK).fit(on_disk(X), on_disk(y))
    predicted = fitted.predict(on_disk(X))
    assert predicted.shape == y.shape
    assert np.corrcoef(predicted[:, 0], y[:, 0])[0, 1] > 0.95


def test_predictions_are_those_of_the_same_data_in_memory(on_disk):
    fitted = small().fit(SAMPLES.Xtr, SAMPLES.ytr)
    assert np.array_equal(fitted.predict(on_disk(SAMPLES.Xte)), fitted.predict(SAMPLES.Xte))


def test_validation_data_on_disk_give_the_same_curve(on_disk):
    settings = {"chunk_bytes": CHUNK, "max_iter": 2}
    held = small(**settings).fit(SAMPLES.Xtr, SAMPLES.ytr, SAMPLES.Xval, SAMPLES.yval)
    opened = small(**settings).fit(SAMPLES.Xtr, SAMPLES.ytr, on_disk(SAMPLES.Xval), on_disk(SAMPLES.yval))
    assert np.allclose(held.validation_curve_, opened.validation_curve_, rtol=1e-6)


def test_a_value_that_is_not_a_number_is_found_wherever_it_lies(on_disk):
    X, y = SAMPLES.Xtr.copy(), SAMPLES.ytr.copy()
    X[-1, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        small(chunk_bytes=CHUNK).fit(on_disk(X), on_disk(y))
    y[-1] = np.inf
    with pytest.raises(ValueError, match="Input y contains infinity"):
        small(chunk_bytes=CHUNK).fit(on_disk(SAMPLES.Xtr), on_disk(y))


def test_data_of_the_wrong_shape_are_refused_as_in_memory(on_disk):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small(chunk_bytes=CHUNK).fit(on_disk(SAMPLES.Xtr), on_disk(SAMPLES.ytr[:-1]))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        small(chunk_bytes=CHUNK).fit(on_disk(SAMPLES.ytr), on_disk(SAMPLES.ytr))
    fitted = small(chunk_bytes=CHUNK).fit(on_disk(SAMPLES.Xtr), on_disk(SAMPLES.ytr))
    with pytest.raises(ValueError, match="X has 4 features, but MLPRegressor is expecting 5"):
        fitted.predict(on_disk(SAMPLES.Xte[:, :4]))
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        fitted.predict(Sliced(SAMPLES.Xte[:0]))
    with pytest.raises(ValueError, match="X has 4 features, but MLPRegressor is expecting 5"):
        fitted.fit(SAMPLES.Xtr, SAMPLES.ytr, on_disk(SAMPLES.Xval[:, :4]), SAMPLES.yval)
    with pytest.raises(NotFittedError):
        small().predict(on_disk(SAMPLES.Xte))


def test_what_is_held_in_memory_is_not_streamed():
    import pandas as pd
    from scipy.sparse import csr_array

    held = (SAMPLES.X, SAMPLES.X.tolist(), pd.DataFrame(SAMPLES.X), torch.zeros(2, 3), csr_array(SAMPLES.X))
    assert not any(slices(data) for data in held)
    assert slices(Sliced(SAMPLES.X))
    assert not slices(Sliced(SAMPLES.X.astype(str)))


# Sparse files: their rows are zeros that take no room on the disk. What is counted is memory that belongs to the
# process alone; pages of the file are the system's to take back.
PEAK = """
import sys, threading
from pathlib import Path
import numpy as np
from mlperf.model import MLPRegressor

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

def rise(call):
    before, ended = held(), threading.Event()
    peaks = [before]
    def watch():
        while not ended.wait(0.01):
            peaks.append(held())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        ended.set()
        watcher.join()
    return max(peaks) - before

regressor = MLPRegressor((4,), max_iter=1, batch_size=8_192, engine="fused", chunk_bytes=2**20, random_state=0)
regressor.fit(np.zeros((100, 5), np.float32), np.zeros(100, np.float32))
for number in sys.argv[2:]:
    n = int(number)
    for name, columns in (("X", 5), ("y", 1)):
        with open(f"{sys.argv[1]}/{name}", "wb") as file:
            file.truncate(4 * columns * n)
    X = np.memmap(f"{sys.argv[1]}/X", np.float32, "r", shape=(n, 5))
    y = np.memmap(f"{sys.argv[1]}/y", np.float32, "r", shape=(n,))
    print(rise(lambda: regressor.fit(X, y)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says how much of a process is its own")
def test_memory_does_not_depend_on_the_number_of_rows(tmp_path):
    """The gallery measures it for 1 and 20 million rows; here the data take 5 and 46 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path, "200000", "2000000"], capture_output=True, text=True, check=True
    )
    few, many = (int(line) / 2**20 for line in done.stdout.split())
    assert many < few + 10, f"{few:.0f} MiB for few rows, {many:.0f} for many"
