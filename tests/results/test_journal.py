"""What was measured is never measured twice, and never taken for something else."""

import errno
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

from mlperf.results.journal import Journal, _calls, clear
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
runs = measure(run, processes=2, repeats={repeats}, warmup=False, clean_environment={clean}, n={levels})
print(sorted(runs.frame["pid"]))
{after}
"""
SETTINGS = {
    "factor": 3,
    "comment": "",
    "extra": "pass",
    "repeats": 1,
    "clean": False,
    "levels": [1, 2],
    "after": "raise SystemError",
}


def started(**settings):
    """Start the script with some settings; return what it prints, what it says, and how many runs it carries out."""
    Path("script.py").write_text(SCRIPT.format(**(SETTINGS | settings)))
    Path("log").write_text("")
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    return done.stdout, done.stderr, len(Path("log").read_text())


def prepare(folder):
    (folder / "helper.py").write_text("ONE = 1\n")
    os.utime(folder / "helper.py", (1, 1))  # Python takes a source of the same date for the same one
    (folder / "data.csv").write_text("1")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """What the first start printed, and the journal that it left when it failed after measuring."""
    folder = tmp_path_factory.mktemp("first")
    prepare(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLPERF_RESULTS", str(folder / "results"))
        printed, _, measured = started()
    assert measured == 4
    return printed, (folder / "results" / ".journal" / "script.jsonl").read_bytes()


@pytest.fixture
def journal(first, tmp_path, results, monkeypatch):
    """Go to a folder where the first start was, and return the journal that it left."""
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    left = results / ".journal" / "script.jsonl"
    left.parent.mkdir(parents=True)
    left.write_bytes(first[1])
    return left


def test_slip_further_down_costs_no_run_that_was_measured(first, journal):
    again, said, measured = started(after="print('now right')", comment="# with a comment, and lines moved\n")
    assert measured == 0
    assert again == f"{first[0]}now right\n"
    assert f"4 of 4 runs are taken from {journal}" in said
    assert not journal.parent.exists(), "it ended without an error: the next start measures anew"


@pytest.mark.parametrize(
    "settings",
    [{"factor": 4}, {"extra": "n += 1"}, {"repeats": 2}, {"clean": True}, {"levels": {1: 3, 2: 4}}],
    ids=lambda settings: next(iter(settings)),
)
@pytest.mark.usefixtures("journal")
def test_change_of_what_a_run_depends_on_measures_anew(settings):
    assert started(**settings)[2] == 4 * settings.get("repeats", 1)


@pytest.mark.usefixtures("journal")
def test_change_of_a_module_beside_the_script_measures_anew():
    Path("helper.py").write_text("ONE = 2\n")
    os.utime("helper.py", (1, 2))
    assert started()[2] == 4


@pytest.mark.usefixtures("journal")
def test_change_of_a_data_file_that_the_script_declares_measures_anew():
    declared = "# mlperf: depends on data.csv"
    assert started(comment=declared)[2] == 4, "it was not declared before"
    assert started(comment=declared)[2] == 0
    Path("data.csv").write_text("2")
    assert started(comment=declared)[2] == 4


def test_script_that_failed_in_a_gallery_keeps_its_journal(journal):
    """A gallery runs scripts as its main module, catches their errors and ends well."""
    run = "import runpy\ntry:\n    runpy.run_path('script.py', run_name='__main__')\nexcept SystemError:\n    pass\n"
    Path("script.py").write_text(SCRIPT.format(**SETTINGS))
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    assert "4 of 4 runs are taken from" in done.stderr
    assert journal.exists()


@pytest.mark.usefixtures("journal")
def test_level_that_is_new_is_measured_beside_those_that_are_known():
    _, said, measured = started(levels=[1, 2, 3])
    assert measured == 2
    assert "4 of 6 runs are taken from" in said


def test_torn_and_altered_lines_are_measured_anew(journal):
    """Tried: journals were cut off and altered at random places."""
    lines = [line for line in journal.read_bytes().splitlines() if line]
    altered = lines[1].replace(b'"x"', b'"y"')
    journal.write_bytes(b"\n".join([lines[0], altered, lines[2][:-9]]))
    assert started()[2] == 3
    assert started()[2] == 0, "what is written after a torn line is whole"


@pytest.mark.usefixtures("journal")
def test_second_measurement_of_one_kind_is_not_the_first_again(first):
    """Else a cell that is compared with itself would show no noise at all."""
    twice = "print(sorted(measure(run, processes=2, warmup=False, n=[1, 2]).frame['pid']))\nraise SystemError"
    out, _, measured = started(after=twice)
    assert measured == 4
    once, second = out.splitlines()
    assert f"{once}\n" == first[0]
    assert second != once


def test_results_folder_that_cannot_be_written_costs_no_run(tmp_path, results, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    results.write_text("a file")
    assert started()[2] == 4


CONTENTS = [b"", b"\0" * 100, b"no checksum\n", b"00000000 []\n", b"\xff\xfe\n", b"22d02bf7 [1, 2]\n", b"[" * 100_000]


@pytest.fixture
def script(tmp_path):
    """A script that there is."""
    path = tmp_path / "script.py"
    path.touch()
    return str(path)


def kept(script):
    """Keep a run in the script's journal; return it as the next start finds it."""
    _calls.clear()
    writing = Journal(script, "settings")
    writing.put(writing.key("cell"), 0, [{"x": 1.5}])
    _calls.clear()
    reading = Journal(script, "settings")
    return reading.get(reading.key("cell"), 0)


