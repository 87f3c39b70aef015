"""The project's links, which are known only where it is built; all else that an installer asks is in pyproject.toml."""

import os
import re
import subprocess
from email.parser import HeaderParser
from pathlib import Path
from urllib.parse import urlsplit

from setuptools import setup

HERE = Path(__file__).resolve().parent
# What others can open: no path, no machine of a local network, no credentials.
ADDRESS = re.compile(r"https?://[\w.-]+\.[a-z][a-z\d-]*(:\d+)?(/[\w.~%+-]+)*/?", re.ASCII)
# git's own way to name a place on a server, as in git@host.org:owner/name.
SHORT = re.compile(r"git@([\w.-]+):([^/].*)")


def links():
    """Return what is known: of a checkout, its origin; of a source archive, what it was made with."""
    archived = HERE / "PKG-INFO"
    if archived.exists():
        fields = HeaderParser().parsestr(archived.read_text(encoding="utf-8"))
        return dict(link.split(", ", 1) for link in fields.get_all("Project-URL", []))
    found = {}
    site = os.environ.get("SITE_URL", "")  # as in docs/conf.py
    if ADDRESS.fullmatch(site):
        found["Documentation"] = site
    source = web_address(origin())
    if source:
        found["Source"] = source
        if urlsplit(source).hostname == "github.com":
            found["Issues"] = f"{source}/issues"
            found["Changelog"] = f"{source}/blob/HEAD/CHANGELOG.md"
    return found


def origin():
    """Return the remote that this was cloned from, or nothing; a repository around this folder does not count."""
    command = ["git", "--git-dir", str(HERE / ".git"), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode(errors="replace").strip()


def web_address(remote):
    """Return where people read a remote in a browser, or None where that is not known."""
    short = SHORT.fullmatch(remote)
    try:
        parts = urlsplit("ssh://git@{}/{}".format(*short.groups()) if short else remote)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    # Those that offer repositories on the web as well have one user for all; a port of its own has SSH alone.
    is_web_host = parts.username == "git" and port in (None, 22) and not re.match("(alt)?ssh[.]", host or "")
    if parts.scheme in ("http", "https"):
        start = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    elif parts.scheme == "ssh" and is_web_host:
        start = f"https://{host}"
    else:
        return None
    address = start + parts.path.rstrip("/").removesuffix(".git")
    return address if parts.path.strip("/") and ADDRESS.fullmatch(address) else None


if __name__ == "__main__":
    setup(project_urls=links())
