"""What was measured is never measured twice, and never taken for something else."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlperf.results.journal import Journal, clear
from mlperf.results.reach import reach

SCRIPT = """
import os
from pathlib import Path
from mlperf import measure
import helper
FACTOR = {factor}
def scaled(n):
    return FACTOR * n
def run(n):
    {comment}
    with Path("log").open("a") as file:
        file.write("x")
    {extra}
    return {{"pid": os.getpid(), "x": scaled(n) + helper.ONE}}
runs = measure(run, processes=2, repeats={repeats}, warmup=False, n={levels})
print(sorted(runs.frame["pid"]))
{after}
"""
SETTINGS = {"factor": 3, "comment": "", "extra": "pass", "repeats": 1, "levels": [1, 2], "after": "raise SystemError"}


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a script with some settings; return its pids, its errors and how many runs it carried out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helper.py").write_text("ONE = 1\n")
    os.utime(tmp_path / "helper.py", (1, 1))  # Python takes a source of the same date for the same one

    def started(**settings):
        Path("script.py").write_text(SCRIPT.format(**(SETTINGS | settings)))
        Path("log").write_text("")
        done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
        return done.stdout, done.stderr, len(Path("log").read_text())

    return started


def test_slip_further_down_costs_no_run_that_was_measured(start, results):
    first, _, measured = start()
    assert measured == 4
    again, said, measured = start(after="print('now right')", comment="# with a comment, and lines moved\n")
    assert measured == 0
    assert again == f"{first}now right\n"
    assert f"4 of 4 runs are taken from {results}/.journal/script.jsonl" in said


def test_script_that_ended_well_measures_anew(start, results):
    first, _, _ = start(after="")
    assert not (results / ".journal").exists()
    again, _, measured = start(after="")
    assert measured == 4
    assert again != first


@pytest.mark.parametrize(
    "settings",
    [{"factor": 4}, {"extra": "n += 1"}, {"repeats": 2}, {"levels": {1: 3, 2: 4}}],
    ids=lambda settings: next(iter(settings)),
)
def test_change_of_what_a_run_depends_on_measures_anew(start, settings):
    start()
    repeats = settings.get("repeats", 1)
    assert start(**settings)[2] == 4 * repeats


def test_change_of_a_module_beside_the_script_measures_anew(start):
    start()
    Path("helper.py").write_text("ONE = 2\n")
    os.utime("helper.py", (1, 2))
    assert start()[2] == 4


def test_change_of_a_data_file_that_the_script_declares_measures_anew(start):
    declared = "# mlperf: depends on data.csv"
    Path("data.csv").write_text("1")
    start(comment=declared)
    assert start(comment=declared)[2] == 0
    Path("data.csv").write_text("2")
    assert start(comment=declared)[2] == 4


def test_level_that_is_new_is_measured_beside_those_that_are_known(start):
    start()
    _, said, measured = start(levels=[1, 2, 3])
    assert measured == 2
    assert "4 of 6 runs are taken from" in said


def test_torn_and_altered_lines_are_measured_anew(start, results):
    start()
    journal = results / ".journal" / "script.jsonl"
    whole = journal.read_bytes()
    lines = [line for line in whole.splitlines() if line]
    torn = b"\n".join([lines[0], lines[1].replace(b'"process"', b'"process"').replace(b"1", b"2", 1), lines[2][:-9]])
    journal.write_bytes(torn)
    assert start()[2] == 3
    assert start()[2] == 0, "what is written after a torn line is whole"


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"no checksum\n", b"00000000 []\n", b"\xff\xfe\n"])
def test_journal_of_anything_else_is_measured_anew(start, results, content):
    (results / ".journal").mkdir(parents=True)
    (results / ".journal" / "script.jsonl").write_bytes(content)
    assert start()[2] == 4


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_journal_that_is_no_file_is_left_alone(start, results, kind, tmp_path):
    (results / ".journal").mkdir(parents=True)
    journal = results / ".journal" / "script.jsonl"
    elsewhere = tmp_path / "elsewhere"
    {"fifo": os.mkfifo, "folder": os.mkdir, "link": lambda path: Path(path).symlink_to(elsewhere)}[kind](journal)
    assert start()[2] == 4
    assert not elsewhere.exists()


def test_results_folder_that_cannot_be_written_costs_no_run(start, results):
    results.write_text("a file")
    assert start()[2] == 4


def test_second_measurement_of_one_kind_is_not_the_first_again(start):
    """Else a cell that is compared with itself would show no noise at all."""
    twice = "print(sorted(measure(run, processes=2, warmup=False, n=[1, 2]).frame['pid']))\nraise SystemError"
    out, _, measured = start(after=twice)
    first, second = out.splitlines()
    assert measured == 8
    assert first != second
    again, _, measured = start(after=twice)
    assert again == out
    assert measured == 0


INTERRUPTED = """
import time
from pathlib import Path
from mlperf import measure
def run(n):
    with Path("log").open("a") as file:
        file.write(f"{n} ")
    if n == 3 and not Path("go").exists():
        time.sleep(300)
    return {"x": n}
