"""Scripts of a gallery run again when what they depend on changed, and only then; whatever interrupts a build."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from gallery_scripts import shell
from small_reports import CONF, parsed, text

from mlperf.results.sealed import seal, unseal

ROOT = Path(__file__).parents[2]
GALLERY = """
extensions.append("sphinx_gallery.gen_gallery")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": "helper",
    "image_scrapers": (),
    "show_memory": False,
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "write_computation_times": False,
}
exclude_patterns = ["sg_execution_times.rst", "auto_examples/sg_execution_times.rst"]
"""

SCRIPT = """
\"\"\"
What is {name}?
===================

Text.
\"\"\"
{imports}
from pathlib import Path
import pandas
from mlperf import publish

# %%
# Publish.
Path("../log").open("a").write("{name}\\n")
{body}
publish("{name}", x=1, runs=pandas.DataFrame({{"seconds": [1.0]}}))
"""

SILENT = """
\"\"\"
What is {name}?
===================

Text.
\"\"\"
from pathlib import Path
import helper

# %%
# Log.
Path("../log").open("a").write("{name}\\n")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report with a gallery of three scripts, built once; two import a module beside them."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "docs").mkdir()
    (folder / "examples").mkdir()
    (folder / "docs/conf.py").write_text(CONF + GALLERY)
    (folder / "docs/index.rst").write_text(
        "Report\n======\n\n:value:`one.x` :value:`two.x`\n\n.. results-table:: one.runs\n\n"
        ".. toctree::\n\n   auto_examples/index\n"
    )
    (folder / "examples/GALLERY_HEADER.rst").write_text("Gallery\n=======\n")
    (folder / "examples/helper.py").write_text("SIZE = 1\n")
    script(folder, "one", imports="import helper")
    script(folder, "silent", content=SILENT)
    script(folder, "two")
    assert ran(folder) == ["one", "silent", "two"]
    return folder


@pytest.fixture
def gallery(made, tmp_path):
    """Return a copy of it; nothing in it knows where it is."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def script(project, name, imports="", body="", content=SCRIPT):
    made = content.format(name=name, imports=imports, body=body)
    (project / f"examples/plot_{name}.py").write_text(made.lstrip())


def sphinx(project, *options, **variables):
    """Return the command line of a build, and its environment: conf.py alone says where the results are."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", *options, "docs", "docs/_build/html"]
    return {
        "args": command,
        "cwd": project,
        "env": shell(MPLBACKEND="agg", **variables),
        "stderr": subprocess.PIPE,
        "text": True,
    }


def ran(project, *options, fails=False, **variables):
    """Build with the gallery and return the scripts that were run."""
    log = project / "log"
    log.unlink(missing_ok=True)
    done = subprocess.run(**sphinx(project, *options, **variables), check=False)
    assert bool(done.returncode) == fails, done.stderr
    return log.read_text().split() if log.exists() else []


def page_text(project, name):
    return text(parsed(project / f"docs/_build/html/{name}.html"))


def test_pages_of_scripts_say_what_was_measured_and_are_linked(made):
    assert "Measured " in page_text(made, "auto_examples/plot_one")
    index = parsed(made / "docs/_build/html/index.html")
    assert index.select_one("p.provenance a:not(.download)")["href"] == "auto_examples/plot_one.html"


def test_report_is_built_wherever_its_checkout_lies(made, tmp_path):
    """Tried: in a path with a space it never was, since sphinx-gallery warns of one."""
    project = tmp_path / """a b $HOME `touch x` "q's\""""
    shutil.copytree(made, project)
    settings = (ROOT / "docs/conf.py").read_text()
    (suppressed,) = re.findall("^suppress_warnings = .*", settings, re.M)
    with (project / "docs/conf.py").open("a") as conf:
        conf.write(f"{suppressed}\n")
    (project / "examples/helper.py").write_text("SIZE = 2\n")
    assert ran(project) == ["one", "silent"]


