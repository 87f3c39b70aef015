import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from mlperf.data import generate_samples
from mlperf.model import MLPRegressor
from mlperf.training.distributed import Workers, joined

ROOT = Path(__file__).parents[2]
SAMPLES = generate_samples(500)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]

# What every process runs: fits in memory and chunk by chunk, the last mini-batch of which is too small for all; then
# fits that are not the same in all processes.
FITS = """
import os, subprocess, sys
import numpy as np
from mlperf import MLPRegressor, generate_samples

class Sliced:
    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
    def __getitem__(self, rows):
        return self.values[rows]

rank = int(os.environ.get("RANK", "0"))
samples = generate_samples(500)
X, y = samples.Xtr, samples.ytr  # 300 rows
settings = {"hidden_layer_sizes": (16, 8), "max_iter": 4, "engine": "fused"}
fits = {}
for name, features in (("held", X[:-7]), ("streamed", Sliced(X[:-7]))):
    regressor = MLPRegressor(**settings, batch_size=73, chunk_bytes=3_600, random_state=0)
    fits[name] = regressor.fit(features, y[:-7], samples.Xval, samples.yval)
if "RANK" in os.environ:
    fits["seedless"] = MLPRegressor(**settings).fit(X, y)
arrays = {}
for name, fitted in fits.items():
    for number, parameter in enumerate(fitted.module_.parameters()):
        arrays[f"{name}{number}"] = parameter.numpy()
    arrays[name + "loss"] = fitted.loss_curve_
    arrays[name + "validation"] = fitted.validation_curve_ if name != "seedless" else []
np.savez(sys.argv[1] + str(rank), **arrays)
if "RANK" in os.environ:
    child = "from mlperf.training.distributed import joined; print('a child shares with', joined())"
    subprocess.run([sys.executable, "-c", child], check=True)
    for other in ({"max_iter": 4 + rank}, {"engine": "eager"}):
        try:
            MLPRegressor(**{**settings, **other}).fit(X, y)
        except ValueError as error:
            print(f"{rank}: {error}", flush=True)
    try:
        MLPRegressor(**settings).fit(X + rank, y)
    except ValueError as error:
        print(f"{rank}: {error}", flush=True)
"""

# One of the processes dies or hangs in the middle of a fit: the data come from a file that cannot be read any longer.
FAILS = """
import datetime, os, signal, sys, time
import numpy as np
import torch.distributed
from mlperf import MLPRegressor

class Sliced:
    def __init__(self, values):
        self.values, self.shape, self.dtype, self.left = values, values.shape, values.dtype, 40
    def __getitem__(self, rows):
        self.left -= 1
        if self.left == 0 and sys.argv[1] != "lasts" and os.environ["RANK"] == "1":
            if sys.argv[1] == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1_000)
        if self.left == 0 and sys.argv[1] == "lasts":
            print("under way", flush=True)
        return self.values[rows]

torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(seconds=4))
X = np.random.default_rng(0).standard_normal((400, 5))
MLPRegressor((8,), max_iter=100_000, chunk_bytes=2_400, random_state=0).fit(Sliced(X), X[:, 0])
"""


