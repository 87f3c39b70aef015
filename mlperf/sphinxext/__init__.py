"""A Sphinx extension for reports whose numbers, tables, figures and conclusions come from published results.

To use it, add ``"mlperf.sphinxext"`` to ``extensions`` in ``conf.py``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the settings, nodes, roles, directives and transforms, and their style sheet and script for HTML."""
    from mlperf import __version__
    from mlperf.results.folder import results_folder
    from mlperf.sphinxext import directives, freshness, history, machines, nodes, roles, transforms
    from mlperf.sphinxext.domain import PublishedDomain

    app.add_config_value("mlperf_results", str(results_folder()), "env", (str,))
    app.add_config_value("mlperf_compare", os.environ.get("MLPERF_COMPARE", ""), "env", (str,))
    app.add_config_value("mlperf_history", "", "env", (str,))
    app.add_config_value("mlperf_machines", "", "env", (str,))
    app.add_domain(PublishedDomain)
    for part in (nodes, roles, directives, history, machines, transforms, freshness):
        part.setup(app)
    app.connect("config-inited", _add_static_files)
    app.add_css_file("mlperf/results.css")
    app.add_js_file("mlperf/sortable.min.js", loading_method="defer")
    app.add_js_file("mlperf/results.js", loading_method="defer")
    return {"version": __version__, "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}


def _add_static_files(_app: Sphinx, config: Config) -> None:
    config.html_static_path = [*config.html_static_path, str(Path(__file__).parent / "static")]
