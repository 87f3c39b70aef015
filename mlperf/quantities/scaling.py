"""How a cost grows with a size: constant, affine and power models of one curve.

All functions take sizes and what they cost. To know how far what they say is due to chance, let
`Quantity.along` apply them to the curve of each process.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

FORMS = ("constant", "affine", "power")
"""Models of a cost: a; a + b n; a nᵇ."""


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

    It is infinite where the costs do not grow at all.

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
