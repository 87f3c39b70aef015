import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from mlperf.profilers.accuracy import accuracy
from mlperf.data import generate_samples


def test_the_true_model_errs_by_the_noise_on_every_split():
    samples = generate_samples(20_000, noise=3)
    scores = accuracy(LinearRegression().fit(samples.X, samples.y), samples).set_index("split")
    assert scores.index.tolist() == ["training", "validation", "test"]
    assert scores.mse.to_numpy() == pytest.approx([9, 9, 9], rel=0.1)
    assert (scores.mse_low < scores.mse).all()
    assert (scores.mse_high > scores.mse).all()


def test_a_model_that_knows_only_the_mean_has_no_r2():
    samples = generate_samples(1_000)
    scores = accuracy(DummyRegressor().fit(samples.Xtr, samples.ytr), samples).set_index("split")
    assert scores.r2["training"] == pytest.approx(0, abs=1e-12)
    assert scores.mse["training"] == pytest.approx(samples.ytr.var())
    assert scores.r2_low["test"] < scores.r2["test"] < scores.r2_high["test"]


def test_a_worse_model_gets_worse_scores():
    samples = generate_samples(1_000)

    class Off:
        def __init__(self, by):
            self.by = by

        def predict(self, X):
            return {len(samples.ytr): samples.ytr, len(samples.yval): samples.yval}[len(X)] + self.by

    errors = [accuracy(Off(by), samples).mse.to_numpy() for by in (1, 2)]
    # Validation and test split are equally long: the test row is judged on other targets, so only two are compared.
    assert np.allclose(errors[0][:2], 1)
    assert np.allclose(errors[1][:2], 4)
