"""Settings of the report. What makes it executed prose is `mlperf.sphinxext`; what is measured, `mlperf.protocol`."""

import gc
import os
from inspect import isclass, isroutine
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from xml.sax.saxutils import escape

import pandas as pd
from jinja2 import PackageLoader
from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape_sphinx

from mlperf import __version__
from mlperf.machine import DEVICES
from mlperf.protocol import DEVICE, MODE

project = "How fast do small networks train?"
author = "the mlperf report's authors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "mlperf.sphinxext",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxext.opengraph",
]
# Each protocol keeps its gallery apart, and each device, so that a preview costs no published page.
GALLERIES = {
    (mode, device): folder + ("" if device == "cpu" else f"_{device}")
    for mode, folder in {"published": "auto_examples", "quick": "auto_examples_quick"}.items()
    for device in DEVICES
}
GALLERY = GALLERIES[MODE, DEVICE]
exclude_patterns = ["_*", "**sg_execution_times.rst", *(folder for folder in GALLERIES.values() if folder != GALLERY)]
templates_path = ["_templates"]
default_role = "autolink"  # numpydoc: `name` is a link where there is such a name
# It means the name of a script, and sees the whole path: the checkout may lie in a folder with a space in its name.
suppress_warnings = ["sphinx_gallery.space_in_filename"]
nitpicky = True
# Names of other projects are shown, not linked: a link would need their inventories from the network at every build.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|concurrent|np|numpy|os|pathlib|pd|pandas|sklearn|time|torch|typing|matplotlib|scipy)\..*"),
    ("py:class", r"(ArrayLike|DataFrame|Path|Setting|ndarray|array-like|optional|callable|path-like|mapping)"),
    ("py:class", r"sequence.*"),
    ("py:obj", r"\w+|.*\.[A-Z_]+"),  # a parameter, or a constant
]
# What published builds measured, kept between builds; .ci/history takes it from the site that is there.
mlperf_history = "_history"
mlperf_machines = "machines"
numpydoc_show_class_members = False
autosummary_generate = False  # no page lists pages to generate, and looking for such lists loads torch in every build
autodoc_typehints = "none"  # the docstrings say more: shapes and units
autodoc_member_order = "bysource"
numfig = True
smartquotes = False  # as in what scripts publish

sphinx_gallery_conf = {
    "abort_on_example_error": True,
    "backreferences_dir": "gen_modules",
    "capture_repr": ("_repr_html_",),
    "default_thumb_file": str(Path(__file__).with_name("_static") / "not_run.png"),
    "doc_module": ("mlperf",),
    "examples_dirs": ["../examples"],
    "filename_pattern": r"/plot_",
    "gallery_dirs": [GALLERY],
    "image_srcset": ["2x"],
    "inspect_global_variables": False,
    "min_reported_time": 0,
    # What is measured needs the machine to itself; a preview measures nothing that counts.
    "parallel": 2 if MODE == "quick" else False,
    "plot_gallery": "True",
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
    "write_computation_times": False,  # its page fetches scripts from other hosts; each script's page has its time
}

pd.options.display.max_colwidth = None  # the tables that scripts show hold sentences

html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "logo": {"text": "mlperf", "image_light": "_static/favicon.svg", "image_dark": "_static/favicon.svg"},
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "secondary_sidebar_items": ["page-toc"],
}
# The scripts' pages keep the list of scripts; the other pages have the width for tables and thumbnails.
html_sidebars = {"*": [], "**/index": [], "api/[!i]*": []}
html_title = project
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("gallery.js", {"defer": "defer"})]
html_show_sourcelink = html_copy_source = html_domain_indices = False

# Where the site will be; whoever hosts it says so.
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL") or os.environ.get("SITE_URL") or "http://localhost:8000/"
html_baseurl = f"{html_baseurl.rstrip('/')}/"
html_additional_pages = {"404": "404.html"}
# Light is for readers without scripting; for the others layout.html follows their system.
html_context = {"default_mode": "light", "gallery": GALLERY, "site_root": urlsplit(html_baseurl).path}
ogp_site_url = html_baseurl
ogp_image = f"{html_baseurl}_images/sphx_glr_plot_02_training_time_001_2_00x.png"
ogp_image_alt = "Time of one fit, by model and number of samples"
ogp_custom_meta_tags = ['<meta name="twitter:card" content="summary_large_image">']
ogp_social_cards = {"enable": False}

# On paper: the chapter, and what is looked up while reading it. Scripts and reference are read on a screen.
latex_engine = "xelatex"  # the signs of verdicts are not in the fonts of the others
latex_documents = [("performance", "performance.tex", "", author, "chapter")]
latex_appendices = ["claims", "method", "glossary", "references"]
latex_theme_path = ["_latex"]
latex_use_xindy = False  # which is one more program to install
latex_table_style = ["booktabs"]  # rows in colour, the default, never end with TeX Live 2026: sphinx-doc/sphinx#14465
latex_elements = {
    "papersize": "a4paper",
    "fncychap": "",  # an article has no chapters
    "makeindex": "",
    "printindex": "",
    "preamble": r"""
\usepackage{etoolbox}
\AtBeginEnvironment{longtable}{\footnotesize}
\AtBeginEnvironment{tabulary}{\footnotesize}
\AtBeginEnvironment{tabular}{\footnotesize}
\setlength{\tabcolsep}{4pt}
""",
}
numfig_secnum_depth = 0  # the same numbers on a screen and on paper

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def write_sitemap(app, exception):
    """List every page for search engines, also those that this build did not write anew."""
    if exception is None and app.builder.name == "html":
        pages = [urljoin(html_baseurl, app.builder.get_target_uri(page)) for page in sorted(app.env.found_docs)]
        lines = "".join(f"<url><loc>{escape(page)}</loc></url>\n" for page in pages)
        head = '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        Path(app.outdir, "sitemap.xml").write_text(f"{head}{lines}</urlset>\n", encoding="utf-8")


def skip_imported(app, what, _name, thing, *_):
    """Skip what a module imports; autodoc would do so only after it has read the sources of all of it."""
    if what == "module" and (isclass(thing) or isroutine(thing)):
        return thing.__module__ != app.env.current_document.autodoc_module or None
    return None


def collect_less(*_):
    """Look for garbage less often: pages are trees of many small objects, which stay until they are written."""
    gc.freeze()
    gc.set_threshold(100_000)


def setup(app):
    """Connect what is not a setting."""
    # numpydoc makes a new one for each docstring, in which its template is compiled anew.
    templates = SandboxedEnvironment(loader=PackageLoader("numpydoc"))
    docscrape_sphinx.SandboxedEnvironment = lambda loader: templates  # noqa: ARG005 - the same for all
    app.connect("autodoc-skip-member", skip_imported)
    app.connect("env-before-read-docs", collect_less)
    app.connect("build-finished", write_sitemap)
