"""Pickle a task for another process, or name the part of it that cannot be pickled."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cloudpickle

# Steps from the task inwards in search of what cannot be pickled.
DEPTH = 5


def pickled(task: Callable[..., Any], arguments: Mapping[str, Any], warmup: Mapping[str, Any] | None = None) -> bytes:
    """Pickle a function with the arguments of its runs and of its warm-up, by value where it is defined in a script.

    Parameters
    ----------
    task : callable
        The function.
    arguments : mapping of str to object
        Keyword arguments of each run.
    warmup : mapping of str to object, default=None
        Keyword arguments of the warm-up; None for none.

    Returns
    -------
    bytes
        For :func:`pickle.loads`.

    Raises
    ------
    TypeError
        If something cannot be pickled; the message names the culprit.

    Examples
    --------
    >>> import threading
    >>> from mlperf.profilers.pickling import pickled
    >>> lock = threading.Lock()
    >>> def run():
    ...     with lock:
    ...         return {}
    >>> pickled(run, {})
    Traceback (most recent call last):
        ...
    TypeError: run() cannot be sent to a fresh process: it uses 'lock', of type lock, which cannot be pickled. ...
    """
    try:
        return cloudpickle.dumps((task, arguments, warmup))
    except Exception as error:
        for name, value in {**(warmup or {}), **arguments}.items():
            if not _can_be_pickled(value):
                found, culprit = _culprit(name, value, DEPTH)
                raise TypeError(
                    f"A level of {name!r} cannot be sent to a fresh process: {found}, of type "
                    f"{type(culprit).__name__}, cannot be pickled. Make it inside the measured function."
                ) from error
        called = getattr(task, "__name__", type(task).__name__)
        found, culprit = _culprit(called, task, DEPTH)
        raise TypeError(
            f"{called}() cannot be sent to a fresh process: it uses {found!r}, of type {type(culprit).__name__}, "
            f"which cannot be pickled. Make it inside {called}()."
        ) from error


def _can_be_pickled(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:  # whatever an object's own way to be pickled raises
        return False
    return True


def _culprit(name: str, value: Any, depth: int) -> tuple[str, Any]:
    """Return the innermost part that cannot be pickled, and what it is called."""
    for inner, part in _parts(name, value) if depth else ():
        if not _can_be_pickled(part):
            return _culprit(inner, part, depth - 1)
    return name, value


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a value is made of, with names as one would write them."""
    if inspect.isfunction(value):
        reached = inspect.getclosurevars(value)
        yield from {**reached.globals, **reached.nonlocals}.items()
        defaults = {name: parameter.default for name, parameter in inspect.signature(value).parameters.items()}
        yield from defaults.items()
    elif inspect.ismethod(value):
        yield f"{name}.__self__", value.__self__
    elif isinstance(value, Mapping):
        yield from ((f"{name}[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{name}[{place}]", part) for place, part in enumerate(value))
    else:
        yield from ((f"{name}.{key}", part) for key, part in getattr(value, "__dict__", {}).items())
