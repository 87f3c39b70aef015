"""Results from elsewhere are data: reading writes nothing, follows nothing, and every surprise is one error."""

import json
import os
import random
import re
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from mlperf.quantities.claims import claim
from mlperf.quantities.quantity import Quantity
from mlperf.results import folder as folder_module
from mlperf.results.folder import ResultError
from mlperf.results.publishing import finish, publish
from mlperf.results.reading import read
from mlperf.results.sealed import digest, seal, unseal

FIT = Quantity.from_estimates({"Large": (2.63054, 2.5, 2.75)}, by="model", unit="seconds")
REMEDY = "Run the script that publishes it, or `make html`."


@cache
def published():
    """Return the files of a result that holds a thing of each kind."""
    figure = Figure()
    figure.subplots().set_title("Time rises")
    table = pd.DataFrame({"n": [1, 2], "o": [None, "x"], "c": pd.Categorical(["a", "b"])}, index=[3, 4])
    table = table.assign(d=pd.to_datetime(["2020-01-01", None]).tz_localize("UTC"))
    before = dict(os.environ)
    with TemporaryDirectory() as folder:
        os.environ["MLPERF_RESULTS"] = folder
        try:
            publish("fits", table=table, fit=FIT, quick=claim("It is quick.", FIT < 9), bars=figure, n=3, who="torch")
        finally:
            os.environ.clear()
            os.environ.update(before)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.fixture
def folder(results):
    """A folder with the result."""
    results.mkdir()
    put(results, published())
    return results


def put(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)


def seen(folder):
    """Return everything that reading could change in a folder."""
    return {
        path.name: (path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.iterdir()
    }


def everything(folder=None):
    """Read a result with all that it holds, as pages do."""
    result = read("fits", folder)
    return [repr(result[key]) + str(result[key]) + format(result[key], "") for key in result if key != "bars"]


def record():
    return unseal(published()["fits.json"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "fits.json").unlink(), "The result 'fits' is missing: there is no fits.json in {f}. "),
        (lambda f: (f / "fits.json").write_text("[]"), "{f}/fits.json is foreign: it is not a result 'fits' of this "),
        (lambda f: (f / "fits.json").write_text('{"format": 1}'), "{f}/fits.json is foreign: "),
        (
            lambda f: (f / "fits.json").write_text('{"form'),
            "The result 'fits' is corrupt: {f}/fits.json cannot be read (",
        ),
        (lambda f: (f / "fits.json").write_text(""), "The result 'fits' is corrupt: {f}/fits.json cannot be read ("),
        (
            lambda f: (f / "fits.json").write_bytes(b"\xff\x00" * 99),
            "The result 'fits' is corrupt: {f}/fits.json cannot ",
        ),
        (
            lambda f: (f / "fits.json").write_text("[" * 200_000),
            "The result 'fits' is corrupt: {f}/fits.json cannot be ",
        ),
        (
            lambda f: (f / "fits.table.csv").unlink(),
            "The result 'fits' is half-written: {f}/fits.table.csv is missing. ",
        ),
        (
            lambda f: (f / "fits.table.csv").write_text("x\n"),
            "The result 'fits' is corrupt: {f}/fits.table.csv is not the file that fits.json names. ",
        ),
    ],
)
def test_broken_result_is_named_with_what_to_run(folder, spoil, message):
    """Tried: empty, binary, torn and deeply nested files each ended in an error of another kind."""
    spoil(folder)
    with pytest.raises(ResultError) as caught:
        read("fits")
    assert str(caught.value).startswith(message.replace("{f}", str(folder)))
    assert str(caught.value).endswith(REMEDY)


@pytest.mark.parametrize("name", ["../fits", "*", "", "fits.json", "/etc/passwd", "Fits", "fits\n", None, "...", "a/b"])
def test_name_that_is_none_is_refused(folder, name):
    """Reported: ``read("*")`` deleted nearly all files with a dot in their name."""
    before = seen(folder)
    with pytest.raises(ResultError, match="A result's name has lower case letters"):
        read(name)
    assert seen(folder) == before