def test_only_scripts_whose_inputs_moved_are_run_again(gallery):
    """One that publishes nothing was not run again."""
    (gallery / "examples/helper.py").write_text("SIZE = 1  # a comment moves no number\n")
    assert ran(gallery) == []
    (gallery / "examples/helper.py").write_text("SIZE = 2\n")
    assert ran(gallery) == ["one", "silent"]
    assert ran(gallery) == []


def test_missing_and_broken_results_and_emptied_pages_are_made_again(gallery):
    """Tried: an emptied page of the gallery stayed empty."""
    (gallery / "results/one.json").unlink()
    (gallery / "results/two.json").write_text("{")
    (gallery / "docs/auto_examples/plot_silent.rst").write_text("")
    assert ran(gallery) == ["one", "silent", "two"]
    assert "What is silent?" in page_text(gallery, "auto_examples/plot_silent")


def edit(path, old, new):
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def test_edited_comment_is_shown_beside_the_outputs_and_measures_nothing(gallery):
    """It measured anew; and in a build that runs nothing the page lost its tables and figures, and said nothing."""
    before = page_text(gallery, "auto_examples/plot_two")
    edit(gallery / "examples/plot_two.py", "# Publish.", "# Publish it.")
    edit(gallery / "examples/plot_silent.py", "import helper\n", "import helper  # and more\n")
    assert ran(gallery) == []
    assert page_text(gallery, "auto_examples/plot_two") == before.replace("Publish.", "Publish it.")
    assert "# and more" in page_text(gallery, "auto_examples/plot_silent")
    edit(gallery / "examples/plot_two.py", "# Publish it.", "# Publish all of it.")
    assert ran(gallery, "-D", "plot_gallery=0") == []
    assert page_text(gallery, "auto_examples/plot_two") == before.replace("Publish.", "Publish all of it.")
    assert "Total running time of the script" in before


def test_build_that_runs_nothing_shows_what_is_stale_and_leaves_it_alone(gallery):
    result = (gallery / "results/one.json").read_bytes()
    page = (gallery / "docs/auto_examples/plot_silent.rst").read_bytes()
    (gallery / "examples/helper.py").write_text("SIZE = 2\n")
    edit(gallery / "examples/plot_silent.py", "import helper\n", "import helper, os\n")
    assert ran(gallery, "-D", "plot_gallery=0") == []
    assert (gallery / "results/one.json").read_bytes() == result
    assert (gallery / "docs/auto_examples/plot_silent.rst").read_bytes() == page
    for name in ("index", "auto_examples/plot_one"):
        assert "Since one was measured, this has changed: helper.py." in page_text(gallery, name)
    assert "The script was edited since this page was made." in page_text(gallery, "auto_examples/plot_silent")
    assert "Out of date" not in page_text(gallery, "auto_examples/plot_two")
    assert ran(gallery) == ["one", "silent"]
    for name in ("index", "auto_examples/plot_one", "auto_examples/plot_silent"):
        assert "Out of date" not in page_text(gallery, name)


def test_renamed_script_leaves_no_old_page(gallery):
    """It stayed on the site, where search engines found it."""
    (gallery / "examples/plot_two.py").rename(gallery / "examples/plot_two_more.py")
    assert ran(gallery) == ["two"]
    left = [path for path in gallery.glob("docs/**/*plot_two*") if "plot_two_more" not in path.name]
    assert [path for path in left if path.suffix in (".html", ".rst", ".py") and "_downloads" not in path.parts] == []


def test_hidden_files_are_left_out_and_told_in_a_sentence(gallery):
    (gallery / "examples/.ipynb_checkpoints").mkdir()
    (gallery / "examples/.ipynb_checkpoints/plot_one-checkpoint.py").write_text("publish('one')")
    (gallery / "examples/.#plot_one.py").symlink_to("nowhere")
    settings = sphinx(gallery)
    settings["args"].remove("-q")
    done = subprocess.run(**settings, stdout=subprocess.PIPE, check=True)
    for name in ("plot_one-checkpoint.py", ".#plot_one.py"):
        assert f"{name} is left out: hidden files belong to editors and notebooks." in done.stdout


