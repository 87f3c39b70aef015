"""A torch module behind the interface of scikit-learn: ``NeuralNetRegressor`` of skorch.

All that it does besides training is switched off: validation split and printed log. As with all rivals, the smaller
last mini-batch is used and every epoch has a new order.
"""

from collections.abc import Sequence

from mlperf.protocol import BATCH_SIZE, LEARNING_RATE
from mlperf.rivals import Regressor

NAME = "skorch"
REQUIRES = ("skorch", "torch")


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return skorch's regressor; parameters as in `mlperf.rivals.dataloader`."""
    import torch
    from skorch import NeuralNetRegressor

    from mlperf.rivals._torch import TorchRegressor, steps_taken

    def train(module: torch.nn.Module, X: torch.Tensor, y: torch.Tensor) -> int:
        trained = NeuralNetRegressor(
            module,
            max_epochs=max_iter,
            lr=LEARNING_RATE,
            batch_size=batch_size,
            optimizer=torch.optim.Adam,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
            callbacks__print_log=None,
        )
        trained.fit(X, y)
        return steps_taken(trained.optimizer_)

    return TorchRegressor(train, hidden_layer_sizes)
