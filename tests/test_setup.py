"""Set-up and Makefile: every path and setting is taken literally, and what cannot be done is said in one sentence."""

import ast
import errno
import fcntl
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")
# As in a shell of a user's: no setting of these tests, nor of the make that started them, reaches another make.
GIVEN = ("DEVICE", "FULL", "MAKE", "MFLAGS", "MLPERF_", "OTHER", "PIP_", "PORT", "PYTHON", "QUICK")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(GIVEN)}
HOSTILE = """a"; touch executed; echo "$HOME `touch executed` $(shell touch executed) $(touch executed) 'b"""
# Stands in for the Python of the environment: tells how it was called, a line for each thing.
STAND_IN = """#!/bin/sh
printf '%s|' "$0" "$*" "$MLPERF_RESULTS" "$MLPERF_COMPARE" "$MLPERF_QUICK$MLPERF_FULL" >> "$PWD/called"
echo >> "$PWD/called"
"""


def write_script(path, text=STAND_IN):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(params=["plain", "with space", "$HOME", "`touch executed`", "quotes \" '"])
def checkout(request, tmp_path):
    """A checkout in an oddly named folder, with a stand-in for Python."""
    folder = tmp_path / request.param
    write_script(folder / ".venv" / "bin" / "python")
    shutil.copy(ROOT / "Makefile", folder)
    return folder


