"""Published runs as they might have come out otherwise, by chance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlperf.results.factors import Logs, Numbers

# Natural logarithms of a typical factor: of a cell, and of one run against the others of its cell.
STRENGTHS = (0.0, 0.03, 0.3, 1.0, 3.0)
SPREADS = (0.0, 0.02, 0.2, 1.0)
# Where cells follow a law, they are near it.
NEAR = (0.0, 0.02)
# Powers of the ratios between cells: 1 leaves them, 0 makes all cells equal, and -1 turns their order round.
POWERS = (1.0, 1.0, 0.5, 0.0, 0.0, -1.0, 2.0)
# Where cells were made equal: the power of each level of numbers that they grow with.
SLOPES = (0.0, 0.0, 1.0, 1.0, 0.5, -1.0, 2.0)


def altered(frame: pd.DataFrame, by: list[str], chance: np.random.Generator) -> pd.DataFrame:
    """Return runs of another world.

    Cells keep their ratios, lose them, or follow a simple law, such as "in proportion to the samples"; then each gets a
    random factor.

    Parameters
    ----------
    frame : DataFrame
        Runs, a row each.
    by : list of str
        The columns that identify a cell.
    chance : numpy.random.Generator
        Draws the factors. What the runs of each cell agree on, as counts do, they still agree on.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from mlperf.results.altered import altered
    >>> frame = pd.DataFrame({"model": ["Small", "Large"], "process": [0, 0], "seconds": [1.0, 2.5]})
    >>> altered(frame, ["model"], np.random.default_rng(0)).columns.to_list()
    ['model', 'process', 'seconds']
    """
    numbers = Numbers(frame, by)
    power = chance.choice(POWERS)
    strength = chance.choice(STRENGTHS if power else NEAR)
    spread = chance.choice(SPREADS)
    law = np.zeros(len(frame)) if power else _law(frame, by, chance)
    # Some effects are those of a level, others those of a single cell.
    groups = [*(pd.factorize(frame[level])[0] for level in by), numbers.cells]
    logs: dict[str, Logs] = {}
    for what in numbers.columns:
        logs[what] = law + (power - 1) * numbers.course(what)
        for group in groups:
            logs[what] += strength * chance.normal(size=group.max() + 1)[group]
        of_runs = spread * chance.normal(size=len(frame))
        if not numbers.agree(what):
            logs[what] += of_runs
    return numbers.multiplied(logs)


def _law(frame: pd.DataFrame, by: list[str], chance: np.random.Generator) -> Logs:
    """Return the logarithm of a product of powers of the levels of positive numbers."""
    logs = np.zeros(len(frame))
    for level in by:
        if pd.api.types.is_numeric_dtype(frame[level]) and frame[level].min() > 0:
            logs += chance.choice(SLOPES) * np.log(frame[level] / frame[level].median()).to_numpy()
    return logs
