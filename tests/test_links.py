"""The metadata has the project's links, as far as they are known where it is built; none is made up."""

import importlib.metadata
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = {"LICENSE", "README.md", "pyproject.toml", "setup.py", "mlperf/__init__.py"}
METADATA = """
from setuptools.build_meta import prepare_metadata_for_build_wheel
prepare_metadata_for_build_wheel("metadata")
"""
ARCHIVE = """
from setuptools.build_meta import build_sdist
build_sdist("archives")
"""
ON_GITHUB = {
    "Source": "https://github.com/owner/name",
    "Issues": "https://github.com/owner/name/issues",
    "Changelog": "https://github.com/owner/name/blob/HEAD/CHANGELOG.md",
}


@pytest.fixture(autouse=True)
def _no_site(monkeypatch):
    monkeypatch.delenv("SITE_URL", raising=False)


@pytest.fixture
def checkout(tmp_path):
    """What an installer reads of this project, in a folder of its own that is no repository yet."""
    folder = tmp_path / "checkout"
    for name in BUILT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def git(folder, *arguments):
    # Neither settings of this machine's user nor a repository that these tests are started from.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    subprocess.run(command, env={**kept, "GIT_CONFIG_GLOBAL": os.devnull}, capture_output=True, check=True)


def build(folder, code, place, **environment):
    (folder / place).mkdir()
    built = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / place


def links_of(folder, **environment):
    """Return the links in the metadata of what is built from a folder."""
    (about,) = build(folder, METADATA, "metadata", **environment).glob("*.dist-info")
    lines = importlib.metadata.Distribution.at(about).metadata.get_all("Project-URL", [])
    return dict(line.split(", ", 1) for line in lines)


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/owner/name.git", "https://github.com/owner/name"),
        ("https://github.com/owner/name/", "https://github.com/owner/name"),
        ("https://person:secret@git.host.org:8443/group/part/name", "https://git.host.org:8443/group/part/name"),
        ("https://token@host.org/owner/name?private_token=secret#there", "https://host.org/owner/name"),
        ("http://host.org/name.git", "http://host.org/name"),
        ("git@github.com:owner/name.git", "https://github.com/owner/name"),
        ("git@git.host.org:~owner/name", "https://git.host.org/~owner/name"),
        ("ssh://git@host.org/owner/name.git", "https://host.org/owner/name"),
        ("ssh://git@host.org:22/owner/name.git", "https://host.org/owner/name"),
    ],
)
def test_a_remote_is_linked_where_people_read_it_without_credentials(remote, address):
    assert runpy.run_path(str(ROOT / "setup.py"))["web_address"](remote) == address


@pytest.mark.parametrize(
    "remote",
    [
        "",
        "/srv/git/name.git",
        "../name",
        r"C:\git\name",
        "file:///srv/git/name.git",
        "git://host.org/name.git",
        "git@server.host.org:/srv/git/name.git",
        "person@server.host.org:name.git",
        "ssh://person@server.host.org/srv/git/name.git",
        "ssh://git@host.org:2222/owner/name.git",
        "ssh://git@ssh.github.com:22/owner/name.git",
        "git@alias:owner/name.git",
        "http://localhost:8000/name",
        "http://127.0.0.1/name",
        "http://[::1]/name",
        "https://first.last:pa/ss@host.org/name",
        "https://host.org",
        "https://host.org/a name",
        "https://[broken/name",
        "no address",
    ],
)
def test_a_remote_that_others_cannot_open_is_not_linked(remote):
    assert runpy.run_path(str(ROOT / "setup.py"))["web_address"](remote) is None


def test_what_is_built_from_a_checkout_links_to_its_origin(checkout):
    """Tried: the metadata had no link at all."""
    git(checkout, "init")
    git(checkout, "remote", "add", "origin", "git@github.com:owner/name.git")
    assert links_of(checkout) == ON_GITHUB


def test_the_pages_are_linked_where_their_host_says_where_they_are(checkout):
    assert links_of(checkout, SITE_URL="https://owner.host.org/name/") == {
        "Documentation": "https://owner.host.org/name/"
    }


@pytest.mark.parametrize("site", ["", "http://localhost:8000/", "/srv/site"])
def test_pages_that_others_cannot_open_are_not_linked(checkout, site):
    assert links_of(checkout, SITE_URL=site) == {}


def test_without_a_remote_there_are_no_links_and_no_error(checkout):
    git(checkout, "init")
    assert links_of(checkout) == {}


def test_the_repository_around_a_copy_is_not_taken_for_its_own(checkout):
    git(checkout.parent, "init")
    git(checkout.parent, "remote", "add", "origin", "https://github.com/somebody/else.git")
    assert links_of(checkout, GIT_DIR=str(checkout.parent / ".git")) == {}


def test_without_git_there_are_no_links_and_no_error(checkout):
    git(checkout, "init")
    git(checkout, "remote", "add", "origin", "git@github.com:owner/name.git")
    assert links_of(checkout, PATH=str(checkout)) == {}


def test_a_source_archive_keeps_its_links_wherever_it_is_built_again(checkout, tmp_path):
    git(checkout, "init")
    git(checkout, "remote", "add", "origin", "https://github.com/owner/name.git")
    (path,) = build(checkout, ARCHIVE, "archives", SITE_URL="https://owner.host.org/name/").glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "elsewhere", filter="data")
    (unpacked,) = (tmp_path / "elsewhere").iterdir()
    git(unpacked, "init")
    git(unpacked, "remote", "add", "origin", "https://github.com/somebody/else.git")
    assert links_of(unpacked) == {"Documentation": "https://owner.host.org/name/", **ON_GITHUB}
