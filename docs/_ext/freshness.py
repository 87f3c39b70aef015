"""Re-run what is out of date, one build at a time, and say on each page when and on what it was measured."""

import os
from pathlib import Path
from typing import Any

from docutils import nodes
from filelock import FileLock, Timeout
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from mlperf.gallery import Gallery
from mlperf.results import ResultError, results_folder
from mlperf.shelf import Shelf

_BUILD: dict[str, Any] = {}  # what belongs to the build under way: its lock, its gallery, its shelf


def shelf(env: Any) -> Shelf:  # noqa: ARG001
    return _BUILD["shelf"]


def shown(env: Any) -> dict[str, dict[str | None, str]]:
    """Return what each document shows: the results, and their state when it was read."""
    if not hasattr(env, "mlperf_shown"):
        env.mlperf_shown = {}
    return env.mlperf_shown


def note(env: Any, *names: str | None) -> None:
    """Note which results the current document shows, and their state; None stands for one that it could not."""
    states = {name: shelf(env).state(name) if name else "" for name in names}
    shown(env).setdefault(env.docname, {}).update(states)


def page_of(env: Any, name: str) -> str | None:
    """Return the document that the gallery makes of the script behind a result, if it is there."""
    return _BUILD["gallery"].page(shelf(env).scripts.get(name))


def path_of(env: Any, file: Path) -> str:
    """Return a file's path as roles and images want it: from the source folder."""
    return "/" + Path(os.path.relpath(file, env.srcdir)).as_posix()


def start(app: Sphinx) -> None:
    """Lock the tree, and let the gallery run the scripts whose results are missing, broken or out of date."""
    build = Path(app.srcdir, "_build")
    build.mkdir(exist_ok=True)
    _BUILD["lock"] = FileLock(build / ".lock")
    try:
        _BUILD["lock"].acquire(blocking=False)
    except Timeout:
        raise ExtensionError(f"Another build is under way in {app.srcdir}: wait until it is done.") from None
    # It stays when the build is killed: nothing then tells which of the pages were written.
    unfinished = build / ".unfinished"
    _BUILD["all"] = unfinished.exists()
    unfinished.touch()

    given = getattr(app.config, "sphinx_gallery_conf", {})
    _BUILD["gallery"] = Gallery(Path(app.srcdir), given.get("examples_dirs", []), given.get("gallery_dirs", []))
    take_stock(app)
    if str(getattr(app.config, "plot_gallery", True)) not in ("0", "False"):
        _BUILD["gallery"].refresh(_BUILD["shelf"])


def take_stock(app: Sphinx) -> None:
    """Read the results anew: before the scripts run, and when they have run."""
    other = Path(app.config.mlperf_compare).resolve() if app.config.mlperf_compare else None
    try:
        _BUILD["shelf"] = Shelf(Path(app.srcdir, app.config.mlperf_results), _BUILD["gallery"].pages, other)
    except ResultError as error:
        raise ExtensionError(str(error)) from None


def after_scripts(app: Sphinx) -> None:
    take_stock(app)
    _BUILD["gallery"].settle(_BUILD["shelf"])


def outdated(_app: Sphinx, env: Any, *_: Any) -> list[str]:
    """Read again what shows a result that changed or became stale, or could not show one."""
    if _BUILD["all"]:
        return sorted(env.found_docs)
    now = shelf(env).state
    return [
        doc for doc, then in shown(env).items() if any(name is None or was != now(name) for name, was in then.items())
    ]


def forget(_app: Sphinx, env: Any, docname: str) -> None:
    shown(env).pop(docname, None)


def explain(app: Sphinx, doctree: nodes.document) -> None:
    """Put under a page's title when and on what its numbers were measured, and what to beware of."""
    own = [name for name in shelf(app.env).scripts if page_of(app.env, name) == app.env.docname]
    if own:
        note(app.env, *own)
    said = []
    for kind, title, lines in shelf(app.env).notices(shown(app.env).get(app.env.docname, {})):
        body = [nodes.paragraph("", line, classes=[kind]) for line in lines]
        classes = [kind, nodes.make_id(title)]
        said += [nodes.admonition("", nodes.title("", title), *body, classes=classes)] if title else body
    for title_node in list(doctree.findall(nodes.title))[:1]:
        at = title_node.parent.index(title_node) + 1
        title_node.parent[at:at] = said


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Release the tree; fail where something could not be shown, even when warnings are no errors."""
    if any(None in states for states in shown(app.env).values()):
        app.statuscode = 1
    if exception is None:
        Path(app.srcdir, "_build", ".unfinished").unlink(missing_ok=True)
    _BUILD["lock"].release()


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to the events: before the gallery at first, after it then."""
    app.add_config_value("mlperf_results", str(results_folder()), "env")
    app.add_config_value("mlperf_compare", os.environ.get("MLPERF_COMPARE", ""), "env")
    app.connect("builder-inited", start, priority=1)
    app.connect("builder-inited", after_scripts, priority=900)
    app.connect("env-get-outdated", outdated)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", explain)
    app.connect("build-finished", finish, priority=900)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
