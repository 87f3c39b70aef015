"""Several processes that share the steps of one fit, as ``torchrun`` starts them.

Each process calls the same ``fit`` with the same data. Of every mini-batch it takes its own share of the rows, and
before each step of Adam the gradients are averaged over all rows of the mini-batch: so the fit is the same as in a
single process, within rounding. ``torchrun`` starts the processes, and `torch.distributed` connects them.

For a script that fits, on one machine, and on two (on the second, with ``--node-rank=1``)::

    torchrun --nproc-per-node=2 script.py
    torchrun --nnodes=2 --nproc-per-node=1 --node-rank=0 --master-addr=first-host --master-port=29500 script.py

Where a host has several networks, ``GLOO_SOCKET_IFNAME`` names the interface to use, such as ``eth0``. What a worker
does in child processes of its own, as in ``GridSearchCV(n_jobs=2)``, is not shared; with ``n_jobs=1`` it is.

A process group that already exists, made by `torch.distributed.init_process_group`, is used as it is, with its backend
and timeout. Otherwise one is made: "gloo" on CPUs, "nccl" on GPUs of CUDA, with a timeout of `TIMEOUT_SECONDS`.
"""

import atexit
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

TIMEOUT_SECONDS = 120
"""How long a process waits for the others, in each step, before it gives up with an error."""


def joined(device: str = "cpu") -> "Workers | None":
    """Return the processes that this one trains with; None if it trains alone.

    Parameters
    ----------
    device : {"cpu", "cuda"}, default="cpu"
        The device of the gradients that the processes exchange.

    Returns
    -------
    Workers or None
        None unless ``torchrun`` has started this process and others, or `torch.distributed` was initialised.

    Raises
    ------
    RuntimeError
        If the other processes do not join within the timeout.
    ValueError
        If processes cannot exchange tensors of this device.

    Examples
    --------
    >>> from mlperf.training.distributed import joined
    >>> joined() is None
    True
    """
    if not distributed.is_available():
        return None
    if not distributed.is_initialized():
        # MASTER_ADDR and the other variables that torchrun sets.
        if not _is_worker() or int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return None
        if device == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        timeout = timedelta(seconds=TIMEOUT_SECONDS)
        distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timeout)
        atexit.register(_leave)
    size = distributed.get_world_size()
    if size == 1:
        return None
    if device not in ("cpu", "cuda"):
        raise ValueError(
            "The 'device' parameter of MLPRegressor must be 'cpu' or 'cuda' where several processes share the fit. "
            f"Got {device!r} instead."
        )
    return Workers(distributed.get_rank(), size, device)


def _is_worker() -> bool:
    """Return whether torchrun has started this very process: the children of a worker inherit torchrun's variables."""
    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        return False
    own = str(os.getpid())
    return os.environ.setdefault("MLPERF_WORKER", own) == own


_is_worker()  # now, before there are children


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


class Workers:
    """The processes that share the steps of one fit, seen from one of them.

    Parameters
    ----------
    rank : int
        The number of this process, from 0.
    size : int
        How many there are.
    device : str, default="cpu"
        The device of the tensors that the processes exchange.

    Examples
    --------
    Of mini-batches of four rows, the second of two processes takes every other row:

    >>> import torch
    >>> from mlperf.training.distributed import Workers
    >>> rows, sizes = Workers(rank=1, size=2).share(torch.arange(10), batch_size=4)
    >>> rows.tolist(), sizes
    ([1, 3, 5, 7, 9], [2, 2, 1])
    """

    def __init__(self, rank: int, size: int, device: str = "cpu") -> None:
        self.rank = rank
        self.size = size
        self.device = device

    def share(self, rows: Tensor, batch_size: int) -> tuple[Tensor, list[int]]:
        """Return the rows of this process.

        Parameters
        ----------
        rows : Tensor of shape (n_rows,)
            One mini-batch after the other.
        batch_size : int
            Rows in a mini-batch; the last one keeps what is left.

        Returns
        -------
        own : Tensor of shape (n_own,)
            Those of this process: of each mini-batch every row whose place in it, modulo the processes, is the rank.
        sizes : list of int
            How many there are in each mini-batch: 0 if the last mini-batch has too few rows for this process.
        """
        place = torch.arange(len(rows), device=rows.device) % batch_size
        sizes = [len(range(self.rank, len(batch), self.size)) for batch in rows.split(batch_size)]
        return rows[place % self.size == self.rank], sizes

    def average(self, sums: Tensor, loss: Tensor, n_rows: int) -> Tensor:
        """Average gradient and loss over the rows of all processes.

        Parameters
        ----------
        sums : Tensor of shape (n_parameters + 2,)
            The gradient of this process's rows, and room for two more numbers. It is averaged in place.
        loss : Tensor of shape ()
            The mean loss of this process's rows.
        n_rows : int
            How many they are.

        Returns
        -------
        Tensor of shape ()
            The mean loss of all rows.

        Raises
        ------
        RuntimeError
            If another process has ended, or does not answer within the timeout.
        """
        if n_rows:
            sums[-2] = loss
            sums[:-1] *= n_rows
            sums[-1] = n_rows
        else:
            sums.zero_()
        with self._waiting("a training step"):
            distributed.all_reduce(sums)
        sums[:-1] /= sums[-1]
        return sums[-2].clone()

    def agree(self, about: Mapping[str, Any]) -> None:
        """Check that all processes have called the same fit.

        Parameters
        ----------
        about : mapping
            What has to be the same, by its name: numbers, text, or arrays, which may differ by rounding.

        Raises
        ------
        ValueError
            If they have not; the message names what differs.
        RuntimeError
            If another process has ended, or does not answer within the timeout.
        """
        found: list[Any] = [None] * self.size
        with self._waiting("the beginning of the fit"):
            distributed.all_gather_object(found, dict(about))
        for rank, theirs in enumerate(found):
            for name, value in found[0].items():
                if not _same(theirs[name], value):
                    raise ValueError(
                        "All processes must call MLPRegressor.fit with the same parameters and data; each takes its "
                        f"share of them by itself. Got {name} = {theirs[name]} in rank {rank}, {value} in rank 0."
                    )

    def of_first(self, number: int) -> int:
        """Return the number that rank 0 has."""
        shared = torch.tensor(number, dtype=torch.int64, device=self.device)
        with self._waiting("the beginning of the fit"):
            distributed.broadcast(shared, src=0)
        return int(shared)

    def level(self, module: nn.Module) -> None:
        """Give all processes the parameters of rank 0: processors of different kinds may round differently."""
        with self._waiting("the end of the fit"), torch.no_grad():
            for parameter in module.parameters():
                distributed.broadcast(parameter.detach(), src=0)

    @contextmanager
    def _waiting(self, where: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            # "[path of a source file] Read error [address]: Connection reset by peer. This is typically ..."
            reason = str(error).split("] ", 1)[-1].split(". ")[0].strip()
            raise RuntimeError(
                f"Rank {self.rank} of {self.size}, on {platform.node()}, has lost another process in {where}: it has "
                f"ended, hangs, or cannot be reached ({reason}). Start all of them again."
            ) from error


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and np.allclose(one, other, rtol=1e-6)
    return bool(type(one) is type(other) and one == other)
