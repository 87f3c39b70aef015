import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mean_squared_error, r2_score

from mlperf.data import generate_samples, split
from mlperf.profilers.accuracy import accuracy

SAMPLES = generate_samples(1_000)


class Predicts:
    """A model of no library, which predicts what a function says."""

    def __init__(self, predict):
        self.predict = predict


def test_the_true_model_errs_by_the_noise_on_every_split():
    samples = generate_samples(20_000, noise=3)
    scores = accuracy(LinearRegression().fit(samples.X, samples.y), samples)
    assert scores.index.tolist() == ["training", "validation", "test"]
    assert scores.index.name == "split"
    assert scores.mse.to_numpy() == pytest.approx([9, 9, 9], rel=0.1)
    assert (scores.mse_low < scores.mse).all()
    assert (scores.mse_high > scores.mse).all()


def test_scores_are_those_of_scikit_learn():
    model = LinearRegression().fit(SAMPLES.Xtr[:, :2], SAMPLES.ytr)
    predicted = model.predict(SAMPLES.Xte[:, :2])
    test = accuracy(Predicts(lambda X: model.predict(X[:, :2])), SAMPLES).loc["test"]
    assert test.mse == pytest.approx(mean_squared_error(SAMPLES.yte, predicted))
    assert test.r2 == pytest.approx(r2_score(SAMPLES.yte, predicted))


def test_a_model_that_knows_only_the_mean_has_no_r2():
    scores = accuracy(DummyRegressor().fit(SAMPLES.Xtr, SAMPLES.ytr), SAMPLES)
    assert scores.r2["training"] == pytest.approx(0, abs=1e-12)
    assert scores.mse["training"] == pytest.approx(SAMPLES.ytr.var())
    assert scores.r2_low["test"] < scores.r2["test"] < scores.r2_high["test"]


def test_right_answers_have_the_interval_of_wilson():
    """Accuracy on 171 rows was once shown as exact."""
    X, y = load_breast_cancer(return_X_y=True)
    samples = split(X, y)
    model = LogisticRegression(max_iter=10_000).fit(samples.Xtr, samples.ytr)
    scores = accuracy(model, samples)
    assert list(scores.columns) == ["accuracy_fraction", "accuracy_fraction_low", "accuracy_fraction_high"]
    for name, (X, y) in {"training": (samples.Xtr, samples.ytr), "test": (samples.Xte, samples.yte)}.items():
        right = int((model.predict(X) == y).sum())
        expected = binomtest(right, len(y)).proportion_ci(method="wilson")
        assert scores.loc[name].tolist() == pytest.approx([right / len(y), expected.low, expected.high])


@pytest.mark.parametrize("right", [0, 1])
def test_share_of_right_answers_lies_in_its_interval_and_that_in_what_is_possible(right):
    y = np.array(list("ab" * 10))
    samples = split(np.zeros((20, 1)), y, stratify=False)._replace(ytr=y, Xtr=y, yval=y, Xval=y, yte=y, Xte=y)
    score = accuracy(Predicts(lambda X: X if right else np.char.add(X, "?")), samples).loc["test"]
    assert 0 <= score.accuracy_fraction_low <= right == score.accuracy_fraction <= score.accuracy_fraction_high <= 1
    assert score.accuracy_fraction_low < score.accuracy_fraction_high


def numbers(dtype):
    y = np.arange(20).astype(dtype) % 3
    return split(y[:, None], y)


@pytest.mark.parametrize(
    ("dtype", "predict", "column"),
    [
        (np.int64, lambda X: X[:, 0], "accuracy_fraction"),
        (np.int64, lambda X: X[:, 0].astype(bool), "accuracy_fraction"),
        (np.int64, lambda X: X[:, 0] + 0.5, "mse"),
        (np.float64, lambda X: X[:, 0].astype(int), "mse"),
        (str, lambda X: X[:, 0], "accuracy_fraction"),
    ],
)
def test_models_of_no_library_are_told_apart_by_what_they_predict(dtype, predict, column):
    y = (np.arange(20) % 3).astype(dtype)
    assert accuracy(Predicts(predict), split(y[:, None], y)).columns[0] == column


def test_regressor_on_whole_numbers_is_a_regressor():
    y = np.arange(50) % 7
    samples = split(y[:, None].astype(float), y)
    assert accuracy(LinearRegression().fit(samples.Xtr, samples.ytr), samples).columns[0] == "mse"


@pytest.mark.parametrize(
    "as_predicted",
    [
        lambda predicted: predicted[:, None],
        pd.Series,
        lambda predicted: torch.as_tensor(predicted).requires_grad_(),
        lambda predicted: torch.as_tensor(predicted)[:, None],
    ],
)
def test_predictions_may_be_a_column_or_of_another_type(as_predicted):
    """A column that is subtracted from a row once gave a matrix."""
    model = LinearRegression().fit(SAMPLES.Xtr, SAMPLES.ytr)
    scores = accuracy(Predicts(lambda X: as_predicted(model.predict(X))), SAMPLES)
    pd.testing.assert_frame_equal(scores, accuracy(model, SAMPLES))


def test_several_outputs_of_a_row_are_one_observation():
    samples = split(SAMPLES.X, np.column_stack([SAMPLES.y, SAMPLES.y]))
    twice = accuracy(LinearRegression().fit(samples.Xtr, samples.ytr), samples)
    once = accuracy(LinearRegression().fit(SAMPLES.Xtr, SAMPLES.ytr), SAMPLES)
    np.testing.assert_allclose(twice, once)


def test_frames_are_scored_as_arrays_are():
    X, y = pd.DataFrame(SAMPLES.X).add_prefix("x"), pd.Series(SAMPLES.y)
    samples = split(X, y)
    framed = accuracy(LinearRegression().fit(samples.Xtr, samples.ytr), samples)
    np.testing.assert_allclose(framed, accuracy(LinearRegression().fit(SAMPLES.Xtr, SAMPLES.ytr), SAMPLES))


def test_one_test_row_has_no_r2_and_gives_no_warning():
    """Scikit-learn warns that R2 is not defined for one sample."""
    samples = generate_samples(5)
    scores = accuracy(DummyRegressor().fit(samples.Xtr, samples.ytr), samples)
    assert scores.mse["test"] > 0
    assert scores.loc["test", ["mse_low", "mse_high", "r2", "r2_low", "r2_high"]].isna().all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_predictions_that_are_out_of_range_have_no_score_and_give_no_warning(value):
    """Tried: infinite and huge predictions were told by a RuntimeWarning."""
    scores = accuracy(Predicts(lambda X: np.full(len(X), value)), SAMPLES)
    assert scores.isna().all(axis=None)


def test_predictions_of_another_number_are_refused():
    message = "The predictions must have the shape of the targets, (600,). Got (600, 3) instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        accuracy(Predicts(lambda X: np.zeros((len(X), 3))), SAMPLES)
