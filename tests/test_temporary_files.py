"""Where TMPDIR names a folder that cannot be used, everything is measured and published as elsewhere."""

import os
import shutil
import subprocess
import sys

import pytest

from mlperf.training.engines import available

# Mounts something on that folder, fills it, and runs a command, for which alone it is there.
MOUNTED = 'mount -t tmpfs -o "$OPTIONS" tmpfs "$TMPDIR" || exit; head -c 4096 /dev/zero > "$TMPDIR/filled"; exec "$@"'
CAN_MOUNT = shutil.which("unshare") and subprocess.call(["unshare", "-rm", "true"], stderr=subprocess.DEVNULL) == 0

SCRIPT = """
from mlperf import measure, publish, read


def run(n_samples):
    from mlperf import MLPRegressor, generate_samples, seconds
    from mlperf.profilers.memory import heap_peak, live_tensors
    from mlperf.training.engines import available

    samples = generate_samples(n_samples)
    regressor = MLPRegressor(max_iter=1, engine=available()[-1])
    return {
        "engine": regressor.engine,
        "seconds": seconds(lambda: regressor.fit(samples.Xtr, samples.ytr)),
        "heap_bytes": heap_peak(lambda: regressor.predict(samples.Xte)),
        "tensor_bytes": int(live_tensors(lambda: regressor.predict(samples.Xte))["live_bytes"].max()),
    }


publish("fits", runs=measure(run, processes=1, warmup=False, n_samples=[100]))
print("Engine:", *read("fits")["runs"]["engine"])
"""


@pytest.mark.parametrize("kind", ["missing", "odd 'name'", "size=4k", "noexec"])
def test_a_folder_for_temporary_files_that_cannot_be_used_changes_nothing(kind, tmp_path):
    """Tried: TMPDIR named a folder that was not there, oddly named, full, or whose programs must not be run."""
    temporary = tmp_path / kind
    command = [sys.executable, "script.py"]
    if kind != "missing":
        temporary.mkdir()
    if kind in ("size=4k", "noexec"):
        if not CAN_MOUNT:
            pytest.skip("this system lets nobody mount a folder for one process alone")
        command = ["unshare", "-rm", "sh", "-c", MOUNTED, "sh", *command]
    (tmp_path / "script.py").write_text(SCRIPT)
    settings = {"TMPDIR": str(temporary), "OPTIONS": kind, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Engine: {available()[-1]}"
    assert not list(temporary.glob("mlperf*"))
