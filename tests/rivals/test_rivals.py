"""Every rival keeps the same contract, found as a reader's own new file would be."""

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

import pytest

import mlperf.rivals
from mlperf.protocol import BATCH_SIZE
from mlperf.rivals import installed, missing, torch_compile

FILES = [found.name for found in iter_modules(mlperf.rivals.__path__) if not found.name.startswith("_")]
RIVALS = [import_module(f"mlperf.rivals.{name}") for name in FILES]
HEAVY = {module for rival in RIVALS for module in rival.REQUIRES}

each_rival = pytest.mark.parametrize("rival", RIVALS, ids=FILES)
each_installed = pytest.mark.parametrize("name", installed())

# 100 samples are a whole mini-batch and a short one: 2 steps an epoch.
TRIAL = """
import json, os, sys
import numpy as np
from mlperf.rivals import installed

def cores():
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

before = cores()
X = np.random.default_rng(0).normal(size=(100, 5))
y = X @ [0.6, -0.5, 0.4, 0.3, -0.3]
y /= y.std()
rival = installed()[sys.argv[1]]
errors, steps = {}, {}
for epochs in (1, 101):
    trained = rival((16, 8), epochs).fit(X, y)
    predicted = trained.predict(X)
    errors[epochs], steps[epochs] = float(np.mean((predicted - y) ** 2)), trained.n_steps_
other = rival((16, 8), 1).fit(X, -y)
steps["batches of 30"] = rival((16, 8), 3, batch_size=30).fit(X, y).n_steps_
print(json.dumps({
    "errors": errors,
    "steps": steps,
    "shape": predicted.shape,
    "one_sample": trained.predict(X[:1]).shape,
    "keeps_its_own": bool(np.allclose(trained.predict(X), predicted, atol=1e-5)),
    "is_itself": trained.fit(X, y) is trained,
    "cores_are_back": cores() == before,
}))
"""


def in_a_fresh_process(code, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def trials():
    """What was seen of each rival that was tried so far, each in a process of its own."""
    return {}


@pytest.fixture
def trial(name, trials):
    if name not in trials:
        trials[name] = in_a_fresh_process(TRIAL, name)
    return trials[name]


@each_rival
def test_a_rival_has_a_name_and_says_how_it_is_set_up(rival):
    assert isinstance(rival.NAME, str)
    assert rival.NAME
    assert rival.__doc__.count("\n") > 2


@each_rival
def test_a_rival_says_what_must_be_installed(rival):
    assert isinstance(rival.REQUIRES, tuple)
    assert all(isinstance(module, str) for module in rival.REQUIRES)


@each_rival
def test_a_rival_is_made_from_hidden_layers_epochs_and_the_size_of_a_mini_batch(rival):
    hidden, epochs, batch_size, *more = inspect.signature(rival.regressor).parameters.values()
    assert (hidden.name, epochs.name, batch_size.name) == ("hidden_layer_sizes", "max_iter", "batch_size")
    assert batch_size.kind is inspect.Parameter.KEYWORD_ONLY
    assert batch_size.default == BATCH_SIZE
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in more)


@each_installed
def test_a_rival_learns(trial):
    assert trial["errors"]["101"] < 0.7 * trial["errors"]["1"]


@each_installed
def test_a_rival_takes_the_steps_that_all_take_short_mini_batches_included(trial):
    assert trial["steps"] == {"1": 2, "101": 202, "batches of 30": 12}


@each_installed
def test_a_rival_predicts_one_number_a_sample(trial):
    assert trial["shape"] == [100]
    assert trial["one_sample"] == [1]


@each_installed
def test_a_rival_keeps_what_it_learned_when_another_is_trained(trial):
    assert trial["keeps_its_own"]


@each_installed
def test_a_rival_returns_itself_from_fit(trial):
    assert trial["is_itself"]


@each_installed
def test_a_rival_leaves_the_process_on_its_cores(trial):
    assert trial["cores_are_back"]


def test_networks_of_torch_are_float32_whatever_the_default_dtype():
    """Tried: where the caller's default dtype was float64, their fits failed."""
    code = """
import json, numpy as np, torch
from mlperf.rivals import dataloader
torch.set_default_dtype(torch.float64)
X = np.ones((3, 2))
print(json.dumps(str(dataloader.regressor((2,), 1).fit(X, X[:, 0]).predict(X).dtype)))
"""
    assert in_a_fresh_process(code) == "float32"


def test_no_two_rivals_have_the_same_name():
    names = [rival.NAME for rival in RIVALS]
    assert sorted(set(names)) == sorted(names)


