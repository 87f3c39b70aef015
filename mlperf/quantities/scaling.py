"""How a cost grows with a size: constant, affine and power models, and the interval of what they say."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from mlperf.quantities.intervals import Estimate, interval

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

    Examples
    --------
    >>> from mlperf.quantities.scaling import Cost
    >>> Cost("affine", 10.0, 2.0)([1, 10]).tolist()
    [12.0, 30.0]
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
    >>> from mlperf.quantities.scaling import fit
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
    """Return the exponent of the power model: 1 where the cost grows in proportion.

    Examples
    --------
    >>> from mlperf.quantities.scaling import exponent
    >>> round(exponent([1, 10, 100], [3, 300, 30_000]), 6)
    2.0
    """
    return fit("power", sizes, costs).b


def break_even(sizes: ArrayLike, costs: ArrayLike) -> float:
    """Return the size at which the two parts of the affine model are equal; below it the fixed part dominates.

    Examples
    --------
    >>> from mlperf.quantities.scaling import break_even
    >>> round(break_even([1, 10, 100], [12, 30, 210]), 6)
    5.0
    """
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

    Examples
    --------
    >>> from mlperf.quantities.scaling import held_out_error
    >>> sizes, costs = [1, 10, 100, 1000], [12, 30, 210, 2010]
    >>> held_out_error("affine", sizes, costs) < 1e-6 < 0.1 < held_out_error("power", sizes, costs)
    True
    """
    n, cost = np.asarray(sizes, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    others = ~np.eye(len(n), dtype=bool)
    missed = [fit(form, n[kept], cost[kept])(n[i]) / cost[i] - 1 for i, kept in enumerate(others)]
    return float(np.sqrt(np.mean(np.square(missed))))


def compare_forms(frame: pd.DataFrame, *, size: str, value: str = "seconds") -> pd.DataFrame:
    """Fit every model of a cost, and judge it by how far it misses a size that it was not fitted to.

    Parameters
    ----------
    frame, size, value
        As for `over_processes`.

    Returns
    -------
    pandas.DataFrame
        One row for each of `FORMS`, which are its index: the coefficients ``a`` and ``b``, and ``error_fraction``,
        ``error_fraction_low`` and ``error_fraction_high``, the `held_out_error` with its 95 % interval.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.quantities.scaling import compare_forms
    >>> runs = pd.DataFrame({"n": [1, 10, 100, 1000] * 2, "seconds": [12, 30, 210, 2010] * 2})
    >>> models = compare_forms(runs.assign(process=0, repeat=[0] * 4 + [1] * 4), size="n")
    >>> models.error_fraction.idxmin()
    'affine'
    """
    n, costs = _curves(frame, size, value)
    rows = []
    for form in FORMS:
        missed = over_processes(partial(held_out_error, form), frame, size=size, value=value)
        rows.append((*fit(form, n, np.median(costs, axis=0)), *missed))
    names = ["form", "a", "b", "error_fraction", "error_fraction_low", "error_fraction_high"]
    return pd.DataFrame(rows, columns=names).set_index("form")


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

    Examples
    --------
    >>> import pandas as pd
    >>> from mlperf.quantities.scaling import exponent, over_processes
    >>> runs = pd.DataFrame({"n": [1, 10, 100] * 2, "seconds": [3, 30, 300, 6, 60, 600]})
    >>> estimate = over_processes(exponent, runs.assign(process=[0] * 3 + [1] * 3, repeat=0), size="n")
    >>> round(estimate.value, 6)
    1.0
    """
    n, costs = _curves(frame, size, value)
    drawn = np.random.default_rng(SEED).integers(len(costs), size=(N_RESAMPLES, len(costs)))
    # Few processes have few distinct resamples: each is worked out once.
    kinds, counts = np.unique(np.sort(drawn, axis=1), axis=0, return_counts=True)
    resamples = np.repeat([statistic(n, np.median(costs[kind], axis=0)) for kind in kinds], counts)
    return interval(float(statistic(n, np.median(costs, axis=0))), resamples, len(costs))


def _curves(frame: pd.DataFrame, size: str, value: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sizes, and what they cost in each process: shape (processes, sizes)."""
    # As in mlperf.quantities.intervals: of a single process, the spread of its repeats is all that there is.
    unit = "process" if len(frame["process"].unique()) > 1 else "repeat"
    curves = frame.pivot_table(index=unit, columns=size, values=value, aggfunc="median")
    if curves.isna().any(axis=None):
        raise ValueError(
            f"The 'frame' parameter of over_processes must hold every size in every {unit}. "
            f"Got {int(curves.isna().sum().sum())} without instead."
        )
    return curves.columns.to_numpy(dtype=np.float64), curves.to_numpy(dtype=np.float64)
