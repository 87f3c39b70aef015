import inspect
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_regression
from sklearn.model_selection import train_test_split

from mlperf import protocol
from mlperf.data import generate_samples, split


@pytest.mark.parametrize(("n_samples", "random_state"), [(5, 42), (1_000, 42), (1_234, 0)])
def test_samples_equal_make_regression_and_two_splits_to_the_bit(n_samples, random_state):
    X, y = make_regression(n_samples=n_samples, n_features=5, noise=1, random_state=random_state)
    Xrest, Xte, yrest, yte = train_test_split(X, y, test_size=0.2, random_state=random_state)
    Xtr, Xval, ytr, yval = train_test_split(Xrest, yrest, test_size=0.25, random_state=random_state)

    generated = generate_samples(n_samples, random_state=random_state)

    assert generated._fields == ("X", "y", "Xtr", "Xval", "Xte", "ytr", "yval", "yte")
    for ours, theirs in zip(generated, (X, y, Xtr, Xval, Xte, ytr, yval, yte), strict=True):
        assert np.array_equal(ours, theirs)


def test_defaults_are_those_of_the_protocol():
    """The two modules do not import each other."""
    known = {"n_features": protocol.N_FEATURES, "noise": protocol.NOISE, "random_state": protocol.RANDOM_STATE}
    for function in (generate_samples, split):
        parameters = inspect.signature(function).parameters
        for name in known.keys() & parameters.keys():
            assert parameters[name].default == known[name]
    assert known.keys() <= inspect.signature(generate_samples).parameters.keys()


def test_the_split_is_60_20_20():
    samples = generate_samples(10_000)
    assert [len(part) for part in (samples.Xtr, samples.Xval, samples.Xte)] == [6_000, 2_000, 2_000]


def test_without_a_seed_every_call_draws_anew():
    assert not np.array_equal(generate_samples(10, random_state=None).X, generate_samples(10, random_state=None).X)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"n_samples": 2},
            ValueError,
            "The 'n_samples' parameter of generate_samples must be an int of at least 5. Got 2 instead.",
        ),
        (
            {"n_samples": 1e3},
            TypeError,
            "The 'n_samples' parameter of generate_samples must be an int of at least 5. Got 1000.0 instead.",
        ),
        (
            {"n_samples": True},
            TypeError,
            "The 'n_samples' parameter of generate_samples must be an int of at least 5. Got True instead.",
        ),
        (
            {"n_samples": 10, "n_features": 0},
            ValueError,
            "The 'n_features' parameter of generate_samples must be an int of at least 1. Got 0 instead.",
        ),
        (
            {"n_samples": 10, "noise": -1},
            ValueError,
            "The 'noise' parameter of generate_samples must be a finite float of at least 0. Got -1 instead.",
        ),
        (
            {"n_samples": 10, "noise": float("nan")},
            ValueError,
            "The 'noise' parameter of generate_samples must be a finite float of at least 0. Got nan instead.",
        ),
        (
            {"n_samples": 10, "noise": "1"},
            TypeError,
            "The 'noise' parameter of generate_samples must be a float of at least 0. Got '1' instead.",
        ),
        (
            {"n_samples": 10, "random_state": -1},
            ValueError,
            "The 'random_state' parameter of generate_samples must be an int from 0 to 2**32 - 1 or None. "
            "Got -1 instead.",
        ),
    ],
)
def test_bad_input_is_named_with_its_owner_requirement_and_value(arguments, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        generate_samples(**arguments)


def test_own_data_are_split_as_generated_ones_are():
    samples = generate_samples(1_000)
    for ours, theirs in zip(split(samples.X, samples.y), samples, strict=True):
        assert np.array_equal(ours, theirs)


def test_frames_stay_frames():
    X, y = pd.DataFrame({"a": range(10)}), pd.Series(range(10), name="b") / 2
    samples = split(X, y)
    assert samples.Xte.columns.tolist() == ["a"]
    assert (samples.Xte["a"] / 2 == samples.yte).all()
    assert samples.Xte.index.tolist() == samples.yte.index.tolist()


def test_lists_become_arrays():
    assert isinstance(split([[x] for x in range(10)], list(range(10))).Xte, np.ndarray)


@pytest.mark.parametrize("labels", [[0, 1], [False, True], ["yes", "no"], pd.Categorical(["yes", "no"])])
def test_classes_have_the_same_share_in_every_split(labels):
    y = pd.Series(list(labels) + [labels[0]] * 3).sample(100, replace=True, random_state=0)
    samples = split(np.zeros((100, 1)), y)
    shares = [(part == labels[0]).mean() for part in (samples.ytr, samples.yval, samples.yte)]
    assert max(shares) - min(shares) <= 0.05


@pytest.mark.parametrize("y", [np.arange(30.0) % 2, np.arange(30), np.array(["a"] * 29 + ["b"])])
def test_numbers_and_rare_labels_are_not_stratified_unless_asked(y):
    for ours, theirs in zip(split(y[:, None], y), split(y[:, None], y, stratify=False), strict=True):
        assert np.array_equal(ours, theirs)


def test_floats_are_stratified_if_asked():
    y = np.arange(50.0) % 2
    assert split(y[:, None], y, stratify=True).yte.mean() == 0.5


@pytest.mark.parametrize(
    ("n", "m", "message"),
    [
        (10, 9, "The 'X' and 'y' parameters of split must be of equal length. Got 10 and 9 instead."),
        (4, 4, "The 'X' parameter of split must have at least 5 samples. Got 4 instead."),
    ],
)
def test_data_that_cannot_be_split_are_refused(n, m, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        split(np.zeros((n, 1)), np.zeros(m))
