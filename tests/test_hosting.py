"""What hosts run is what is there: workflow and Read the Docs settings name commands that exist, with few rights."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

import mlperf

ROOT = Path(__file__).parents[1]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "report.yml").read_text())
JOBS = WORKFLOW["jobs"]
DOCS = yaml.safe_load((ROOT / ".readthedocs.yaml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TRIGGERS = WORKFLOW[True]  # YAML reads the bare word "on" as a truth
COMMANDS = sorted(
    {
        line.strip()
        for job in JOBS.values()
        for step in job.get("steps", ())
        for line in step.get("run", "").splitlines()
        if line.strip()
    }
    | set(DOCS["build"]["commands"])
)
# On the hosts' machines in any case.
TOOLS = {"bash", "cp", "make", "mkdir", "python"}


def runs(name):
    return [step.get("run", "") for step in JOBS[name]["steps"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_a_host_names_a_target_or_script_that_is_there(command):
    tool, *arguments = shlex.split(command)
    assert tool in TOOLS or tool == ".venv/bin/python"  # made by "make setup", the line before
    if tool == "make":
        made = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
    if tool in ("bash", "python"):
        assert (ROOT / arguments[0]).is_file()
    for argument in arguments:
        if argument.startswith("tests/"):
            assert (ROOT / argument).exists()


def test_every_place_that_a_host_takes_the_site_from_is_where_make_puts_it():
    published, quick = (
        subprocess.run(["make", "-n", "html", mode], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for mode in ("QUICK=0", "QUICK=1")
    )
    named = set(re.findall(r"docs/_(?:build|results)/[\w/]+", "\n".join([*COMMANDS, json.dumps(JOBS)])))
    assert named
    for place in named:
        assert place in (quick if "quick" in place else published)


def test_requests_to_merge_get_the_preview_and_no_right_to_write():
    assert "pull_request" in TRIGGERS
    assert "pull_request_target" not in TRIGGERS
    assert WORKFLOW["permissions"] == {"contents": "read"}
    writing = {name for name, job in JOBS.items() if "write" in job.get("permissions", {}).values()}
    assert writing == {"publish"}
    assert JOBS["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert JOBS["publish"]["needs"] == "measure"
    assert "github.event_name != 'pull_request'" in JOBS["measure"]["if"]
    assert "if" not in JOBS["check"]
    assert "make html QUICK=1" in (ROOT / ".ci" / "run").read_text()


def test_nothing_is_published_before_it_was_refused_or_not():
    steps = JOBS["measure"]["steps"]
    refuse, upload = (
        next(i for i, step in enumerate(steps) if word in step.get("run", "") + step.get("uses", ""))
        for word in ("refuse-preview", "upload-pages-artifact")
    )
    assert refuse < upload
    assert not any("continue-on-error" in step for step in steps)


def test_the_scheduled_build_compares_with_the_rivals():
    assert TRIGGERS["schedule"]
    (rivals,) = [step for step in JOBS["measure"]["steps"] if "[rivals]" in step.get("run", "")]
    assert rivals["if"] == "github.event_name == 'schedule'"
    assert "rivals" in PROJECT["optional-dependencies"]


def test_the_oldest_python_that_is_accepted_is_tried_and_a_newest():
    """Python 3.14 was refused, though every pin resolves to wheels for it."""
    tried = JOBS["check"]["strategy"]["matrix"]["python"]
    assert f">={tried[0]}" == PROJECT["requires-python"]
    assert tried[-1] == "3.14"
    assert "${{ matrix.python }}" in JOBS["check"]["container"]
    (upload,) = [step for step in JOBS["check"]["steps"] if "upload-artifact" in step.get("uses", "")]
    assert "${{ matrix.python }}" in upload["with"]["name"], "two artifacts of one name collide"


def test_the_platforms_of_users_are_tried():
    assert JOBS["macos"]["runs-on"].startswith("macos-")
    assert runs("macos")[2:] == ["make html QUICK=1", "make test"]
    assert JOBS["arm"]["runs-on"].endswith("-arm")
    assert any("tests/training" in line for line in runs("arm"))


def test_the_newest_torch_is_tried_beside_the_pinned_one():
    """By the workflow, and by a maintainer: in a copy, so that nothing pinned is replaced."""
    assert "bash .ci/newest-torch" in runs("newest-torch")
    steps = (ROOT / ".ci" / "newest-torch").read_text()
    assert steps.index('cd "$copy"') < steps.index("--upgrade torch") < steps.index("make test")
    assert (ROOT / ".ci" / "newest-torch").stat().st_mode & 0o111
    assert "torch==" in (ROOT / "requirements.txt").read_text()


@pytest.mark.parametrize("script", ["new-machines", "newest-torch", "run"])
def test_script_of_a_host_is_sound(script):
    subprocess.run(["bash", "-n", ROOT / ".ci" / script], check=True)


def test_machines_that_are_contributed_are_checked_by_themselves_and_whole(tmp_path):
    """Those that are there already lack what scripts publish that were added since."""

    def git(*arguments):
        identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    def write(path, content):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)

    write(".venv/bin/python", '#!/bin/sh\necho "$@"\ntest "$4" != docs/machines/refused\n')
    (tmp_path / ".venv/bin/python").chmod(0o755)
    write(".gitignore", ".venv\n")
    write("docs/machines/README.md", "Results.\n")
    for name in ("removed", "there"):
        write(f"docs/machines/{name}/fits.json", "{}\n")
    write(".ci/new-machines", (ROOT / ".ci" / "new-machines").read_text())
    git("init", "-q")
    for new in ("nothing", "a name", "refused"):
        write(f"docs/machines/{new}/fits.json", "{}\n")
        write("docs/machines/README.md", f"Results of {new}.\n")
        if new == "a name":
            shutil.rmtree(tmp_path / "docs/machines/removed")
        git("add", ".")
        git("commit", "-q", "-m", new)
        if new == "nothing":
            continue
        done = subprocess.run(["bash", tmp_path / ".ci/new-machines"], capture_output=True, text=True, check=False)
        assert done.stdout == f"-m mlperf.results check docs/machines/{new}\n"
        assert bool(done.returncode) == (new == "refused")
    (checkout,) = [step for step in JOBS["check"]["steps"] if "checkout" in step.get("uses", "")]
    assert checkout["with"]["fetch-depth"] == 2
    assert "bash .ci/new-machines" in runs("check")


def test_a_host_without_a_way_to_install_names_what_is_missing(tmp_path):
    (tmp_path / "path").mkdir()
    for tool in ("bash", "dirname"):
        (tmp_path / "path" / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(
        [shutil.which("bash"), ROOT / ".ci" / "run"],
        env={"PATH": str(tmp_path / "path")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert re.fullmatch(
        r"Install make g\+\+ chromium iproute2 .*latexmk.* first: there is no apt-get to do it\.\n", done.stderr
    )


def test_links_are_checked_in_what_was_built_before():
    assert runs("links")[1:] == ["make html QUICK=1", "make linkcheck QUICK=1"]


def test_every_action_has_a_version():
    used = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", name) for name in used)


def test_what_is_cited_is_what_is_released():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert (cited["version"], cited["license"]) == (mlperf.__version__, PROJECT["license"])


def built(folder, *, mode="published", title=""):
    (folder / "results").mkdir(parents=True)
    (folder / "results" / "fits.json").write_text(json.dumps({"provenance": {"protocol": {"MODE": mode}}}))
    (folder / "index.html").write_text(f'<p class="admonition-title">{title}</p>')
    return folder, folder / "results"


def test_published_results_may_be_published_and_previews_stale_or_empty_sites_may_not(tmp_path):
    reasons = runpy.run_path(str(ROOT / ".ci" / "refuse-preview"))["reasons"]
    assert reasons(*built(tmp_path / "fine")) == []
    assert len(reasons(*built(tmp_path / "quick", mode="quick"))) == 1
    assert len(reasons(*built(tmp_path / "banner", title="Preview numbers"))) == 1
    assert len(reasons(*built(tmp_path / "stale", title="Out of date"))) == 1
    assert len(reasons(tmp_path / "none", tmp_path / "none")) == 2


def test_a_build_leaves_its_lock_where_tests_wait_for_it(site):
    assert (site.parents[1] / ".lock").is_file()


def test_the_preview_is_refused(site):
    done = subprocess.run(
        [ROOT / ".ci" / "refuse-preview", site, ROOT / "docs" / "_results" / "quick"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Preview numbers" in done.stderr
    assert "measured by the quick protocol" in done.stderr


@pytest.fixture
def host(tmp_path):
    """A site that is there: its folder and its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    (tmp_path / "site" / "_history").mkdir(parents=True)
    with ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=tmp_path / "site")) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path / "site" / "_history", f"http://localhost:{server.server_port}/"
        server.shutdown()