def environment(**more):
    names = [name for name in os.environ if not name.startswith("MLPERF_")]
    return {**{name: os.environ[name] for name in names}, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def torchrun(folder, program, *arguments):
    """Run a program in two processes of this machine."""
    (folder / "program.py").write_text(program)
    return subprocess.run(
        [*TORCHRUN, "--standalone", "--nproc-per-node=2", "program.py", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def alone(folder):
    """Return what one process learns."""
    (folder / "program.py").write_text(FITS)
    subprocess.run([sys.executable, "program.py", "alone"], cwd=folder, env=environment(), check=True)
    return np.load(folder / "alone0.npz")


def assert_same(folder):
    """Check that what two processes have learned is the same, and what one process learns."""
    first, second = np.load(folder / "two0.npz"), np.load(folder / "two1.npz")
    assert set(first) == set(second)
    for name in first:
        assert np.array_equal(first[name], second[name]), name
    one = alone(folder)
    for name in one:
        assert np.allclose(one[name], first[name], rtol=1e-4, atol=1e-6), name
    assert len({first[f"{name}0"][0, 0] for name in ("held", "streamed", "seedless")}) == 3


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two processes that have carried out the fits, and the folder of what they learned."""
    folder = tmp_path_factory.mktemp("two")
    return torchrun(folder, FITS, "two"), folder


def test_two_processes_learn_what_one_learns_and_all_the_same(two):
    done, folder = two
    assert done.returncode == 0, done.stderr[-3_000:]
    assert_same(folder)


def test_processes_that_call_another_fit_are_told_so(two):
    done, _ = two
    assert done.stdout.count("Got max_iter = 5 in rank 1, 4 in rank 0.") == 2
    assert done.stdout.count("must be 'auto' or 'fused' where several processes share the fit. Got 'eager'") == 2
    assert "Got mean of X = " in done.stdout


def test_what_a_worker_does_in_a_child_is_not_shared(two):
    done, _ = two
    assert done.stdout.count("a child shares with None") == 2


@pytest.mark.parametrize(("what", "reason"), [("dies", "Read error|closed|reset"), ("hangs", "Timed out")])
def test_a_process_that_dies_or_hangs_ends_the_job_with_its_reason(what, reason, tmp_path):
    start = time.monotonic()
    done = torchrun(tmp_path, FAILS, what)
    assert done.returncode != 0
    assert time.monotonic() - start < 100
    lost = re.search(r"Rank 0 of 2, on \S+, has lost another process in a training step: .*", done.stderr)
    # torchrun may end the one that is left before it has said why; then torchrun has said it.
    assert lost or "SIGKILL" in done.stderr
    if lost:
        assert re.search(reason, lost[0], re.IGNORECASE), lost[0]


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)


@contextmanager
def hosts():
    """Two hosts with a cable between them: namespaces of the network, which share nothing but the files."""
    if not shutil.which("ip"):
        pytest.skip("iproute2 is not installed")
    names = [f"mlperf-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    try:
        for name in names:
            made = ip("netns", "add", name)
            if made.returncode:
                pytest.skip(f"namespaces of the network are not permitted: {made.stderr.strip()}")
        tried = ip("netns", "exec", names[0], "true")
        if tried.returncode:
            pytest.skip(f"nothing can be run in a namespace of the network: {tried.stderr.strip()}")
        made = ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        if made.returncode:
            pytest.skip(f"virtual cables are not permitted: {made.stderr.strip()}")
        for number, name in enumerate(names, start=1):
            for change in (
                ("link", "set", "lo", "up"),
                ("addr", "add", f"10.77.0.{number}/24", "dev", "cable"),
                ("link", "set", "cable", "up"),
            ):
                assert ip("-n", name, *change).returncode == 0
        yield names
    finally:
        for name in names:
            ip("netns", "del", name)


def start_on(names, folder, program, *arguments):
    """Start torchrun on each host, one process each."""
    (folder / "program.py").write_text(program)
    where = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=10.77.0.1", "--master-port=29500"]
    started = []
    for number, name in enumerate(names):
        command = ["ip", "netns", "exec", name, *TORCHRUN, *where, f"--node-rank={number}", "program.py", *arguments]
        started.append(
            subprocess.Popen(
                command,
                cwd=folder,
                env=environment(GLOO_SOCKET_IFNAME="cable"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def test_two_hosts_learn_what_one_process_learns(tmp_path):
    with hosts() as names:
        started = start_on(names, tmp_path, FITS, "two")
        said = [process.communicate(timeout=120) for process in started]
        assert [process.returncode for process in started] == [0, 0], said
    assert_same(tmp_path)


def test_a_cable_that_is_cut_ends_the_job_on_both_hosts(tmp_path):
    with hosts() as names:
        started = start_on(names, tmp_path, FAILS, "lasts")
        try:
            assert started[0].stdout.readline() == "under way\n"
            assert ip("-n", names[1], "link", "set", "cable", "down").returncode == 0
            said = [process.communicate(timeout=100)[1] for process in started]
        finally:
            for process in started:
                process.kill()
        assert all(process.returncode for process in started)
    assert any("has lost another process in a training step" in text for text in said), said


def test_the_rows_of_a_mini_batch_are_shared_out_without_one_left_over_or_taken_twice():
    rows = torch.randperm(103, generator=torch.Generator().manual_seed(0))
    shares = [Workers(rank, 3).share(rows, batch_size=10) for rank in range(3)]
    for number, batch in enumerate(rows.split(10)):
        taken = [own.split(sizes)[number] for own, sizes in shares]
        assert sorted(torch.cat(taken).tolist()) == sorted(batch.tolist())
        assert max(map(len, taken)) - min(map(len, taken)) <= 1


def test_a_process_that_was_started_alone_trains_alone(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("MLPERF_WORKER", str(os.getpid()))
    assert joined() is None


def test_a_mini_batch_that_is_too_small_to_share_is_refused(monkeypatch):
    class Others(Workers):
        def of_first(self, number):
            return number

        def agree(self, about):
            pass

    monkeypatch.setattr("mlperf.model.joined", lambda _: Others(0, 4))
    with pytest.raises(ValueError, match=r"'batch_size' parameter of MLPRegressor must be at least 4.* Got 3 instead"):
        MLPRegressor(batch_size=3).fit(SAMPLES.Xtr, SAMPLES.ytr)


def test_a_device_whose_tensors_are_not_passed_on_is_refused(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="'device' parameter of MLPRegressor must be 'cpu' or 'cuda' where several"):
        joined("mps")
