"""Engines: the same steps whatever carries them out, and nothing left behind."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mlperf import compiled
from mlperf.training.engines import ENGINES, available
from mlperf.model import MLPRegressor

# Samples, batch size, layer sizes: a short last batch, one of a single sample, fewer samples than a batch holds, no
# hidden layer, several outputs, widths that no vector divides, and larger products.
CASES = {
    "short last batch": (150, 64, (5, 32, 1)),
    "last batch of one": (129, 64, (3, 17, 7, 2)),
    "less than a batch, linear": (40, 64, (4, 3)),
    "large products": (130, 64, (5, 64, 64, 1)),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(autouse=True)
def cache(monkeypatch, kept):
    """Steps compiled by these tests are kept for these tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))
    compiled._loaded.cache_clear()
    yield
    compiled._loaded.cache_clear()


def network(sizes):
    torch.manual_seed(0)
    parts = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*parts[:-1])


def problem(n_samples, sizes):
    generator = torch.Generator().manual_seed(1)
    X = torch.randn(n_samples, sizes[0], generator=generator)
    y = torch.sin(X @ torch.randn(sizes[0], sizes[-1], generator=generator))
    return X, y


def trained(engine, n_samples, batch_size, sizes, steps=200, dtype=torch.float32):
    module = network(sizes).to(dtype)
    X, y = (part.to(dtype) for part in problem(n_samples, sizes))
    generator = torch.Generator().manual_seed(2)
    epochs = ENGINES[engine](module, X, y, learning_rate=0.003, batch_size=batch_size, generator=generator)
    losses = [next(epochs) for _ in range(-(-steps // -(-n_samples // batch_size)))]
    return np.array(losses), [parameter.detach().double().numpy() for parameter in module.parameters()]


@pytest.mark.parametrize("case", CASES)
def test_engines_take_the_same_steps_within_float32_rounding(case):
    exact_losses, exact = trained("eager", *CASES[case], dtype=torch.float64)
    start = [parameter.detach().double().numpy() for parameter in network(CASES[case][2]).parameters()]
    moved = max(np.abs(a - b).max() for a, b in zip(exact, start, strict=True))
    assert moved > 0.1
    for engine in ENGINES:
        losses, parameters = trained(engine, *CASES[case])
        np.testing.assert_allclose(losses, exact_losses, rtol=2e-5, atol=1e-7, err_msg=engine)
        for parameter, reference in zip(parameters, exact, strict=True):
            np.testing.assert_allclose(parameter, reference, atol=2e-4 * moved, rtol=0, err_msg=engine)


def test_so_they_do_where_the_blas_takes_the_products(monkeypatch):
    monkeypatch.setattr(compiled, "LOOPED_PRODUCT", 70_000)
    test_engines_take_the_same_steps_within_float32_rounding("large products")


def test_the_first_step_is_adam_as_published():
    # After one step every parameter has moved by the learning rate against the sign of its gradient.
    sizes = (5, 32, 1)
    X, y = problem(64, sizes)
    module, reference = network(sizes), network(sizes)
    nn.functional.mse_loss(reference(X), y).backward()
    epochs = ENGINES["compiled"](
        module, X, y, learning_rate=0.01, batch_size=64, generator=torch.Generator().manual_seed(0)
    )
    next(epochs)
    for after, before in zip(module.parameters(), reference.parameters(), strict=True):
        large = before.grad.abs() > 1e-4  # far above Adam's epsilon
        torch.testing.assert_close((before - after)[large], 0.01 * before.grad.sign()[large], rtol=1e-3, atol=1e-6)


def operators_of_an_epoch(engine, sizes, n_samples):
    X, y = problem(n_samples, sizes)
    epochs = ENGINES[engine](
        network(sizes), X, y, learning_rate=0.001, batch_size=64, generator=torch.Generator().manual_seed(0)
    )
    next(epochs)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        next(epochs)
    return {event.key: event.count for event in profiler.key_averages() if event.key.startswith("aten::")}


def test_a_compiled_step_of_small_products_calls_no_operator():
    few, many = (operators_of_an_epoch("compiled", (5, 32, 1), 64 * steps) for steps in (2, 12))
    assert few == many
    assert not {"aten::mm", "aten::addmm", "aten::relu", "aten::sqrt"} & set(many)


def test_a_compiled_step_with_very_large_products_calls_what_the_blas_needs_alone():
    few, many = (operators_of_an_epoch("compiled", (5, 512, 512, 1), 64 * steps) for steps in (2, 12))
    # The BLAS is called past the dispatcher; seen are the operators that prepare its three calls.
    assert {name for name in many if many[name] != few.get(name)} <= {
        "aten::mm",
        "aten::addmm",
        "aten::as_strided",
        "aten::copy_",
        "aten::expand",
        "aten::resolve_conj",
    }
    assert 0 < sum(many.values()) - sum(few.values()) <= 10 * 3 * 5


def test_the_fused_optimiser_is_one_call_a_step_and_the_plain_one_many():
    plain, fused = (operators_of_an_epoch(engine, (5, 32, 1), 64 * 4) for engine in ("eager", "fused"))
    assert fused["aten::_fused_adam_"] == 4
    assert "aten::_fused_adam_" not in plain
    assert plain["aten::addcdiv_"] == 4 * 4  # steps x parameter tensors


def test_a_step_is_compiled_once_for_all_epochs_fits_and_processes(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    choices = dict(compiled.INDUCTOR)
    compilations = []
    compile_really = compiled._compile

    def counted(*arguments):
        compilations.append(arguments[:2])
        compile_really(*arguments)

    monkeypatch.setattr(compiled, "_compile", counted)
    for n_samples in (20, 500):
        trained("compiled", n_samples, 8, (2, 3, 1), steps=150)
    assert compilations == [((2, 3, 1), 8)]
    compiled._loaded.cache_clear()  # as in another process
    monkeypatch.setenv("CXX", "no-such-compiler")  # which needs none
    trained("compiled", 70, 8, (2, 3, 1), steps=20)
    assert len(compilations) == 1
    assert sorted(path.suffix for path in (tmp_path / "mlperf").iterdir()) == [".seconds", ".so"]
    assert compiled.compile_seconds((2, 3, 1), 8) > 0
    assert choices == compiled.INDUCTOR
    assert not any(temporary.iterdir())


@pytest.mark.parametrize("constant", ["LOOPED_PRODUCT", "ROWS_AT_ONCE", "STACK_BYTES", "INDUCTOR"])
def test_a_step_compiled_with_another_choice_is_kept_apart(monkeypatch, constant):
    usual = compiled._path((5, 32, 1), 64)
    monkeypatch.setattr(compiled, constant, 1)
    assert compiled._path((5, 32, 1), 64) != usual


@pytest.mark.parametrize("name", ["ATEN_CPU_CAPABILITY", "TORCHINDUCTOR_CPP_MARCH"])
def test_a_step_compiled_for_another_processor_is_kept_apart(monkeypatch, name):
    usual = compiled._path((5, 32, 1), 64)
    monkeypatch.setenv(name, "older")
    assert compiled._path((5, 32, 1), 64) != usual


@pytest.mark.parametrize(
    ("compiler", "complaint"),
    [("no-such-compiler", "was not found"), ("false", "does not compile a trial program")],
)
def test_without_a_compiler_it_says_what_to_install_before_any_work(monkeypatch, tmp_path, compiler, complaint):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setattr("sys.platform", "linux")
    module = network((5, 4, 1))
    before = copy.deepcopy(module.state_dict())
    X, y = problem(20, (5, 4, 1))
    epochs = ENGINES["compiled"](module, X, y, learning_rate=0.1, batch_size=8, generator=torch.Generator())
    with pytest.raises(RuntimeError) as caught:
        next(epochs)
    assert str(caught.value) == (
        f"The engine 'compiled' needs a C++ compiler, and '{compiler}' {complaint}. Install one (for example "
        "'apt-get install g++') or name another in the environment variable CXX. The engine 'fused' needs none."
    )
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert list(tmp_path.iterdir()) == []


def test_compiling_and_training_leave_torch_as_it_was(monkeypatch, tmp_path):
    from torch._inductor import config

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    torch.manual_seed(3)

    def state():
        return (
            torch.get_num_threads(),
            torch.get_rng_state().tolist(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            config.save_config_portable(),
        )

    before = state()
    X, y = problem(20, (2, 3, 1))
    MLPRegressor((3,), engine="compiled", batch_size=8, max_iter=2, random_state=0).fit(X.numpy(), y[:, 0].numpy())
    assert state() == before


def test_a_caller_with_another_default_dtype_gets_the_same_model():
    X, y = (part.numpy() for part in problem(150, (5, 32, 1)))
    model = MLPRegressor((32,), engine="compiled", max_iter=3, random_state=0)
    usual = model.fit(X, y[:, 0]).predict(X)
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(model.fit(X, y[:, 0]).predict(X), usual)
    finally:
        torch.set_default_dtype(torch.float32)


def test_data_larger_than_is_gathered_at_a_time_is_trained_on_whole(monkeypatch):
    whole = trained("compiled", 150, 8, (2, 3, 1), steps=40)
    monkeypatch.setattr("mlperf.training.engines.GATHERED_STEPS", 4)
    parts = trained("compiled", 150, 8, (2, 3, 1), steps=40)
    np.testing.assert_array_equal(whole[0], parts[0])
    for one, other in zip(whole[1], parts[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_compiled_engine_is_available_where_a_compiler_works(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert available() == ["eager", "fused"]
    monkeypatch.delenv("CXX")
    assert available() == ["eager", "fused", "compiled"]
