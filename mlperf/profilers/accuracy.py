"""Accuracy of a fitted estimator on every split, in the units of the target."""

from typing import Any

import pandas as pd
from sklearn.metrics import mean_squared_error, r2_score

from mlperf.data import Samples
from mlperf.quantities.intervals import mean


def accuracy(estimator: Any, samples: Samples) -> pd.DataFrame:
    """Compute mean squared error and R2 on the training, validation and test split.

    Parameters
    ----------
    estimator : object
        Anything fitted that has ``predict(X)``.
    samples : Samples
        The data it was fitted to, as :func:`mlperf.data.generate_samples` returns it.

    Returns
    -------
    pandas.DataFrame
        One row for each split: ``split`` ("training", "validation" or "test"); ``mse``, in squared units of the
        target, by :func:`sklearn.metrics.mean_squared_error`; ``r2``, by :func:`sklearn.metrics.r2_score`; and for
        each of the two the ends of its 95 % interval, ``mse_low`` to ``r2_high``.

    Notes
    -----
    The intervals tell how much depends on the samples that happen to be in a split: those of the mean of the
    squared errors, by :func:`mlperf.quantities.intervals.mean`. R2 is one minus the ratio of the error to the target's variance in the
    split, and its interval follows from that of the error with this variance as it is.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from mlperf.profilers.accuracy import accuracy
    >>> from mlperf.data import generate_samples
    >>> samples = generate_samples(1_000, noise=0)
    >>> accuracy(LinearRegression().fit(samples.Xtr, samples.ytr), samples).r2.round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    splits = {
        "training": (samples.Xtr, samples.ytr),
        "validation": (samples.Xval, samples.yval),
        "test": (samples.Xte, samples.yte),
    }
    rows = []
    for split, (X, y) in splits.items():
        predicted = estimator.predict(X)
        error = mean((y - predicted) ** 2)
        rows.append(
            {
                "split": split,
                "mse": mean_squared_error(y, predicted),
                "mse_low": error.low,
                "mse_high": error.high,
                "r2": r2_score(y, predicted),
                "r2_low": 1 - error.high / y.var(),
                "r2_high": 1 - error.low / y.var(),
            }
        )
    return pd.DataFrame(rows)
