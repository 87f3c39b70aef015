import pytest
from small_reports import CONF, publish_fits


@pytest.fixture
def project(tmp_path):
    """Return a folder with a report and its results."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/conf.py").write_text(CONF)
    publish_fits()
    return tmp_path