def test_every_page_lists_the_pages_that_there_are(gallery):
    """After a script was renamed, the pages that had not changed still led to where it had been."""
    assert ran(gallery) == []
    (gallery / "examples/plot_two.py").rename(gallery / "examples/plot_two_more.py")
    ran(gallery)
    pages = list(gallery.glob("docs/_build/html/auto_examples/*.html"))
    assert len(pages) >= 4
    for page in pages:
        assert not parsed(page).select("a[href='plot_two.html'], link[href='plot_two.html']"), page.name


def test_code_leads_to_a_name_that_the_reference_gains_later(gallery):
    """Tried: pages of scripts that had been written before got no link to it."""
    written = gallery / "docs/_build/html/auto_examples/plot_one.html"
    link = ".highlight a[href$='#mlperf.publish']"
    assert not parsed(written).select(link)
    with (gallery / "docs/index.rst").open("a") as index:
        index.write("\n.. py:function:: mlperf.publish(name)\n")
    assert ran(gallery) == []
    assert parsed(written).select(link)


def test_what_is_wrong_with_a_script_is_told_in_a_sentence_and_the_others_are_shown(gallery):
    """Each of these ended the build with a traceback, some without a name."""
    (gallery / "examples/.ipynb_checkpoints").mkdir()
    (gallery / "examples/.ipynb_checkpoints/plot_one-checkpoint.py").write_text("publish('one')")
    (gallery / "examples/.#plot_one.py").symlink_to("nowhere")
    for name, body in (("mark", "x = 1"), ("torn", "x = ("), ("latin", "x = 'ä'"), ("again", "")):
        script(gallery, name, body=body)
    again, latin, mark = (gallery / f"examples/plot_{name}.py" for name in ("again", "latin", "mark"))
    again.write_text(again.read_text().replace('publish("again"', 'publish("two"'))
    latin.write_bytes(latin.read_text().encode("latin-1"))
    mark.write_text("\ufeff" + mark.read_text())
    done = subprocess.run(**sphinx(gallery), check=False)
    assert done.returncode != 0
    assert "plot_mark.py is left out: it begins with a byte-order mark." in done.stderr
    assert "plot_torn.py is left out: it cannot be read as Python in UTF-8 ('(' was never closed in line" in done.stderr
    assert "plot_latin.py is left out: it cannot be read as Python in UTF-8 (" in done.stderr
    assert "plot_two.py and plot_again.py both publish 'two'" in done.stderr
    assert done.stderr.count("WARNING") == 4
    assert "What is again?" in page_text(gallery, "auto_examples/plot_again")


MEASURING = """
def run(folder, n):
    import os, time
    (folder / str(os.getpid())).touch()
    time.sleep(300)
folder = Path({folder!r})
folder.mkdir()
measure(run, processes=1, warmup=False, n_jobs=2, folder=[folder], n=[1, 2])
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_build_leaves_no_process_and_is_completed_without_repeating_what_was_finished(gallery, how):
    """Tried: builds were killed at random moments."""
    children = gallery / "children"
    script(gallery, "two", "from mlperf import measure", MEASURING.format(folder=str(children)))
    build = subprocess.Popen(**sphinx(gallery))
    wait_until(lambda: children.exists() and len(list(children.iterdir())) == 2, build)
    one = (gallery / "results/one.json").read_bytes()
    build.send_signal(how)
    build.communicate(timeout=30)
    assert build.returncode != 0
    wait_until(lambda: not any(psutil.pid_exists(int(path.name)) for path in children.iterdir()))
    assert (gallery / "results/one.json").read_bytes() == one
    if how == signal.SIGKILL:  # the hardest of them
        script(gallery, "two")
        assert ran(gallery) == ["two"]


@pytest.fixture
def in_parallel(gallery):
    """Return the report, set to run two scripts at a time, none of which has run."""
    edit(gallery / "docs/conf.py", '"show_memory": False,', '"show_memory": False, "parallel": 2,')
    shutil.rmtree(gallery / "results")
    return gallery


MEETING = """
import time
Path("../here_{name}").touch()
deadline = time.monotonic() + 60
while not Path("../here_{other}").exists():
    assert time.monotonic() < deadline
    time.sleep(0.05)
