"""A fresh process that carries out runs for this one, and can be ended whatever it is doing.

CONTRIBUTING.md says why this is not a pool of processes.
"""

import json
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from mlperf import machine
from mlperf.profilers.child import Request

# The libraries read these when they are loaded, which a fresh process has yet to do.
POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from mlperf.profilers.child import serve; serve(*map(int, sys.argv[1:]))"
)

SHOWN = 100_000
"""Bytes that a process may print before the rest is kept from the terminal."""
PRINTED = 10_000_000
"""Bytes that a process may print before it is taken to print endlessly, and ended."""
GRACE = 0.5
"""Seconds that the helpers of an ended process get to clean up before they are ended, too."""
TAIL = 2_000


class Bar(tqdm):
    """A progress bar with a lock of threads only: one between processes would leave a semaphore with the system."""

    _lock = threading.RLock()


class ProcessError(Exception):
    """A process did not answer as it should: the message says why, and ``number`` which task it was at."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


class Ran(NamedTuple):
    """A run of a task that ended, or a part of one."""

    number: int
    """The task, as in its request."""

    sweep: int
    """The sweep that it belongs to."""

    place: int
    """The place of the task in its sweep."""

    last: bool
    """Whether the task has now run often enough."""

    answer: dict[str, Any]
    """What was measured; empty if the run pauses."""


class Process:
    """A fresh process; it ends with this one, however that ends.

    Parameters
    ----------
    threads : int
        Threads that it may use inside one operator.
    clean : bool, default=False
        Whether to clear the environment variables that change how libraries compute.
    """

    def __init__(self, threads: int, *, clean: bool = False) -> None:
        theirs, self._requests = os.pipe()
        self._answers, back = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(Path(__file__).parents[2]), str(theirs), str(back)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(threads, clean=clean),
                pass_fds=(theirs, back),
                # A session of its own: Ctrl-C reaches this process alone, which then ends that one and all it started.
                start_new_session=True,
            )
        except BaseException:
            for descriptor in (self._requests, self._answers):
                os.close(descriptor)
            raise
        finally:
            os.close(theirs)
            os.close(back)
        # Closed when no answer is awaited any more, or another thread might read from the next file that is opened.
        self._closing = [weakref.finalize(self, os.close, end) for end in (self._requests, self._answers)]
        self._received = b""
        self._printed = 0
        self._tail = b""
        self._quiet = self._ended = False
        self._ending = threading.Lock()
        self._printing = threading.Thread(target=self._pass_on, daemon=True)
        self._printing.start()

    def ask(self, request: Request, timeout: float | None = None) -> dict[str, Any]:
        """Send a request and wait for its answer, or for the first of several.

        Parameters
        ----------
        request : Request
            What is asked for.
        timeout : float, default=None
            Seconds to wait at most.

        Returns
        -------
        dict
            The answer.

        Raises
        ------
        ProcessError
            If the process answers that it failed, does not answer in time, or ends before it has answered.
        """
        # If it has ended, there is no answer, which is an error of its own.
        with suppress(OSError):
            self._send(request)
        return self._answer(timeout, request.number)

    def runs(self, repeats: int, min_run_time: float, timeout: float | None) -> Iterator[Ran]:
        """Have the prepared tasks run repeatedly, in sweeps.

        Parameters
        ----------
        repeats : int
            Least number of runs of each.
        min_run_time : float
            Seconds that the runs of each must take together at least.
        timeout : float or None
            Seconds to wait at most for each run, or part of one.

        Yields
        ------
        Ran
            Each run as it ends, and each part of one that pauses.

        Raises
        ------
        ProcessError
            As by `ask`.
        """
        answer = self.ask(Request("run", repeats=repeats, min_run_time=min_run_time), timeout)
        while True:
            about = {name: answer.pop(name) for name in ("number", "sweep", "place", "last")}
            following = answer.pop("following")
            yield Ran(answer=answer, **about)
            if following is None:
                return
            answer = self._answer(timeout, following)

    def _answer(self, timeout: float | None, number: int) -> dict[str, Any]:
        """Wait for an answer about a task."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            line = self._receive(deadline)
        except TimeoutError:
            raise ProcessError(f"it took longer than its timeout of {timeout:g} s", number) from None
        except OSError:
            line = b""
        if not line:
            raise ProcessError(self._end_in_words(), number)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            error = ProcessError(answer["error"], number)
            if "traceback" in answer:
                error.add_note(answer["traceback"].rstrip())
            raise error
        return answer

    def is_alive(self) -> bool:
        """Tell whether it can be asked for anything."""
        return not self._ended and self._process.poll() is None

    def end(self, *, kill: bool = False) -> None:
        """End the process and all that it started.

        Parameters
        ----------
        kill : bool, default=False
            End it at once, whatever it is doing, instead of letting it finish.
        """
        with self._ending:
            if self._ended:
                return
            self._ended = True
            self._quiet = kill
            if not kill:
                with suppress(OSError):
                    self._send(Request("end"))
            self._wait(kill)
            if not kill:
                for close in self._closing:
                    close()
            # It reads as long as any process can still print, but not forever: one may have left the session.
            self._printing.join(GRACE)
            if not self._printing.is_alive() and self._process.stdout:
                self._process.stdout.close()

    def _wait(self, kill: bool) -> None:
        try:
            if kill:
                self._process.kill()
            self._process.wait(None if kill else 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # multiprocessing's helpers release semaphores and files now.
        deadline = time.monotonic() + GRACE
        with suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:
                os.killpg(self._process.pid, 0)
                time.sleep(0.005)
            os.killpg(self._process.pid, signal.SIGKILL)

    def _send(self, request: Request) -> None:
        content = memoryview(pickle.dumps(request))
        while content:
            content = content[os.write(self._requests, content) :]

    def _receive(self, deadline: float | None) -> bytes:
        """Return the next line of the process; nothing if it ends before."""
        while b"\n" not in self._received:
            left = 1.0 if deadline is None else min(1.0, deadline - time.monotonic())
            if left <= 0:
                raise TimeoutError
            if select.select([self._answers], [], [], left)[0]:
                read = os.read(self._answers, 1 << 16)
                if not read:
                    return b""
                self._received += read
            elif self._process.poll() is not None:  # a copy that it forked may hold its end of the pipe open
                return b""
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _end_in_words(self) -> str:
        """Say how the process ended that was to answer."""
        if self._printed > PRINTED:
            return f"it printed more than {PRINTED:,} bytes"
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "its process closed the connection"
        self._printing.join(GRACE)
        if code < 0:
            hint = " (is there too little memory?)" if -code == signal.SIGKILL else ""
            said = f"its process was ended by {signal.Signals(-code).name}{hint}"
        else:
            said = f"its process exited with status {code} before it returned"
        last = self._tail.decode(errors="replace").strip().splitlines()
        return f"{said}; it last printed: {last[-1]}" if last else said

    def _pass_on(self) -> None:
        """Show on the terminal what the process prints, up to a limit."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        while content := os.read(output, 1 << 16):
            before, self._printed = self._printed, self._printed + len(content)
            self._tail = (self._tail + content)[-TAIL:]
            if self._printed > PRINTED:
                with suppress(ProcessLookupError):
                    self._process.kill()
            if not self._quiet and before < SHOWN:
                show(content.decode(errors="replace"))
                if self._printed >= SHOWN:
                    show("\n(The rest of what this process prints is not shown.)\n")


def environment(threads: int, *, clean: bool = False) -> dict[str, str]:
    """Return the environment variables of a fresh process.

    Parameters
    ----------
    threads : int
        Threads that it may use inside one operator.
    clean : bool, default=False
        Whether to leave out those that change how libraries compute (`mlperf.machine.PREFIXES`), except for folders.

    Returns
    -------
    dict of str
        Those of this process, except for the numbers of threads, Python's warning filters and matplotlib's backend:
        what is measured must not depend on how the caller treats warnings, nor on a notebook. Unless the caller says
        otherwise, torch logs errors only: it would warn of memory that was allocated before a profiler started.

    Examples
    --------
    >>> from mlperf.profilers.process import environment
    >>> environment(2)["OMP_NUM_THREADS"]
    '2'
    """
    left_out = {"PYTHONWARNINGS"}
    if clean:
        left_out |= machine.environment().keys() - set(machine.VARIABLES)
    return {
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        **{name: value for name, value in os.environ.items() if name not in left_out},
        "MPLBACKEND": "agg",
        **dict.fromkeys(POOLS, str(threads)),
    }


def show(text: str) -> None:
    """Write to the terminal, above the progress bars, also where a gallery keeps what a script prints."""
    with suppress(OSError, ValueError):
        Bar.write(text, file=sys.__stderr__, end="")
