"""Commands for the maintainers of a report: ``python -m mlperf.results``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlperf.results.folder import ResultError, names_in, results_folder
from mlperf.results.machines import folders, pack, problems
from mlperf.results.recheck import recheck
from mlperf.results.texts import as_html, as_text
from mlperf.results.worlds import said_in_worlds


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, default=None
        The arguments after ``python -m mlperf.results``; by default those of the command line.

    Returns
    -------
    int
        0; or 1 if something is broken, does not agree, or is refused.
    """
    options = _parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except (ResultError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mlperf.results", description="Maintain a report.")
    commands = parser.add_subparsers(dest="command", required=True)
    texts = commands.add_parser("texts", help="show every claim with its text for each verdict")
    texts.add_argument(
        "folder", nargs="?", type=Path, help="the results; by default the folder that scripts publish to"
    )
    texts.add_argument("scripts", nargs="*", type=Path, metavar="script", help="say what it would say for each verdict")
    texts.add_argument("--html", type=Path, metavar="FILE", help="write an HTML page instead of printing")
    checks = commands.add_parser("recheck", help="check whether values and verdicts follow from the published runs")
    checks.add_argument("folder", type=Path, help="the results")
    checks.add_argument("scripts", nargs="+", type=Path, metavar="script", help="a script that publishes some of them")
    packs = commands.add_parser("pack", help="copy the results of this machine into a folder to contribute")
    packs.add_argument("folder", type=Path, help="the results")
    packs.add_argument("target", type=Path, help="a new folder, such as docs/machines/my-machine")
    check = commands.add_parser("check", help="check results of other machines; accept or refuse them")
    check.add_argument(
        "folder", type=Path, help="the results of one machine, or a folder with one folder for each machine"
    )
    check.add_argument(
        "--accepted",
        action="store_true",
        help="they were accepted before; scripts may have been added or removed since",
    )
    for command in (packs, check):
        command.add_argument("--examples", type=Path, default=Path("examples"), help="the scripts of the report")
    return parser


def _texts(options: argparse.Namespace) -> int:
    folder = options.folder or results_folder()
    said = said_in_worlds(folder, options.scripts)
    if options.html:
        options.html.write_text(as_html(folder, said), encoding="utf-8")
        print(f"Written to {options.html}.")
    else:
        print(as_text(folder, said))
    return 0


def _recheck(options: argparse.Namespace) -> int:
    agrees = True
    for script in options.scripts:
        report = recheck(options.folder, script)
        print(*report.lines, sep="\n", flush=True)
        agrees = agrees and report.agrees
    return 0 if agrees else 1


def _scripts(options: argparse.Namespace) -> list[Path]:
    scripts = sorted(options.examples.rglob("plot_*.py"))
    if not scripts:
        raise ResultError(f"There are no scripts in {options.examples}. Name their folder: --examples FOLDER.")
    return scripts


def _pack(options: argparse.Namespace) -> int:
    found = pack(options.folder, options.target, _scripts(options))
    if found:
        print("Not packed:", *found, sep="\n  ", file=sys.stderr)
        return 1
    print(f"Packed into {options.target}. Commit this folder, and open a pull request.")
    return 0


def _check(options: argparse.Namespace) -> int:
    if not options.folder.is_dir():
        raise ResultError(f"There is no folder {options.folder}.")
    given = [options.folder] if names_in(options.folder) else list(folders(options.folder).values())
    if not given:
        print(f"There are no machines in {options.folder}.")
    refused = False
    for folder in given:
        found = problems(folder, _scripts(options), accepted=options.accepted)
        refused = refused or bool(found)
        print(f"{folder}: {'refused.' if found else 'accepted.'}", *found, sep="\n  ")
    return int(refused)


COMMANDS = {"texts": _texts, "recheck": _recheck, "pack": _pack, "check": _check}

if __name__ == "__main__":
    sys.exit(main())
