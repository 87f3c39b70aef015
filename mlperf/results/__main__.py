"""Commands for those who maintain a report: ``python -m mlperf.results``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlperf.results.folder import ResultError, results_folder
from mlperf.results.recheck import recheck
from mlperf.results.texts import as_html, as_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What follows ``python -m mlperf.results``; by default what the user typed.

    Returns
    -------
    int
        0, or 1 if a result is broken or does not agree.
    """
    options = _parser().parse_args(arguments)
    try:
        return _recheck(options) if options.command == "recheck" else _texts(options)
    except (ResultError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mlperf.results", description="Look after a report.")
    commands = parser.add_subparsers(dest="command", required=True)
    texts = commands.add_parser("texts", help="show every claim in all of its texts")
    texts.add_argument("folder", nargs="?", type=Path, help="the results; by default, where scripts publish")
    texts.add_argument("--html", type=Path, metavar="FILE", help="write a page instead")
    checks = commands.add_parser("recheck", help="say whether values and verdicts follow again from the published runs")
    checks.add_argument("folder", type=Path, help="the results")
    checks.add_argument("scripts", nargs="+", type=Path, metavar="script", help="a script that publishes some of them")
    return parser


def _texts(options: argparse.Namespace) -> int:
    folder = options.folder or results_folder()
    if options.html:
        options.html.write_text(as_html(folder), encoding="utf-8")
        print(f"Written to {options.html}.")
    else:
        print(as_text(folder))
    return 0


def _recheck(options: argparse.Namespace) -> int:
    agrees = True
    for script in options.scripts:
        report = recheck(options.folder, script)
        print(*report.lines, sep="\n", flush=True)
        agrees = agrees and report.agrees
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
