"""The script that needs a GPU, where there is none: with a stand-in for the device, and with one for the measuring."""

from pathlib import Path

from gallery_scripts import check_texts, run_script

from mlperf.results.reading import read

SCRIPT = Path(__file__).parents[1] / "examples" / "going_further" / "plot_28_when_a_gpu_pays.py"
GPU = "GPU = devices()[-1]\n"

# A step takes 1 ms on the GPU, whatever it does, and a microsecond on the CPU for each row, unit and network.
MEASURE = """
import pandas as pd
from mlperf.quantities.runs import Runs

def measure(run, *, device=(), model=(), **_):
    cells = []
    for where in device:
        for varied, amounts in {"rows": ROWS, "units": UNITS, "networks": NETWORKS}.items():
            for amount in amounts:
                seconds = 1e-3 if where == "cuda" else 1e-6 * amount
                cells.append({"device": where, "varied": varied, "amount": amount, "step_seconds": seconds})
    for name in model:
        for place, engine in enumerate([CPU, FLOOR, "cuda_graph", "fused", COMPILE, "eager"]):
            measured = {"step_seconds": 1e-4 * (3 + place), "peak_bytes": 1e6}
            cells.append({"model": name, "engine": engine, **measured})
    cells = cells or [{"how": how, "launch_seconds": 1e-6} for how in ("from Python", "in a graph")]
    by = [level for level in ("device", "varied", "amount", "model", "engine", "how") if level in cells[0]]
    rows = [{**cell, "process": process, "repeat": 0} for process in range(8) for cell in cells]
    return Runs(pd.DataFrame(rows), by=by)
"""


def published(changed, folder, **settings):
    """Run a changed copy of the script and return what it published."""
    script = folder / "plot_copy.py"
    script.write_text(changed)
    done = run_script(script, folder, **settings)
    assert done.returncode == 0, done.stderr[-3_000:]
    return read("when_a_gpu_pays", folder / "results")


def test_script_measures_a_device_that_is_there(tmp_path):
    source = SCRIPT.read_text()
    assert GPU in source
    # The same processor by another name: what is moved there is moved, and computed alike.
    result = published(source.replace(GPU, 'GPU = "cpu:0"\n'), tmp_path, MLPERF_QUICK="1")
    assert {"engine_runs", "launch", "runs", "speed", "step"} <= set(result)
    assert result.keys("figure") == ["speeds"]
    assert {result[key].verdict for key in ("rows", "units", "networks")} == {"undecided"}
    assert "only CUDA has graphs" in result["graph"].advice
    check_texts(result)


def test_script_says_from_where_on_a_gpu_pays(tmp_path):
    source = SCRIPT.read_text()
    source = source.replace(GPU, f'GPU = "cuda"\n{MEASURE}')
    result = published(source, tmp_path)
    assert {"launch", "peak", "speed", "step"} <= set(result)
    check_texts(result)
    assert {key: result[key].verdict for key in ("report", "launches", "graph")} == dict.fromkeys(
        ("report", "launches", "graph"), "holds"
    )
    assert "from 1,024 rows on" in result["rows"].text
    assert result["units"].verdict == "holds"
    assert result["networks"].verdict == "does not hold"


def test_script_says_why_nothing_was_measured_without_a_gpu(tmp_path):
    source = SCRIPT.read_text().replace(GPU, 'GPU = "cpu"\n')
    result = published(source, tmp_path, MLPERF_QUICK="1")
    assert {result[key].verdict for key in result.keys("claim")} == {"not measured"}
    assert not {"runs", "speed", "step", "launch", "peak"} & set(result)
