"""Features and targets as a network sees them: standardised, float32, here held in memory as a whole."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn


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


def device_of(module: nn.Module) -> torch.device:
    """Return where the parameters of a module lie.

    Examples
    --------
    >>> from torch import nn
    >>> from mlperf.training.standard import device_of
    >>> device_of(nn.Linear(5, 1))
    device(type='cpu')
    """
    return next(module.parameters()).device


class Held:
    """Features and targets that are held in memory as a whole, standardised.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
        Features.
    target : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    scalers : tuple of StandardScaler, optional
        Those of other features and targets; by default they are learned from these.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.training.standard import Held
    >>> held = Held(np.asarray([[1.0], [3.0]]), np.asarray([5.0, 7.0]))
    >>> held.inputs.tolist(), float(held.scalers[1].mean_[0])
    ([[-1.0], [1.0]], 6.0)
    """

    def __init__(
        self,
        features: np.ndarray,
        target: np.ndarray,
        scalers: tuple[StandardScaler, StandardScaler] | None = None,
    ) -> None:
        of_target = columns(target)
        self.scalers = scalers or (StandardScaler().fit(features), StandardScaler().fit(of_target))
        self.inputs = standardised(features, self.scalers[0])
        self.targets = standardised(of_target, self.scalers[1])
        self.n_samples, self.n_features = features.shape
        self.n_outputs = of_target.shape[1]

    def epochs(self, engine: Callable[..., Iterator[float]], module: nn.Sequential, **settings: Any) -> Iterator[float]:
        """Train with one of `mlperf.training.engines.ENGINES`, and yield the loss of each epoch."""
        return engine(module, *self._beside(module), **settings)

    def squared_error(self, module: nn.Sequential) -> float:
        """Return the mean squared error of the standardised targets."""
        with torch.inference_mode():
            inputs, targets = self._beside(module)
            return float(nn.functional.mse_loss(module(inputs), targets))

    def _beside(self, module: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs and targets on the device of a module; they are moved once."""
        device = device_of(module)
        self.inputs, self.targets = self.inputs.to(device), self.targets.to(device)
        return self.inputs, self.targets
