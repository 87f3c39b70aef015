"""Libraries: compiled once, checked when they are loaded, and nothing left behind."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from mlperf.training import library
from mlperf.training.library import check_compiler, is_kept, load

ANSWER = 'extern "C" int answer() { return 42; }\n'


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """The cache, and another folder for what is temporary: both begin empty, and a process knows no library yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "with spaces"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(library, "_loaded", {})
    library._complaint.cache_clear()
    yield tmp_path / "with spaces" / "mlperf"
    library._complaint.cache_clear()
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.fixture
def compilations(monkeypatch):
    """One item for each compilation."""
    counted, really = [], library._compile

    def compile_and_count(program, path):
        counted.append(program)
        return really(program, path)

    monkeypatch.setattr(library, "_compile", compile_and_count)
    return counted


def forget(monkeypatch):
    """Be like another process."""
    monkeypatch.setattr(library, "_loaded", {})


def test_a_program_is_compiled_once_for_all_processes(monkeypatch, folder, compilations):
    assert not is_kept(ANSWER)
    loaded = load(ANSWER)
    assert loaded.functions.answer() == 42
    forget(monkeypatch)
    monkeypatch.setenv("PATH", "")  # what is kept needs no compiler
    assert is_kept(ANSWER)
    assert load(ANSWER).compile_seconds == loaded.compile_seconds > 0
    assert load(ANSWER) is load(ANSWER)
    assert compilations == [ANSWER]
    assert sorted(path.suffix for path in folder.iterdir()) == ["", ".json", ".so"]


@pytest.mark.parametrize("damage", ["cut off", "overwritten", "without its record", "with a broken record"])
def test_a_damaged_library_is_compiled_again(monkeypatch, folder, compilations, damage):
    """Tried: a library that was cut off ended the process with a bus error."""
    load(ANSWER)
    (path,), (record,) = folder.glob("*.so"), folder.glob("*.json")
    path.unlink()  # it is loaded in this process, which must not see the damage
    if damage == "cut off":
        path.write_bytes(b"\x7fELF")
    elif damage == "overwritten":
        path.write_bytes(b"x" * 10_000)
    elif damage == "without its record":
        record.unlink()
    else:
        record.write_text("[]")
    forget(monkeypatch)
    assert not is_kept(ANSWER)
    assert load(ANSWER).functions.answer() == 42
    assert len(compilations) == 2
    forget(monkeypatch)
    load(ANSWER)
    assert len(compilations) == 2


def test_threads_that_want_the_same_library_at_once_compile_it_once(compilations):
    found, barrier = [], threading.Barrier(4)

    def want():
        barrier.wait()
        found.append(load(ANSWER).functions.answer())

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [42] * 4
    assert compilations == [ANSWER]


def test_what_a_killed_process_left_is_cleared_away(folder):
    """Tried: killed while compiling, a process left its folder for ever."""
    script = f"from mlperf.training.library import load; load({ANSWER!r})"
    slow = folder.parent / "slow-compiler"
    folder.mkdir(parents=True)
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "CXX": f"'{slow}'"}, start_new_session=True
    )
    while not list(folder.glob("compiling-*")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(folder.glob("compiling-*"))
    assert load(ANSWER).functions.answer() == 42
    assert not list(folder.glob("compiling-*"))


def test_what_a_process_left_that_was_killed_outside_the_cache_is_cleared_away(tmp_path):
    """Tried: killed while it tried the compiler, a process left a folder among the temporary files for ever."""
    left, others = tmp_path / "temporary/mlperf-compiling-left", tmp_path / "temporary/mlperf-compiling-now"
    for folder in (left, others):
        folder.mkdir()
        (folder / "step.so").touch()
    os.utime(left, (0, 0))
    check_compiler()
    assert list((tmp_path / "temporary").iterdir()) == [others]
    shutil.rmtree(others)


def test_a_cache_that_cannot_be_made_is_done_without(folder, compilations):
    """Tried: such a cache failed the whole build."""
    folder.parent.write_text("a file where a folder should be")
    assert load(ANSWER).functions.answer() == 42
    assert load(ANSWER).functions.answer() == 42
    assert compilations == [ANSWER]
    check_compiler()


def test_a_cache_that_is_full_is_done_without(monkeypatch, folder, tmp_path):
    """Tried: such a cache failed the whole build."""
    compiler = tmp_path / "compiler"
    full = "echo 'final link failed: No space left on device' >&2; exit 1"
    compiler.write_text(f'#!/bin/sh\ncase "$*" in *"{folder}"*) {full};; esac\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert load(ANSWER).functions.answer() == 42
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_a_cache_with_an_odd_name_is_used(monkeypatch, tmp_path):
    """Tried: such a cache failed the whole build."""
    odd = tmp_path / """a "b' $HOME `c`"""
    monkeypatch.setenv("XDG_CACHE_HOME", str(odd))
    assert load(ANSWER).functions.answer() == 42
    forget(monkeypatch)
    monkeypatch.setenv("PATH", "")
    assert is_kept(ANSWER)
    assert load(ANSWER).functions.answer() == 42
    assert any((odd / "mlperf").iterdir())


def test_a_file_system_without_locks_is_done_with(monkeypatch):
    def refuse(*_):
        raise NotImplementedError("flock is not supported")

    monkeypatch.setattr(FileLock, "_acquire", refuse)
    assert load(ANSWER).functions.answer() == 42


def test_a_lock_that_is_never_released_is_not_waited_for_for_ever(monkeypatch, folder):
    monkeypatch.setattr(library, "LOCK_SECONDS", 0.1)
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"):
        assert load(ANSWER).functions.answer() == 42


def test_a_cache_whose_programs_must_not_be_run_is_done_without(monkeypatch, folder):
    """Tried: such a cache failed the whole build."""
    really = ctypes.CDLL

    def refuse(path):
        if Path(path).is_relative_to(folder):
            raise OSError("failed to map segment from shared object")
        return really(path)

    monkeypatch.setattr(library.ctypes, "CDLL", refuse)
    for _ in range(2):
        assert load(ANSWER).functions.answer() == 42
        forget(monkeypatch)
    check_compiler()


def test_where_no_program_may_be_run_it_says_what_to_set(monkeypatch):
    def refuse(path):  # noqa: ARG001
        raise OSError("failed to map segment from shared object")

    monkeypatch.setattr(library.ctypes, "CDLL", refuse)
    for call in (lambda: load(ANSWER), check_compiler):
        with pytest.raises(RuntimeError, match=r"cannot load what it compiles: failed.*TMPDIR or XDG_CACHE_HOME"):
            call()


def test_a_compiler_that_fails_is_quoted(folder):
    with pytest.raises(RuntimeError, match=r"does not compile its program \(.*error.*no_such_thing"):
        load("int answer() { return no_such_thing; }")
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_an_option_that_the_compiler_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(library, "NATIVE", ["-march=steam"])
    assert load(ANSWER).functions.answer() == 42


@pytest.mark.parametrize("name", ["CXX", "CXXFLAGS"])
def test_what_was_compiled_with_other_settings_is_kept_apart(monkeypatch, name):
    usual = library._path(ANSWER)
    monkeypatch.setenv(name, "other")
    assert library._path(ANSWER) != usual


def test_loading_a_library_loads_no_torch():
    script = "import sys, mlperf.training.cache, mlperf.training.library; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
