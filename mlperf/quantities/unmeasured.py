"""What a script publishes where it could not measure: every claim with the reason, and the reason as a figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from mlperf.quantities.claims import claim
from mlperf.quantities.drawing import QUIET, subplots
from mlperf.quantities.labels import PLAIN

# Of the reason in the figure: large enough to be read in the gallery's thumbnails, too.
CHARACTERS = 30
FONT_SIZE = 20


def not_measured(statements: Mapping[str, str], *, reason: str, figure: str) -> dict[str, Any]:
    """Return what to publish where nothing could be measured: claims that are not measured, and a figure that says why.

    Parameters
    ----------
    statements : dict of str
        The statement of each claim, by the claim's name.
    reason : str
        Why nothing could be measured, such as "valgrind is not installed": it completes the sentence "Not measured
        here: ...".
    figure : str
        The name under which the figure is published.

    Returns
    -------
    dict
        Each `Claim` by its name, with the verdict "not measured"; and under the figure's name a matplotlib Figure with
        nothing but the reason in it.

    Raises
    ------
    ValueError
        If the reason is empty, or a claim has the name of the figure.

    Examples
    --------
    >>> from mlperf import not_measured
    >>> results = not_measured(
    ...     {"faster": "The GPU is faster than the CPU."}, reason="torch finds no GPU", figure="times"
    ... )
    >>> results["faster"]
    – not measured: The claim “The GPU is faster than the CPU” was not put to the test here: torch finds no GPU.
      Not measured: torch finds no GPU.
    >>> print(results["times"].axes[0].get_title())
    Not measured here: torch finds
    no GPU.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(f"The 'reason' parameter of not_measured must say why. Got {reason!r} instead.")
    if figure in statements:
        raise ValueError(
            f"The 'figure' parameter of not_measured must be a name that no claim has. Got {figure!r} instead."
        )
    results: dict[str, Any] = {name: claim(statement, reason=reason) for name, statement in statements.items()}
    results[figure], axes = subplots()
    said = textwrap.fill(f"Not measured here: {reason}.", CHARACTERS)
    # A dollar sign does not begin a formula.
    axes.set_title(said, y=0.5, loc="center", va="center", color=QUIET, fontsize=FONT_SIZE, **PLAIN)
    axes.set_axis_off()
    return results
