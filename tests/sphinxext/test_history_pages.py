"""The history on a page: a sentence without builds, figures with marks with them; a preview adds nothing."""

import csv
import io
from datetime import datetime, timedelta

import pytest
from small_reports import CONF, begin, build, page, publish_fits, text

from mlperf import exact
from mlperf.results.history import FIELDS, Point
from mlperf.sphinxext.history import draw

HISTORY = [
    ".. results-history::",
    "",
    "   fits.fit[Large, 1000] Fit of Large",
    "   fits.fit[Small, 1000]",
]


@pytest.fixture
def project(tmp_path):
    begin(tmp_path, "mlperf_history = '_history'\n")
    return tmp_path


def write_history(project, values, *, machine="A processor (2 cores)"):
    """Write a history with a build a week."""
    folder = project / "docs/_history"
    folder.mkdir()
    with (folder / "fits.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for week, value in enumerate(values):
            time = datetime.fromisoformat("2026-01-05T00:00:00+00:00") + timedelta(weeks=week)
            labels = '{"model": "Large", "n_samples": 1000}'
            row = [
                time.isoformat(),
                machine,
                f"commit{week}",
                "fit",
                labels,
                "seconds",
                value,
                0.99 * value,
                1.01 * value,
            ]
            writer.writerow(row)


def test_without_builds_a_sentence_says_so(project):
    (project / "docs/conf.py").write_text(CONF)
    made = page(project, *HISTORY)
    assert "There is no history yet." in text(made)
    assert not made.select("figure")
    assert not (project / "docs/_build/html/_history").exists()


def test_a_published_build_adds_its_values_and_gives_them_along(project):
    made = page(project, *HISTORY)
    assert "There is no history yet" not in text(made)
    assert text(made.select("table tbody tr")[0]).startswith("Fit of Large 1.00 s")
    for folder in ("docs/_history", "docs/_build/html/_history"):
        assert (project / folder / "index.txt").read_text() == "fits.csv\n"
        assert len((project / folder / "fits.csv").read_text().splitlines()) == 5
    build(project)
    assert len((project / "docs/_history/fits.csv").read_text().splitlines()) == 5, "nothing was measured since"


def test_a_preview_adds_nothing(project, monkeypatch):
    monkeypatch.setattr("mlperf.protocol.MODE", "quick")
    publish_fits()
    made = page(project, *HISTORY)
    assert "There is no history yet." in text(made)
    assert not (project / "docs/_history").exists()


def test_values_over_builds_are_drawn_and_a_change_is_marked(project):
    write_history(project, [1.0, 1.01, 0.99, 1.0, 1.01, 1.0, 0.8, 0.81, 0.79, 0.8])
    made = page(project, *HISTORY)
    (row, *_) = made.select("table tbody tr")
    assert "2026-02-16: 1.00 s to 800 ms, commit commit5 to commit6" in text(row).replace("\xa0", " ")
    alt = made.select_one("figure img")["alt"].replace("\xa0", " ")
    assert alt.startswith("Fit of Large: ")
    assert "changed 2026-02-16" in alt


def test_an_only_build_is_called_that_and_has_one_date():
    only = Point("2026-01-05T12:00:00+00:00", "a machine", "", exact(2, unit="seconds"))
    figure = draw("Fit of Large", [only], [])
    (axes,) = figure.axes
    assert " ".join(figure.get_suptitle().split()) == "Fit of Large: 2 s; the only build so far"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2026-01-05"]


def test_the_names_of_machines_are_no_formulas():
    """Tried: a name with dollar signs ended the build with a traceback."""
    names = ["$a$ processor", r"$\nonsense{$"]
    points = [Point(f"2026-01-0{day}T12:00:00+00:00", name, "", exact(2)) for day, name in enumerate(names, start=1)]
    (axes,) = draw("Fit of Large", points, []).axes
    axes.get_figure().savefig(io.BytesIO())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == names


def test_another_machine_is_no_change(project):
    write_history(project, [0.5] * 10, machine="Another processor (4 cores)")
    made = page(project, *HISTORY)
    assert "none" in text(made.select("table tbody tr")[0])


def test_a_page_is_made_anew_when_the_history_has_grown(project):
    page(project, *HISTORY)
    publish_fits(factor=2.0)
    path = project / "results/fits.json"
    assert path.is_file()
    lines = (project / "docs/_history/fits.csv").read_text().splitlines()
    (project / "docs/_history/fits.csv").write_text("\n".join([*lines, lines[1].replace(lines[1][:4], "2025")]) + "\n")
    assert "2" in text(build(project).select("table tbody tr")[0])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([".. results-history::", "", "   fits.fit[Large]"], "A history has a single value in each build"),
        ([".. results-history::"], "results-history needs a value in each line"),
        ([".. results-history::", "", "   fits.fitt[Large, 1000]"], "The nearest name is 'fits.fit'."),
    ],
)
def test_a_slip_fails_the_build_in_a_sentence(project, lines, said, capsys):
    page(project, *lines, fails=True)
    assert said in capsys.readouterr().err


def test_a_history_that_cannot_be_read_is_told_and_not_written_over(project, capsys):
    (project / "docs/_history").mkdir()
    (project / "docs/_history/fits.csv").write_text("not a history\n")
    page(project, "Words.", fails=True)
    assert "The history of fits could not be updated" in capsys.readouterr().err
    assert (project / "docs/_history/fits.csv").read_text() == "not a history\n"