@pytest.fixture
def plain_checkout(tmp_path):
    write_script(tmp_path / ".venv" / "bin" / "python")
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def make(folder, *arguments, **environment):
    return subprocess.run(
        [MAKE, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def calls(folder):
    """Return what the stand-in was called with: program, arguments, results, compared results, quick and full."""
    return [line.split("|")[:-1] for line in (folder / "called").read_text().splitlines()]


def is_one_sentence(text):
    return text.count("\n") == 1 and "Traceback" not in text


def load(path):
    module = ModuleType(path.name)
    module.__file__ = str(path)
    exec(compile(path.read_text(), path, "exec"), vars(module))
    return module


def test_other_results_and_the_place_of_the_checkout_are_taken_literally(checkout):
    """A path with `$` wrote results outside the checkout; backticks in it, and OTHER, were executed by the shell."""
    done = make(checkout, "compare", f"OTHER={HOSTILE}")
    assert done.returncode == 0, done.stderr
    setup, sphinx = calls(checkout)
    assert setup[1] == ".ci/setup .venv"
    assert sphinx[1].endswith("docs -b html docs/_build/published/html")
    assert sphinx[2:] == [str(checkout / "docs" / "_results" / "published"), HOSTILE, "00"]
    assert not [*checkout.parent.rglob("executed")]


def test_other_results_named_in_the_environment_are_taken_literally(plain_checkout):
    assert make(plain_checkout, "compare", OTHER=HOSTILE).returncode == 0
    assert calls(plain_checkout)[-1][3] == HOSTILE
    assert not [*plain_checkout.rglob("executed")]


def test_a_build_that_is_started_from_a_notebook_draws_as_any_other(plain_checkout):
    """Tried: there, MPLBACKEND names a module that is not installed in our environment."""
    write_script(plain_checkout / ".venv/bin/python", '#!/bin/sh\necho "$1 $MPLBACKEND" >> "$PWD/called"\n')
    assert make(plain_checkout, "html", MPLBACKEND="module://matplotlib_inline.backend_inline").returncode == 0
    assert (plain_checkout / "called").read_text().splitlines()[-1] == "-m agg"


@pytest.mark.parametrize("name", ["QUICK", "FULL", "DEVICE"])
@pytest.mark.parametrize("given", ["$(shell touch executed)", "cpu ; touch executed ; echo", "`touch executed`", "1 0"])
def test_no_setting_is_executed(plain_checkout, name, given):
    """Tried: ``DEVICE="cpu ; touch x"`` was executed by the shell, and ``QUICK='$(shell touch x)'`` by make."""
    for arguments, environment in (([f"{name}={given}"], {}), ([], {name: given})):
        done = make(plain_checkout, "html", *arguments, **environment)
        assert bool(done.returncode) == (name == "DEVICE")
    assert not [*plain_checkout.rglob("executed")]


@pytest.mark.parametrize(
    ("setting", "mode", "switches"),
    [
        ("QUICK=1", "quick", "10"),
        ("QUICK=0", "published", "00"),
        ("FULL=1", "published", "01"),
        ("FULL=0", "published", "00"),
    ],
)
def test_previews_and_full_builds_are_asked_for_by_a_setting(plain_checkout, setting, mode, switches):
    assert make(plain_checkout, "html", setting).returncode == 0
    _, arguments, results, _, said = calls(plain_checkout)[-1]
    assert f"docs/_build/{mode}/html" in arguments
    assert results.endswith(f"docs/_results/{mode}")
    assert said == switches


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_build_on_a_device_has_results_of_its_own_and_begins_if_the_device_is_there(plain_checkout, device):
    assert make(plain_checkout, "html", f"DEVICE={device}").returncode == 0
    _, check, sphinx = calls(plain_checkout)
    assert check[1] == f".ci/check-device {device}"
    assert f"docs/_build/published-{device}/html" in sphinx[1]
    assert sphinx[2].endswith(f"docs/_results/published-{device}")


def test_device_that_no_machine_has_is_refused(plain_checkout):
    done = make(plain_checkout, "html", f"DEVICE={HOSTILE}")
    assert done.returncode != 0
    assert "DEVICE must be cpu, cuda or mps" in done.stderr
    assert not [*plain_checkout.rglob("executed")]


@pytest.mark.parametrize(("device", "ended"), [("cpu", 0), ("steam", 1)])
def test_absent_device_ends_a_build_with_a_sentence(device, ended):
    command = [sys.executable, ".ci/check-device", device]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == ended
    assert not ended or ("must be a device of this machine: 'cpu'" in done.stderr and is_one_sentence(done.stderr))


def test_comparing_with_nothing_says_how_to_name_it(plain_checkout):
    """Tried: a broken OTHER was answered by the advice to build first."""
    done = make(plain_checkout, "compare")
    assert done.returncode != 0
    assert "make compare OTHER=path/to/results" in done.stderr


def test_the_python_that_is_named_sets_up_whatever_its_path(plain_checkout):
    python = write_script(plain_checkout / "a $HOME `touch executed`" / "python")
    assert make(plain_checkout, "setup", f"PYTHON={python}").returncode == 0
    assert calls(plain_checkout) == [[str(python), ".ci/setup .venv", "", "", ""]]
    assert not [*plain_checkout.rglob("executed")]


def test_the_environment_keeps_its_python_where_none_is_named(plain_checkout):
    write_script(plain_checkout / "path" / "python3")
    path = f"{plain_checkout / 'path'}:{ENVIRONMENT['PATH']}"
    make(plain_checkout, "setup", PATH=path)
    (plain_checkout / ".venv" / "bin" / "python").unlink()
    (plain_checkout / ".venv" / "bin" / "python").symlink_to("a Python that was removed")
    make(plain_checkout, "setup", PATH=path)
    assert [called[0] for called in calls(plain_checkout)] == [
        ".venv/bin/python",
        str(plain_checkout / "path" / "python3"),
    ]


def test_a_python_that_is_not_there_is_named(plain_checkout):
    done = make(plain_checkout, "html", "PYTHON=no such python")
    assert done.returncode != 0
    assert done.stderr.startswith("The report needs Python 3.11 or newer, and there is no no such python.\n")


def test_checks_of_style_reach_every_module(plain_checkout):
    """`python -m numpydoc.hooks.validate_docstrings` checked nothing: it defines functions and ends."""
    for module in ("top.py", "folder/deep.py"):
        write_script(plain_checkout / "mlperf" / module, "")
    assert make(plain_checkout, "lint").returncode == 0
    _, *tools, docstrings, machines = (called[1] for called in calls(plain_checkout))
    assert [tool.split()[1] for tool in tools[:3]] == ["ruff", "ruff", "mypy"]
    assert "lint_imports" in tools[3]
    assert docstrings.startswith("-m numpydoc lint ")
    assert machines == "-m mlperf.results check --accepted docs/machines"
    assert {"mlperf/top.py", "mlperf/folder/deep.py"} <= set(docstrings.split())


def test_docstrings_are_checked(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text('def f(a):\n    """return a.\n\n    Returns\n    -------\n    int\n        The same.\n    """\n')
    done = subprocess.run(
        [sys.executable, "-m", "numpydoc", "lint", "--config", ROOT, wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "SS02" in done.stderr


def test_tests_wait_for_the_build_first(plain_checkout):
    """Tried: tests were started beside a build."""
    make(plain_checkout, "test")
    assert [called[1].split(" -n")[0] for called in calls(plain_checkout)] == [
        ".ci/setup .venv",
        ".ci/wait docs/_build/.lock",
        "-m pytest",
    ]


def test_waiting_lasts_as_long_as_the_build_and_is_announced(tmp_path):
    path = tmp_path / ".lock"
    build = FileLock(path)
    build.acquire()
    command = [sys.executable, ROOT / ".ci" / "wait", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout.readline() == f"Waiting for the build under way in {tmp_path}.\n"
        assert waiting.poll() is None
        build.release()
    assert waiting.returncode == 0


def test_nothing_is_waited_for_where_no_build_ever_was(tmp_path):
    subprocess.run([sys.executable, ROOT / ".ci" / "wait", tmp_path / "docs" / ".lock"], check=True)
    assert not [*tmp_path.iterdir()]


def test_on_a_file_system_without_locks_tests_run_at_once_and_say_so(tmp_path, monkeypatch, capsys):
    """Tried: a file system without locks."""

    def flock(_file, _operation):
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / ".lock").touch()
    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(sys, "argv", ["wait", str(tmp_path / ".lock")])
    runpy.run_path(str(ROOT / ".ci" / "wait"))
    said = capsys.readouterr().err
    assert is_one_sentence(said)
    assert said.startswith("Not waiting for other builds")


def serve(folder, port):
    command = [sys.executable, ROOT / ".ci" / "serve", folder, str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_taken_port_is_told_in_one_sentence(tmp_path):
    """Tried: it ended in a traceback."""
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        with serve(tmp_path, port) as served:
            _, said = served.communicate()
    assert served.returncode != 0
    assert is_one_sentence(said)
    assert f"Port {port} cannot be used" in said


@pytest.mark.parametrize("port", ["web", "0", "70000", ""])
def test_a_port_that_is_none_is_told_in_one_sentence(tmp_path, port):
    with serve(tmp_path, port) as served:
        _, said = served.communicate()
    assert served.returncode != 0
    assert is_one_sentence(said)
    assert repr(port) in said


def test_the_report_is_served_until_it_is_interrupted(tmp_path):
    (tmp_path / "index.html").write_text("The report")
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    with serve(tmp_path, port) as served:
        assert str(port) in served.stdout.readline()
        with urllib.request.urlopen(f"http://localhost:{port}/index.html") as page:
            assert page.read() == b"The report"
        served.send_signal(signal.SIGINT)
    assert served.returncode == 0


def test_what_is_built_is_served_on_the_port_that_is_named(plain_checkout):
    make(plain_checkout, "serve", "QUICK=1")
    make(plain_checkout, "serve", "PORT=8001")
    served = [called[1] for called in calls(plain_checkout) if ".ci/serve" in called[1]]
    assert served == [".ci/serve docs/_build/quick/html 8000", ".ci/serve docs/_build/published/html 8001"]


def test_a_pdf_without_latex_is_told_in_one_sentence_before_anything_is_built(plain_checkout):
    (plain_checkout / "path").mkdir()
    done = make(plain_checkout, "pdf", PATH=str(plain_checkout / "path"))
    assert done.returncode != 0
    assert done.stderr.startswith("The PDF needs LaTeX, and there is no latexmk (Debian: apt-get install latexmk")
    assert len(calls(plain_checkout)) == 1, "the set-up alone"


def test_a_pdf_goes_through_sphinx_and_latex(plain_checkout):
    write_script(plain_checkout / "path" / "latexmk")
    make(plain_checkout, "pdf", "QUICK=1", PATH=f"{plain_checkout / 'path'}:{ENVIRONMENT['PATH']}")
    _, arguments, results, _, _ = calls(plain_checkout)[-1]
    assert arguments == "-m sphinx -M latexpdf docs docs/_build/quick -n -W --keep-going"
    assert results.endswith("docs/_results/quick")


def test_cleaning_removes_all_that_is_ignored_but_the_environment_and_results_of_ones_own(plain_checkout):
    lines = (ROOT / ".gitignore").read_text().splitlines()
    kept = {".venv/", "results/", "__pycache__/", "docs/_history/"}
    made = [line.strip("/").replace("*", "x") for line in lines if line not in kept and not line.startswith("!")]
    for name in made:
        write_script(plain_checkout / name / "file" if "." not in Path(name).suffix else plain_checkout / name)
    write_script(plain_checkout / "results" / "fits.json")
    write_script(plain_checkout / "docs" / "_history" / "fits.csv")
    assert make(plain_checkout, "clean").returncode == 0
    assert [name for name in made if (plain_checkout / name).exists()] == []
    assert (plain_checkout / "results" / "fits.json").exists()
    assert (plain_checkout / "docs" / "_history" / "fits.csv").exists()
    assert (plain_checkout / ".venv" / "bin" / "python").exists()


def test_help_tells_of_every_target(plain_checkout):
    said = make(plain_checkout, "help").stdout
    told = {line.split()[1] for line in said.splitlines()}
    (phony,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert told == set(phony.split()[1:])


# The set-up itself.


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """The set-up in a folder of its own; its commands are noted in `ran`, not run."""
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text(f"# {name}")
    monkeypatch.chdir(tmp_path)
    module = load(Path(shutil.copy(ROOT / ".ci" / "setup", tmp_path)))
    module.ran = []
    module.run_for_real = module.run

    def run(step, _command):
        module.ran.append(step)
        Path(".venv").mkdir(exist_ok=True)

    module.run = run
    return module


def answer(text):
    """Have the Python of an environment answer with a text when it is asked what it is."""
    write_script(Path(".venv", "bin", "python"), f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")


INSTALL = ["install what requirements.txt pins", "install the package"]


def test_the_first_set_up_creates_and_the_second_does_nothing(setup):
    setup.set_up(Path(".venv"))
    setup.set_up(Path(".venv"))
    assert setup.ran == ["create .venv", *INSTALL]


def test_changed_pins_are_installed_into_the_same_environment(setup):
    answer(setup.THIS_PYTHON)
    setup.set_up(Path(".venv"))
    Path("requirements.txt").write_text("# others")
    setup.set_up(Path(".venv"))
    assert setup.ran == INSTALL * 2


def test_another_python_creates_the_environment_anew(setup):
    """PYTHON=python3.12 for an environment of 3.11 was ignored, and stamped as done."""
    answer(setup.THIS_PYTHON)
    setup.set_up(Path(".venv"))
    setup.THIS_PYTHON = "3.99.0 from elsewhere"
    setup.set_up(Path(".venv"))
    assert setup.ran == [*INSTALL, "create .venv", *INSTALL]


def test_an_environment_that_was_left_half_done_is_created_anew(setup):
    write_script(Path(".venv", "bin", "python"), "#!/bin/sh\necho No module named pip >&2\nexit 1\n")
    setup.set_up(Path(".venv"))
    assert setup.ran == ["create .venv", *INSTALL]


def test_a_checkout_that_was_moved_installs_the_package_from_its_new_place(setup, tmp_path, monkeypatch):
    answer(setup.THIS_PYTHON)
    setup.set_up(Path(".venv"))
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("requirements.txt", "pyproject.toml", ".venv"):
        Path(name).rename(moved / name)
    monkeypatch.chdir(moved)
    setup.set_up(Path(".venv"))
    assert setup.ran == INSTALL * 2


def test_a_failed_set_up_is_tried_again(setup):
    answer(setup.THIS_PYTHON)
    setup.set_up(Path(".venv"))
    before = Path("requirements.txt").read_text()
    Path("requirements.txt").write_text("# a version that does not exist")
    setup.run = setup.run_for_real
    write_script(Path(".venv", "bin", "python"), f"#!/bin/sh\n[ $1 = -c ] && cat <<'END'\n{setup.THIS_PYTHON}\nEND\n")
    with pytest.raises(SystemExit):
        setup.set_up(Path(".venv"))
    Path("requirements.txt").write_text(before)
    setup.run = lambda step, _command: setup.ran.append(step)
    setup.set_up(Path(".venv"))
    assert setup.ran == INSTALL * 2, "what was done before the failure no longer counts"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF])
def test_a_file_system_without_locks_is_survived(setup, monkeypatch, number):
    """Tried: a file system without locks."""

    def flock(_file, _operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    setup.set_up(Path(".venv"))
    assert setup.ran == ["create .venv", *INSTALL]


def test_two_set_ups_at_once_wait_for_each_other(setup):
    setup.set_up(Path(".venv"))
    stamp = Path(".venv", "installed")
    stamped = stamp.read_text()
    stamp.unlink()
    command = [sys.executable, "setup", ".venv"]
    with Path("setup").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr.readline() == "Waiting for another set-up of .venv\n"
            stamp.write_text(stamped)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert second.communicate() == ("", ""), "what the first has done is not done again"
    assert second.returncode == 0


def test_a_step_that_fails_is_named_in_one_sentence(setup):
    with pytest.raises(SystemExit) as left:
        setup.run_for_real("create .venv", ["false"])
    version = "{}.{}".format(*sys.version_info)
    assert left.value.code == f"The set-up with Python {version} could not create .venv: see above."
    with pytest.raises(SystemExit):
        setup.run_for_real("create .venv", ["a command that is not there"])


@pytest.mark.usefixtures("setup")
def test_a_folder_that_cannot_be_used_is_named_in_one_sentence():
    done = subprocess.run(
        [sys.executable, "setup", "pyproject.toml"], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert done.returncode != 0
    assert is_one_sentence(done.stderr)
    assert "pyproject.toml" in done.stderr


@pytest.mark.parametrize(("version", "accepted"), [((3, 10, 13), False), ((3, 11, 0), True), ((3, 99, 0), True)])
def test_every_python_from_the_oldest_on_is_accepted(monkeypatch, version, accepted):
    """Python 3.14 was refused, although there are builds of all that is pinned for it."""
    monkeypatch.setattr(sys, "version_info", version)
    if accepted:
        assert load(ROOT / ".ci" / "setup").set_up
        return
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer. This is 3\.10: name another"):
        load(ROOT / ".ci" / "setup")


def test_any_python_can_read_the_set_up():
    """What Python 2.7 cannot parse would be a SyntaxError in place of the sentence that names the Python needed."""
    for node in ast.walk(ast.parse((ROOT / ".ci" / "setup").read_text())):
        assert not isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Starred, ast.AsyncFunctionDef))
        assert not (isinstance(node, ast.Call) and any(keyword.arg is None for keyword in node.keywords))
        assert not (isinstance(node, ast.Dict) and None in node.keys)
        assert not (isinstance(node, ast.FunctionDef) and (node.returns or node.args.kwonlyargs))
        assert not (isinstance(node, ast.arg) and node.annotation)


BACKEND = """
import zipfile


def build_editable(folder, config_settings=None, metadata_directory=None):
    about = "Name: tiny\\nVersion: 1.0\\n"
    with zipfile.ZipFile(folder + "/tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\n" + about)
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return "tiny-1.0-py3-none-any.whl"
"""


def test_a_real_set_up_stays_in_its_environment_whatever_pip_is_told(tmp_path):
    """PIP_USER=1 in the environment broke every set-up, as a path with odd characters may."""
    folder = tmp_path / "a $HOME `touch executed` 'b"
    folder.mkdir()
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    (folder / "requirements.txt").write_text("")
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    shutil.copy(ROOT / "Makefile", folder)
    left = write_script(folder / ".venv" / "lib" / "left by a Python that was removed")
    done = make(
        folder, "setup", f"PYTHON={sys.executable}", PIP_USER="1", PIP_TARGET=str(tmp_path / "astray"), PIP_NO_INDEX="1"
    )
    assert done.returncode == 0, done.stderr
    subprocess.run([folder / ".venv" / "bin" / "python", "-c", "import tiny"], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {folder.name}
    assert not left.exists()
    assert make(folder, "setup").stdout == "", "the second does nothing"
