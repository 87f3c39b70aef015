"""The data, split for training, validation and test: a linear problem with known noise, or your own."""

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import make_regression
from sklearn.model_selection import train_test_split


class Samples(NamedTuple):
    """The eight arrays of one problem, which unpack in this order.

    Attributes
    ----------
    X, y : ndarray of shape (n_samples, n_features) and (n_samples,)
        All samples. Data frames, or targets with several outputs, if `split` was given such.
    Xtr, Xval, Xte : ndarray of shape (n, n_features)
        Features of the training, validation and test split (60, 20 and 20 % of the samples).
    ytr, yval, yte : ndarray of shape (n,)
        Targets of the same splits.

    Examples
    --------
    >>> from mlperf.data import generate_samples
    >>> samples = generate_samples(1_000)
    >>> samples.Xte.shape, samples.yte.shape
    ((200, 5), (200,))
    """

    X: np.ndarray
    y: np.ndarray
    Xtr: np.ndarray
    Xval: np.ndarray
    Xte: np.ndarray
    ytr: np.ndarray
    yval: np.ndarray
    yte: np.ndarray


def _require(name: str, ok: bool, requirement: str, value: object, error: type[Exception]) -> None:
    if not ok:
        raise error(f"The {name!r} parameter of generate_samples must be {requirement}. Got {value!r} instead.")


def generate_samples(n_samples: int, n_features: int = 5, noise: float = 1, random_state: int | None = 42) -> Samples:
    """Generate a linear regression problem and split it 60 / 20 / 20.

    :func:`sklearn.datasets.make_regression` draws standard normal features and a target that is linear in
    them plus normal noise. Two calls of :func:`sklearn.model_selection.train_test_split` follow: 20 % of the
    samples become the test split, then 25 % of the rest the validation split, with the same `random_state`.

    Parameters
    ----------
    n_samples : int
        Samples in all, at least 5, so that no split is empty.
    n_features : int, default=5
        Features of each sample, at least 1.
    noise : float, default=1
        Standard deviation of the noise in the target, in units of the target; not negative.
    random_state : int or None, default=42
        Seed of the generator and of both splits; with None, each call gives other samples.

    Returns
    -------
    Samples
        ``X, y, Xtr, Xval, Xte, ytr, yval, yte``, all float64.

    Raises
    ------
    TypeError
        If a parameter is of another type.
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> from mlperf.data import generate_samples
    >>> X, y, Xtr, Xval, Xte, ytr, yval, yte = generate_samples(1_000)
    >>> Xtr.shape, Xval.shape, Xte.shape
    ((600, 5), (200, 5), (200, 5))
    """
    for name, value, least in (("n_samples", n_samples, 5), ("n_features", n_features, 1)):
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        _require(name, whole, f"an int of at least {least}", value, TypeError)
        _require(name, value >= least, f"an int of at least {least}", value, ValueError)
    real = isinstance(noise, Real) and not isinstance(noise, bool)
    _require("noise", real, "a float of at least 0", noise, TypeError)
    _require("noise", 0 <= noise < np.inf, "a finite float of at least 0", noise, ValueError)
    if random_state is not None:
        seed = isinstance(random_state, Integral) and not isinstance(random_state, bool)
        _require("random_state", seed, "an int from 0 to 2**32 - 1 or None", random_state, TypeError)
        _require(
            "random_state", 0 <= random_state < 2**32, "an int from 0 to 2**32 - 1 or None", random_state, ValueError
        )

    X, y = make_regression(
        n_samples=n_samples,
        n_features=n_features,
        noise=noise,
        random_state=random_state,
    )
    return split(X, y, random_state=random_state, stratify=False)


def split(X: Any, y: Any, *, random_state: int | None = 42, stratify: bool | None = None) -> Samples:
    """Split your own data 60 / 20 / 20, for training, validation and test.

    Two calls of :func:`sklearn.model_selection.train_test_split` are made: 20 % of the samples become the test split,
    then 25 % of the rest the validation split, with the same `random_state`.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        Features; at least 5 samples, so that no split is empty.
    y : array-like or Series of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    random_state : int or None, default=42
        Seed of both splits; with None, each call splits differently.
    stratify : bool, default=None
        Whether each class has the same share in every split. By default, if the targets are labels: a single column, no
        floating-point numbers, and at least 5 samples of each class.

    Returns
    -------
    Samples
        ``X, y, Xtr, Xval, Xte, ytr, yval, yte``: data frames where data frames were given, otherwise arrays.

    Raises
    ------
    ValueError
        If `X` and `y` differ in length or have too few samples to be split.

    Examples
    --------
    >>> from mlperf import split
    >>> from sklearn.datasets import load_iris
    >>> samples = split(*load_iris(return_X_y=True))
    >>> len(samples.ytr), [int((samples.yte == label).sum()) for label in (0, 1, 2)]
    (90, [10, 10, 10])
    """
    X, y = (data if hasattr(data, "iloc") else np.asarray(data) for data in (X, y))
    if len(X) != len(y):
        raise ValueError(
            f"The 'X' and 'y' parameters of split must be of equal length. Got {len(X)} and {len(y)} instead."
        )
    if len(X) < 5:
        raise ValueError(f"The 'X' parameter of split must have at least 5 samples. Got {len(X)} instead.")
    if stratify is None:
        stratify = _are_labels(y)
    Xrest, Xte, yrest, yte = train_test_split(
        X,
        y,
        test_size=0.2,
        random_state=random_state,
        stratify=y if stratify else None,
    )
    Xtr, Xval, ytr, yval = train_test_split(
        Xrest,
        yrest,
        test_size=0.25,
        random_state=random_state,
        stratify=yrest if stratify else None,
    )
    return Samples(X, y, Xtr, Xval, Xte, ytr, yval, yte)


def _are_labels(y: Any) -> bool:
    values = np.asarray(y)
    if values.ndim != 1 or values.dtype.kind in "fc":
        return False
    # pandas may hold text as objects, which need not be comparable.
    _, counts = np.unique(values.astype(str) if values.dtype == object else values, return_counts=True)
    return bool(counts.min() >= 5)