@pytest.mark.parametrize("file", ["fits.json", "fits.table.csv", ".fits.json.next"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder", "device", "socket", "too large"])
def test_what_is_no_plain_file_is_refused(folder, file, kind, tmp_path, monkeypatch):
    """Reported: a link led out of the folder; a pipe is waited for without end."""
    path = folder / file
    content = path.read_bytes() if path.exists() else b"x"
    path.unlink(missing_ok=True)
    (tmp_path / "outside").write_bytes(content)
    if kind == "link":
        path.symlink_to(tmp_path / "outside")
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "nothing")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("devices need root")
    elif kind == "socket":
        monkeypatch.chdir(folder)  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(file)
    else:
        path.write_bytes(content)
        monkeypatch.setattr(folder_module, "MOST_BYTES", len(content) - 1)
    before = seen(folder)
    if file.startswith(".") and kind != "too large":
        everything()  # what waits and cannot be read does not count
    else:
        with pytest.raises(ResultError):
            read("fits")
    assert seen(folder) == before


def hostile(**changes):
    """Return the JSON of a result, sealed as it must be, with something in it changed."""
    made = record()
    for path, value in changes.items():
        at, *keys, last = [made, *path.split("__")]
        for key in keys:
            at = at[int(key) if isinstance(at, list) else key]
        at[int(last) if isinstance(at, list) else last] = value
    return seal(made)


CELL = "things__fit__cells__0__"


@pytest.mark.parametrize(
    "changes",
    [
        {"things": []},
        {"things": None},
        {"things__../../x": {"kind": "value", "value": 1}},
        {"things__n": None},
        {"things__n": {"kind": "value"}},
        {"things__n__kind": "program"},
        {"things__n__kind": ["value"]},
        {"things__n__value": None},
        {"things__n__value": [1]},
        {"things__n__files": {"py": "0" * 64}},
        {"things__n__files": {"/../../x.csv": "0" * 64}},
        {"things__n__files": ["csv"]},
        {"things__fit__unit": "parsecs"},
        {"things__fit__unit": ["seconds"]},
        {"things__fit__by": "model"},
        {"things__fit__by": ["model", "model"]},
        {"things__fit__by": []},
        {"things__fit__name": 3},
        {"things__fit__cells": {}},
        {f"{CELL}value": "2"},
        {f"{CELL}value": None},
        {f"{CELL}value": True},
        {f"{CELL}low": "-Infinity"},
        {f"{CELL}low": None},
        {f"{CELL}low": 99.0},
        {f"{CELL}runs": 1.5},
        {f"{CELL}processes": None},
        {f"{CELL}labels": "Large"},
        {f"{CELL}labels": [{"x": "1", "y": "2"}]},
        {f"{CELL}labels": [{"p": "1"}]},
        {f"{CELL}labels": [None]},
        {f"{CELL}labels": [{"q": "1/0"}]},
        {f"{CELL}labels": [{"q": "1e999999999"}]},
        {f"{CELL}labels": [{"q": "1/2/3"}]},
        {f"{CELL}labels": [{"m": "many"}]},
        {f"{CELL}labels": [{"e": "long"}]},
        {f"{CELL}labels": [{"u": "3"}]},
        {f"{CELL}labels": [{"u": "[" * 100_000}]},
        {f"{CELL}labels": [{"u": '[{"a": 1}]'}]},
        {"things__quick__verdict": "may hold"},
        {"things__quick__verdict": None},
        {"things__quick__texts": {"holds": "It does."}},
        {"things__quick__texts__holds": 3},
        {"things__quick__statement": ["<b>"]},
        {"things__quick__evidence": "seen"},
        {"things__quick__evidence__0__verdict": "maybe"},
        {"things__quick__evidence__0": {"label": "x"}},
        {"things__bars__alt": None},
        {"things__bars__width": "100%"},
        {"things__bars__files": {}},
        {"things__table__described": None},
        {"things__table__described__rows": 3},
        {"things__table__described__types": []},
        {"things__table__described__types__0__type": "object"},
        {"things__table__described__types__0__type": "complex128"},
        {"things__table__described__types__1__cells": "zz"},
        {"things__table__described__types__2__texts": []},
        {"things__table__described__types__3__type": "datetime64[ns, ../../etc/passwd]"},
        {"things__table__described__index": {"range": [0, 10**12, 1], "names": [["-", ""]]}},
        {"things__table__described__index": {"range": ["x"], "names": []}},
        {"things__table__described__columns__labels": [["a"]]},
        {"things__table__process": "many"},
        {"provenance": None},
        {"provenance__time": "yesterday"},
        {"provenance__time": 3},
        {"provenance__machine": {}},
        {"provenance__machine__processor": ["<b>"]},
        {"provenance__protocol__MODE": "other"},
        {"provenance__protocol__THREADS": "1"},
        {"provenance__script": 3},
        {"inputs": []},
        {"inputs__torch": 2.13},
        {"name": "other"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", ["fits.json", ".fits.json.next"])
def test_mistyped_json_is_one_error(folder, changes, place):
    """Tried: each raised an error of its own kind, in a build without its name. Whoever makes a folder can seal it."""
    (folder / "fits.json").unlink()
    (folder / place).write_bytes(hostile(**changes))
    before = seen(folder)
    with pytest.raises(ResultError, match=r"^The result 'fits'|^.*fits\.json is foreign"):
        everything()
    assert seen(folder) == before


def resealed(text):
    """Return the text of a result with the digest that it should have."""
    head, _, _ = text.rpartition(b'"sha256": "')
    head += b'"sha256": "'
    return head + digest(head).encode() + b'"\n}\n'


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 5_000])
def test_infinite_numbers_are_refused(folder, number):
    """Tried: infinite estimates, and a number of thousands of digits, were read or raised errors of other kinds."""
    text = published()["fits.json"].replace(b"2.63054", number.encode())
    (folder / "fits.json").write_bytes(resealed(text))
    with pytest.raises(ResultError, match="The result 'fits' is corrupt"):
        read("fits")


def test_json_that_is_nested_deeply_is_refused(folder):
    """Tried: it ended in a RecursionError."""
    text = published()["fits.json"].replace(b'"torch"', b"[" * 100_000 + b"]" * 100_000, 1)
    (folder / "fits.json").write_bytes(resealed(text))
    with pytest.raises(ResultError, match="nested too deeply"):
        read("fits")


def test_changed_number_is_recognised(folder):
    """Reported: one flipped bit made 2.63054 of 2.63055 in half of the trials, unnoticed."""
    (folder / "fits.json").write_bytes(published()["fits.json"].replace(b"2.63054", b"2.63055"))
    with pytest.raises(ResultError, match="its digest is another"):
        read("fits")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_any_mutation_is_read_as_it_was_or_refused_and_nothing_is_written(seed):
    """Files torn, emptied, mixed up, mutated, and waiting to take their places."""
    chance = random.Random(seed)
    files = dict(published())
    for _ in range(chance.randint(1, 4)):
        name = chance.choice(sorted(files))
        content = bytearray(files[name])
        place = chance.randrange(len(content) + 1)
        change = chance.choice(["flip", "cut", "empty", "wait", "copy", "insert", "remove", "swap"])
        if change == "flip" and place < len(content):
            content[place] ^= 1 << chance.randrange(8)
        elif change == "cut":
            del content[place:]
        elif change == "empty":
            content.clear()
        elif change == "insert":
            content[place:place] = chance.randbytes(chance.randint(1, 9))
        elif change in ("wait", "copy") and not name.startswith("."):
            files[f".{name}.next"] = bytes(content)
        elif change == "swap":
            files[chance.choice(sorted(files))] = bytes(content)
        files[name] = bytes(content)
        if change in ("wait", "remove") and len(files) > 1:
            del files[name]
    right = right_answer()
    with TemporaryDirectory() as made:
        folder = Path(made)
        put(folder, files)
        before = seen(folder)
        with suppress(ResultError):
            assert everything(folder) == right
        assert seen(folder) == before
        finish(folder)
        with suppress(ResultError):
            assert everything(folder) == right


@cache
def right_answer():
    with TemporaryDirectory() as made:
        put(Path(made), published())
        return everything(made)


def test_finishing_touches_nothing_outside_and_nothing_of_others(results, tmp_path):
    """Reported: a list that named absolute paths, "../x" or links overwrote or created any file."""
    results.mkdir()
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (results / "...").mkdir()
    put(results / "...", {".x.next": b"theirs"})
    put(results, {"notes.txt": b"mine", ".notes.txt.next": b"mine", "fits.table.csv": b"old", "..csv": b"mine"})
    for file in (str(outside), "../outside", "x/../../outside", "notes.txt", "other.csv"):
        made = record()
        made["things"] = {file: {"kind": "table", "files": {"csv": "0" * 64}}}
        (results / ".fits.json.next").write_bytes(seal(made))
        (results / ".fits.table.csv.next").symlink_to(outside)
        finish(results)
        with pytest.raises(ResultError):
            read("fits", results)
    assert outside.read_text() == "mine"
    left = {"...", "notes.txt", ".notes.txt.next", "fits.table.csv", "..csv"}
    assert {path.name for path in results.iterdir()} == left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "results"]


def test_folder_that_cannot_be_written_is_read(folder):
    """Tried: reading finished files that waited, and so wrote."""
    folder.chmod(0o500)
    try:
        assert everything() == right_answer()
    finally:
        folder.chmod(0o700)


def test_unknown_name_is_told_with_the_nearest(folder):
    assert folder.is_dir()
    with pytest.raises(
        ResultError, match=re.escape("The result 'fits' holds nothing named 'tabel'. The nearest name is 'table'.")
    ):
        read("fits")["tabel"]


def test_result_and_figure_show_themselves(folder):
    assert folder.is_dir()
    result = read("fits")
    assert repr(result).startswith("Result 'fits', measured 20")
    assert "fit (quantity)" in repr(result)
    html = result["bars"]._repr_html_()
    assert html.startswith('<img src="data:image/svg+xml;base64,')
    assert 'alt="Time rises"' in html


def test_results_are_read_where_nothing_is_installed_that_made_them(folder):
    code = "import sys; from mlperf import read; print(read('fits')['fit']); print('torch' in sys.modules)"
    environment = {**os.environ, "MLPERF_RESULTS": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_json_of_a_result_is_read_by_any_reader(folder):
    held = json.loads((folder / "fits.json").read_text(), parse_constant=pytest.fail)
    assert held["things"]["fit"]["cells"][0]["value"] == 2.63054
