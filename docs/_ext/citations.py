"""Citations as items of a list: the role that docutils gives them has been withdrawn, and is no item's."""

from typing import Any

from sphinx.application import Sphinx


def as_items(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Change the pages just before they are written."""
    app.connect("html-page-context", as_items)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
