"""The compiled engine: the steps of eager for any shape, compiled once for all numbers of samples."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from mlperf.training import compiled as module_of_compiled
from mlperf.training import kernel, library
from mlperf.training.compiled import Training, compile_seconds, compiled, threads_for
from mlperf.training.eager import eager
from mlperf.training.network import network


def an_epoch(engine, sizes, n_samples, batch_size, **choices):
    generator = torch.Generator().manual_seed(1)
    X, y = (torch.randn(n_samples, n, generator=generator) for n in (sizes[0], sizes[-1]))
    module = network(sizes, generator)
    epochs = engine(module, X, y, learning_rate=0.01, batch_size=batch_size, generator=generator, **choices)
    return next(epochs), module


def assert_same(one, other, rounding=2e-5):
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    for a, b in zip(one[1].parameters(), other[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=rounding)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sizes=st.lists(st.integers(1, 70), min_size=2, max_size=4),
    batch_size=st.integers(1, 300),
    n_samples=st.lists(st.integers(1, 600), min_size=3, max_size=3),
)
def test_an_epoch_of_any_shape_is_that_of_eager(sizes, batch_size, n_samples):
    for n in n_samples:
        batch = max(batch_size, n // 4)  # few steps: each adds its rounding
        assert_same(an_epoch(compiled, sizes, n, batch), an_epoch(eager, sizes, n, batch), rounding=1e-4)


def test_numbers_too_tiny_for_the_program_remain_what_they_are_outside():
    tiny = torch.full((1,), 1e-40)
    an_epoch(compiled, (3, 4, 1), 10, 8)
    assert (tiny * 0.5).item() > 0


def test_a_network_is_compiled_once_for_all_samples_and_batches(monkeypatch):
    an_epoch(compiled, (3, 4, 1), 10, 8)
    monkeypatch.setattr(library, "_compile", lambda *_: pytest.fail("compiled anew"))
    for n_samples, batch_size in ((1, 1), (1_000, 64), (77, 500)):
        an_epoch(compiled, (3, 4, 1), n_samples, batch_size)
    assert compile_seconds((3, 4, 1)) > 0


@pytest.mark.parametrize(
    "choices",
    [
        {"vector_bytes": 16},
        {"vector_bytes": 32, "vectors_at_once": 1},
        {"rows_at_once": 1},
        {"rows_in_cache": 16},
    ],
    ids=str,
)
def test_choices_change_no_more_than_the_rounding(choices):
    usual = an_epoch(compiled, (5, 40, 20, 1), 150, 64)
    assert_same(an_epoch(compiled, (5, 40, 20, 1), 150, 64, **choices), usual)


def test_threads_change_no_more_than_the_rounding(monkeypatch):
    alone = an_epoch(compiled, (5, 40, 20, 1), 129, 64)  # in a last batch of one row, a thread has none
    monkeypatch.setattr(module_of_compiled, "threads_for", lambda *_: 3)
    together = [an_epoch(compiled, (5, 40, 20, 1), 129, 64) for _ in range(2)]
    assert_same(alone, together[0])
    assert_same(together[0], together[1], rounding=0)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("choices", [{}, {"rows_in_cache": 16}], ids=str)  # a mini-batch in one go, or in several
def test_layers_that_are_updated_panel_by_panel_take_the_same_steps(monkeypatch, threads, choices):
    sizes = (5, 150, 20, 2, 7)
    usual = an_epoch(compiled, sizes, 129, 64)
    monkeypatch.setattr(kernel, "MANY_PARAMETERS", 1)
    monkeypatch.setattr(module_of_compiled, "threads_for", lambda *_: threads)
    assert_same(an_epoch(compiled, sizes, 129, 64, **choices), usual)


def test_a_step_is_shared_out_if_it_is_large_and_no_further_than_torch_may(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert threads_for((5, 32, 1), n_rows=64) == 1
    assert threads_for((15, 64, 64, 64, 1), n_rows=16) == 1  # less to compute than to hand over
    assert threads_for((784, 200, 200, 1), n_rows=32) == 1
    assert threads_for((256, 24, 1), n_rows=256) > 1
    assert threads_for((30, 12, 1), n_rows=1_024) > 1  # little to compute for each of many rows
    assert threads_for((64, 1024, 1024, 1), n_rows=256) == 4
    assert threads_for((64, 4096, 4096, 1), n_rows=2) == 2


def test_a_long_order_is_drawn_by_one_thread(monkeypatch):
    """Tried: torch's threads, which had shared it out, stayed busy, and two threads took longer than one."""
    drawn_by, draw, threads = [], torch.randperm, torch.get_num_threads()

    def randperm(*args, **options):
        drawn_by.append(torch.get_num_threads())
        return draw(*args, **options)

    monkeypatch.setattr(torch, "randperm", randperm)
    monkeypatch.setattr(module_of_compiled, "threads_for", lambda *_: 2)
    torch.set_num_threads(2)
    try:
        an_epoch(compiled, (1, 2, 1), 40_000, 20_000)
        assert drawn_by == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_rows_are_taken_in_their_order_if_they_are_not_shuffled():
    sizes, generator = (5, 8, 1), torch.Generator().manual_seed(0)
    X, y = torch.randn(16, 5, generator=generator), torch.randn(16, 1, generator=generator)
    module = network(sizes, generator)
    by_hand = copy.deepcopy(module)
    optimiser = torch.optim.Adam(by_hand.parameters(), lr=0.01)
    for rows in torch.arange(16).split(8):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(by_hand(X[rows]), y[rows]).backward()
        optimiser.step()
    next(compiled(module, X, y, learning_rate=0.01, batch_size=8, generator=generator, shuffled=False))
    for one, other in zip(module.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_the_first_step_is_adam_as_published():
    # After one step every parameter has moved by the learning rate against the sign of its gradient.
    sizes, generator = (5, 32, 1), torch.Generator().manual_seed(0)
    X, y = torch.randn(64, 5, generator=generator), torch.randn(64, 1, generator=generator)
    module = network(sizes, generator)
    reference = copy.deepcopy(module)
    torch.nn.functional.mse_loss(reference(X), y).backward()
    next(compiled(module, X, y, learning_rate=0.01, batch_size=64, generator=generator))
    for after, before in zip(module.parameters(), reference.parameters(), strict=True):
        large = before.grad.abs() > 1e-4  # far above Adam's epsilon
        torch.testing.assert_close((before - after)[large], 0.01 * before.grad.sign()[large], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 1e30])
