"""The page of a script whose text was edited, but no code, keeps its tables and figures: nothing is measured for it.

sphinx-gallery makes the page anew without running the script; what the script gave out is taken from the former page.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

# How sphinx-gallery writes a page: each block of the script begins with a comment, and below the last one stand the
# time that the script took, its tags and its links.
_BLOCK = re.compile(r"^(?=\.\. GENERATED FROM PYTHON SOURCE LINES )", re.MULTILINE)
_CODE = re.compile(
    r"(?P<before>.*?^\.\. code-block:: Python\n\n)(?P<code>(?: {4}[^\n]*\n|\n)*)", re.DOTALL | re.MULTILINE
)
_FOOT = re.compile(r"^(?=\.\. rst-class:: sphx-glr-(?:timing|example-tags)|\.\. _sphx_glr_download_)", re.MULTILINE)
_TIME = re.compile(r"\.\. rst-class:: sphx-glr-timing\n\n.*\n\n\n")


class _Block(NamedTuple):
    """A block of a page: text, or code and what it gave out."""

    before: str
    code: str
    output: str


def is_same_code(page: str, script: Path) -> bool:
    """Return whether a page was made from the code that a script holds, block by block; comments do not count."""
    from sphinx_gallery.py_source_parser import split_code_and_text_blocks

    _, blocks = split_code_and_text_blocks(str(script))[:2]
    ours = [block.content for block in blocks if block.type == "code"]
    theirs = [block.code for block in _blocks(page)[1] if block.code]
    # With a single block, output stands in front of the code.
    return len(blocks) > 2 and [_syntax(code) for code in ours] == [_syntax(code) for code in theirs]


def carry_over(former: str, made: str) -> str:
    """Return a page that was made without running its script, with the outputs of the former one."""
    outputs = iter([block.output for block in _blocks(former)[1] if block.code])
    head, blocks, foot = _blocks(made)
    kept = [block._replace(output=next(outputs)) if block.code else block for block in blocks]
    time = _TIME.search(_blocks(former)[2])
    return "".join([head, *("".join(block) for block in kept), time[0] if time else "", foot])


def _blocks(page: str) -> tuple[str, list[_Block], str]:
    """Return what stands in front of the blocks, the blocks, and what stands below them."""
    head, *parts = _BLOCK.split(page)
    last, *foot = _FOOT.split(parts[-1], maxsplit=1) if parts else ("", "")
    blocks = []
    for part in [*parts[:-1], last]:
        code = _CODE.match(part)
        blocks.append(_Block(code["before"], code["code"], part[code.end() :]) if code else _Block(part, "", ""))
    return head, blocks, "".join(foot)


def _syntax(code: str) -> str:
    return ast.dump(ast.parse(dedent(code)))
