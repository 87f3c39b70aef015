"""Columns of any finite magnitude have mean 0 and standard deviation 1 for a network, however they come."""

import numpy as np
import pytest

from mlperf.training.standard import Scaler, standardised

LARGEST = float(np.finfo(np.float64).max)
COLUMN = np.random.default_rng(0).uniform(-1, 1, size=(200, 1))


@pytest.mark.parametrize("magnitude", [1.0, LARGEST, 1e200, 1e30, 1e-30, 1e-160, 1e-300])
def test_columns_of_any_magnitude_are_standardised_alike(magnitude):
    """Tried: squares of large numbers overflowed, those of small ones were taken for zero."""
    expected = ((COLUMN - COLUMN.mean()) / COLUMN.std()).astype(np.float32)
    values = COLUMN * magnitude
    scaler = Scaler().partial_fit(values)
    assert np.allclose(standardised(values, scaler).numpy(), expected, atol=1e-6)
    assert np.allclose(scaler.restore(expected.astype(np.float64)), values, rtol=1e-6, atol=1e-6 * magnitude)


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, -LARGEST, 1e300, 5e-324])
def test_constant_columns_stay_constant(value):
    values = np.full((10, 1), value)
    scaler = Scaler().partial_fit(values)
    assert np.allclose(standardised(values, scaler), 0, atol=1e-12)
    # Whatever a network says of them.
    assert np.allclose(scaler.restore(np.linspace(-3, 3, 10)[:, None]), value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("first", [0.0, 1e-300, 1.0, 1e300])
@pytest.mark.parametrize("then", [1e-300, 1.0, 1e300])
def test_pieces_of_different_magnitude_are_learned_as_the_whole(first, then):
    pieces = [COLUMN * first, COLUMN[::-1] * then]
    scaler = Scaler()
    for piece in pieces:
        scaler.partial_fit(piece)
    whole = Scaler().partial_fit(np.concatenate(pieces))
    assert np.allclose(scaler.scale_ / whole.scale_, 1)
    assert np.allclose((scaler.mean_ - whole.mean_) / whole.scale_, 0, atol=1e-12)
