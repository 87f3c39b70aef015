"""The cells of a grid of settings: their labels and arguments, checked."""

import inspect
import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """One setting of every parameter of the grid."""

    labels: dict[str, Hashable]
    arguments: dict[str, Any]

    @property
    def name(self) -> str:
        """The cell for people: "model=Large, n_samples=1000"."""
        return ", ".join(f"{name}={label}" for name, label in self.labels.items()) or "(the only one)"


def cells(
    owner: str,
    task: Callable[..., Any],
    grid: Mapping[str, Any],
    *,
    options: Sequence[str] = (),
    taken: Sequence[str] = (),
) -> list[Cell]:
    """Return every cell of a grid.

    Parameters
    ----------
    owner : str
        The function that got the grid, for its messages.
    task : callable
        What is called with the arguments of each cell.
    grid : mapping
        The levels of each parameter of `task`: a list, or a mapping of labels to levels.
    options : sequence of str, default=()
        Parameters of `owner` itself, which a misspelt name may have meant.
    taken : sequence of str, default=()
        Names of columns that the grid may not have.

    Returns
    -------
    list of Cell
        The last parameter varies fastest.

    Raises
    ------
    TypeError
        If `task` has no such parameter or needs another one, or if levels are neither a list nor a mapping.
    ValueError
        If a parameter has no levels or two with the same label, or if its name is taken.

    Examples
    --------
    >>> from mlperf.profilers.grid import cells
    >>> def run(model, n_samples):
    ...     pass
    >>> [cell.name for cell in cells("measure", run, {"model": {"Small": (32,)}, "n_samples": [10, 20]})]
    ['model=Small, n_samples=10', 'model=Small, n_samples=20']
    """
    for name in grid:
        if name in taken:
            raise ValueError(
                f"The grid of {owner} must not have a parameter {name!r}: it is a column of the result."
                f"{_did_you_mean(name, options)}"
            )
    check_arguments(owner, task, grid, options)
    levels = [_levels(owner, name, values, options) for name, values in grid.items()]
    found = []
    for chosen in itertools.product(*levels):
        pairs = dict(zip(grid, chosen, strict=True))
        labels = {name: label for name, (label, _) in pairs.items()}
        found.append(Cell(labels, {name: level for name, (_, level) in pairs.items()}))
    return found


def check_arguments(owner: str, task: Callable[..., Any], names: Iterable[str], options: Sequence[str] = ()) -> None:
    """Check that a callable takes the named arguments and needs no others.

    Raises
    ------
    TypeError
        If it is not callable, lacks one of the parameters or needs another one.
    """
    if not callable(task):
        raise TypeError(f"{owner} must be given a function to call. Got {task!r} instead.")
    try:
        parameters = inspect.signature(task).parameters
    except (TypeError, ValueError):  # some functions written in C have none that can be read
        return
    called = getattr(task, "__name__", type(task).__name__)
    kinds = {parameter.kind for parameter in parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for name in names:
            if name not in parameters:
                near = _did_you_mean(name, [*options, *parameters])
                raise TypeError(f"{called}() has no parameter {name!r} that {owner} could vary.{near}")
    for name, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if needed and name not in names:
            raise TypeError(f"{called}() needs {name!r}: give {owner} its levels, such as {name}=[...].")


def _levels(owner: str, name: str, values: Any, options: Sequence[str]) -> list[tuple[Hashable, Any]]:
    """Return the (label, level) pairs of one parameter."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise TypeError(
            f"The {name!r} parameter of {owner} must be a list or a mapping of levels, such as {name}=[{values!r}]. "
            f"Got {values!r} instead.{_did_you_mean(name, options)}"
        )
    pairs = list(values.items()) if isinstance(values, Mapping) else [(_scalar(value), value) for value in values]
    if not pairs:
        raise ValueError(f"The {name!r} parameter of {owner} must have at least one level. Got {values!r} instead.")
    seen = set()
    for label, _ in pairs:
        try:
            again = label in seen
            seen.add(label)
        except TypeError:
            raise TypeError(
                f"The {name!r} parameter of {owner} has the level {label!r}, which cannot label a row. "
                f"Give a mapping of labels to levels, such as {name}={{'first': {label!r}}}."
            ) from None
        if again:
            raise ValueError(f"The {name!r} parameter of {owner} must have each level once. Got {label!r} twice.")
    return pairs


def _scalar(value: Any) -> Any:
    """Return a label of Python's own type for a scalar of NumPy's."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _did_you_mean(name: str, candidates: Sequence[str]) -> str:
    near = get_close_matches(name, candidates, n=1, cutoff=0.7)
    return f" Did you mean {near[0]!r}?" if near and near[0] != name else ""
