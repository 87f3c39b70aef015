"""The model: a multi-layer perceptron over torch that behaves as a scikit-learn regressor."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn
from tqdm.auto import tqdm

from mlperf.training.engines import ENGINES, suited
from mlperf.training.network import network
from mlperf.training.parameters import separate

# A block of this many rows keeps the widest activations of a prediction in the processor's cache.
PREDICT_ROWS = 2_048

FLOATS = [np.float64, np.float32]


class MLPRegressor(RegressorMixin, BaseEstimator):
    """Multi-layer perceptron regressor: ReLU, mean squared error, Adam, on the CPU.

    Features and targets are standardised inside, from the training data alone; predictions come back in the
    units of the target. Parameters that :class:`sklearn.neural_network.MLPRegressor` has too mean the same.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 32, 16)
        Units of each hidden layer. An empty sequence makes a linear model.
    learning_rate_init : float, default=0.001
        Step size of Adam, constant throughout.
    max_iter : int, default=200
        Epochs: passes over the training data.
    batch_size : int, default=64
        Samples of one mini-batch. The short last one of an epoch is kept.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights and the order of samples in each epoch, whatever torch's global seed.
    progress : bool, default=False
        Show a progress bar over the epochs.
    engine : {"auto", "eager", "fused", "compiled"}, default="auto"
        How one fit is carried out, see :mod:`mlperf.training.engines`. All take the same steps, within rounding.
        "auto" takes "compiled" if the network has been compiled before, or if a C++ compiler works and the fit saves
        at least twice what compiling takes, as :func:`mlperf.training.engines.suited` says; else "fused".

    Attributes
    ----------
    module_ : torch.nn.Sequential
        The trained network, from standardised features to standardised targets, float32.
    loss_curve_ : list of float
        Mean squared error of the standardised target over each epoch's mini-batches, as they were trained on.
    validation_curve_ : list of float
        The same error on the validation data after each epoch. Only there if `fit` got validation data.
    n_iter_ : int
        Epochs run.
    engine_ : str
        Engine that carried out the fit.
    n_outputs_ : int
        Targets predicted.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where `X` was a data frame with string column names.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The same kind of model in NumPy, with more solvers and no torch.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1,
    https://arxiv.org/abs/1412.6980.

    Examples
    --------
    >>> from mlperf.data import generate_samples
    >>> from mlperf.model import MLPRegressor
    >>> samples = generate_samples(1_000)
    >>> model = MLPRegressor(hidden_layer_sizes=(32,), random_state=0).fit(samples.Xtr, samples.ytr)
    >>> bool(model.score(samples.Xte, samples.yte) > 0.99)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "progress": ["boolean"],
        "engine": [StrOptions({"auto", *ENGINES})],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (64, 32, 16),
        *,
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        batch_size: int = 64,
        random_state: int | np.random.RandomState | None = None,
        progress: bool = False,
        engine: str = "auto",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.random_state = random_state
        self.progress = progress
        self.engine = engine

    def fit(self, X: ArrayLike, y: ArrayLike, X_val: ArrayLike | None = None, y_val: ArrayLike | None = None) -> Self:
        """Train from scratch.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Training targets.
        X_val, y_val : array-like, optional
            Validation data, shaped like `X` and `y`; only watched, never trained on.

        Returns
        -------
        self : MLPRegressor
            The fitted estimator. A fit that is interrupted or fails leaves it unfitted.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or the loss stops being finite.
        """
        self._validate_params()
        for learned in [name for name in vars(self) if name.endswith("_") and not name.startswith("__")]:
            delattr(self, learned)  # an interrupted refit must not predict with half of each fit
        hidden = _layer_sizes(self.hidden_layer_sizes)
        if (X_val is None) != (y_val is None):
            raise ValueError("The 'X_val' and 'y_val' parameters of MLPRegressor.fit must be given together.")
        features: np.ndarray
        target: np.ndarray
        features, target = validate_data(self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True)
        x_scaler, y_scaler = StandardScaler().fit(features), StandardScaler().fit(_columns(target))
        inputs, targets = _standardised(features, x_scaler), _standardised(_columns(target), y_scaler)
        validation = None
        if X_val is not None:
            watched_X: np.ndarray = validate_data(self, X_val, dtype=FLOATS, reset=False)
            watched_y: np.ndarray = check_array(y_val, dtype=FLOATS, ensure_2d=False, input_name="y_val")
            check_consistent_length(watched_X, watched_y)
            if watched_y.shape[1:] != target.shape[1:]:
                raise ValueError(
                    "The 'y_val' parameter of MLPRegressor.fit must have the outputs of y, shape "
                    f"(n_samples, {', '.join(map(str, target.shape[1:]))}). Got shape {watched_y.shape} instead."
                )
            validation = _standardised(watched_X, x_scaler), _standardised(_columns(watched_y), y_scaler)

        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        # A caller's no_grad or inference_mode must not stop the training.
        with torch.inference_mode(False), torch.enable_grad():
            sizes = [inputs.shape[1], *hidden, targets.shape[1]]
            module = network(sizes, generator)
            n_steps = math.ceil(len(inputs) / self.batch_size) * self.max_iter
            engine = suited(sizes, n_steps) if self.engine == "auto" else self.engine
            epochs = ENGINES[engine](
                module,
                inputs,
                targets,
                learning_rate=float(self.learning_rate_init),
                batch_size=int(self.batch_size),
                generator=generator,
            )
            losses: list[float] = []
            watched: list[float] = []
            for _ in tqdm(range(self.max_iter), desc="Training", unit="epoch", disable=not self.progress):
                losses.append(next(epochs))
                if not np.isfinite(losses[-1]):
                    raise ValueError(
                        f"The training loss of MLPRegressor became {losses[-1]} in epoch {len(losses)}: a smaller "
                        f"'learning_rate_init' than {self.learning_rate_init!r} may help."
                    )
                if validation is not None:
                    watched.append(_squared_error(module, *validation))

        separate(module)
        self._x_scaler, self._y_scaler, self._target_ndim = x_scaler, y_scaler, target.ndim
        self.n_outputs_ = targets.shape[1]
        self.n_iter_ = self.max_iter
        self.engine_ = engine
        self.loss_curve_ = losses
        if validation is not None:
            self.validation_curve_ = watched
        self.module_ = module.requires_grad_(False)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions in the units, shape and float64 precision of a target; the network itself computes in
            float32.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been completed.
        ValueError
            If `X` is invalid or has other features than in `fit`.
        """
        features: np.ndarray = self._checked(X)
        predictions = np.empty((len(features), self.n_outputs_))
        with torch.inference_mode():
            for start in range(0, len(features), PREDICT_ROWS):
                rows = slice(start, start + PREDICT_ROWS)
                outputs = _standardised(features[rows], self._x_scaler)
                # Its layers one by one: a call of the module itself costs as much again for a few rows.
                for layer in self.module_:
                    outputs = layer.forward(outputs) if isinstance(layer, nn.Linear) else outputs.relu_()
                predictions[rows] = outputs.numpy()
        predictions *= self._y_scaler.scale_
        predictions += self._y_scaler.mean_
        return predictions[:, 0] if self._target_ndim == 1 else predictions

    def _checked(self, X: ArrayLike) -> np.ndarray:
        """Return valid features; plain arrays that pass at a glance are spared scikit-learn's full validation."""
        if type(X) is np.ndarray and X.ndim == 2 and X.dtype in FLOATS and len(X):
            fitted = hasattr(self, "module_") and not hasattr(self, "feature_names_in_")
            # A sum of finite numbers may overflow, but it never is finite where one of them is not.
            if fitted and X.shape[1] == self.n_features_in_ and math.isfinite(X.sum()):
                return X
        check_is_fitted(self, "module_")
        return validate_data(self, X, dtype=FLOATS, reset=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _layer_sizes(hidden_layer_sizes: int | Sequence[int]) -> tuple[int, ...]:
    sizes = np.atleast_1d(np.asarray(hidden_layer_sizes))
    if sizes.ndim != 1 or (sizes.size and (sizes.dtype.kind not in "iu" or (sizes < 1).any())):
        raise ValueError(
            "The 'hidden_layer_sizes' parameter of MLPRegressor must be an int or a sequence of ints of at least 1. "
            f"Got {hidden_layer_sizes!r} instead."
        )
    return tuple(int(size) for size in sizes)


def _columns(y: np.ndarray) -> np.ndarray:
    return y.reshape(-1, 1) if y.ndim == 1 else y


def _standardised(values: np.ndarray, scaler: StandardScaler) -> torch.Tensor:
    # Centred in the caller's precision and only then rounded to float32: a large offset costs no digits.
    standard = np.empty(values.shape, dtype=np.float32)
    np.subtract(values, scaler.mean_, out=standard, casting="same_kind")
    standard /= scaler.scale_.astype(np.float32)
    return torch.from_numpy(standard)


def _squared_error(module: nn.Sequential, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    with torch.inference_mode():
        return float(nn.functional.mse_loss(module(inputs), targets))