def take_history(address, folder):
    command = [sys.executable, ROOT / ".ci" / "history", address, folder]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_history_is_taken_from_the_site_that_is_there(host, tmp_path):
    theirs, address = host
    (theirs / "index.txt").write_text("fits.csv\n")
    (theirs / "fits.csv").write_text("time\n")
    done = take_history(address, tmp_path / "ours")
    assert (done.returncode, done.stdout) == (0, f"The history of 1 results was taken from {address}.\n")
    assert (tmp_path / "ours" / "fits.csv").read_text() == "time\n"


def test_a_first_site_has_no_history(host, tmp_path):
    done = take_history(host[1], tmp_path / "ours")
    assert (done.returncode, done.stdout) == (0, f"There is no history at {host[1]} yet.\n")
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize("listed", ["fits.csv", "../fits.csv", ".bashrc"])
def test_a_history_that_is_not_whole_ends_the_build_before_it_is_lost(host, tmp_path, listed):
    theirs, address = host
    (theirs / "index.txt").write_text(f"{listed}\n")
    done = take_history(address, tmp_path / "ours")
    assert done.returncode != 0
    assert "which is not there" in done.stderr
    assert not (tmp_path / "ours").exists()


def test_a_site_that_does_not_answer_ends_the_build(tmp_path):
    done = take_history("http://localhost:1/", tmp_path / "ours")
    assert done.returncode != 0
    assert done.stderr.startswith("The history cannot be taken from http://localhost:1/: ")


def test_the_history_is_continued_before_the_report_is_built():
    steps = [step.get("run", "") for step in JOBS["measure"]["steps"]]
    taken = next(i for i, step in enumerate(steps) if step.startswith("python .ci/history"))
    assert taken < steps.index("make html FULL=1")
    assert steps[taken].split()[-1] == "docs/_history"
