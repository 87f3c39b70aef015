"""The page on the compiled step shows the program as it is."""

import re
import textwrap
from pathlib import Path

from mlperf.training.kernel import source

PAGE = Path(__file__).parents[1] / "docs" / "compiled_step.rst"


def test_the_calls_that_are_shown_are_those_that_are_written():
    (shown,) = re.findall(r"code-block:: cpp\n\n((?: {3}.*\n)+)", PAGE.read_text())
    assert textwrap.indent(textwrap.dedent(shown), "    ") in source((5, 32, 1))