"""


def test_scripts_that_run_at_a_time_publish_what_they_would_alone(in_parallel):
    """A preview runs two at a time; builds that run none or one start no process."""
    for name, other in (("one", "two"), ("two", "one")):
        script(in_parallel, name, body=MEETING.format(name=name, other=other))
    assert sorted(ran(in_parallel)) == ["one", "two"]
    page = in_parallel / "docs/_build/html/index.html"
    assert "1 1" in text(parsed(page))
    written = page.stat().st_mtime_ns
    assert ran(in_parallel) == []
    assert page.stat().st_mtime_ns == written
    edit(in_parallel / "examples/plot_one.py", "x=1", "x=3")
    assert ran(in_parallel) == ["one"]
    assert "3 1" in text(parsed(page))


def test_script_that_fails_beside_others_is_named_once_with_its_error(in_parallel):
    script(in_parallel, "two", body="raise ValueError('It does not converge.')")
    done = subprocess.run(**sphinx(in_parallel), check=False)
    assert done.returncode != 0
    assert done.stderr.count("unexpectedly failed to execute correctly") == 1
    assert "plot_two.py" in done.stderr
    assert "ValueError: It does not converge." in done.stderr


def test_warning_about_a_script_that_runs_beside_others_fails_the_build_too(in_parallel):
    script(in_parallel, "two", body="# sphinx_gallery_thumbnail_path = 'nowhere.png'")
    done = subprocess.run(**sphinx(in_parallel), check=False)
    assert done.returncode != 0
    assert done.stderr.count("WARNING") == 1
    assert "nowhere.png' not found" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_build_ends_the_scripts_that_run_at_a_time(in_parallel, how):
    children = in_parallel / "children"
    script(in_parallel, "two", "from mlperf import measure", MEASURING.format(folder=str(children)))
    build = subprocess.Popen(**sphinx(in_parallel))
    wait_until(lambda: children.exists() and len(list(children.iterdir())) == 2, build)
    started = psutil.Process(build.pid).children(recursive=True)
    build.send_signal(how)
    build.communicate(timeout=30)
    assert build.returncode != 0
    wait_until(lambda: not any(process.is_running() for process in started))
    script(in_parallel, "two")
    assert "two" in ran(in_parallel)


LONG = """
\"\"\"
What takes long?
================

Text.
\"\"\"
# mlperf: only in a full build

from pathlib import Path
from mlperf import claim, exact, publish

# %%
# Publish.
Path("../log").open("a").write("{name}\\n")
publish("{name}", x={body}, odd=claim("It is odd.", exact({body} % 2) > 0))
"""
LONG_SHOWN = """
:value:`long.x`. :says:`long.odd`

.. when:: long.odd is not measured

   Nothing is known.

