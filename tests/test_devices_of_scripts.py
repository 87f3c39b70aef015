"""The scripts that train where ``DEVICE`` says, on a second name of the CPU, as on a GPU of a machine that has none."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
from gallery_scripts import check_texts, run_script

from mlperf.results.provenance import inputs
from mlperf.results.reading import read
from mlperf.results.sources import published_names

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CHAPTER = ["machine", "training_time", "training_profile", "prediction_profile", "accuracy", "engines", "prediction"]
SCRIPTS = {name: path for path in EXAMPLES.rglob("plot_*.py") for name in published_names(path)}

# Python runs it at its start, also in the processes that measure. Each device that is asked for is noted.
IMITATION = """
import os
import mlperf.machine

def check_device(device, **_):
    with open(os.environ["ASKED"], "a") as asked:
        asked.write(device + "\\n")
    return device

mlperf.machine.check_device = check_device
mlperf.machine.accelerator = lambda: "an imitation"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function that runs a script on the imitation once: what it published, and the devices it asked for."""
    known = {}

    def run(name):
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            (folder / "sitecustomize.py").write_text(IMITATION)
            imitation = {"PYTHONPATH": str(folder), "ASKED": str(folder / "asked")}
            done = run_script(SCRIPTS[name], folder, MLPERF_QUICK="1", MLPERF_DEVICE="cpu:0", **imitation)
            assert done.returncode == 0, done.stderr[-3_000:]
            asked = folder / "asked"
            devices = set(asked.read_text().split()) if asked.exists() else set()
            known[name] = read(name, folder / "results"), devices
        return known[name]

    return run


@pytest.mark.parametrize("name", CHAPTER)
def test_script_of_the_chapter_trains_on_the_device_and_nowhere_else(name, trained):
    result, devices = trained(name)
    assert devices == (set() if name == "machine" else {"cpu:0"})
    assert result.inputs["device"] == "cpu:0"
    assert result.inputs["accelerator"] == "an imitation"
    check_texts(result)


def test_engines_of_the_cpu_alone_are_not_shown_for_a_device(trained):
    result, _ = trained("engines")
    assert result["step"].labels("way") == ["torch, DataLoader", "eager", "fused"]
    assert not {"compiling", "fastest", "over_blas"} & set(result)
    for key in ("compiled", "blas"):
        assert result[key].verdict == "not measured"
        assert "the compiled engine trains on the CPU alone" in result[key].advice


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - set(CHAPTER)))
def test_all_other_scripts_measure_the_cpu_and_their_pages_say_so(name, monkeypatch):
    """A page says "the CPU alone" unless its inputs name a device or what it may have asked torch for."""
    monkeypatch.setattr("mlperf.results.provenance.protocol.DEVICE", "cuda")
    monkeypatch.setattr("mlperf.results.provenance.accelerator", lambda: "NVIDIA H100, driver 550")
    seen = inputs(SCRIPTS[name])
    assert "device" not in seen
    # It trains on the CPU and on the GPU, if there is one, whatever DEVICE says.
    assert ("accelerator" in seen) == (name == "when_a_gpu_pays")


def test_check_on_a_gpu_runs_what_is_skipped_without_one_and_the_scripts_that_train_there():
    check = runpy.run_path(str(ROOT / ".ci" / "device-check"))
    tests = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    skipped = {path for path, text in tests.items() if re.search(r'reason="there is no \w+ ?device', text)}
    assert skipped
    assert skipped <= {*check["TESTS"]} <= {*tests}
    assert {SCRIPTS[name].stem for name in CHAPTER} == {*check["CHAPTER"]}
    assert (EXAMPLES / f"{check['GALLERY']}.py").exists()
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    modules = {re.match(r"[\w-]+", package)[0].replace("scikit-learn", "sklearn") for package in needed}
    assert {*check["NEEDED"]} == modules | {"pytest"}
