import os
import subprocess
import sys

import pytest

from mlperf.profilers.memory import heap_peak
from mlperf.profilers.scratch import PREFIX, scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path / "temporary"


def test_what_killed_processes_left_is_removed_by_a_later_one(temporary):
    """Tried: killed while it looked at the heap, a process left its folder for ever."""
    pytest.importorskip("memray")
    code = """
import os, signal
from mlperf.profilers.memory import heap_peak
heap_peak(lambda: os.kill(os.getpid(), signal.SIGKILL))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode != 0
    (left,) = temporary.iterdir()
    heap_peak(lambda: None)
    assert left.exists(), "another container may have such a process"
    os.utime(left, (0, 0))
    heap_peak(lambda: None)
    assert not left.exists()


def test_folders_of_others_and_of_processes_that_still_run_are_left_alone(temporary):
    (temporary / "outside").mkdir()
    kept = [temporary / f"{PREFIX}{os.getppid()}-x", temporary / f"{PREFIX}of-mine", temporary / "tmp1234"]
    for folder in kept:
        folder.mkdir()
        os.utime(folder, (0, 0))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    link = temporary / f"{PREFIX}{gone.pid}-link"
    link.symlink_to(temporary / "outside")
    os.utime(link, (0, 0), follow_symlinks=False)
    with scratch() as inner, scratch() as other:
        assert inner.is_dir()
        assert other.is_dir()
        assert inner != other
    assert not {inner, other} & set(temporary.iterdir())
    assert {*kept, temporary / "outside"} <= set(temporary.iterdir())


def test_folder_goes_with_an_error_too():
    seen = []

    def fail():
        with scratch() as folder:
            seen.append(folder)
            (folder / "file").touch()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not seen[0].exists()
