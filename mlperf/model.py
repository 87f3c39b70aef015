"""The model: a multi-layer perceptron over torch that behaves as a scikit-learn regressor."""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn
from tqdm.auto import tqdm

from mlperf.machine import check_device
from mlperf.training.distributed import Workers, joined
from mlperf.training.engines import ENGINES, ONLY_ON, suited
from mlperf.training.network import network, usual_torch
from mlperf.training.parameters import separate
from mlperf.training.standard import Held, standardised
from mlperf.training.streamed import Stream, predicted, rows_of_a_chunk, slices

# A block of this many rows keeps the widest activations of a prediction in the processor's cache.
PREDICT_ROWS = 2_048

# On a GPU, launching an operator costs as much for many rows as for few.
DEVICE_ROWS = 65_536

# Rows of streamed data that are validated before a pass over all of them begins.
FIRST_ROWS = 64

FLOATS = [np.float64, np.float32]


class MLPRegressor(RegressorMixin, BaseEstimator):
    """Multi-layer perceptron regressor: ReLU, mean squared error, Adam.

    Features and targets are standardised internally, with the means and standard deviations of the training data;
    predictions are in the units of the target. Parameters that :class:`sklearn.neural_network.MLPRegressor` also has
    mean the same there.

    Data that do not fit into memory are trained on chunk by chunk: a :class:`numpy.memmap`, or whatever can be sliced
    like one (:mod:`mlperf.training.streamed` says how they are shuffled). Processes that ``torchrun`` starts share
    each mini-batch (:mod:`mlperf.training.distributed`).

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 32, 16)
        Units of each hidden layer. An empty sequence makes a linear model.
    learning_rate_init : float, default=0.001
        Step size of Adam, constant throughout.
    max_iter : int, default=200
        Epochs: passes over the training data.
    batch_size : int, default=64
        Samples of one mini-batch, over all processes together. The last mini-batch of an epoch may be smaller; it is
        used, too.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights and the order of samples in each epoch, independently of torch's global seed.
    progress : bool, default=False
        Show a progress bar over the epochs.
    engine : {"auto", "eager", "fused", "compiled", "cuda_graph"}, default="auto"
        How one fit is carried out, see :mod:`mlperf.training.engines`. All take the same steps, within rounding. "auto"
        takes "compiled" if the network has been compiled before, or if a C++ compiler works and the fit saves more
        time than compiling takes, as estimated by :func:`mlperf.training.engines.suited`; otherwise "fused".
        Several processes can share a fit with "fused" only, which "auto" then takes. "compiled" works on the CPU only,
        and "cuda_graph" on CUDA only, where "auto" takes it.
    chunk_bytes : int, default=16777216
        Bytes of streamed data that are held in memory at a time, in float32; the default is 16 MiB. The larger the
        chunk, the more thoroughly the rows are shuffled. Data that fit into one chunk are loaded as a whole.
    device : {"cpu", "cuda", "mps", "auto"}, default="cpu"
        Where it trains and predicts. "auto" takes the GPU if torch can use one here, otherwise the CPU; which of them
        is faster depends on the shapes, as "When does a GPU pay?" in the gallery shows. Data that are held in memory
        are moved there once. Initial weights and the order of samples are drawn on the CPU, so that they are the same
        on every device.

    Attributes
    ----------
    module_ : torch.nn.Sequential
        The trained network, from standardised features to standardised targets, float32.
    loss_curve_ : list of float
        Mean squared error of the standardised target over each epoch's mini-batches, as they were trained on.
    validation_curve_ : list of float
        The same error on the validation data after each epoch. Exists only if `fit` was given validation data.
    n_iter_ : int
        Epochs run.
    engine_ : str
        Engine that carried out the fit.
    device_ : str
        The device that carried out the fit and holds `module_`. A pickled or copied model is on the CPU, so that it can
        be used on any machine.
    n_outputs_ : int
        Number of targets.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if `X` was a data frame whose column names are strings.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "progress": ["boolean"],
        "engine": [StrOptions({"auto", *ENGINES})],
        "chunk_bytes": [Interval(Integral, 1, None, closed="left")],
        "device": "no_validation",  # by check_device, which knows what is here
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
        chunk_bytes: int = 2**24,
        device: str = "cpu",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.random_state = random_state
        self.progress = progress
        self.engine = engine
        self.chunk_bytes = chunk_bytes
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, X_val: ArrayLike | None = None, y_val: ArrayLike | None = None) -> Self:
        """Train from scratch.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training features. A memmap, or anything that can be sliced like one, is streamed unless it fits into one
            chunk.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Training targets, likewise.
        X_val, y_val : array-like, optional
            Validation data, with as many columns as `X` and `y`; evaluated after each epoch, never trained on.

        Returns
        -------
        self : MLPRegressor
            The fitted estimator. A fit that is interrupted or fails leaves it unfitted.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or the loss stops being finite.
        RuntimeError
            If ``engine="compiled"`` has to compile and no C++ compiler works, or if another process that shares the fit
            has ended, hangs or cannot be reached.
        """
        with _usual():
            for _ in self._training(X, y, X_val, y_val):
                pass
        return self

    def fit_in_parts(self, X: ArrayLike, y: ArrayLike, *, n_epochs: int = 20) -> Iterator[None]:
        """Train from scratch as `fit` does, with pauses in which other work may go on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training features, as for `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Training targets, likewise.
        n_epochs : int, default=20
            Epochs of each part; the last part has those that are left.

        Yields
        ------
        None
            Between two parts. The estimator is fitted once the iterator is exhausted.

        Raises
        ------
        ValueError, RuntimeError
            As by `fit`, while a part is carried out.

        See Also
        --------
        mlperf.seconds_of_parts : Time such a fit without its pauses.

        Examples
        --------
        >>> from mlperf.data import generate_samples
        >>> from mlperf.model import MLPRegressor
        >>> samples = generate_samples(1_000)
        >>> model = MLPRegressor(max_iter=50, random_state=0)
        >>> len([pause for pause in model.fit_in_parts(samples.Xtr, samples.ytr)])
        2
        >>> model.n_iter_
        50
        """
        validate_parameter_constraints(
            {"n_epochs": [Interval(Integral, 1, None, closed="left")]},
            {"n_epochs": n_epochs},
            caller_name=f"{type(self).__name__}.fit_in_parts",
        )
        training = self._training(X, y)
        while True:
            with _usual():
                n_pauses = sum(1 for _ in islice(training, n_epochs))
            if n_pauses < n_epochs:
                return
            yield

    def _training(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None) -> Iterator[None]:
        """Carry out a fit, and yield between two epochs."""
        parameters = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        validate_parameter_constraints(self._parameter_constraints, parameters, caller_name=type(self).__name__)
        for learned in [name for name in vars(self) if name.endswith("_") and not name.startswith("__")]:
            delattr(self, learned)  # an interrupted refit must not predict with half of each fit
        hidden = _layer_sizes(self.hidden_layer_sizes)
        if (X_val is None) != (y_val is None):
            raise ValueError("The 'X_val' and 'y_val' parameters of MLPRegressor.fit must be given together.")
        device = check_device(self.device)
        workers = joined(device)
        data, target_ndim = self._opened(X, y)
        validation = None if X_val is None else self._watched(X_val, y_val, data, target_ndim)
        seed = int(check_random_state(_plain(self.random_state)).randint(np.iinfo(np.int32).max))
        if workers is not None:
            seed = workers.of_first(seed)
        generator = torch.Generator().manual_seed(seed)
        sizes = [data.n_features, *hidden, data.n_outputs]
        if workers is not None:
            workers.agree(self._shared(sizes, data))
        engine = self._engine(sizes, data.n_samples, workers, device)
        module = network(sizes, generator).to(device)
        settings: dict[str, Any] = {
            "learning_rate": float(self.learning_rate_init),
            "batch_size": int(self.batch_size),
            "generator": generator,
        }
        if workers is not None:  # only some engines can share their steps
            settings["workers"] = workers
        epochs = data.epochs(ENGINES[engine], module, **settings)
        shown: Iterable[int] = range(self.max_iter)
        # Even a hidden progress bar would take a lock of the system.
        if self.progress and (workers is None or workers.rank == 0):
            shown = tqdm(shown, desc="Training", unit="epoch")
        losses: list[float] = []
        watched: list[float] = []
        for _ in shown:
            if losses:
                yield
            losses.append(next(epochs))
            if not np.isfinite(losses[-1]):
                raise ValueError(
                    f"The training loss of MLPRegressor became {losses[-1]} in epoch {len(losses)}: a smaller "
                    f"'learning_rate_init' than {self.learning_rate_init!r} may help."
                )
            if validation is not None:
                watched.append(validation.squared_error(module))

        separate(module)
        if workers is not None:
            workers.level(module)
        (self._x_scaler, self._y_scaler), self._target_ndim = data.scalers, target_ndim
        self.n_outputs_ = data.n_outputs
        self.n_iter_ = self.max_iter
        self.engine_ = engine
        self.device_ = device
        self.loss_curve_ = losses
        if validation is not None:
            self.validation_curve_ = watched
        self.module_ = module.requires_grad_(False)

    @np.errstate(all="ignore")
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features. A memmap, or anything that can be sliced like one, is read piece by piece.

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
            If `X` is invalid or has other features than those in `fit`.
        """
        if slices(X):
            return predicted(self.predict, X)
        features: np.ndarray = self._checked(X)
        predictions = np.empty((len(features), self.n_outputs_))
        on_cpu = self.device_ == "cpu"
        n_rows = PREDICT_ROWS if on_cpu else DEVICE_ROWS
        with torch.inference_mode():
            for start in range(0, len(features), n_rows):
                rows = slice(start, start + n_rows)
                outputs = standardised(features[rows], self._x_scaler)
                outputs = outputs if on_cpu else outputs.to(self.device_)
                # Layer by layer: for a few rows, calling the module itself would take twice as long.
                for layer in self.module_:
                    outputs = layer.forward(outputs) if isinstance(layer, nn.Linear) else outputs.relu_()
                predictions[rows] = outputs.numpy() if on_cpu else outputs.cpu().numpy()
        self._y_scaler.restore(predictions)
        return predictions[:, 0] if self._target_ndim == 1 else predictions

    def _opened(self, X: Any, y: Any) -> tuple[Held | Stream, int]:
        """Return the training data, held in memory or to be streamed, and how many dimensions the target has."""
        features: np.ndarray
        target: np.ndarray
        if slices(X):
            y = y if slices(y) else np.asarray(y)
            check_consistent_length(X, y)
            first = slice(0, FIRST_ROWS)
            features, target = validate_data(self, X[first], y[first], dtype=FLOATS, multi_output=True, y_numeric=True)
            n_columns = math.prod(X.shape[1:]) + math.prod(y.shape[1:])
            if X.shape[0] > rows_of_a_chunk(n_columns, int(self.chunk_bytes), int(self.batch_size)):
                return Stream(X, y, self._checked_pair, chunk_bytes=int(self.chunk_bytes)), target.ndim
            X = np.asarray(X[:])
        y = np.asarray(y[:]) if slices(y) else y
        features, target = validate_data(self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True)
        return Held(features, target), target.ndim

    def _watched(self, X: Any, y: Any, data: Held | Stream, target_ndim: int) -> Held | Stream:
        """Return the validation data, standardised as the training data are."""
        if not slices(y):
            y = check_array(y, dtype=FLOATS, ensure_2d=False, input_name="y_val")
        if len(y.shape) != target_ndim or math.prod(y.shape[1:]) != data.n_outputs:
            outputs = f", {data.n_outputs}" if target_ndim > 1 else ""
            raise ValueError(
                "The 'y_val' parameter of MLPRegressor.fit must have the outputs of y, shape "
                f"(n_samples{outputs}). Got shape {y.shape} instead."
            )
        if slices(X):
            check_consistent_length(X, y)
            self._checked_pair(X[:FIRST_ROWS], y[:FIRST_ROWS])
            return Stream(X, y, self._checked_pair, chunk_bytes=int(self.chunk_bytes), scalers=data.scalers)
        features: np.ndarray = validate_data(self, X, dtype=FLOATS, reset=False)
        check_consistent_length(features, y)
        return Held(features, np.asarray(y[:]), data.scalers)

    def _checked_pair(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features: np.ndarray = validate_data(self, X, dtype=FLOATS, reset=False)
        target: np.ndarray = check_array(y, dtype=FLOATS, ensure_2d=False, input_name="y")
        return features, target

    def _engine(self, sizes: Sequence[int], n_samples: int, workers: Workers | None, device: str) -> str:
        """Return the engine that carries out the fit; check that it works on the device and with these processes."""
        if ONLY_ON.get(self.engine, device) != device:
            able = [repr(name) for name in ENGINES if ONLY_ON.get(name, device) == device]
            raise ValueError(
                f"The 'engine' parameter of MLPRegressor must be 'auto', {', '.join(able[:-1])} or {able[-1]} with "
                f"device={device!r}. Got {self.engine!r} instead, which trains with device={ONLY_ON[self.engine]!r}."
            )
        n_steps = math.ceil(n_samples / self.batch_size) * self.max_iter
        if workers is None:
            return suited(sizes, n_steps, device) if self.engine == "auto" else self.engine
        if self.engine not in ("auto", "fused"):
            raise ValueError(
                "The 'engine' parameter of MLPRegressor must be 'auto' or 'fused' where several processes share the "
                f"fit. Got {self.engine!r} instead."
            )
        if self.batch_size < workers.size:
            raise ValueError(
                f"The 'batch_size' parameter of MLPRegressor must be at least {workers.size}, the number of processes "
                f"that share each mini-batch. Got {self.batch_size} instead."
            )
        return "fused"

    def _shared(self, sizes: list[int], data: Held | Stream) -> dict[str, Any]:
        """Return what must be the same in all processes that share the fit."""
        names = ("max_iter", "batch_size", "learning_rate_init", "engine")
        means = {"mean of X": data.scalers[0].mean_, "mean of y": data.scalers[1].mean_}
        return {
            "layer sizes": sizes,
            "n_samples": data.n_samples,
            **{name: getattr(self, name) for name in names},
            **means,
            "chunk_bytes": self.chunk_bytes,
        }

    def _checked(self, X: ArrayLike) -> np.ndarray:
        """Return valid features; plain arrays that pass a quick check skip scikit-learn's full validation."""
        if type(X) is np.ndarray and X.ndim == 2 and X.dtype in FLOATS and len(X):
            fitted = hasattr(self, "module_") and not hasattr(self, "feature_names_in_")
            # A sum of finite numbers may overflow, but a sum with a number that is not finite never is finite.
            if fitted and X.shape[1] == self.n_features_in_ and math.isfinite(X.sum()):
                return X
        check_is_fitted(self, "module_")
        return validate_data(self, X, dtype=FLOATS, reset=False)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: with the network on the CPU, as the machine that reads it may lack the device."""
        state = super().__getstate__()
        if state.get("device_", "cpu") == "cpu":
            return state
        return {**state, "module_": copy.deepcopy(self.module_).cpu(), "device_": "cpu"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@contextmanager
def _usual() -> Iterator[None]:
    """Undo what a caller may have set in torch, or in NumPy: overflows are handled here."""
    with np.errstate(all="ignore"), usual_torch():
        yield


def _layer_sizes(hidden_layer_sizes: int | Sequence[int]) -> tuple[int, ...]:
    sizes = np.atleast_1d(np.asarray(hidden_layer_sizes))
    if sizes.ndim != 1 or (sizes.size and (sizes.dtype.kind not in "iu" or (sizes < 1).any())):
        raise ValueError(
            "The 'hidden_layer_sizes' parameter of MLPRegressor must be an int or a sequence of ints of at least 1. "
            f"Got {hidden_layer_sizes!r} instead."
        )
    return tuple(int(size) for size in sizes)


def _plain(value: Any) -> Any:
    """Return a number of any type, or in a zero-dimensional array, as Python's own; anything else unchanged."""
    if isinstance(value, np.generic | np.ndarray) and np.ndim(value) == 0:
        value = value.item()
    return float(value) if isinstance(value, Real) and not isinstance(value, Integral) else value
