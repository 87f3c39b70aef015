"""Keep the outputs of a script in which only the text was edited, so that nothing is measured again.

sphinx-gallery generates the page without running the script; the outputs are taken from the former page.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

# How sphinx-gallery writes a page: each block of the script begins with a comment. Below the last block are the running
# time of the script, its tags and its links.
_BLOCK = re.compile(r"^(?=\.\. GENERATED FROM PYTHON SOURCE LINES )", re.MULTILINE)
_CODE = re.compile(
    r"(?P<before>.*?^\.\. code-block:: Python\n\n)(?P<code>(?: {4}[^\n]*\n|\n)*)", re.DOTALL | re.MULTILINE
)
_FOOT = re.compile(r"^(?=\.\. rst-class:: sphx-glr-(?:timing|example-tags)|\.\. _sphx_glr_download_)", re.MULTILINE)
_TIME = re.compile(r"\.\. rst-class:: sphx-glr-timing\n\n.*\n\n\n")


class _Block(NamedTuple):
    """A block of a page: text, or code with its output."""

    before: str
    code: str
    output: str


def is_same_code(page: str, script: Path) -> bool:
    """Return whether a page and a script have the same code, block by block; comments do not count."""
    from sphinx_gallery.py_source_parser import split_code_and_text_blocks

    _, blocks = split_code_and_text_blocks(str(script))[:2]
    ours = [block.content for block in blocks if block.type == "code"]
    theirs = [block.code for block in _blocks(page)[1] if block.code]
    # If there is only one block of code, its output comes before the code.
    return len(blocks) > 2 and [_syntax(code) for code in ours] == [_syntax(code) for code in theirs]


def carry_over(former: str, made: str) -> str:
    """Return a page that was generated without running its script, with the outputs of the former page."""
    outputs = iter([block.output for block in _blocks(former)[1] if block.code])
    head, blocks, foot = _blocks(made)
    kept = [block._replace(output=next(outputs)) if block.code else block for block in blocks]
    time = _TIME.search(_blocks(former)[2])
    return "".join([head, *("".join(block) for block in kept), time[0] if time else "", foot])


def _blocks(page: str) -> tuple[str, list[_Block], str]:
    """Return the part before the blocks, the blocks, and the part after them."""
    head, *parts = _BLOCK.split(page)
    last, *foot = _FOOT.split(parts[-1], maxsplit=1) if parts else ("", "")
    blocks = []
    for part in [*parts[:-1], last]:
        code = _CODE.match(part)
        blocks.append(_Block(code["before"], code["code"], part[code.end() :]) if code else _Block(part, "", ""))
    return head, blocks, "".join(foot)


def _syntax(code: str) -> str:
    return ast.dump(ast.parse(dedent(code)))