print(sorted(measure(run, processes=1, n_jobs=2, warmup=False, n=[1, 2, 3]).frame["x"]))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_script_goes_on_where_it_was(start, how, tmp_path):  # noqa: ARG001 - it sets the folder up
    Path("script.py").write_text(INTERRUPTED)
    process = subprocess.Popen([sys.executable, "script.py"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not Path("log").exists() or len(Path("log").read_text()) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    journal = tmp_path / "results" / ".journal" / "script.jsonl"
    while not journal.exists() or journal.read_text().count('"x"') < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    assert process.wait(60) != 0
    Path("go").touch()
    Path("log").unlink()
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2, 3]\n"
    assert Path("log").read_text() == "3 "


def test_cleared_journal_is_gone_with_its_folder(tmp_path, results):
    script = tmp_path / "script.py"
    script.touch()
    journal = Journal(str(script), "settings")
    journal.put(journal.key("cell"), 0, [{"x": 1.5}])
    assert Journal(str(script), "other").get("?", 0) is None
    assert json.loads(journal.path.read_text().strip().partition(" ")[2])[1:] == [0, [{"x": 1.5}]]
    clear(script)
    assert not (results / ".journal").exists()
    clear(script)


def test_without_a_script_nothing_is_kept(results):
    journal = Journal("<stdin>", "settings")
    journal.put(journal.key("cell"), 0, [{"x": 1.5}])
    assert not results.exists()


# What a function reaches.


def function(source, **names):
    """Return the function that some source defines, as if it were in a script."""
    scope = {"__name__": "__main__", **names}
    exec(compile(source, "script.py", "exec"), scope)
    return next(value for value in reversed(scope.values()) if callable(value) and hasattr(value, "__code__"))


def digest(source, **names):
    found = reach(function(source, **names), "script.py")
    assert re.fullmatch("[0-9a-f]{64}", found)
    return found


PLAIN = "def run(n):\n    return {'x': n}"


@pytest.mark.parametrize(
    "other",
    [
        "def run(n):\n    # why\n    return {'x': n}",
        "\n\n\ndef run(n):\n    '''Say what.'''\n    return {'x':\n    n}",
        "def run(n: int) -> dict:\n    return {'x': n}",
        "unrelated = 3\ndef run(n):\n    return {'x': n}",
    ],
)
def test_comments_layout_and_what_is_not_reached_do_not_count(other):
    assert digest(other) == digest(PLAIN)


@pytest.mark.parametrize(
    "other",
    [
        "def run(n):\n    return {'y': n}",
        "def run(n):\n    return {'x': n + 1}",
        "def run(n=2):\n    return {'x': n}",
        "def run(n, *, m=2):\n    return {'x': n}",
        "def run(n):\n    import json\n    return {'x': n}",
        "def run(n):\n    return {'x': [i for i in (1, n)]}",
    ],
)
def test_code_and_defaults_count(other):
    assert digest(other) != digest(PLAIN)


@pytest.mark.parametrize(
    ("source", "before", "after"),
    [
        ("def run():\n    return A", {"A": 1}, {"A": 1.0}),
        ("def run():\n    return A", {"A": np.arange(3)}, {"A": np.arange(3) + 1}),
        ("def run():\n    return A", {"A": {"a": [1, 2]}}, {"A": {"a": [1, 3]}}),
        ("def run():\n    return A", {"A": {1, 2}}, {"A": {1, 3}}),
        ("def run():\n    return A", {"A": functools.partial(max, 1)}, {"A": functools.partial(max, 2)}),
        ("def run():\n    return (lambda: A)()", {"A": 1}, {"A": 2}),
        ("class C:\n    k = 1\ndef run():\n    return C.k", {}, {}),
        ("def f():\n    return 1\ndef run():\n    return f()", {}, {}),
        ("@cache\ndef f():\n    return 1\ndef run():\n    return f()", {"cache": functools.cache}, None),
        ("def outer(k):\n    return lambda: k\nrun = outer(1)", {}, {}),
        ("class C:\n    def __init__(self, k):\n        self.k = k\nc = C(1)\ndef run():\n    return c", {}, {}),
    ],
)
def test_what_a_name_stands_for_counts_wherever_it_is(source, before, after):
    changed = source if before and after else source.replace("1", "2")
    assert digest(source, **before) == digest(source, **before)
    assert digest(source, **before) != digest(changed, **(before if after is None else after))


def test_sets_of_strings_have_the_same_digest_in_each_process():
    code = (
        "from mlperf.results.reach import reach; from pathlib import Path; import numpy as np; import decimal\n"
        "print(reach(({'a', 'b', 'c', 'd'}, Path('x'), np.float32(1), decimal.Decimal(1), print, str.join), ''))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "123"
    }
    assert len(said) == 1
    assert said != {b"None\n"}


def test_recursion_ends():
    names = {"A": []}
    names["A"].append(names)
    assert digest("def run():\n    return run() + A", **names)


def test_what_cannot_be_told_has_no_digest():
    assert reach((lambda: 1 for _ in "a"), "script.py") is None