.. results-table:: long.y
"""


def test_script_for_full_builds_runs_in_them_only(gallery):
    index = gallery / "docs/index.rst"
    index.write_text(index.read_text() + LONG_SHOWN.replace(".. results-table:: long.y\n", ""))
    script(gallery, "long", content=LONG, body=7)
    page = "auto_examples/plot_long"
    absent = "only a full build measures it (make html FULL=1)"

    assert ran(gallery) == []
    assert f"not measured. Not measured: {absent}. Nothing is known." in page_text(gallery, "index")
    assert f"This script was not run: {absent}." in page_text(gallery, page)
    assert ran(gallery) == []

    assert ran(gallery, MLPERF_FULL="1") == ["long"]
    assert "7. It is odd" in page_text(gallery, "index")
    assert "Nothing is known" not in page_text(gallery, "index")
    assert "not run" not in page_text(gallery, page)

    # A plain build leaves alone what a full one measured, and says what has changed since.
    assert ran(gallery) == []
    assert "7. It is odd" in page_text(gallery, "index")
    assert "Published long" in page_text(gallery, page)
    script(gallery, "long", content=LONG, body=9)
    assert ran(gallery) == []
    assert "7. It is odd" in page_text(gallery, "index")
    assert "this has changed: plot_long.py" in page_text(gallery, page)
    assert "Published long" in page_text(gallery, page)
    assert ran(gallery, MLPERF_FULL="1") == ["long"]
    assert "9. It is odd" in page_text(gallery, "index")


def test_full_build_that_was_killed_before_a_page_was_made_is_completed_by_the_next_full_one(gallery):
    script(gallery, "long", content=LONG, body=7)
    assert ran(gallery, MLPERF_FULL="1") == ["long"]
    page = "auto_examples/plot_long"
    (gallery / f"docs/{page}.py.md5").unlink()
    assert ran(gallery) == []
    assert "Published long" not in page_text(gallery, page)
    assert ran(gallery, "-D", "plot_gallery=0") == []
    assert ran(gallery, MLPERF_FULL="1") == ["long"]
    assert "Published long" in page_text(gallery, page)
    assert ran(gallery, MLPERF_FULL="1") == []


def test_preview_runs_scripts_for_full_builds_too(gallery):
    script(gallery, "long", content=LONG, body=7)
    assert "long" in ran(gallery, MLPERF_QUICK="1")


def test_figure_that_only_full_builds_have_is_replaced_by_a_sentence(gallery):
    index = gallery / "docs/index.rst"
    index.write_text(index.read_text() + LONG_SHOWN)
    script(gallery, "long", content=LONG, body=7)
    assert ran(gallery) == []
    assert "Nothing is known. Not measured: only a full build" in page_text(gallery, "index")


FULL = """
import os, errno
def refuse(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
os.fsync = refuse
"""


def test_full_disk_is_named_and_costs_no_finished_result(gallery):
    """Tried: the disk was filled while the gallery ran."""
    finished = {path: path.read_bytes() for path in (gallery / "results").iterdir()}
    script(gallery, "two", body=FULL)
    said = subprocess.run(**sphinx(gallery), check=False).stderr
    assert f"The result 'two' cannot be written to {gallery / 'results'}: {os.strerror(errno.ENOSPC)}" in said
    assert {path: path.read_bytes() for path in (gallery / "results").iterdir() if path.is_file()} == finished


def test_results_of_another_machine_are_pointed_out_and_measured_again(gallery):
    path = gallery / "results/one.json"
    record = unseal(path.read_bytes())
    here = record["inputs"]["processor"]
    for known in (record["inputs"], record["provenance"]["machine"]):
        known["processor"] = "Another CPU"
    path.write_bytes(seal(record))
    # A build was killed between publishing and its page.
    os.utime(gallery / "docs/auto_examples/plot_two.rst", (0, 0))
    assert ran(gallery, "-D", "plot_gallery=0") == []
    assert f"this has changed: processor Another CPU → {here}." in page_text(gallery, "index")
    assert "Not all numbers here are from the same machine." in page_text(gallery, "index")
    assert "on Another CPU" in page_text(gallery, "auto_examples/plot_one")
    assert ran(gallery) == ["one", "two"]
    assert "Another CPU" not in page_text(gallery, "index")


def wait_until(condition, process=None):
    """Wait until something is so, while a process runs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
