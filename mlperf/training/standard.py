"""Features and targets as a network sees them, standardised and in float32; and data that are held in memory."""

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

# Powers of two within which squares fit into float64 and values into float32, with room for outliers.
PLAIN_EXPONENT = 60


class Scaler:
    """Mean and standard deviation of each column, whatever its magnitude; learned piece by piece.

    Columns of ordinary numbers are left to scikit-learn's StandardScaler. The squares of very large and very small ones
    leave the range of float64: such columns are divided by a power of two first, which changes no digit.

    Attributes
    ----------
    mean_ : ndarray of shape (n_columns,)
        Means.
    scale_ : ndarray of shape (n_columns,)
        Standard deviations; 0 for columns that are constant.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.training.standard import Scaler
    >>> scaler = Scaler().partial_fit(np.asarray([[1e300, 7.0], [3e300, 7.0]]))
    >>> scaler.mean_.tolist(), scaler.scale_.tolist()
    ([2e+300, 7.0], [1e+300, 0.0])
    """

    def __init__(self) -> None:
        self._of_columns = StandardScaler()
        self._largest: np.ndarray | None = None
        self._exponents = np.zeros(1, dtype=int)

    def partial_fit(self, values: np.ndarray) -> Self:
        """Learn from more rows, an ndarray of shape (n_samples, n_columns)."""
        ends = np.abs([values.min(axis=0), values.max(axis=0)]).max(axis=0)
        found = np.where(ends > 0, np.frexp(ends)[1], -2_000)
        largest = found if self._largest is None else np.maximum(self._largest, found)
        exponents = np.where(np.abs(largest) <= PLAIN_EXPONENT, 0, largest)
        if self._largest is not None:
            # Convert what was learned so far to the new units.
            moved = self._exponents - exponents
            self._of_columns.mean_ = np.ldexp(self._of_columns.mean_, moved)
            self._of_columns.var_ = np.ldexp(self._of_columns.var_, 2 * moved)
        self._largest, self._exponents = largest, exponents
        self._of_columns.partial_fit(self._in_units(values))
        # scikit-learn divides constant columns by 1.
        is_constant = np.sqrt(self._of_columns.var_) != self._of_columns.scale_
        self.mean_ = np.ldexp(self._of_columns.mean_, exponents)
        self._spread = np.where(is_constant, 0, self._of_columns.scale_)
        self.scale_ = np.ldexp(self._spread, exponents)
        return self

    def _in_units(self, values: np.ndarray) -> np.ndarray:
        return np.ldexp(values, -self._exponents) if self._exponents.any() else values

    def standardise(self, values: np.ndarray, out: np.ndarray) -> None:
        """Write values with mean 0 and standard deviation 1 into an array of float32 of the same shape."""
        # Centred in the caller's precision and only then rounded to float32: a large offset costs no digits.
        if not self._exponents.any():
            np.subtract(values, self.mean_, out=out, casting="same_kind")
            out /= self._of_columns.scale_.astype(np.float32)
        else:
            centred = self._in_units(values) - self._of_columns.mean_
            np.divide(centred, self._of_columns.scale_, out=out, casting="same_kind")

    def restore(self, values: np.ndarray) -> np.ndarray:
        """Return standardised values, float64, in their own units; they are changed in place."""
        values *= self._spread
        values += self._of_columns.mean_
        if self._exponents.any():
            largest = np.finfo(np.float64).max
            np.clip(np.ldexp(values, self._exponents), -largest, largest, out=values)
        return values


def standardised(values: np.ndarray, scaler: Scaler, out: np.ndarray | None = None) -> torch.Tensor:
    """Return values with mean 0 and standard deviation 1.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns)
        Of any floating-point or integer type.
    scaler : Scaler
        Knows the mean and the standard deviation of each column.
    out : ndarray of shape (n_samples, n_columns), float32, optional
        Where to write to; by default a new array.

    Returns
    -------
    Tensor of shape (n_samples, n_columns), float32

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.training.standard import Scaler, standardised
    >>> values = np.asarray([[1.0], [3.0]])
    >>> standardised(values, Scaler().partial_fit(values)).tolist()
    [[-1.0], [1.0]]
    """
    standard = np.empty(values.shape, dtype=np.float32) if out is None else out
    scaler.standardise(values, standard)
    return torch.from_numpy(standard)


def columns(y: np.ndarray) -> np.ndarray:
    """Return targets as a matrix: a vector as its only column.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.training.standard import columns
    >>> columns(np.zeros(3)).shape
    (3, 1)
    """
    return y.reshape(-1, 1) if y.ndim == 1 else y


def device_of(module: nn.Module) -> torch.device:
    """Return the device that the parameters of a module are on.

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
    scalers : tuple of Scaler, optional
        Scalers learned from other features and targets; by default they are learned from these.

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
        scalers: tuple[Scaler, Scaler] | None = None,
    ) -> None:
        of_target = columns(target)
        self.scalers = scalers or (Scaler().partial_fit(features), Scaler().partial_fit(of_target))
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
        """Return inputs and targets on the device of a module; they are moved only once."""
        device = device_of(module)
        self.inputs, self.targets = self.inputs.to(device), self.targets.to(device)
        return self.inputs, self.targets
