import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from torch import nn

from mlperf.data import generate_samples
from mlperf.model import MLPRegressor
from mlperf.training.network import network
from mlperf.training.together import compiled_together, fit_together, one_by_one, together


def _modules(count, sizes=(5, 16, 8, 1)):
    return [network(sizes, torch.Generator().manual_seed(seed)) for seed in range(count)]


def _generators(count):
    return [torch.Generator().manual_seed(100 + seed) for seed in range(count)]


def _same(one, other, tolerance=1e-4):
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("train", [together, compiled_together])
@pytest.mark.parametrize("fused", [False, True])
def test_each_network_is_trained_as_it_would_be_alone(train, fused):
    X, y = torch.randn(3, 150, 5), torch.randn(3, 150, 1)  # the last mini-batch is short
    modules = _modules(3)
    alone = copy.deepcopy(modules)
    settings = {"learning_rate": 0.01, "batch_size": 64}
    training = train(modules, X, y, generators=_generators(3), **settings)
    apart = one_by_one(alone, X, y, generators=_generators(3), fused=fused, **settings)
    for _ in range(5):
        torch.testing.assert_close(next(training), next(apart), rtol=1e-4, atol=1e-5)
    for one, other in zip(modules, alone, strict=True):
        _same(one, other)


@pytest.mark.parametrize("way", ["fused", "compiled"])
@pytest.mark.parametrize("hidden", [(16, 8), ()])
def test_fits_together_predict_what_the_estimator_predicts_alone(hidden, way, monkeypatch):
    monkeypatch.setattr("mlperf.training.together.suited", lambda *_: way)
    problems = [generate_samples(200, random_state=seed) for seed in (3, 4)]
    predictors = fit_together(hidden, [(p.Xtr, p.ytr) for p in problems], random_states=[3, 4], max_iter=20)
    for seed, samples, predict in zip((3, 4), problems, predictors, strict=True):
        alone = MLPRegressor(hidden, max_iter=20, random_state=seed, engine="eager").fit(samples.Xtr, samples.ytr)
        np.testing.assert_allclose(predict(samples.Xte), alone.predict(samples.Xte), rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("way", ["fused", "compiled"])
def test_settings_of_torch_change_nothing(way, monkeypatch):
    """Tried: the caller's default dtype was float64, or the default device another."""
    monkeypatch.setattr("mlperf.training.together.suited", lambda *_: way)
    samples = generate_samples(200, random_state=3)

    def predicted():
        (predict,) = fit_together((16,), [(samples.Xtr, samples.ytr)], random_states=[3], max_iter=5)
        return predict(samples.Xte)

    usual = predicted()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            changed = predicted()
    finally:
        torch.set_default_dtype(torch.float32)
    assert np.array_equal(changed, usual)


def test_annealed_fit_of_a_linear_model_comes_nearer_to_the_least_squares():
    samples = generate_samples(500, noise=10)
    settings = {"random_states": [0], "max_iter": 60, "learning_rate_init": 0.1}
    (jittery,), (annealed,) = (
        fit_together((), [(samples.Xtr, samples.ytr)], anneal=anneal, **settings) for anneal in (False, True)
    )
    best = LinearRegression().fit(samples.Xtr, samples.ytr).predict(samples.Xtr)
    missed = [np.mean((predict(samples.Xtr) - best) ** 2) for predict in (jittery, annealed)]
    assert missed[1] < missed[0] / 4


@pytest.mark.parametrize("train", [together, compiled_together])
def test_learning_rate_that_is_sent_holds_from_the_next_epoch_on(train):
    modules = _modules(2)
    training = train(
        modules,
        torch.randn(2, 64, 5),
        torch.randn(2, 64, 1),
        learning_rate=0.01,
        batch_size=64,
        generators=_generators(2),
    )
    next(training)
    before = copy.deepcopy(modules)
    training.send(0.0)
    for module, same in zip(modules, before, strict=True):
        _same(module, same, tolerance=0)
    training.send(0.01)
    assert not torch.equal(next(modules[0].parameters()), next(before[0].parameters()))


@pytest.mark.parametrize("train", [together, one_by_one])
def test_networks_and_data_that_are_not_equally_many_are_refused(train):
    message = (
        f"The 'modules', 'X', 'y' and 'generators' parameters of {train.__name__} must be equally many, one at least. "
        "Got 2, 3, 2 and 2 instead."
    )
    training = train(
        _modules(2),
        torch.randn(3, 10, 5),
        torch.randn(2, 10, 1),
        learning_rate=0.01,
        batch_size=5,
        generators=_generators(2),
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        next(training)


def test_modules_do_not_share_what_they_learn():
    data = torch.randn(1, 64, 5).expand(2, -1, -1), torch.randn(1, 64, 1).expand(2, -1, -1)
    modules = _modules(2)
    next(together(modules, *data, learning_rate=0.01, batch_size=32, generators=_generators(2)))
    assert not torch.equal(
        nn.utils.parameters_to_vector(modules[0].parameters()), nn.utils.parameters_to_vector(modules[1].parameters())
    )


def test_each_network_has_its_own_learning_rate():
    samples = generate_samples(200)
    rates = [0.01, 0.001, 0.1]
    fit = [(samples.Xtr, samples.ytr)] * 3
    predictors = fit_together((16,), fit, random_states=[7, 7, 7], learning_rate_init=rates, max_iter=20)
    for rate, predict in zip(rates, predictors, strict=True):
        alone = MLPRegressor((16,), max_iter=20, random_state=7, learning_rate_init=rate, engine="eager")
        alone.fit(samples.Xtr, samples.ytr)
        np.testing.assert_allclose(predict(samples.Xte), alone.predict(samples.Xte), rtol=1e-3, atol=0.1)


def test_search_over_step_sizes_scores_as_a_grid_search_does():
    X, y = generate_samples(250).X, generate_samples(250).y
    rates, folds = [0.1, 0.01], list(KFold(5).split(X))
    fits = [(rate, train, test) for rate in rates for train, test in folds]
    settings = {"random_states": [0] * len(fits), "learning_rate_init": [rate for rate, _, _ in fits], "max_iter": 20}
    predictors = fit_together((16,), [(X[train], y[train]) for _, train, _ in fits], **settings)
    scores = [r2_score(y[test], predict(X[test])) for predict, (_, _, test) in zip(predictors, fits, strict=True)]
    alone = MLPRegressor((16,), max_iter=20, random_state=0, engine="eager")
    search = GridSearchCV(alone, {"learning_rate_init": rates}, cv=KFold(5)).fit(X, y)
    means = np.reshape(scores, (len(rates), -1)).mean(axis=1)
    np.testing.assert_allclose(means, search.cv_results_["mean_test_score"], atol=1e-3)


def test_folds_of_different_sizes_are_refused_with_what_makes_them_equal():
    X, y = np.ones((11, 5)), np.ones(11)
    problems = [(X[train], y[train]) for train, _ in KFold(2).split(X)]
    with pytest.raises(ValueError, match=r"folds of cross-validation are equally large .* Got \[\(5, 5\), \(6, 5\)\]"):
        fit_together((16,), problems, random_states=[0, 0])


def test_threads_share_the_networks(monkeypatch):
    alone, shared = _modules(5), _modules(5)
    X, y = torch.randn(5, 150, 5), torch.randn(5, 150, 1)
    settings = {"learning_rate": 0.01, "batch_size": 64}
    losses = next(compiled_together(alone, X, y, generators=_generators(5), **settings))
    monkeypatch.setattr("mlperf.training.compiled.threads_for", lambda *_: 3)
    assert torch.equal(next(compiled_together(shared, X, y, generators=_generators(5), **settings)), losses)
    for one, other in zip(alone, shared, strict=True):
        _same(one, other, tolerance=0)


def test_vmap_refuses_learning_rates_that_differ():
    X, y = torch.randn(2, 10, 5), torch.randn(2, 10, 1)
    training = together(_modules(2), X, y, generators=_generators(2), learning_rate=[0.1, 0.2], batch_size=5)
    with pytest.raises(ValueError, match=r"same for all networks; compiled_together .* Got \[0.1, 0.2\]"):
        next(training)
