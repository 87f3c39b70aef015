import re

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.model_selection import train_test_split

from mlperf.data import generate_samples


@pytest.mark.parametrize(("n_samples", "random_state"), [(5, 42), (1_000, 42), (1_234, 0)])
def test_samples_equal_make_regression_and_two_splits_to_the_bit(n_samples, random_state):
    X, y = make_regression(n_samples=n_samples, n_features=5, noise=1, random_state=random_state)
    Xrest, Xte, yrest, yte = train_test_split(X, y, test_size=0.2, random_state=random_state)
    Xtr, Xval, ytr, yval = train_test_split(Xrest, yrest, test_size=0.25, random_state=random_state)

    generated = generate_samples(n_samples, random_state=random_state)

    assert generated._fields == ("X", "y", "Xtr", "Xval", "Xte", "ytr", "yval", "yte")
    for ours, theirs in zip(generated, (X, y, Xtr, Xval, Xte, ytr, yval, yte), strict=True):
        assert np.array_equal(ours, theirs)


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
