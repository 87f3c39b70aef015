"""How good a fitted estimator is on every split: errors of a regressor, accuracy of a classifier."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier, is_regressor

from mlperf.data import Samples
from mlperf.quantities.intervals import interval

# Quantile of the normal distribution behind a 95 % interval.
Z = 1.959963984540054


def accuracy(estimator: Any, samples: Samples) -> pd.DataFrame:
    """Score a fitted estimator on the training, validation and test split.

    Parameters
    ----------
    estimator : object
        Anything fitted that has ``predict(X)``. scikit-learn's estimators say whether they are classifiers; any other
        counts as one if neither its predictions nor the targets are floating-point numbers.
    samples : Samples
        The data it was fitted to, from :func:`mlperf.data.split` or :func:`mlperf.data.generate_samples`.

    Returns
    -------
    pandas.DataFrame
        One row for each split, indexed by ``split``: "training", "validation" or "test". For a regressor, ``mse``, the
        mean squared error in squared units of the target, and ``r2``, the fraction of the target's variance in the
        split that is explained. For a classifier, ``accuracy_fraction``, the fraction of correct predictions. Each is
        followed by the ends of its 95 % interval, such as ``mse_low`` and ``mse_high``. NaN stands for what is
        undefined: R2 and the intervals of a regressor on a single row, R2 of a constant target, errors of predictions
        that are not finite.

    Raises
    ------
    ValueError
        If there is not one prediction for each row.

    Notes
    -----
    The intervals show how much depends on the rows that happen to be in a split. That of the mean squared error is
    `mlperf.quantities.intervals.interval`; that of R2 follows from it, with the variance of the split taken as given.
    The interval of the fraction of correct predictions is by E. B. Wilson, "Probable Inference, the Law of Succession,
    and Statistical Inference", Journal of the American Statistical Association 22, 1927.

    Examples
    --------
    >>> from mlperf import accuracy, generate_samples
    >>> from sklearn.linear_model import LinearRegression
    >>> samples = generate_samples(1_000, noise=0)
    >>> accuracy(LinearRegression().fit(samples.Xtr, samples.ytr), samples).r2.round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    splits = {
        "training": (samples.Xtr, samples.ytr),
        "validation": (samples.Xval, samples.yval),
        "test": (samples.Xte, samples.yte),
    }
    rows = {}
    for split, (X, y) in splits.items():
        target = _array(y)
        predicted = _predictions(estimator.predict(X), target)
        score = _right if _classifies(estimator, predicted, target) else _errors
        rows[split] = score(predicted, target)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("split")


def _array(values: Any) -> np.ndarray:
    # A tensor that is part of a graph cannot become an array.
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _predictions(values: Any, target: np.ndarray) -> np.ndarray:
    """Return predictions in the shape of the target: a column is one prediction for each row."""
    predicted = _array(values)
    if predicted.shape != target.shape:
        if predicted.size != target.size or len(predicted) != len(target):
            raise ValueError(
                f"The predictions must have the shape of the targets, {target.shape}. Got {predicted.shape} instead."
            )
        predicted = predicted.reshape(target.shape)
    return predicted


def _classifies(estimator: Any, predicted: np.ndarray, target: np.ndarray) -> bool:
    if isinstance(estimator, BaseEstimator) and (is_classifier(estimator) or is_regressor(estimator)):
        return is_classifier(estimator)
    return "f" not in (predicted.dtype.kind, target.dtype.kind)


def _right(predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return the fraction of correct predictions with Wilson's interval."""
    right = (predicted == target).reshape(len(target), -1).all(axis=1)
    n, share = len(right), float(right.mean())
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    # Rounding must not leave a share of 1 outside its own interval.
    low, high = min(centre - half, share), max(centre + half, share)
    return {
        "accuracy_fraction": share,
        "accuracy_fraction_low": max(0.0, float(low)),
        "accuracy_fraction_high": min(1.0, float(high)),
    }


def _errors(predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return the mean squared error and R2 with their intervals; several outputs of a row count as one observation."""
    with np.errstate(all="ignore"):
        squares = (target.astype(np.float64) - predicted.astype(np.float64)) ** 2
        errors = squares.reshape(len(target), -1).mean(axis=1)
        variance = float(target.astype(np.float64).var(axis=0).mean())
    mse, low, high = interval(errors, statistic="mean") if np.isfinite(errors).all() else (np.nan,) * 3
    known = variance if len(target) > 1 and variance > 0 else np.nan
    return {
        "mse": mse,
        "mse_low": low,
        "mse_high": high,
        "r2": 1 - mse / known,
        "r2_low": 1 - high / known,
        "r2_high": 1 - low / known,
    }
