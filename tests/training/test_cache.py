"""Where compilers work: in the cache, and elsewhere where the cache will not do."""

import os
import tempfile
from types import SimpleNamespace

import pytest

from mlperf.training.cache import ROOM, cache_folder, folder_of

SYSTEM = {"f_frsize": 1, "f_bavail": ROOM + 1, "f_flag": 0}


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """The cache, and where temporary files of ours are: both will do."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "cache" / "mlperf", tmp_path / "temporary" / f"mlperf-{os.getuid()}"


def test_compilers_work_in_the_cache_and_nobody_else_does(folders):
    assert folder_of("numba") == folders[0] / "numba"
    assert folder_of("numba").stat().st_mode & 0o77 == 0


@pytest.mark.parametrize(
    ("of_the_system", "writable", "owner"),
    [
        ({"f_bavail": ROOM - 1}, True, os.getuid()),
        ({"f_flag": getattr(os, "ST_NOEXEC", 8)}, True, os.getuid()),
        ({}, False, os.getuid()),
        ({}, True, os.getuid() + 1),
    ],
    ids=["full", "noexec", "read-only", "owned by another"],
)
def test_where_the_cache_will_not_do_they_work_among_temporary_files(
    folders, of_the_system, writable, owner, monkeypatch
):
    """Tried: torch.compile or numba failed the whole build on a cache that was full, read-only or noexec."""
    cache, temporary = folders
    (cache / "numba").mkdir(parents=True)
    if owner != os.getuid():
        if os.getuid():
            pytest.skip("only root can give a folder away")
        os.chown(cache / "numba", owner, -1)
    spoilt = {**SYSTEM, **of_the_system}
    monkeypatch.setattr(os, "ST_NOEXEC", 8, raising=False)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**(spoilt if cache in path.parents else SYSTEM)))
    monkeypatch.setattr(os, "access", lambda path, _: writable or cache not in path.parents)
    assert folder_of("numba") == temporary / "numba"
    assert folder_of("numba").is_dir()


def test_cache_with_an_odd_name_is_done_without(folders, monkeypatch, tmp_path):
    """Tried: a space in its path failed the whole build, since torch compiles by a command line."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a b"))
    assert folder_of("torch_compile") == folders[1] / "torch_compile"


def test_user_without_a_home_has_a_folder_among_temporary_files(folders, monkeypatch):
    """Tried: a container that runs as a user whom its system does not know failed the whole build."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert folder_of("numba") == folders[1] / "numba"
    assert not cache_folder().exists()


def test_where_temporary_files_cannot_be_written_the_cache_will_do(folders, monkeypatch):
    """Tried: no folder for temporary files could be written to."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    assert folder_of("numba") == folders[0] / "numba"
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    assert folder_of("numba") is None


def test_where_no_folder_can_be_made_there_is_none(folders):
    for folder in folders:
        folder.parent.mkdir()
        folder.write_text("a file")
    assert folder_of("numba") is None
