"""How a cost grows with a size: constant, affine and power models of one curve.

All functions take sizes and their costs. For confidence intervals, let `Quantity.along` apply them to the curve of each
process.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

FORMS = ("constant", "affine", "power")
"""Models of a cost as a function of the size n: a (constant), a + b n (affine), and a nᵇ (power)."""


class Cost(NamedTuple):
    """A fitted model of a cost; call it with sizes to get their costs.

    Parameters
    ----------
    form : {"constant", "affine", "power"}
        One of `FORMS`.
    a, b : float
        The coefficients; `b` is 0 in the constant model.

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
    """Fit a model of a cost by relative deviations, which count the same at all sizes.

    Parameters
    ----------
    form : {"constant", "affine", "power"}
        One of `FORMS`. The coefficients of the affine model are constrained to be non-negative.
    sizes, costs : array-like of shape (n,)
        Positive numbers, at least three, with one cost for each size.

    Returns
    -------
    Cost

    Raises
    ------
    ValueError
        If there is no such form, or `sizes` and `costs` are not positive, differ in length, or are fewer than three.

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
        scale = n.max()  # columns of similar size, or the smaller one falls below the solver's tolerance
        (a, b), _ = nnls(np.column_stack([1 / cost, n / scale / cost]), np.ones(len(n)))
        return Cost(form, float(a), float(b / scale))
    if form == "power":
        b, log_a = np.polyfit(np.log(n), np.log(cost), 1)
        return Cost(form, float(np.exp(log_a)), float(b))
    raise ValueError(f"The 'form' parameter of fit must be one of {FORMS}. Got {form!r} instead.")


def exponent(sizes: ArrayLike, costs: ArrayLike) -> float:
    """Return the exponent of the power model; it is 1 if the cost is proportional to the size.

    Parameters
    ----------
    sizes, costs : array-like of shape (n,)
        As for `fit`.

    Returns
    -------
    float

    Examples
    --------
    >>> from mlperf.quantities.scaling import exponent
    >>> round(exponent([1, 10, 100], [3, 300, 30_000]), 6)
    2.0
    """
    return fit("power", sizes, costs).b


def break_even(sizes: ArrayLike, costs: ArrayLike) -> float:
    """Return the size at which the fixed and the proportional part of the affine model are equal.

    Below this size, the fixed part dominates.

    Parameters
    ----------
    sizes, costs : array-like of shape (n,)
        As for `fit`.

    Returns
    -------
    float
        A size; infinite if the costs do not grow at all.

    Examples
    --------
    >>> from mlperf.quantities.scaling import break_even
    >>> round(break_even([1, 10, 100], [12, 30, 210]), 6)
    5.0
    """
    model = fit("affine", sizes, costs)
    return model.a / model.b if model.b else np.inf


def held_out_error(form: str, sizes: ArrayLike, costs: ArrayLike) -> float:
    """Return the leave-one-out error of a model: how far it misses sizes that it was not fitted to.

    Parameters
    ----------
    form : {"constant", "affine", "power"}
        One of `FORMS`.
    sizes, costs : array-like of shape (n,)
        As for `fit`, but at least four. Each size is left out in turn.

    Returns
    -------
    float
        Root mean squared relative error.

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