def test_every_rival_is_either_installed_or_missing():
    assert sorted([*installed(), *missing()]) == sorted(rival.NAME for rival in RIVALS)


def test_a_rival_is_missing_without_its_modules(monkeypatch):
    monkeypatch.setattr(mlperf.rivals, "find_spec", lambda name: None if name == "sklearn" else find_spec(name))
    assert "scikit-learn" in missing()
    assert "scikit-learn" not in installed()


def test_torch_compile_is_missing_without_a_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "torch.compile" in missing()


def test_torch_compile_is_missing_where_no_folder_will_do(monkeypatch):
    """Tried: a cache that is full, read-only, noexec or oddly named failed the whole build."""
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    assert "torch.compile" in installed()
    monkeypatch.setattr(torch_compile, "folder_of", lambda compiler: None)  # noqa: ARG005
    assert "torch.compile" in missing()


@pytest.mark.skipif("torch.compile" not in installed(), reason="there is no C++ compiler")
def test_torch_is_compiled_from_wherever_it_lies(tmp_path):
    """Tried: where the path of the checkout has a space, a cold compile failed to link, and so the build."""
    checkout, cache = tmp_path / 'a b $HOME `c` "d" e\'f', tmp_path / "cache"
    checkout.mkdir()
    (checkout / "torch").symlink_to(Path(find_spec("torch").origin).parent)
    code = """
import json, numpy as np, torch
from mlperf.rivals import torch_compile
X = np.ones((3, 2))
trained = torch_compile.regressor((2,), 1).fit(X, X[:, 0])
print(json.dumps({"torch": torch.__file__, "steps": trained.n_steps_}))
"""
    seen = in_a_fresh_process(code, PYTHONPATH=str(checkout), TORCHINDUCTOR_CACHE_DIR=str(cache))
    assert seen == {"torch": str(checkout / "torch" / "__init__.py"), "steps": 1}


COLD = """
import numpy as np
from mlperf.profilers.timing import empty_caches
from mlperf.rivals._jax import JaxRegressor
from mlperf.training.cache import cache_folder

for units in (2, 3):
    with empty_caches():
        JaxRegressor((units,), 1, batch_size=4).fit(np.ones((8, 2)), np.ones(8))
        assert list((cache_folder() / "jax").iterdir())
"""


@pytest.mark.skipif("JAX lax.scan" not in installed(), reason="JAX is not installed")
def test_jax_keeps_what_it_compiles_in_the_cache_of_now():
    """Tried: where every library was started cold, JAX warned of a folder that was gone, hundreds of times."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", COLD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_to_list_the_rivals_loads_no_library_and_sets_nothing():
    code = """
import json, os, sys
before = dict(os.environ)
from mlperf.rivals import installed, missing
listed = [*installed(), *missing()]
print(json.dumps({"listed": len(listed), "loaded": sorted(sys.modules), "unchanged": dict(os.environ) == before}))
"""
    seen = in_a_fresh_process(code)
    assert seen["listed"] == len(RIVALS)
    assert {"torch", "jax", "sklearn"} <= HEAVY
    assert HEAVY & set(seen["loaded"]) == set()
    assert seen["unchanged"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose files lie beside the rivals; what is imported from it is forgotten again."""
    monkeypatch.setattr(mlperf.rivals, "__path__", [*mlperf.rivals.__path__, str(tmp_path)])
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"mlperf.rivals.{path.stem}", None)
        vars(mlperf.rivals).pop(path.stem, None)


NEWCOMER = """
NAME = "a newcomer"
REQUIRES = {requires}

def regressor(hidden_layer_sizes, max_iter):
    return hidden_layer_sizes, max_iter
"""


def test_a_new_file_takes_part(folder):
    (folder / "newcomer.py").write_text(NEWCOMER.format(requires=("json",)))
    assert installed()["a newcomer"]((8,), 3) == ((8,), 3)


def test_a_new_file_whose_library_is_not_there_is_missing(folder):
    (folder / "newcomer.py").write_text(NEWCOMER.format(requires=("no_such_library",)))
    assert "a newcomer" in missing()
    assert "a newcomer" not in installed()


def test_a_new_file_may_need_more_than_modules(folder):
    (folder / "newcomer.py").write_text(NEWCOMER.format(requires=()) + "def available():\n    return False\n")
    assert "a newcomer" in missing()


def test_a_private_file_is_no_rival(folder):
    (folder / "_shared.py").write_text("raise AssertionError")
    assert len(installed()) + len(missing()) == len(RIVALS)
