"""Training on a device: where everything lies, and the same steps there."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mlperf.data import generate_samples
from mlperf.machine import devices
from mlperf.model import MLPRegressor
from mlperf.training.engines import ENGINES, available, suited
from mlperf.training.network import network, training_steps
from mlperf.training.together import together

SAMPLES = generate_samples(300)
THERE = devices()[1:]
on_a_device = pytest.mark.skipif(not THERE, reason="there is no device but the processor")
on_cuda = pytest.mark.skipif("cuda" not in THERE, reason="there is no CUDA device")


def fit(**settings):
    regressor = MLPRegressor((16, 8), max_iter=5, random_state=0, **settings)
    return regressor.fit(SAMPLES.Xtr, SAMPLES.ytr, SAMPLES.Xval, SAMPLES.yval)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_all_of_a_step_is_on_the_device_of_the_network(engine):
    """An operator with tensors of two devices raises; that of the meta device computes nothing, so that the first
    number that is read is refused."""
    steps = training_steps_on_meta(engine)
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        next(steps)


def training_steps_on_meta(engine):
    module = network((5, 16, 1), torch.Generator()).to("meta")
    X, y = torch.empty(40, 5, device="meta"), torch.empty(40, 1, device="meta")
    return ENGINES[engine](module, X, y, learning_rate=0.01, batch_size=16, generator=torch.Generator())


class Moves(TorchDispatchMode):
    """Notes the shapes of what is moved to the meta device."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if str((kwargs or {}).get("device")) == "meta":
            self.shapes.append(tuple(args[0].shape))
        return operator(*args, **(kwargs or {}))


def test_data_are_moved_to_the_device_once(monkeypatch):
    def engine(module, X, y, **_):
        assert {tensor.device.type for tensor in (X, y, *module.parameters())} == {"meta"}
        while True:
            yield 1.0

    monkeypatch.setattr("mlperf.model.check_device", lambda device: device)
    monkeypatch.setitem(ENGINES, "fused", engine)
    with Moves() as moves:
        regressor = MLPRegressor((16, 8), max_iter=5, device="meta").fit(SAMPLES.Xtr, SAMPLES.ytr)
    data = [shape for shape in moves.shapes if len(SAMPLES.Xtr) in shape]
    assert sorted(data) == [(len(SAMPLES.Xtr), 1), (len(SAMPLES.Xtr), 5)]
    assert len(moves.shapes) == 2 + 6  # and the parameters
    assert regressor.device_ == "meta"
    assert {parameter.device.type for parameter in regressor.module_.parameters()} == {"meta"}


@pytest.fixture
def other_processor(monkeypatch):
    """A device that is not the default one, as far as this package can see, but computes alike."""
    monkeypatch.setattr("mlperf.model.check_device", lambda device: device)
    return "cpu:0"


def test_fit_and_prediction_on_a_device_are_those_of_the_processor(other_processor, monkeypatch):
    monkeypatch.setattr("mlperf.model.DEVICE_ROWS", 7)
    here, there = fit(engine="fused"), fit(device=other_processor)
    assert (there.device_, there.engine_) == (other_processor, "fused")
    assert there.loss_curve_ == here.loss_curve_
    assert there.validation_curve_ == here.validation_curve_
    np.testing.assert_allclose(there.predict(SAMPLES.Xte), here.predict(SAMPLES.Xte), rtol=1e-5)


def test_data_that_are_streamed_reach_the_device_chunk_by_chunk(other_processor, tmp_path):
    X = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=SAMPLES.Xtr.shape)
    X[:] = SAMPLES.Xtr
    here, there = (
        MLPRegressor((8,), max_iter=3, random_state=0, engine="fused", chunk_bytes=1_000, device=device).fit(
            X, SAMPLES.ytr
        )
        for device in ("cpu", other_processor)
    )
    assert there.loss_curve_ == here.loss_curve_


