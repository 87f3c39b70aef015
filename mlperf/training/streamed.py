"""Train on data that need not fit into memory: one chunk at a time, however many rows there are.

Data are streamed if they are a `numpy.memmap`, or anything else with a shape and a dtype that gives an array when it is
sliced, such as a dataset of h5py or zarr. Only slices of consecutive rows are read.

How an epoch is shuffled: the rows lie in blocks of consecutive ones, `BLOCKS` to a chunk. Every epoch draws the order
of all blocks anew, fills one chunk after the other in that order, and shuffles the rows within the chunk. So

- every row is taken exactly once in an epoch;
- mini-batches are as many, and as large, as they are in memory;
- any two blocks are as likely to share a chunk as any other two, wherever they lie: sorted data are mixed;
- rows of one block stay in one chunk (two, if the chunk ends within the block), in random order.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import nn

from mlperf.training.standard import Scaler, columns, device_of, standardised

BLOCKS = 64
"""Blocks in a chunk: the more, the better the rows are mixed, and the shorter the slices that are read."""

READ_BYTES = 2**21
"""Bytes read at a time in a pass in order, or a chunk if that is smaller."""


def slices(data: Any) -> TypeGuard[Any]:
    """Return whether to slice data instead of loading them: a `numpy.memmap`, or what is like an array but is none.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.training.streamed import slices
    >>> slices(np.zeros((2, 3))), slices([[1.0], [2.0]])
    (False, False)
    """
    held = isinstance(data, (np.ndarray, torch.Tensor)) and not isinstance(data, np.memmap)
    if held or hasattr(data, "iloc") or hasattr(data, "tocsr"):
        return False
    if not all(hasattr(data, name) for name in ("shape", "dtype", "__getitem__")):
        return False
    return len(data.shape) > 0 and getattr(data.dtype, "kind", "") in "fiub"


def rows_of_a_chunk(n_columns: int, chunk_bytes: int, batch_size: int) -> int:
    """Return the number of rows in a chunk: whole mini-batches, at least one.

    Parameters
    ----------
    n_columns : int
        Features and outputs.
    chunk_bytes : int
        Bytes of a chunk in float32.
    batch_size : int
        Rows in a mini-batch.

    Returns
    -------
    int
        A multiple of `batch_size`.

    Examples
    --------
    >>> from mlperf.training.streamed import rows_of_a_chunk
    >>> rows_of_a_chunk(6, chunk_bytes=2**24, batch_size=64)
    699008
    """
    return max(1, chunk_bytes // (4 * n_columns) // batch_size) * batch_size


class Stream:
    """Features and targets that are read slice by slice; like `mlperf.training.standard.Held`, but of any length.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features, an array or what can be sliced like one.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets, likewise.
    checked : callable
        Called with a slice of each; returns both as arrays of floating-point numbers, or raises.
    chunk_bytes : int
        Bytes of standardised data that are held at a time.
    scalers : tuple of Scaler, optional
        Scalers learned from other features and targets; by default they are learned from these in a first pass, which
        checks every value.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.training.streamed import Stream
    >>> stream = Stream(np.asarray([[1.0], [3.0]]), np.asarray([5.0, 7.0]), lambda X, y: (X, y), chunk_bytes=1_000)
    >>> [float(scaler.mean_[0]) for scaler in stream.scalers]
    [2.0, 6.0]
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        checked: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
        *,
        chunk_bytes: int,
        scalers: tuple[Scaler, Scaler] | None = None,
    ) -> None:
        self.X, self.y = X, y
        self.checked = checked
        self.chunk_bytes = chunk_bytes
        self.n_samples, self.n_features = (int(size) for size in X.shape)
        self.n_outputs = math.prod(y.shape[1:])
        self.scalers = scalers or self._fitted()

    def _fitted(self) -> tuple[Scaler, Scaler]:
        scalers = Scaler(), Scaler()
        for features, target in self.pieces():
            scalers[0].partial_fit(features)
            scalers[1].partial_fit(columns(target))
        return scalers

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield all rows in order, checked, a few at a time."""
        n_rows = rows_of_a_chunk(self.n_features + self.n_outputs, min(READ_BYTES, self.chunk_bytes), 1)
        for rows in _ranges(self.n_samples, n_rows):
            yield self.checked(_read(self.X, rows), _read(self.y, rows))

    def epochs(
        self,
        engine: Callable[..., Iterator[float]],
        module: nn.Sequential,
        *,
        batch_size: int,
        generator: torch.Generator,
        **settings: Any,
    ) -> Iterator[float]:
        """Train with an engine, chunk by chunk.

        Parameters
        ----------
        engine : callable
            One of `mlperf.training.engines.ENGINES`.
        module : nn.Sequential
            Its parameters are updated in place.
        batch_size : int
            Rows in a mini-batch; the last one of an epoch keeps what is left.
        generator : torch.Generator
            Draws the order of the blocks, and that of the rows within a chunk.
        **settings : object
            Other arguments of the engine.

        Yields
        ------
        float
            Mean training loss of the epoch.
        """
        n_rows = rows_of_a_chunk(self.n_features + self.n_outputs, self.chunk_bytes, batch_size)
        n_rows = min(n_rows, self.n_samples)
        whole = (
            torch.empty(n_rows, self.n_features, dtype=torch.float32),
            torch.empty(n_rows, self.n_outputs, dtype=torch.float32),
        )
        beside = [data.to(device_of(module)) for data in whole]  # the same tensors on the CPU
        inputs, targets = (data[:] for data in beside)
        train = engine(module, inputs, targets, batch_size=batch_size, generator=generator, **settings)
        while True:
            total = 0.0
            for chunk in chunks(self.n_samples, n_rows, generator):
                n_filled = self._fill(whole, chunk)
                # The engine sees the same two tensors in every chunk; the last chunk of an epoch may have fewer rows.
                for there, here in zip(beside, whole, strict=True):
                    if there is not here:
                        there.copy_(here)
                inputs.data, targets.data = (data[:n_filled] for data in beside)
                total += n_filled * next(train)
            yield total / self.n_samples

    def squared_error(self, module: nn.Sequential) -> float:
        """Return the mean squared error of the standardised targets."""
        total = 0.0
        with torch.inference_mode():
            for features, target in self.pieces():
                outputs = module(standardised(features, self.scalers[0]).to(device_of(module)))
                expected = standardised(columns(target), self.scalers[1]).to(device_of(module))
                total += len(features) * float(nn.functional.mse_loss(outputs, expected))
        return total / self.n_samples

    def _fill(self, whole: tuple[torch.Tensor, torch.Tensor], chunk: list[slice]) -> int:
        inputs, targets = (data.numpy() for data in whole)
        end = 0
        for rows in chunk:
            into = slice(end, end := end + rows.stop - rows.start)
            standardised(_read(self.X, rows), self.scalers[0], inputs[into])
            standardised(columns(_read(self.y, rows)), self.scalers[1], targets[into])
        return end


def chunks(n_samples: int, n_rows: int, generator: torch.Generator) -> Iterator[list[slice]]:
    """Yield the rows of each chunk of an epoch, as slices of consecutive rows in random order.

    Parameters
    ----------
    n_samples : int
        All rows.
    n_rows : int
        Rows of a chunk; the last one keeps what is left.
    generator : torch.Generator
        Draws the order of the blocks.

    Yields
    ------
    list of slice
        The rows of one chunk.

    Examples
    --------
    >>> import torch
    >>> from mlperf.training.streamed import chunks
    >>> epoch = list(chunks(1_000, n_rows=400, generator=torch.Generator().manual_seed(0)))
    >>> [sum(rows.stop - rows.start for rows in chunk) for chunk in epoch]
    [400, 400, 200]
    """
    block = max(1, n_rows // BLOCKS)
    chunk: list[slice] = []
    room = n_rows
    for number in torch.randperm(math.ceil(n_samples / block), generator=generator).tolist():
        start, stop = number * block, min((number + 1) * block, n_samples)
        while start < stop:
            taken = min(stop - start, room)
            chunk.append(slice(start, start + taken))
            start, room = start + taken, room - taken
            if not room:
                yield chunk
                chunk, room = [], n_rows
    if chunk:
        yield chunk


def predicted(predict: Callable[[np.ndarray], np.ndarray], X: Any) -> np.ndarray:
    """Predict the target of streamed data; only the predictions are held in memory for all rows.

    Parameters
    ----------
    predict : callable
        Called with one slice of the rows after the other; returns their predictions.
    X : array-like of shape (n_samples, n_features)
        What can be sliced like an array.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_outputs)
        What `predict` returned, for all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.training.streamed import predicted
    >>> predicted(lambda X: X[:, 0], np.asarray([[1.0], [3.0]])).tolist()
    [1.0, 3.0]
    """
    n_samples = int(X.shape[0])
    n_rows = rows_of_a_chunk(math.prod(X.shape[1:]), READ_BYTES, 1)
    whole: np.ndarray | None = None
    for rows in _ranges(n_samples, n_rows):
        part = predict(_read(X, rows))
        if whole is None:
            whole = np.empty((n_samples, *part.shape[1:]))
        whole[rows] = part
    return predict(_read(X, slice(0, 0))) if whole is None else whole


def _ranges(n_samples: int, n_rows: int) -> Iterator[slice]:
    for start in range(0, n_samples, n_rows):
        yield slice(start, min(start + n_rows, n_samples))


def _read(data: Any, rows: slice) -> np.ndarray:
    return np.asarray(data[rows])
