"""Measuring on the workers of an executor: Dask's on this machine, submitit's local jobs, loky, and those of Python."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import cloudpickle
import pytest
import submitit
from distributed import Client, LocalCluster
from joblib.externals.loky import get_reusable_executor
from measuring_processes import children

from mlperf import claim
from mlperf.machine import identity
from mlperf.profilers import worker
from mlperf.profilers.executors import places
from mlperf.profilers.measure import measure
from mlperf.profilers.rounds import MeasurementError
from mlperf.results import journal

HERE = identity()
# A fresh process that runs a function of this module need not load what the tests load.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
DASK = str(Path(sys.executable).with_name("dask"))


@pytest.fixture(scope="module")
def _local_cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        # Dask sets it for its workers, and leaves it to whoever starts them.
        os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
        yield client


@pytest.fixture
def local_cluster(_local_cluster):
    """A client of a cluster of two worker processes with one thread each, which an earlier test may have killed."""
    _local_cluster.wait_for_workers(2, timeout=60)
    return _local_cluster


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """A client of a scheduler and two workers started by hand, of which the second one counts as another machine."""
    folder = tmp_path_factory.mktemp("dask")
    file = ["--scheduler-file", str(folder / "scheduler.json")]
    one_thread = ["--nthreads", "1", "--local-directory", str(folder), "--no-dashboard"]
    commands = [
        ([DASK, "scheduler", *file, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"], {}),
        ([DASK, "worker", *file, *one_thread, "--name", "first"], {}),
        ([DASK, "worker", *file, *one_thread, "--name", "second"], {"KMP_BLOCKTIME": "7"}),
    ]
    started = [
        subprocess.Popen(command, env={**os.environ, **extra}, stderr=subprocess.DEVNULL) for command, extra in commands
    ]
    try:
        with Client(scheduler_file=str(folder / "scheduler.json"), timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            yield client
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


@pytest.fixture
def executor(request, tmp_path, monkeypatch):
    """One of the executors by name."""
    if request.param == "Dask client":
        yield request.getfixturevalue("local_cluster")
    elif request.param == "Dask executor":
        yield request.getfixturevalue("local_cluster").get_executor()
    elif request.param == "Dask started by hand":
        yield request.getfixturevalue("by_hand").get_executor(workers="first")
    elif request.param == "submitit":
        jobs = []
        jobs_of = submitit.LocalExecutor(tmp_path / "jobs")
        submit = jobs_of.submit
        monkeypatch.setattr(jobs_of, "submit", lambda *given: jobs.append(submit(*given)) or jobs[-1])
        monkeypatch.setattr(submitit.LocalJob, "_results_timeout_s", 1)  # that it waits for a job that has ended
        yield jobs_of
        wait_until(lambda: all(job.done() for job in jobs))
    elif request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif request.param == "loky":
        pool = get_reusable_executor(max_workers=2)
        yield pool
        pool.shutdown(wait=True)
    else:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool


EVERY = ["Dask client", "Dask executor", "Dask started by hand", "submitit", "loky", "threads", "processes"]


def wait_until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def timed(n=0):  # noqa: ARG001
    begin = time.monotonic()
    time.sleep(0.05)
    return {"pid": os.getpid(), "worker": os.getppid(), "begin": begin, "end": time.monotonic()}


# Which runs there are.


@pytest.mark.parametrize("executor", EVERY, indirect=True)
def test_every_process_of_every_cell_is_a_fresh_one_of_its_own_on_a_worker(executor):
    runs = measure(timed, processes=2, repeats=2, warmup=False, executor=executor, n_jobs=2, n=[1, 2])
    assert runs.by == ("n",)
    assert runs.frame[["n", "process", "repeat"]].to_numpy().tolist() == [
        [n, process, repeat] for process in (0, 1) for n in (1, 2) for repeat in (0, 1)
    ]
    assert runs.frame.groupby(["n", "process"])["pid"].nunique().tolist() == [1, 1, 1, 1]
    assert runs.frame["pid"].nunique() == 4
    assert not {*runs.frame["pid"]} & {os.getpid(), *runs.frame["worker"]}
    assert runs.frame["machine"].nunique() == 1
    assert runs.frame.groupby("process")["order"].apply(set).tolist() == [{0, 1}, {0, 1}]
    assert not children()


@pytest.mark.parametrize("executor", ["Dask client", "submitit", "loky", "threads"], indirect=True)
def test_round_is_one_fresh_process_on_a_worker_which_visits_every_cell(executor):
    runs = measure(timed, processes=2, repeats=2, warmup=False, executor=executor, n_jobs=2, fresh="round", n=[1, 2, 3])
    assert runs.frame[["process", "n", "repeat"]].to_numpy().tolist() == [
        [process, n, repeat] for process in (0, 1) for n in (1, 2, 3) for repeat in (0, 1)
    ]
    assert runs.frame.groupby("process")["pid"].nunique().tolist() == [1, 1]
    assert runs.frame["pid"].nunique() == 2
    assert not {*runs.frame["pid"]} & {os.getpid(), *runs.frame["worker"]}
    for _, of_round in runs.frame.groupby("process"):
        in_order = of_round.sort_values(["repeat", "order"])  # a sweep for each repeat
        assert in_order["order"].tolist() == [0, 1, 2, 0, 1, 2]
        assert in_order["begin"].is_monotonic_increasing
    assert not children()


def test_cells_of_a_round_run_on_a_worker_in_an_order_that_is_drawn_anew():
    with ThreadPoolExecutor(1) as executor:
        options = {"warmup": False, "executor": executor, "fresh": "round"}
        runs = measure(lambda n: {"x": n}, processes=4, **options, n=range(20))
    orders = runs.frame.pivot_table(index="process", columns="n", values="order")
    assert not orders.duplicated().any()


def test_runs_share_the_process_of_their_round_where_an_executor_gets_no_fresh_ones():
    with ThreadPoolExecutor(1) as executor:
        runs = measure(timed, processes=2, warmup=False, executor=executor, fresh=False, n=[1, 2])
    assert runs.frame.groupby("process")["pid"].nunique().tolist() == [1, 1]
    assert runs.frame["pid"].nunique() == 2


def test_every_cell_of_a_round_warms_up_on_the_worker_before_any_runs(tmp_path):
    def run(n, times=2):
        with (tmp_path / "log").open("a") as file:
            file.write(f"{n}x{times} ")
        return {"x": n}

    with ThreadPoolExecutor(1) as executor:
        options = {"processes": 1, "repeats": 2, "warmup": {"times": 1}, "executor": executor, "fresh": "round"}
        runs = measure(run, **options, n=[1, 2, 3]).frame
    first, second = (runs[runs["repeat"] == repeat].sort_values("order")["n"] for repeat in (0, 1))
    warm_ups = [f"{n}x1" for n in first]
    runs_in_order = [f"{n}x2" for n in [*first, *second]]
    assert (tmp_path / "log").read_text().split() == warm_ups + runs_in_order


def test_timeout_holds_for_each_run_of_a_round_on_a_worker():
    with ThreadPoolExecutor(1) as executor:
        options = {"processes": 1, "warmup": False, "executor": executor, "fresh": "round"}
        assert len(measure(lambda n: time.sleep(0.8) or {"x": n}, **options, timeout=2, n=[1, 2, 3]).frame) == 3
        with pytest.raises(MeasurementError, match=r"n=[12] on the worker .+: it took longer than its timeout of 1 s"):
            measure(hangs, **options, timeout=1, n=[1, 2])


def test_progress_names_the_round_that_a_worker_carries_out(capfd):
    with ThreadPoolExecutor(1) as executor:
        measure(lambda n: {"x": n}, processes=2, warmup=False, executor=executor, fresh="round", n=[1, 2, 3])
    shown = capfd.readouterr().err
    assert re.search("0/6 .*round 1", shown)
    assert re.search("3/6 .*round 2", shown)
    assert "6/6" in shown


def test_environment_is_cleaned_on_the_worker(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    options = {"processes": 1, "warmup": False}
    for clean, seen in ((True, "not set"), (False, "Haswell")):
        with ThreadPoolExecutor(1) as executor:
            runs = measure(
                lambda: {"kernel": os.environ.get("OPENBLAS_CORETYPE", "not set")},
                **options,
                executor=executor,
                clean_environment=clean,
            )
        assert runs.frame["kernel"].item() == seen


def test_every_worker_of_a_client_works_and_on_one_cell_at_a_time(local_cluster):
    runs = measure(timed, processes=2, warmup=False, executor=local_cluster, n=range(4)).frame
    assert runs["worker"].nunique() == 2
    assert_one_at_a_time(runs)


def test_workers_are_found_whenever_dask_refreshes_what_it_knows_of_them(local_cluster, monkeypatch):
    """A client's thread refreshes it every few seconds, without the workers: at times a cluster seemed to have none."""
    refresh = local_cluster._update_scheduler_info
    monkeypatch.setattr(local_cluster, "_update_scheduler_info", lambda **_: refresh(n_workers=0))
    assert len(places(local_cluster, None)) == 2


