"""Lightning's ``Trainer``: a torch module whose loop the library runs.

All that it does besides training is switched off: logger, checkpoints, progress bar, model summary and its own
messages. The data come from a DataLoader without workers, as in `mlperf.rivals.dataloader`.
"""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from mlperf.protocol import BATCH_SIZE, LEARNING_RATE
from mlperf.rivals import Regressor

NAME = "Lightning"
REQUIRES = ("lightning", "torch")


def regressor(hidden_layer_sizes: Sequence[int], max_iter: int, *, batch_size: int = BATCH_SIZE) -> Regressor:
    """Return a torch regressor that Lightning trains; parameters as in `mlperf.rivals.dataloader`."""
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from torch.nn.functional import mse_loss
    from torch.utils.data import DataLoader, TensorDataset

    from mlperf.rivals._torch import TorchRegressor

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)

    class Network(LightningModule):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module = module

        def training_step(self, batch: Any) -> torch.Tensor:
            X_batch, y_batch = batch
            return mse_loss(self.module(X_batch), y_batch)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)

    def train(module: torch.nn.Module, X: torch.Tensor, y: torch.Tensor) -> int:
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=max_iter,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loader = DataLoader(TensorDataset(X, y), batch_size=batch_size, shuffle=True)
        with warnings.catch_warnings():  # it advises to use workers, which would cost more than they save
            warnings.simplefilter("ignore")
            trainer.fit(Network(module), loader)
        return trainer.global_step

    return TorchRegressor(train, hidden_layer_sizes)
