"""Plain torch, as its tutorials train: a DataLoader, ``backward()`` and ``torch.optim.Adam``.

This is what most users write first, so it stays as the tutorials have it: tensors in a ``TensorDataset``, shuffled by
the loader, no workers (sending such small batches between processes costs more than collecting them), Adam with its
defaults. `mlperf.rivals.torch_compile` shows what can be gained on top.
"""

from collections.abc import Sequence

from mlperf.protocol import BATCH_SIZE, LEARNING_RATE
from mlperf.rivals import Regressor

NAME = "torch, DataLoader"
REQUIRES = ("torch",)


def regressor(
    hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE, device: str = "cpu"
) -> Regressor:
    """Return a plain torch regressor, trained by a loop over a DataLoader.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    max_iter : int
        Epochs.
    batch_size : int, default=64
        Samples of one mini-batch; the last one of an epoch may be smaller.
    device : {"cpu", "cuda", "mps"}, default="cpu"
        Where the network is trained: as usual, each mini-batch is moved there by itself. It predicts on the CPU.

    Returns
    -------
    Regressor
        With ``fit(X, y)`` and ``predict(X)`` on standardised data.

    Examples
    --------
    >>> import numpy as np
    >>> from mlperf.rivals.dataloader import regressor
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> regressor((8,), 2).fit(X, X[:, 0]).predict(X).shape
    (100,)
    """
    import torch
    from torch.nn.functional import mse_loss
    from torch.utils.data import DataLoader, TensorDataset

    from mlperf.rivals._torch import TorchRegressor, steps_taken

    def train(module: torch.nn.Module, X: torch.Tensor, y: torch.Tensor) -> int:
        module.to(device)
        optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)
        loader = DataLoader(TensorDataset(X, y), batch_size=batch_size, shuffle=True)
        for _ in range(max_iter):
            for X_batch, y_batch in loader:
                optimizer.zero_grad()
                loss = mse_loss(module(X_batch.to(device)), y_batch.to(device))
                loss.backward()
                optimizer.step()
        module.cpu()
        return steps_taken(optimizer)

    return TorchRegressor(train, hidden_layer_sizes)
