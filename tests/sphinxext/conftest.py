import pytest
from small_reports import begin


@pytest.fixture
def project(tmp_path):
    """Return a folder with a report and its results."""
    begin(tmp_path)
    return tmp_path
