import copy
import pickle
import re
from fractions import Fraction
from itertools import zip_longest

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mlperf.data import generate_samples
from mlperf.model import MLPRegressor
from mlperf.training.engines import available

SAMPLES = generate_samples(300)


def small(**parameters):
    return MLPRegressor(**{"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, **parameters})


def weights(regressor):
    return [parameter.numpy() for parameter in regressor.module_.parameters()]


@parametrize_with_checks([MLPRegressor(max_iter=20, random_state=0)])
def test_scikit_learn_accepts_it_as_an_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("keep", [pickle.dumps, None], ids=["pickle", "joblib"])
def test_a_kept_model_predicts_as_before(keep, tmp_path):
    fitted = small().fit(SAMPLES.Xtr, SAMPLES.ytr)
    if keep:
        revived = pickle.loads(keep(fitted))
    else:
        joblib.dump(fitted, tmp_path / "model.joblib")
        revived = joblib.load(tmp_path / "model.joblib")
    assert np.array_equal(revived.predict(SAMPLES.Xte), fitted.predict(SAMPLES.Xte))


@pytest.mark.parametrize("keep", [pickle.dumps, None], ids=["pickle", "deepcopy"])
def test_a_model_of_a_device_is_kept_on_the_processor(keep):
    fitted = small().fit(SAMPLES.Xtr, SAMPLES.ytr)
    fitted.device_ = "cuda"
    kept = pickle.loads(keep(fitted)) if keep else copy.deepcopy(fitted)
    assert (kept.device_, fitted.device_) == ("cpu", "cuda")
    fitted.device_ = "cpu"
    assert np.array_equal(kept.predict(SAMPLES.Xte), fitted.predict(SAMPLES.Xte))


def test_it_works_inside_the_tools_of_scikit_learn():
    pipeline = make_pipeline(StandardScaler(), small(max_iter=30))
    assert cross_val_score(pipeline, SAMPLES.X, SAMPLES.y, cv=3).mean() > 0.3
    search = GridSearchCV(small(), {"hidden_layer_sizes": [(4,), (16,)]}, cv=2).fit(SAMPLES.X, SAMPLES.y)
    assert search.best_params_["hidden_layer_sizes"] in [(4,), (16,)]
    target = TransformedTargetRegressor(small(max_iter=30), transformer=StandardScaler())
    assert target.fit(SAMPLES.Xtr, SAMPLES.ytr).predict(SAMPLES.Xte).shape == SAMPLES.yte.shape
    assert clone(small(batch_size=7)).get_params()["batch_size"] == 7


def test_it_learns_the_data_up_to_their_noise():
    samples = generate_samples(5_000)
    fitted = MLPRegressor((64, 32, 16), max_iter=60, random_state=0).fit(samples.Xtr, samples.ytr)
    assert fitted.score(samples.Xte, samples.yte) > 0.999


def test_targets_come_back_in_their_own_shape():
    y = SAMPLES.ytr
    assert small().fit(SAMPLES.Xtr, y).predict(SAMPLES.Xte).shape == (60,)
    assert small().fit(SAMPLES.Xtr, y[:, None]).predict(SAMPLES.Xte).shape == (60, 1)
    both = small(max_iter=200).fit(SAMPLES.Xtr, np.column_stack([y, -2 * y + 1_000]))
    first, second = both.predict(SAMPLES.Xtr).T
    assert both.n_outputs_ == 2
    assert np.corrcoef(first, y)[0, 1] > 0.9
    assert np.corrcoef(second, -2 * y)[0, 1] > 0.9


def test_feature_names_of_a_data_frame_are_kept():
    X = pd.DataFrame(SAMPLES.Xtr, columns=list("abcde"))
    fitted = small().fit(X, SAMPLES.ytr)
    assert fitted.feature_names_in_.tolist() == list("abcde")
    assert fitted.n_features_in_ == 5
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X.rename(columns={"a": "z"}))


def test_curves_have_one_value_for_each_epoch():
    fitted = small(max_iter=5).fit(SAMPLES.Xtr, SAMPLES.ytr, SAMPLES.Xval, SAMPLES.yval)
    assert fitted.n_iter_ == len(fitted.loss_curve_) == len(fitted.validation_curve_) == 5
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    assert not hasattr(small().fit(SAMPLES.Xtr, SAMPLES.ytr), "validation_curve_")


def test_the_last_validation_error_is_that_of_the_fitted_network():
    fitted = small().fit(SAMPLES.Xtr, SAMPLES.ytr, SAMPLES.Xval, SAMPLES.yval)
    error = np.mean((fitted.predict(SAMPLES.Xval) - SAMPLES.yval) ** 2) / SAMPLES.ytr.var()
    assert fitted.validation_curve_[-1] == pytest.approx(error, rel=1e-4)


def test_validation_data_do_not_change_what_is_learned():
    alone = small().fit(SAMPLES.Xtr, SAMPLES.ytr)
    watched = small().fit(SAMPLES.Xtr, SAMPLES.ytr, SAMPLES.Xval, SAMPLES.yval)
    assert all(map(np.array_equal, weights(alone), weights(watched)))


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_the_same_random_state_gives_the_same_weights_whatever_the_global_seed(engine):
    fits = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        fits.append(weights(small(engine=engine).fit(SAMPLES.Xtr, SAMPLES.ytr)))
    assert all(map(np.array_equal, *fits))
    assert not np.array_equal(weights(small(random_state=1).fit(SAMPLES.Xtr, SAMPLES.ytr))[0], fits[0][0])


def test_global_state_is_as_it_was():
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_default_dtype(), torch.get_num_threads()
    small().fit(SAMPLES.Xtr, SAMPLES.ytr).predict(SAMPLES.Xte)
    after = torch.get_rng_state(), np.random.get_state()[1], torch.get_default_dtype(), torch.get_num_threads()
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert torch.is_grad_enabled()


@pytest.fixture
def torch_as_it_was():
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(False)
    torch.autograd.set_detect_anomaly(False)


@pytest.mark.parametrize("engine", ["eager", "fused", "compiled"])
@pytest.mark.parametrize(
    "change",
    [
        lambda: torch.set_default_device("meta"),
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    ],
    ids=["default device", "default dtype", "determinism", "anomalies"],
)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.usefixtures("torch_as_it_was")
def test_settings_of_torch_change_nothing_and_stay(engine, change):
    """Tried: with another default device a fit failed, and in the compiled engine its process died."""
    if engine not in available():
        pytest.skip(f"the engine {engine!r} is not available here")
    plain = small(engine=engine).fit(SAMPLES.Xtr, SAMPLES.ytr)
    predicted = plain.predict(SAMPLES.Xte)
    change()
    before = torch.get_default_device(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    changed = small(engine=engine).fit(SAMPLES.Xtr, SAMPLES.ytr)
    assert np.array_equal(changed.predict(SAMPLES.Xte), predicted)
    assert all(map(np.array_equal, weights(plain), weights(changed)))
    after = torch.get_default_device(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    assert after == before


def test_it_trains_alike_under_the_caller_s_no_grad_inference_mode_and_default_dtype():
    plain = weights(small().fit(SAMPLES.Xtr, SAMPLES.ytr))
    with torch.no_grad():
        assert all(map(np.array_equal, plain, weights(small().fit(SAMPLES.Xtr, SAMPLES.ytr))))
    with torch.inference_mode():
        assert all(map(np.array_equal, plain, weights(small().fit(SAMPLES.Xtr, SAMPLES.ytr))))
    torch.set_default_dtype(torch.float64)
    try:
        assert all(map(np.array_equal, plain, weights(small().fit(SAMPLES.Xtr, SAMPLES.ytr))))
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("magnitude", [1e300, 1e-300])
@pytest.mark.parametrize("numpy_raises", [False, True])
def test_features_and_targets_of_any_magnitude_are_learned(magnitude, numpy_raises):
    """Tried: with features or targets beyond 1e150, or where NumPy was set to raise, a fit failed."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(200, 3))
    y = X @ [3.0, -2.0, 1.0]
    large, target = X * [1.0, magnitude, 1 / magnitude], y * magnitude
    with np.errstate(all="raise" if numpy_raises else "warn"):
        predicted = MLPRegressor(max_iter=20, random_state=0).fit(large, target).predict(large)
    plain = MLPRegressor(max_iter=20, random_state=0).fit(X, y).predict(X)
    assert np.allclose(predicted / magnitude, plain, atol=1e-3)
    assert np.mean((plain - y) ** 2) < 0.2 * np.var(y)


@pytest.mark.parametrize("value", [0.1, 7.0, 1e300])
def test_a_constant_target_is_predicted_as_it_is(value):
    """Tried: what the network says was added to it."""
    X = np.random.default_rng(0).normal(size=(50, 3))
    predicted = MLPRegressor(max_iter=2).fit(X, np.full(50, value)).predict(X)
    assert np.allclose(predicted, value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinities_are_refused_in_one_error_without_a_warning(infinite):
    """Tried: NumPy warned of them first."""
    X, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50.0)
    fitted = MLPRegressor(max_iter=1).fit(X, y)
    X[3, 1] = infinite
    with pytest.raises(ValueError, match="Input X contains infinity"):
        fitted.predict(X)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        fitted.fit(X, y)
    with pytest.raises(ValueError, match="Input y contains infinity"):
        MLPRegressor().fit(np.ones((50, 1)), X[:, 1])


def test_a_large_offset_costs_no_accuracy():
    shifted = small(max_iter=40).fit(SAMPLES.Xtr + 1e7, SAMPLES.ytr + 1e9)
    plain = small(max_iter=40).fit(SAMPLES.Xtr, SAMPLES.ytr)
    assert np.allclose(shifted.predict(SAMPLES.Xte + 1e7) - 1e9, plain.predict(SAMPLES.Xte), atol=0.1)


def test_an_interrupted_fit_leaves_nothing_that_predicts(monkeypatch):
    from mlperf.training import engines

    def interrupted(*_, **__):
        yield 1.0
        raise KeyboardInterrupt

    regressor = small(engine="fused").fit(SAMPLES.Xtr, SAMPLES.ytr)
    monkeypatch.setitem(engines.ENGINES, "fused", interrupted)
    with pytest.raises(KeyboardInterrupt):
        regressor.fit(SAMPLES.Xtr, SAMPLES.ytr)
    with pytest.raises(NotFittedError):
        regressor.predict(SAMPLES.Xte)


@pytest.mark.parametrize(("n_epochs", "n_pauses"), [(1, 6), (2, 3), (3, 2), (7, 0), (100, 0)])
def test_a_fit_with_pauses_comes_to_the_same_as_one_without(n_epochs, n_pauses):
    whole = small(max_iter=7).fit(SAMPLES.Xtr, SAMPLES.ytr)
    paused = small(max_iter=7)
    pauses = 0
    for _ in paused.fit_in_parts(SAMPLES.Xtr, SAMPLES.ytr, n_epochs=n_epochs):
        assert not hasattr(paused, "module_")
        pauses += 1
    assert pauses == n_pauses
    assert paused.loss_curve_ == whole.loss_curve_
    assert all(map(np.array_equal, weights(paused), weights(whole)))


def test_fits_that_take_turns_do_not_disturb_each_other_or_the_state_of_the_process():
    first, second = small(), small(hidden_layer_sizes=(4, 4))
    with torch.no_grad(), np.errstate(over="raise"):
        turns = [regressor.fit_in_parts(SAMPLES.Xtr, SAMPLES.ytr, n_epochs=1) for regressor in (first, second)]
        for _ in zip_longest(*turns):
            assert not torch.is_grad_enabled()
            assert np.geterr()["over"] == "raise"
    for taken in (first, second):
        whole = clone(taken).fit(SAMPLES.Xtr, SAMPLES.ytr)
        assert all(map(np.array_equal, weights(taken), weights(whole)))


def test_parts_of_a_fit_have_at_least_one_epoch():
    message = (
        "The 'n_epochs' parameter of MLPRegressor.fit_in_parts must be an int in the range [1, inf). Got 0 instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        next(small().fit_in_parts(SAMPLES.Xtr, SAMPLES.ytr, n_epochs=0))


def test_a_diverging_fit_says_so_and_leaves_nothing_that_predicts():
    regressor = small(learning_rate_init=1e30, max_iter=20)
    with pytest.raises(ValueError, match=r"training loss of MLPRegressor became .* smaller 'learning_rate_init'"):
        regressor.fit(SAMPLES.Xtr, SAMPLES.ytr)
    with pytest.raises(NotFittedError):
        regressor.predict(SAMPLES.Xte)


@pytest.mark.parametrize(
    "parameters",
    [
        {"learning_rate_init": Fraction(1, 1000)},
        {"learning_rate_init": np.array(0.001)},
        {"batch_size": np.array(16)},
        {"max_iter": np.array(2)},
        {"random_state": np.array(0)},
        {"chunk_bytes": np.int64(4096)},
    ],
)
def test_parameters_may_be_numbers_of_any_type(parameters):
    """A Fraction, and an array of no dimension, were refused."""
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40.0)
    settings = {"max_iter": 2, "random_state": 0, "engine": "fused", **parameters}
    plain = {
        name: value.item() if isinstance(value, np.ndarray | np.generic) else value for name, value in settings.items()
    }
    plain = {name: float(value) if isinstance(value, Fraction) else value for name, value in plain.items()}
    np.testing.assert_array_equal(
        MLPRegressor(**settings).fit(X, y).predict(X), MLPRegressor(**plain).fit(X, y).predict(X)
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, "must be an int or a sequence of ints of at least 1. Got (0,) instead."),
        ({"hidden_layer_sizes": (2.5,)}, "must be an int or a sequence of ints of at least 1. Got (2.5,) instead."),
        (
            {"max_iter": 0},
            "The 'max_iter' parameter of MLPRegressor must be an int in the range [1, inf). Got 0 instead.",
        ),
        ({"batch_size": 1.5}, "The 'batch_size' parameter of MLPRegressor must be an int in the range [1, inf)."),
        (
            {"learning_rate_init": 0},
            "The 'learning_rate_init' parameter of MLPRegressor must be a float in the range (0",
        ),
        ({"engine": "steam"}, "The 'engine' parameter of MLPRegressor must be a str among"),
    ],
)
def test_a_bad_parameter_is_named_with_its_owner_requirement_and_value(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        small(**parameters).fit(SAMPLES.Xtr, SAMPLES.ytr)


def test_half_of_the_validation_data_is_refused():
    with pytest.raises(ValueError, match=r"'X_val' and 'y_val' parameters of MLPRegressor.fit must be given together"):
        small().fit(SAMPLES.Xtr, SAMPLES.ytr, X_val=SAMPLES.Xval)


def test_a_bar_that_is_not_shown_takes_no_lock_of_the_system(monkeypatch):
    """On Python 3.13 and 3.14 it was reported as leaked when the process ended."""
    monkeypatch.setattr("mlperf.model.tqdm", None)
    small().fit(SAMPLES.Xtr, SAMPLES.ytr)


def test_progress_is_shown_only_when_asked_for(capsys):
    small().fit(SAMPLES.Xtr, SAMPLES.ytr)
    assert capsys.readouterr().err == ""
    small(progress=True).fit(SAMPLES.Xtr, SAMPLES.ytr)
    assert "3/3" in capsys.readouterr().err
