"""References are read as they are typed, and a slip is told with what is nearest."""

import re

import pytest

from mlperf.quantities.quantity import exact
from mlperf.results.folder import ResultError
from mlperf.results.references import cells, parse

NAMES = ['a, "b"', "Large", "last", "x\ny", "it's ]"]
GRID = exact({(name, size): index * 10 + size for index, name in enumerate(NAMES) for size in (3, 1, 2)}, by=["m", "n"])


def chosen(text):
    return cells(GRID, parse(f"fits.grid{text}").labels, "fits.grid")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[Large, 3]", 13),
        ("[Large,first]", 11),
        ("[ Large , last ]", 13),
        ("[first, 2]", 2),
        ("[last, 1]", 21),
        ('["last", 1]', 21),
        ('["a, \\"b\\"", 1]', 1),
        ("['a, \"b\"', 1]", 1),
        ('["x\ny", 1]', 31),
        ('["it\'s ]", 1]', 41),
        ("['it\\'s ]', \"2\"]", 42),
    ],
)
def test_labels_choose_a_cell(text, value):
    assert chosen(text).value == value


def test_label_that_is_called_last_wins_over_the_last_label():
    assert chosen("[last]").by == ("n",)
    assert chosen("[last, 3]").value == 23


def test_colon_and_labels_left_out_keep_the_level():
    assert chosen("[:, first]").by == ("m",)
    assert chosen("[Large]").by == ("n",)
    assert chosen("").by == ("m", "n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Lagre]", "'fits.grid' has no m 'Lagre', only a, \"b\", Large, last, x\ny, it's ]. The nearest is 'Large'."),
        ("[Large, 4]", "'fits.grid' has no n '4', only 3, 1, 2."),
        ("[Large, 'first']", "'fits.grid' has no n 'first', only 3, 1, 2."),
        ("[Large, 1, 2]", "'fits.grid' has the levels m, n. Got 3 labels."),
    ],
)
def test_unknown_label_is_told_with_those_that_there_are(text, message):
    with pytest.raises(ResultError, match=f"^{re.escape(message)}$"):
        chosen(text)


@pytest.mark.parametrize(
    "text",
    [
        "fits",
        "",
        ".",
        "fits.",
        ".x",
        "fits.x[",
        "fits.x]",
        "fits.x[a",
        "fits.x[]",
        "fits.x['a]",
        "fits.x[,a]",
        "a.b.c",
        "fits.x['a' b]",
        "fits x.y",
    ],
)
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(ResultError, match=r"A reference has the form|The labels of a reference are separated"):
        parse(text)


def test_cell_that_is_not_there_is_told():
    ragged = exact({("a", 1): 1, ("b", 2): 2}, by=["m", "n"])
    with pytest.raises(ResultError, match="has no cell at"):
        cells(ragged, parse("x.y[a, 2]").labels, "x.y")