def test_what_is_no_number_shows_in_the_loss(rate):
    X, module = torch.randn(8, 5), network((5, 8, 1), torch.Generator())
    if rate < 1:
        X[3, 2] = float("nan")
    epochs = compiled(module, X, torch.ones(8, 1), learning_rate=rate, batch_size=8, generator=torch.Generator())
    assert not torch.tensor([next(epochs) for _ in range(3)]).isfinite().all()


@pytest.mark.parametrize(
    ("X", "y", "complaint"),
    [
        (torch.ones(8, 4), torch.ones(8, 1), r"'X' parameter of the compiled engine must be of shape \(8, 5\)"),
        (torch.ones(8, 5), torch.ones(7, 1), r"'y' parameter of the compiled engine must be of shape \(8, 1\)"),
        (torch.ones(8, 5), torch.ones(8, 1).double(), "must be of float32 and on the CPU. Got torch.float64 on cpu"),
    ],
)
def test_data_that_do_not_fit_the_network_are_refused(X, y, complaint):
    epochs = compiled(
        network((5, 8, 1), torch.Generator()), X, y, learning_rate=0.1, batch_size=8, generator=torch.Generator()
    )
    with pytest.raises(ValueError, match=complaint):
        next(epochs)


@pytest.mark.parametrize(
    ("compiler", "complaint"),
    [("no-such-compiler", "was not found"), ("false", "does not compile its program")],
)
def test_without_a_compiler_it_says_what_to_install_before_any_work(monkeypatch, tmp_path, compiler, complaint):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setattr("sys.platform", "linux")
    module = network((5, 4, 1), torch.Generator())
    before = copy.deepcopy(module.state_dict())
    X, y = torch.ones(20, 5), torch.ones(20, 1)
    epochs = compiled(module, X, y, learning_rate=0.1, batch_size=8, generator=torch.Generator())
    with pytest.raises(RuntimeError) as caught:
        next(epochs)
    assert str(caught.value) == (
        f"The engine 'compiled' needs a C++ compiler, and '{compiler}' {complaint}. Install one (for example "
        "'apt-get install g++') or name another in the environment variable CXX. The engine 'fused' needs none."
    )
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"lock"}


@pytest.mark.parametrize("other", [network((5, 9, 1), torch.Generator()), nn.Sequential(nn.Linear(5, 1, bias=False))])
def test_networks_that_differ_or_have_no_bias_are_refused(other):
    with pytest.raises(ValueError, match=r"must have linear layers with a bias, all the same sizes"):
        Training(
            [network((5, 8, 1), torch.Generator()), other],
            torch.ones(2, 8, 5),
            torch.ones(2, 8, 1),
            learning_rate=0.1,
            batch_size=8,
        )