def test_threads_of_a_worker_do_not_measure_beside_each_other():
    with (
        LocalCluster(n_workers=1, threads_per_worker=4, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        assert_one_at_a_time(measure(timed, processes=3, warmup=False, executor=client, n=[1, 2]).frame)


def assert_one_at_a_time(runs):
    for _, of_worker in runs.groupby("worker"):
        spans = sorted(zip(of_worker["begin"], of_worker["end"], strict=True))
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_no_more_run_at_a_time_than_asked_for():
    class Counting(ThreadPoolExecutor):
        under_way = most = 0

        def submit(self, function, *arguments):
            Counting.under_way += 1
            Counting.most = max(Counting.most, Counting.under_way)
            future = super().submit(function, *arguments)
            future.add_done_callback(self.one_less)
            return future

        def one_less(self, _):
            Counting.under_way -= 1

    with Counting(8) as pool:
        measure(timed, processes=1, warmup=False, executor=pool, n=range(3))
        assert Counting.most == 1


def test_function_may_start_processes_although_dask_workers_are_daemons(local_cluster):
    """Dask's workers are daemons of multiprocessing, which lets these start no process of its own."""

    def run():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return {"x": pool.apply(abs, [-1])}

    def is_daemon():
        return multiprocessing.current_process().daemon

    assert all(local_cluster.run(is_daemon).values())
    assert measure(run, processes=1, warmup=False, executor=local_cluster)["x"].value == 1


def test_what_dask_sets_for_its_own_memory_does_not_reach_what_is_measured(local_cluster):
    def run():
        return {"set": "MALLOC_TRIM_THRESHOLD_" in os.environ}

    assert not measure(run, processes=1, warmup=False, executor=local_cluster).frame["set"].item()


def test_script_finds_its_folder_and_its_modules_where_the_worker_sees_them(local_cluster, tmp_path, monkeypatch):
    (tmp_path / "beside_the_script.py").write_text("def run():\n    return {'x': int(open('data').read())}\n")
    (tmp_path / "data").write_text("7")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    import beside_the_script

    assert measure(beside_the_script.run, processes=1, executor=local_cluster)["x"].value == 7


# Machines.


def test_same_machine_is_one_whoever_carries_out_the_runs(local_cluster):
    runs = [measure(timed, processes=1, warmup=False, executor=executor).frame for executor in (None, local_cluster)]
    assert [{*frame["machine"]} for frame in runs] == [{HERE}, {HERE}]


def test_runs_of_different_machines_never_form_one_sample(by_hand):
    runs = measure(timed, processes=4, warmup=False, executor=by_hand, n=[1, 2])
    assert runs.by == ("n", "machine")
    other = next(machine for machine in runs.frame["machine"] if machine != HERE)
    duration = runs["end"] - runs["begin"]
    assert {key: cell.n_processes for key, cell in duration.cells.items()} == {
        (n, machine): 2 for n in (1, 2) for machine in (HERE, other)
    }


def test_round_stays_on_one_machine_so_that_what_is_compared_was_measured_there(by_hand):
    runs = measure(timed, processes=4, warmup=False, executor=by_hand, n=[1, 2])
    assert runs.frame.groupby("process")["machine"].nunique().tolist() == [1, 1, 1, 1]
    ratio = runs["pid"].at(n=1) / runs["pid"].at(n=2)
    assert [len(cell.runs) for cell in ratio.cells.values()] == [2, 2]  # paired, round by round


def test_claim_over_two_machines_says_so(by_hand):
    runs = measure(timed, processes=4, warmup=False, executor=by_hand, n=[1, 2])
    made = claim("The clock goes on.", runs["end"] - runs["begin"] > 0)
    machines = sorted({*runs.frame["machine"]})
    assert made.text.endswith(f" Measured on 2 machines: {machines[0]}; {machines[1]}.")
    assert {machine for machine in machines for one in made.evidence if machine in one.label} == {*machines}


# What goes wrong.


def hangs(n):  # noqa: ARG001
    time.sleep(300)


def kills_its_worker(n):  # noqa: ARG001
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(300)


def raises(n):  # noqa: ARG001
    raise ValueError("too large")


WORKERS = {
    "Dask client": r"the worker tcp://127\.0\.0\.1:\d+",
    "Dask executor": r"the worker tcp://127\.0\.0\.1:\d+",
    "Dask started by hand": r"the worker tcp://127\.0\.0\.1:\d+",
    "submitit": r"the worker .+, process \d+",
    "loky": r"the worker .+, process \d+",
    "threads": r"the worker .+, process \d+",
    "processes": r"the worker .+, process \d+",
}


@pytest.mark.parametrize("executor", EVERY, indirect=True)
@pytest.mark.parametrize(
    ("run", "message"), [(hangs, "it took longer than its timeout of 1 s"), (raises, "ValueError: too large")]
)
def test_failing_cell_is_one_error_that_names_it_and_its_worker(run, message, executor, request):
    name = WORKERS[request.node.callspec.params["executor"]]
    said = rf"(?m)^The measured run failed in the cell n=[12] on {name}: {message}$"
    with pytest.raises(MeasurementError, match=said):
        measure(run, processes=2, timeout=1 if run is hangs else None, executor=executor, n_jobs=2, n=[1, 2])
    wait_until(lambda: not children())


def test_error_tells_where_in_the_function_it_arose(local_cluster):
    with pytest.raises(MeasurementError) as caught:
        measure(raises, processes=1, executor=local_cluster, n=[1])
    (told,) = caught.value.__notes__
    assert 'raise ValueError("too large")' in told


def test_failure_ends_what_runs_on_other_workers(local_cluster, tmp_path):
    def run(n):
        if n == 1:
            (tmp_path / "started").touch()
            time.sleep(300)
        while not (tmp_path / "started").exists():
            time.sleep(0.02)
        raise ValueError("too large")

    with pytest.raises(MeasurementError, match="n=2 on the worker"):
        measure(run, processes=1, warmup=False, executor=local_cluster, n=[1, 2])
    wait_until(lambda: not children())


@pytest.mark.parametrize(
    ("executor", "name", "reason"),
    [
        ("Dask client", WORKERS["Dask client"], "the worker died, or left its scheduler"),
        ("Dask executor", WORKERS["Dask executor"], "the worker died, or left its scheduler"),
        ("submitit", "a worker of LocalExecutor", r"UncompletedJobError: Job \d+ .*"),
        ("loky", "a worker of _ReusablePoolExecutor", "TerminatedWorkerError: A worker process managed by the .*"),
        ("processes", "a worker of ProcessPoolExecutor", "BrokenProcessPool: A process in the process pool was .*"),
    ],
    indirect=["executor"],
)
def test_worker_that_dies_is_one_error_that_names_it_and_its_cell(executor, name, reason):
    said = rf"(?s)^The measured run failed in the cell n=1 on {name}: {reason}$"
    with pytest.raises(MeasurementError, match=said):
        measure(kills_its_worker, processes=2, warmup=False, executor=executor, n=[1])
    wait_until(lambda: not children())


@pytest.mark.parametrize("executor", ["Dask client", "loky"], indirect=True)
def test_worker_that_dies_in_a_round_is_one_error_that_names_it_and_the_cells_of_the_round(executor):
    said = (
        r"(?s)^The measured run failed in one of the cells (n=1; n=2|n=2; n=1) on (the|a) worker .*: .*(died|managed)"
    )
    with pytest.raises(MeasurementError, match=said):
        measure(kills_its_worker, processes=2, warmup=False, executor=executor, fresh="round", n=[1, 2])
    wait_until(lambda: not children())


def test_cluster_on_which_no_worker_is_left_is_not_waited_for(tmp_path):
    """Dask itself waits for another worker to come."""
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster, Client(cluster) as client:
        options = ["--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path), "--no-dashboard"]
        only = subprocess.Popen([DASK, "worker", cluster.scheduler_address, *options], stderr=subprocess.DEVNULL)
        client.wait_for_workers(1, timeout=60)
        with pytest.raises(MeasurementError, match="the worker died, or left its scheduler"):
            measure(kills_its_worker, processes=1, warmup=False, executor=client, n=[1])
        only.wait()
        with pytest.raises(ValueError, match=re.escape("wait for them with client.wait_for_workers(1)")):
            measure(timed, executor=client)


SCRIPT = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from mlperf import measure


def run(n):
    with Path("log").open("a") as file:
        file.write(f"{n} ")
    if n == 3 and not Path("mended").exists():
        os.kill(os.getppid(), signal.SIGKILL)
    return {"pid": os.getpid()}


if __name__ == "__main__":
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        print(len(measure(run, processes=1, warmup=False, executor=client, n_jobs=1, n=[1, 2, 3])))
"""


def test_second_start_continues_after_a_worker_has_died(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT)
    first = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert "MeasurementError: The measured run failed in the cell n=3 on the worker tcp://" in first.stderr
    before = Path("log").read_text().split()
    assert before[-1] == "3"
    Path("mended").touch()
    second = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert second.stdout.strip() == "3"
    again = Path("log").read_text().split()[len(before) :]
    assert sorted([*before[:-1], *again]) == ["1", "2", "3"]


def test_cells_of_a_second_start_come_after_those_of_the_first(tmp_path, results):
    """Tried: one of two workers failed, and after the second start two cells had the same place in their round."""

    def run(n):
        try:
            (tmp_path / "first").touch(exist_ok=False)
        except FileExistsError:
            (tmp_path / f"{n}").touch()
            return {"x": n}
        while len(list(tmp_path.glob("[123]"))) < 2:
            time.sleep(0.02)
        while (results / ".journal" / "test_executors.jsonl").read_text().count('"x"') < 2:
            time.sleep(0.02)
        raise ValueError("too large")

    with ThreadPoolExecutor(2) as pool:
        options = {"processes": 1, "warmup": False, "executor": pool, "n_jobs": 2, "n": [1, 2, 3]}
        with pytest.raises(MeasurementError, match="too large"):
            measure(run, **options)
        journal._calls.clear()  # as in a second start
        runs = measure(run, **options).frame
    assert sorted(runs["order"])[-1] == 3
    assert runs["order"].is_unique


def test_what_a_round_measured_before_it_failed_is_kept(tmp_path):
    def run(n):
        with (tmp_path / "log").open("a") as file:
            file.write(f"{n} ")
        if len((tmp_path / "log").read_text().split()) == 3:
            raise ValueError("too large")
        return {"x": n}

    def called():
        return [int(n) for n in (tmp_path / "log").read_text().split()]

    with ThreadPoolExecutor(1) as pool:
        options = {"processes": 1, "warmup": False, "executor": pool, "fresh": "round", "n": [1, 2, 3, 4]}
        with pytest.raises(MeasurementError) as caught:
            measure(run, **options)
        first = called()
        assert re.search(
            rf"failed in the cell n={first[-1]} on the worker .+: ValueError: too large$", str(caught.value)
        )
        journal._calls.clear()  # as in a second start
        runs = measure(run, **options).frame
    assert runs["x"].tolist() == [1, 2, 3, 4]
    assert sorted(first[:-1] + called()[3:]) == [1, 2, 3, 4]
    assert sorted(runs["order"]) == [0, 1, 2, 3]


# What is wrong with the call.


def test_what_is_no_executor_is_refused_with_the_likely_slip(local_cluster):
    with pytest.raises(TypeError, match=r"must have a method submit.* Got str instead\.$"):
        measure(timed, executor="dask")
    with pytest.raises(
        TypeError, match=re.escape("Got LocalCluster instead: give its client, executor=cluster.get_cl")
    ):
        measure(timed, executor=local_cluster.cluster)


def test_whatever_an_executor_raises_is_one_error():
    class Refusing(Executor):
        def submit(self, *_):
            raise PermissionError("no account on this cluster")

    with pytest.raises(MeasurementError, match=r"n=1 on a worker of Refusing: PermissionError: no account on this clu"):
        measure(timed, executor=Refusing(), n=[1])


def test_ctrl_c_cancels_what_waits():
    class Waiting(Executor):
        def submit(self, *_):
            self.future = Future()
            os.kill(os.getpid(), signal.SIGINT)
            return self.future

    executor = Waiting()
    with pytest.raises(KeyboardInterrupt):
        measure(timed, executor=executor, n=[1])
    wait_until(executor.future.cancelled)


# The page on clusters.

PAGE = (Path(__file__).parents[2] / "docs" / "clusters.rst").read_text()
SCRIPTS = dict(re.findall(r":caption: (\w+\.py)\n\n((?: {3}.*\n|\n)+)", PAGE))


@pytest.mark.parametrize("name", ["on_dask.py", "on_slurm.py"])
def test_script_of_the_page_runs_and_publishes(name, tmp_path, monkeypatch, results):
    monkeypatch.chdir(tmp_path)
    quick = dedent(SCRIPTS[name]).replace("measure(run, ", "measure(run, processes=1, ")
    Path(name).write_text(quick)
    done = subprocess.run([sys.executable, name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (results / f"{Path(name).stem}.json").exists()


BLOCKED = """
import sys
for name in ("dask", "distributed", "submitit", "paramiko"):
    sys.modules[name] = None  # whoever imports it gets an ImportError
from concurrent.futures import ThreadPoolExecutor
import mlperf
from mlperf import measure

def run():
    return {"x": 1}

with ThreadPoolExecutor(1) as pool:
    print(*[measure(run, processes=1, executor=one).frame["x"].item() for one in (pool, None)])
"""


def test_everything_else_works_without_dask_and_submitit():
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "1"], done.stderr


def test_worker_stops_the_runs_of_one_measurement_alone():
    from mlperf.profilers.child import Request
    from mlperf.profilers.pickling import pickled

    request, tasks = Request("prepare"), [pickled(hangs, {"n": 1})]
    orders = [worker.Order(name, request, tasks, repeats=1, threads=1, timeout=None) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        one, two = (pool.submit(worker.carry_out, order) for order in orders)
        wait_until(lambda: len(worker._running) == 2)
        worker.stop("one")
        assert one.result().error
        assert not two.done()
        worker.stop("two")
        assert two.result().error
    assert not worker._running
