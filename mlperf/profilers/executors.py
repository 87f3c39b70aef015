"""The places at which an executor carries out runs: the workers of a Dask client, or of any other executor."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlperf.profilers import worker
from mlperf.profilers.process import ProcessError
from mlperf.profilers.worker import Order, Outcome

# Seconds between two checks whether a run is done, and whether its worker still exists.
LOOK = 0.05
CALL = 1.0


@dataclass(frozen=True)
class Place:
    """Where an executor carries out one cell at a time.

    Parameters
    ----------
    submit : callable
        Called as ``submit(function, argument)``; returns a future.
    name : str
        For messages: "the worker tcp://10.0.0.7:4242".
    machine : str
        The machine that it is on; empty if that is known only after a run.
    is_there : callable
        Says whether the worker still exists.
    stop : callable
        Ends the runs of a measurement that are under way there.
    """

    submit: Callable[..., Any]
    name: str
    machine: str
    is_there: Callable[[], bool]
    stop: Callable[[str], object]

    def carry_out(self, order: Order, stopped: Callable[[], bool]) -> Outcome:
        """Have an order carried out and wait for it.

        Raises
        ------
        ProcessError
            If the worker dies, if the executor fails, or if `stopped` says that the measurement was stopped.
        """
        try:
            future = self.submit(worker.carry_out, order)
            try:
                self._wait(future, stopped)
            except BaseException:
                future.cancel()
                raise
            outcome: Outcome = future.result()
        except ProcessError:
            raise
        except Exception as error:  # whatever an executor raises when a worker dies
            raise ProcessError(f"{type(error).__name__}: {error}") from error
        return outcome

    def _wait(self, future: Any, stopped: Callable[[], bool]) -> None:
        called = time.monotonic()
        while not future.done():
            if stopped():
                raise ProcessError("the measurement was stopped")
            if time.monotonic() > called + CALL:
                if not self.is_there():
                    raise ProcessError("the worker died, or left its scheduler")
                called = time.monotonic()
            time.sleep(LOOK)


def places(executor: Any, n_jobs: int | None) -> list[Place]:
    """Return the places at which an executor carries out runs.

    Parameters
    ----------
    executor : object
        A Dask client, what its ``get_executor()`` returns, or anything with a method ``submit(function, argument)``
        that returns a future with ``done()``, ``result()`` and ``cancel()``.
    n_jobs : int or None
        How many there are at most; by default every worker of a Dask client, and one of another executor.

    Returns
    -------
    list of Place
        Of Dask, one for each worker.

    Raises
    ------
    TypeError, ValueError
        If it is no executor, or a client without workers.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from mlperf.profilers.executors import places
    >>> with ThreadPoolExecutor() as executor:
    ...     [place.name for place in places(executor, n_jobs=2)]
    ['a worker of ThreadPoolExecutor', 'a worker of ThreadPoolExecutor']
    """
    if not callable(getattr(executor, "submit", None)):
        slip = ": give its client, executor=cluster.get_client()" if hasattr(executor, "get_client") else ""
        raise TypeError(
            "The 'executor' parameter of measure must have a method submit(function, argument), as a Dask client and "
            f"the executors of concurrent.futures and submitit have. Got {type(executor).__name__} instead{slip}."
        )
    # Who has a Dask client has loaded Dask; for all others it stays unloaded.
    distributed = sys.modules.get("distributed")
    client = getattr(executor, "_client", executor)
    if distributed is not None and isinstance(client, distributed.Client):
        return _of_dask(client, dict(getattr(executor, "_kwargs", {})))[:n_jobs]
    name = f"a worker of {type(executor).__name__}"
    return [Place(executor.submit, name, "", lambda: True, worker.stop)] * (n_jobs or 1)


def _of_dask(client: Any, options: dict[str, Any]) -> list[Place]:
    """Return one place for each worker of a client, whatever number of threads it has.

    Each run is tied to its worker. Dask would carry it out again elsewhere when a worker dies, or wait for a worker to
    come when there is none any more.
    """
    wanted = options.pop("workers", None)
    wanted = [wanted] if isinstance(wanted, str) else wanted
    # Not client.scheduler_info(): another thread empties its answer every few seconds, at times before it is read.
    known = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    addresses = [at for at, about in known.items() if wanted is None or at in wanted or about["name"] in wanted]
    if not addresses:
        raise ValueError(
            "The 'executor' parameter of measure must be a Dask client with workers. This one has none; wait for them "
            "with client.wait_for_workers(1)."
        )
    options |= {"allow_other_workers": False, "pure": False}
    return [
        Place(
            partial(client.submit, workers=[address], **options),
            f"the worker {address}",
            machine,
            partial(_is_there, client, address),
            partial(client.run, worker.stop, workers=[address], on_error="ignore"),
        )
        for address, machine in client.run(worker.machine, workers=addresses).items()
    ]


def _is_there(client: Any, address: str) -> bool:
    return address in client.nthreads()