def test_engine_that_does_not_train_on_the_device_is_refused(monkeypatch):
    monkeypatch.setattr("mlperf.model.check_device", lambda device: device)
    with pytest.raises(
        ValueError, match=r"with device='cuda'\. Got 'compiled' instead, which trains with device='cpu'"
    ):
        fit(device="cuda", engine="compiled")
    with pytest.raises(
        ValueError,
        match=r"must be 'auto', 'eager', 'fused' or 'compiled' with device='cpu'\. Got 'cuda_graph' instead",
    ):
        fit(engine="cuda_graph")


def test_auto_takes_the_engine_that_suits_the_device():
    assert suited((5, 16, 1), 10_000_000, device="cuda") == "cuda_graph"
    assert suited((5, 16, 1), 10_000_000, device="mps") == "fused"


def test_engines_are_available_where_they_can_train():
    assert available("cuda") == ["eager", "fused", "cuda_graph"]
    assert available("mps") == ["eager", "fused"]
    assert "cuda_graph" not in available()


def test_networks_that_are_trained_together_stay_on_their_device(monkeypatch):
    adam = torch.optim.Adam  # the fused one refuses the meta device
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, lr, fused: adam(parameters, lr=lr))  # noqa: ARG005
    modules = [network((5, 8, 1), torch.Generator()).to("meta") for _ in range(2)]
    X, y = torch.empty(2, 20, 5, device="meta"), torch.empty(2, 20, 1, device="meta")
    settings = {"learning_rate": 0.01, "batch_size": 8, "generators": [torch.Generator() for _ in range(2)]}
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        next(together(modules, X, y, **settings))


@on_a_device
@pytest.mark.parametrize("device", THERE)
def test_engines_of_a_device_take_the_steps_of_the_processor(device):
    here = fit(engine="eager")
    for engine in available(device):
        there = fit(engine=engine, device=device)
        assert there.device_ == device
        np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-3, err_msg=engine)
        np.testing.assert_allclose(there.validation_curve_, here.validation_curve_, rtol=1e-3, err_msg=engine)
        np.testing.assert_allclose(there.predict(SAMPLES.Xte), here.predict(SAMPLES.Xte), atol=0.05, err_msg=engine)


@on_a_device
def test_auto_takes_the_device_that_is_there():
    assert fit(device="auto").device_ == THERE[0]


@on_a_device
def test_model_of_a_device_is_pickled_for_any_machine():
    import pickle

    fitted = fit(device="auto")
    revived = pickle.loads(pickle.dumps(fitted))
    assert revived.device_ == "cpu"
    np.testing.assert_allclose(revived.predict(SAMPLES.Xte), fitted.predict(SAMPLES.Xte), atol=0.05)
    assert fitted.device_ == THERE[0]


@on_cuda
def test_graph_takes_the_steps_of_the_fused_engine_on_cuda():
    losses = {}
    for engine in ("fused", "cuda_graph"):
        generator = torch.Generator().manual_seed(0)
        module = network((5, 16, 8, 1), generator).to("cuda")
        X = torch.randn(150, 5, generator=generator).to("cuda")
        epochs = ENGINES[engine](module, X, X[:, :1], learning_rate=0.01, batch_size=16, generator=generator)
        losses[engine] = list(islice(epochs, 6))
    np.testing.assert_allclose(losses["cuda_graph"], losses["fused"], rtol=1e-5)


@on_a_device
def test_networks_are_trained_together_on_a_device():
    settings = {"learning_rate": 0.01, "batch_size": 16}
    losses = {}
    for device in ("cpu", THERE[0]):
        generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
        modules = [network((5, 8, 1), generator).to(device) for generator in generators]
        X = torch.randn(3, 50, 5, generator=torch.Generator().manual_seed(0)).to(device)
        losses[device] = next(together(modules, X, X[..., :1], generators=generators, **settings)).cpu()
    torch.testing.assert_close(losses[THERE[0]], losses["cpu"], rtol=1e-3, atol=1e-4)


@on_a_device
def test_steps_to_be_timed_are_carried_out_on_the_device():
    assert training_steps(ENGINES["fused"], (5, 8, 1), 16, 4, device=THERE[0])() > 0