@pytest.mark.parametrize("content", CONTENTS)
def test_journal_of_anything_else_is_as_good_as_none(script, results, content):
    (results / ".journal").mkdir(parents=True)
    (results / ".journal" / "script.jsonl").write_bytes(content)
    assert kept(script) == [{"x": 1.5}]


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_journal_that_is_no_file_is_left_alone(script, results, kind, tmp_path):
    (results / ".journal").mkdir(parents=True)
    path = results / ".journal" / "script.jsonl"
    elsewhere = tmp_path / "elsewhere"
    {"fifo": os.mkfifo, "folder": os.mkdir, "link": lambda path: path.symlink_to(elsewhere)}[kind](path)
    assert kept(script) is None
    assert not elsewhere.exists()


def test_folder_of_the_journal_that_is_a_link_is_not_followed(script, results, tmp_path):
    results.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (results / ".journal").symlink_to(tmp_path / "elsewhere")
    assert kept(script) is None
    assert not list((tmp_path / "elsewhere").iterdir())


def test_full_disk_costs_no_run(script, monkeypatch):
    """Tried: the disk was filled while runs were measured."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mlperf.results.journal.os.write", full)
    assert kept(script) is None


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
def test_interrupted_script_goes_on_where_it_was(how, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
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


CAUGHT = """
import sys
from pathlib import Path
from mlperf import measure
def run(n):
    with Path("log").open("a") as file:
        file.write(f"{n} ")
    if len(Path("log").read_text().split()) == 3 and not Path("go").exists():
        raise ValueError("too large")
    return {"x": n}
try:
    print(sorted(measure(run, processes=1, warmup=False, n=[1, 2, 3]).frame["x"]))
except RuntimeError as error:
    sys.exit(f"Sorry: {error}")
"""


def test_script_that_catches_the_error_of_a_measurement_goes_on_where_it_was(tmp_path, monkeypatch):
    """Tried: it ended by sys.exit with a message of its own, and all was measured again."""
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(CAUGHT)
    failed = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert failed.stderr.splitlines()[-1].startswith("Sorry: The measured run failed in the cell n=")
    last = Path("log").read_text().split()[-1]
    Path("go").touch()
    Path("log").unlink()
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2, 3]\n"
    assert Path("log").read_text().split() == [last]
    assert not Path("results/.journal").exists()


def test_cleared_journal_is_gone_with_its_folder(script, results):
    kept(script)
    text = (results / ".journal" / "script.jsonl").read_text().strip().partition(" ")[2]
    assert json.loads(text)[1:] == [0, [{"x": 1.5}]]
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


def test_docstring_of_a_function_that_returns_nothing_does_not_count():
    """Tried: a docstring moves the other constants of a function, on Python 3.14 in each function."""
    without = "def run(n):\n    print(n, 'text')"
    assert digest(without.replace("\n", "\n    'What it does.'\n")) == digest(without)
    assert digest(without.replace("text", "another text")) != digest(without)


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
