import re

import numpy as np
import pytest

from mlperf.quantities.intervals import Estimates
from mlperf.quantities.scaling import (
    FORMS,
    Cost,
    break_even,
    exponent,
    fit,
    held_out_error,
)

SIZES = np.geomspace(250, 1_000_000, 10)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.0])
def test_exponent_of_a_power_is_recovered(truth):
    assert exponent(SIZES, 3e-6 * SIZES**truth) == pytest.approx(truth)


@pytest.mark.parametrize("n_processes", [6, 10])
@pytest.mark.parametrize("modes", [1, 2])
def test_interval_over_the_exponents_of_the_processes_covers_the_truth_as_often_as_it_says(n_processes, modes):
    rng = np.random.default_rng(n_processes)
    sizes = np.geomspace(250, 1_000_000, 8)
    noise = rng.lognormal(0, 0.1, (1_000, n_processes, len(sizes)))
    # What slows a whole process down leaves its exponent alone; in some processes, large sizes cost more.
    speed = rng.lognormal(0, 0.3, (1_000, n_processes, 1))
    bend = rng.choice(np.linspace(-0.03, 0.03, modes) if modes > 1 else [0.0], (1_000, n_processes, 1))
    costs = sizes ** (1 + bend) * speed * noise
    exponents = np.array([exponent(sizes, curve) for curve in costs.reshape(-1, len(sizes))])
    low, high = Estimates(exponents.reshape(1_000, n_processes)).interval()
    truth = 1.0
    assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.98


@pytest.mark.parametrize(
    ("cost", "best"),
    [
        (Cost("constant", 0.3, 0.0), "constant"),
        (Cost("affine", 2.0, 1e-3), "affine"),
        (Cost("power", 1e-5, 1.5), "power"),
    ],
)
def test_model_that_made_the_costs_predicts_held_out_sizes_best(cost, best):
    costs = cost(SIZES) * np.exp(np.random.default_rng(1).normal(0, 0.01, len(SIZES)))
    errors = {form: held_out_error(form, SIZES, costs) for form in FORMS if form != "constant" or best == form}
    # A constant is also an affine or a power cost: there the simplest is only not worse by much.
    assert errors[best] <= 1.2 * min(errors.values())
    assert errors[best] < 0.03


@pytest.mark.parametrize("cost", [Cost("constant", 2.0, 0.0), Cost("affine", 2.0, 1e-3), Cost("power", 0.1, 1.5)])
def test_fit_returns_the_coefficients_of_exact_costs(cost):
    assert fit(cost.form, SIZES, cost(SIZES)) == pytest.approx(cost)


def test_parts_of_an_affine_cost_are_equal_at_their_ratio():
    assert break_even(SIZES, Cost("affine", 2.0, 1e-3)(SIZES)) == pytest.approx(2_000)


def test_fixed_part_of_a_cost_without_one_is_zero_and_never_negative():
    assert break_even(SIZES, np.maximum(1e-3 * SIZES - 0.2, 1e-3)) == 0


def test_fixed_cost_alone_dominates_at_every_size():
    assert break_even([1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0]) == np.inf


def test_unknown_form_is_refused():
    message = "The 'form' parameter of fit must be one of ('constant', 'affine', 'power'). Got 'cubic' instead."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        fit("cubic", [1, 2, 3], [1, 2, 3])


@pytest.mark.parametrize("costs", [[1, 2], [1, 2, 0], [1, 2, 3, 4]])
def test_sizes_and_costs_that_do_not_fit_are_refused(costs):
    with pytest.raises(ValueError, match="must be positive numbers, equally many and at least three"):
        fit("affine", [1, 2, 3], costs)
