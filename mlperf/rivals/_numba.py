"""The network in loops written by hand, compiled by numba: an epoch is one call."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Self, TypeVar

import numpy as np
from numba import njit

from mlperf.protocol import LEARNING_RATE

ZERO = np.float32(0)

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, and keep it for the next process."""
    return njit(cache=True, fastmath=True, error_model="numpy")(function)


class NumbaRegressor:
    """A multi-layer perceptron in compiled loops.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    max_iter : int
        Epochs.
    batch_size : int
        Samples of one mini-batch.

    Attributes
    ----------
    n_steps_ : int
        Steps that Adam took.

    Examples
    --------
    >>> from mlperf.rivals._numba import NumbaRegressor  # doctest: +SKIP
    >>> NumbaRegressor((8,), 2, batch_size=64).fit(X, y).predict(X).shape  # doctest: +SKIP
    (100,)
    """

    def __init__(self, hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.batch_size = batch_size

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train a new network; shapes as in `mlperf.rivals.Regressor`."""
        rng = np.random.default_rng(0)
        self.sizes_ = np.array([X.shape[1], *self.hidden_layer_sizes, 1])
        drawn = [rng.uniform(-(n_in**-0.5), n_in**-0.5, (n_in + 1) * n_out) for n_in, n_out in pairwise(self.sizes_)]
        self.parameters_ = np.concatenate(drawn).astype(np.float32)
        features = np.ascontiguousarray(X, np.float32)
        target = np.ascontiguousarray(y, np.float32)
        mean, square = np.zeros_like(self.parameters_), np.zeros_like(self.parameters_)
        n_steps = 0
        for _ in range(self.max_iter):
            # Drawn by NumPy: the same call in compiled code takes several times as long.
            order = rng.permutation(len(X))
            n_steps = train_epoch(
                self.parameters_, mean, square, n_steps, self.sizes_, features, target, order, self.batch_size
            )
        self.n_steps_ = n_steps
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the standardised target; shapes as in `mlperf.rivals.Regressor`."""
        return forward(self.parameters_, self.sizes_, np.ascontiguousarray(X, np.float32))[-1][:, 0]


@compiled
def train_epoch(
    parameters: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    n_steps: int,
    sizes: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    order: np.ndarray,
    batch_size: int,
) -> int:
    """Take the steps of one epoch, changing the parameters and Adam's moments in place; return the steps so far."""
    gradient = np.empty_like(parameters)
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        squared_error_gradient(parameters, sizes, X[rows], y[rows], gradient)
        n_steps += 1
        adam(parameters, gradient, mean, square, n_steps)
    return n_steps


@compiled
def layer(values: np.ndarray, sizes: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and the bias of one layer, as views of the flat values."""
    start = 0
    for j in range(i):
        start += (sizes[j] + 1) * sizes[j + 1]
    n_in, n_out = sizes[i], sizes[i + 1]
    middle = start + n_in * n_out
    return values[start:middle].reshape(n_in, n_out), values[middle : middle + n_out]


@compiled
def forward(parameters: np.ndarray, sizes: np.ndarray, X: np.ndarray) -> list[np.ndarray]:
    """Return the input and the output of each layer."""
    outputs = [X]
    last = len(sizes) - 2
    for i in range(last + 1):
        W, b = layer(parameters, sizes, i)
        output = np.empty((len(X), len(b)), np.float32)
        output[:] = b
        add_product(outputs[-1], W, output)
        if i < last:
            for row in output:
                for j in range(len(row)):
                    row[j] = max(row[j], ZERO)
        outputs.append(output)
    return outputs


@compiled
def squared_error_gradient(
    parameters: np.ndarray, sizes: np.ndarray, X: np.ndarray, y: np.ndarray, gradient: np.ndarray
) -> None:
    """Write the gradient of the mean squared error."""
    outputs = forward(parameters, sizes, X)
    gradient[:] = ZERO
    delta = np.empty_like(outputs[-1])
    for i in range(len(y)):
        delta[i, 0] = np.float32(2) * (outputs[-1][i, 0] - y[i]) / np.float32(len(y))
    for i in range(len(sizes) - 2, -1, -1):
        W, _ = layer(parameters, sizes, i)
        W_gradient, b_gradient = layer(gradient, sizes, i)
        add_product(outputs[i].T, delta, W_gradient)
        for row in delta:
            for j in range(len(row)):
                b_gradient[j] += row[j]
        if i > 0:
            output = outputs[i]
            before = np.zeros_like(output)
            add_product(delta, np.ascontiguousarray(W.T), before)
            for j in range(before.shape[0]):
                for k in range(before.shape[1]):
                    before[j, k] *= np.float32(output[j, k] > ZERO)  # a factor: a branch would be mispredicted
            delta = before


@compiled
def add_product(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> None:
    """Add A @ B to C, two rows and four terms at a time: each number that is loaded is used more than once."""
    n_rows, n_terms = A.shape
    even, fourfold = n_rows // 2 * 2, n_terms // 4 * 4
    for i in range(0, even, 2):
        for k in range(0, fourfold, 4):
            a, b, c, d = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
            e, f, g, h = A[i + 1, k], A[i + 1, k + 1], A[i + 1, k + 2], A[i + 1, k + 3]
            for j in range(B.shape[1]):
                C[i, j] += a * B[k, j] + b * B[k + 1, j] + c * B[k + 2, j] + d * B[k + 3, j]
                C[i + 1, j] += e * B[k, j] + f * B[k + 1, j] + g * B[k + 2, j] + h * B[k + 3, j]
    add_terms(A, B, C, 0, even, fourfold, n_terms)
    add_terms(A, B, C, even, n_rows, 0, n_terms)


@compiled
def add_terms(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, first_row: int, end_row: int, first_term: int, end_term: int
) -> None:
    """Add the product of some rows of A, over some of its terms, to C."""
    for i in range(first_row, end_row):
        for k in range(first_term, end_term):
            a = A[i, k]
            for j in range(B.shape[1]):
                C[i, j] += a * B[k, j]


@compiled
def adam(parameters: np.ndarray, gradient: np.ndarray, mean: np.ndarray, square: np.ndarray, n_steps: int) -> None:
    """Take one step of Adam with the usual defaults."""
    rate = np.float32(LEARNING_RATE / (1 - 0.9**n_steps))
    scale = np.float32(1 / np.sqrt(1 - 0.999**n_steps))
    for i in range(len(parameters)):
        mean[i] += np.float32(0.1) * (gradient[i] - mean[i])
        square[i] += np.float32(0.001) * (gradient[i] * gradient[i] - square[i])
        parameters[i] -= rate * mean[i] / (np.sqrt(square[i]) * scale + np.float32(1e-8))
