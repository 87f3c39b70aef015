"""How a cost grows with a size: constant, affine and power models, and the interval of what they say."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from mlperf.stats import Estimate, interval

FORMS = ("constant", "affine", "power")
"""Models of a cost: a; a + b n; a nᵇ."""

N_RESAMPLES = 2000
SEED = 0


class Cost(NamedTuple):
    """A fitted model of a cost; call it with sizes to get what they cost.

    Parameters
    ----------
    form : {"constant", "affine", "power"}
        One of `FORMS`.
    a, b : float
        Its coefficients, `b` being 0 in the constant model.
    """

    form: str
    a: float
    b: float

    def __call__(self, sizes: ArrayLike) -> NDArray[np.float64]:
        """Return the cost of each size."""
        n = np.asarray(sizes, dtype=np.float64)
        if self.form == "power":
            return self.a * n**self.b
        return self.a + self.b * n


def fit(form: str, sizes: ArrayLike, costs: ArrayLike) -> Cost:
    """Fit a model of a cost, weighing relative deviations alike at all sizes.

    Parameters
    ----------
    form : {"constant", "affine", "power"}
        One of `FORMS`. The coefficients of the affine model are kept from being negative.
    sizes, costs : array-like of shape (n,)
        Positive numbers; one cost for each size.

    Returns
    -------
    Cost

    Raises
    ------
    ValueError
        If the form is not known, or `sizes` and `costs` are not positive and of one length, three at least.

    Examples
    --------
    >>> from mlperf.scaling import fit
    >>> model = fit("affine", [1, 10, 100], [12, 30, 210])
    >>> round(model.a, 6), round(model.b, 6)
    (10.0, 2.0)
    """
    n, cost = np.asarray(sizes, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    if n.ndim != 1 or n.shape != cost.shape or len(n) < 3 or n.min() <= 0 or cost.min() <= 0:
        raise ValueError(
            "The 'sizes' and 'costs' parameters of fit must be positive numbers, equally many and at least three. "
            f"Got shapes {n.shape} and {cost.shape} instead."
        )
    if form == "constant":
        return Cost(form, float(np.sum(1 / cost) / np.sum(1 / cost**2)), 0.0)
    if form == "affine":
        scale = n.max()  # both columns of about one size, or the solver's tolerance eats the smaller one
        (a, b), _ = nnls(np.column_stack([1 / cost, n / scale / cost]), np.ones(len(n)))
        return Cost(form, float(a), float(b / scale))
    if form == "power":
        b, log_a = np.polyfit(np.log(n), np.log(cost), 1)
        return Cost(form, float(np.exp(log_a)), float(b))
    raise ValueError(f"The 'form' parameter of fit must be one of {FORMS}. Got {form!r} instead.")


def exponent(sizes: ArrayLike, costs: ArrayLike) -> float:
    """Return the exponent of the power model: 1 where the cost grows in proportion."""
    return fit("power", sizes, costs).b


def break_even(sizes: ArrayLike, costs: ArrayLike) -> float:
    """Return the size at which the two parts of the affine model are equal; below it the fixed part dominates."""
    model = fit("affine", sizes, costs)
    return model.a / model.b if model.b else np.inf


def held_out_error(form: str, sizes: ArrayLike, costs: ArrayLike) -> float:
    """Return by how much a model misses a size that it was not fitted to.

    Parameters
    ----------
    form : {"constant", "affine", "power"}
        One of `FORMS`.
    sizes, costs : array-like of shape (n,)
        As for `fit`, four at least. Each size is left out in turn.

    Returns
    -------
    float
        Root of the mean squared relative error.
    """
    n, cost = np.asarray(sizes, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    others = ~np.eye(len(n), dtype=bool)
    missed = [fit(form, n[kept], cost[kept])(n[i]) / cost[i] - 1 for i, kept in enumerate(others)]
    return float(np.sqrt(np.mean(np.square(missed))))


def over_processes(
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    frame: pd.DataFrame,
    *,
    size: str,
    value: str = "seconds",
) -> Estimate:
    """Estimate something that follows from a whole curve of measurements.

    Parameters
    ----------
    statistic : callable
        Called as ``statistic(sizes, costs)``, such as `exponent`.
    frame : DataFrame
        One row a repeat: the size, the cost, and the columns "process" and "repeat". Every process has measured
        every size.
    size : str
        The column with the sizes.
    value : str, default="seconds"
        The column with the costs.

    Returns
    -------
    Estimate
        The statistic of the medians over processes (of each process's median of a size). The interval comes
        from drawing whole processes anew, so that what disturbed all sizes of one process stays together.

    Raises
    ------
    ValueError
        If a process lacks a size.
    """
    # As in mlperf.stats: of a single process, the spread of its repeats is all that there is.
    unit = "process" if len(frame["process"].unique()) > 1 else "repeat"
    curves = frame.pivot_table(index=unit, columns=size, values=value, aggfunc="median")
    if curves.isna().any(axis=None):
        raise ValueError(
            f"The 'frame' parameter of over_processes must hold every size in every {unit}. "
            f"Got {int(curves.isna().sum().sum())} without instead."
        )
    n, costs = curves.columns.to_numpy(dtype=np.float64), curves.to_numpy()
    drawn = np.random.default_rng(SEED).integers(len(costs), size=(N_RESAMPLES, len(costs)))
    # Few processes have few distinct resamples: each is worked out once.
    kinds, counts = np.unique(np.sort(drawn, axis=1), axis=0, return_counts=True)
    resamples = np.repeat([statistic(n, np.median(costs[kind], axis=0)) for kind in kinds], counts)
    return interval(float(statistic(n, np.median(costs, axis=0))), resamples, len(costs))
