"""Features and targets as a network sees them: standardised, float32."""

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler


def standardised(values: np.ndarray, scaler: StandardScaler, out: np.ndarray | None = None) -> torch.Tensor:
    """Return values with mean 0 and standard deviation 1.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns)
        Of any floating-point or integer type.
    scaler : StandardScaler
        Knows the mean and the standard deviation of each column.
    out : ndarray of shape (n_samples, n_columns), float32, optional
        Where to write to; by default a new array.

    Returns
    -------
    Tensor of shape (n_samples, n_columns), float32

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from mlperf.training.standard import standardised
    >>> values = np.asarray([[1.0], [3.0]])
    >>> standardised(values, StandardScaler().fit(values)).tolist()
    [[-1.0], [1.0]]
    """
    # Centred in the caller's precision and only then rounded to float32: a large offset costs no digits.
    standard = np.empty(values.shape, dtype=np.float32) if out is None else out
    np.subtract(values, scaler.mean_, out=standard, casting="same_kind")
    standard /= scaler.scale_.astype(np.float32)
    return torch.from_numpy(standard)


def columns(y: np.ndarray) -> np.ndarray:
    """Return targets as a matrix: a single one as its only column.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.training.standard import columns
    >>> columns(np.zeros(3)).shape
    (3, 1)
    """
    return y.reshape(-1, 1) if y.ndim == 1 else y
