import torch
from torch import nn

from mlperf.profilers.work import counted_flops, step_flops
from mlperf.training.engines import eager
from mlperf.training.network import network, training_steps


def test_network_is_drawn_as_torch_draws_it():
    torch.manual_seed(7)
    usual = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
    drawn = network([5, 16, 2], torch.Generator().manual_seed(7))
    for one, other in zip(usual.parameters(), drawn.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_network_leaves_the_global_generator_and_defaults_alone():
    state = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        module = network([5, 16, 2], torch.Generator())
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_training_steps_are_an_epoch_of_the_engine_after_its_first():
    epochs = []

    def engine(module, X, y, *, batch_size, **_settings):
        while True:
            epochs.append((len(X) / batch_size, [tuple(part.shape) for part in module.parameters()], X.shape, y.shape))
            yield float(len(epochs))

    steps = training_steps(engine, [5, 32, 2], n_rows=64, n_steps=3)
    assert epochs == [(3, [(32, 5), (32,), (2, 32), (2,)], (192, 5), (192, 2))]
    assert (steps(), steps()) == (2.0, 3.0)


def test_training_steps_are_in_float32_whatever_the_default_dtype():
    """Tried: the caller's default dtype was float64."""
    torch.set_default_dtype(torch.float64)
    try:
        loss = training_steps(eager, [5, 32, 1], n_rows=64, n_steps=2)()
    finally:
        torch.set_default_dtype(torch.float32)
    assert loss == training_steps(eager, [5, 32, 1], n_rows=64, n_steps=2)()


def test_training_steps_do_the_work_that_the_layers_say():
    sizes = [5, 64, 32, 1]
    assert counted_flops(training_steps(eager, sizes, n_rows=24, n_steps=3)) == 3 * step_flops(sizes, 24)
