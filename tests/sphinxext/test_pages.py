"""What roles and directives show on a page in HTML."""

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from small_reports import begin, build, page, publish_fits, text

from mlperf import claim, fact, protocol, publish
from mlperf.results.sealed import seal, unseal
from mlperf.sphinxext import directives, history, machines, roles

METHOD = Path(__file__).parents[2] / "docs" / "method.rst"

PAGE = """
A fit takes :value:`fits.fit[Large, last]`, roughly :value:`fits.fit[Large, last] short`, in all
:value:`fits.fit short`, with :value:`fits.library`; :verdict:`fits.quick`.

:says:`fits.quick, but fits.level` Odd: :says:`fits.odd open`!

:answer:`fits.grows` Of all, :tally:`all`; of the original's, :tally:`original`. :tally:`errors` :tally:`refuted`

.. results-table:: fits.fit
   :name: the-times

   How long a fit takes, :value:`fits.fit[Small, first] short` at least

.. results-table:: fits.runs
   :tabs: model n_samples
   :sort: -seconds
   :name: the-runs

   Runs

.. results-table:: fits.fit
   :columns: n_samples, seconds
   :where: model=Large n_samples=last

.. results-table:: fits.fit[:, last]

.. results-table:: fits.scores
   :sort: mse
   :limit: 1
   :unit: fraction

.. results-table:: fits.long

.. results-figure:: fits.bars
   :name: the-bars

   Time by model

See :numref:`the-times`, :numref:`the-runs` and :numref:`the-bars`.

.. claim:: fits.quick

.. claim:: fits.counted

.. claims-table:: fits
   :original:

   What the original said

.. claims-table::
   :filter:
   :name: the-claims

   All claims

.. when:: fits.level holds

   They are level.

   .. results-figure:: fits.bars
      :name: not-there

      Not there

.. when:: fits.level does not hold

   They are not *level*.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A report of one page with everything, built once."""
    folder = tmp_path_factory.mktemp("shown")
    begin(folder)
    return folder


@pytest.fixture(scope="module")
def shown(folder):
    return page(folder, *PAGE.splitlines())


def heads(table):
    return [text(cell) for cell in table.select("thead th")]


def rows(table):
    return [[text(cell) for cell in row.select("td")] for row in table.select("tbody tr")]


def test_values_stand_in_sentences_with_interval_or_without_and_as_a_range(shown):
    said = [text(node) for node in shown.select("p > span.value")]
    assert said == ["10.0 s (9.7 to 10.3)", "10.0 s", "500 ms to 10.0 s", "torch"]


def test_verdicts_and_what_claims_say_stand_in_sentences(shown):
    assert text(shown.select_one("span.verdict")) == "✓ holds"
    assert text(shown.select_one("span.says")) == "A fit takes less than twenty seconds, but Large takes longer."


def test_an_answer_stands_in_bold_and_claims_are_counted(shown):
    assert text(shown.select_one("strong.says")) == "The time grows with the samples."
    said = [text(node) for node in shown.select("span.tally")]
    assert said[:2] == ["3 hold, 1 does not hold and 1 was not measured", "1 holds"]
    assert said[2].startswith("Of the 4 decided verdicts, at most about 1")
    assert said[3] == "No statement is refuted."


def test_what_a_claim_says_is_shown_as_it_is(shown):
    assert text(shown.select("span.says")[1]) == 'It says `a`_, <b> and "engine" -- |x|'


def test_table_is_numbered_with_units_in_its_header_and_numbers_to_sort_by(shown):
    table = shown.select_one("table#the-times")
    assert text(table.caption) == "Table 1 How long a fit takes, 500 ms at least¶"
    assert heads(table) == ["Model", "Samples", "Time (s)"]
    assert rows(table)[3] == ["Large", "10,000", "10.0 (9.7 to 10.3)"]
    sorted_by = [float(cell["data-sort"]) for cell in table.select("tbody td.numeric")]
    assert sorted_by == pytest.approx([1_000, 0.5, 10_000, 5, 1_000, 1, 10_000, 10])
    assert shown.select_one("a.reference[href='#the-times']").get_text() == "Table 1"


def test_rows_and_columns_are_chosen_and_the_ends_of_an_interval_come_along(shown):
    _, _, _, _, _, chosen, many, scores, *_ = shown.select("table")
    assert (heads(chosen), rows(chosen)) == (["Samples", "Time (s)"], [["10,000", "10.0 (9.7 to 10.3)"]])
    assert (heads(many), [row[0] for row in rows(many)]) == (["Model", "Time (s)"], ["Small", "Large"])
    assert (heads(scores), rows(scores)) == (["Model", "MSE (%)"], [["Large", "100 (90 to 110)"]])


def test_table_in_tabs_is_one_for_each_label_with_a_strip_of_choices_for_each_level(shown):
    tabs = shown.select_one(".results-tabs")
    strips = [[text(label) for label in strip.select("label")] for strip in tabs.select("fieldset")]
    assert strips == [["Small", "Large"], ["1,000 samples", "10,000 samples"]]
    captions = [text(caption) for caption in tabs.select("caption")]
    assert captions[0] == "Table 2 Runs (Small, 1,000 samples)¶"
    assert captions[3] == "Table 5 Runs (Large, 10,000 samples)¶"
    assert [table["id"] for table in tabs.select("table")][::3] == ["the-runs", "the-runs-large-10-000-samples"]
    assert json.loads(tabs.select(".results-tab")[2]["data-labels"]) == ["Large", "1,000 samples"]
    assert [row[0] for row in rows(tabs.table)] == ["5", "4", "3", "2", "1", "0"]
    assert len({choice["name"] for choice in tabs.select("input")}) == 2


def test_long_table_is_cut_with_a_link_to_all_of_it(shown, folder):
    said = shown.select_one("p.cut")
    assert text(said) == "The first 200 of 80,000 rows. All of them: fits.long.csv."
    whole = folder / "docs/_build/html" / said.a["href"]
    assert whole.read_bytes() == (folder / "results/fits.long.csv").read_bytes()
    assert len(shown.find_all("tr")) < 300


def test_figure_is_numbered_and_described_and_keeps_its_place_before_it_comes(shown, folder):
    figure = shown.select_one("figure#the-bars")
    assert figure.img["alt"] == "Large takes longest"
    assert int(figure.img["width"]) > int(figure.img["height"]) > 0
    assert text(figure.select_one("figcaption > p")) == "Fig. 1 Time by model¶"
    assert text(figure.select_one(".legend")) == "Data: runs, scores, long. Script: small_reports.py."
    assert (folder / "docs/_build/html" / figure.img["src"]).read_text().startswith("<?xml")
    # A drawing from elsewhere, opened by itself, could run scripts.
    assert figure.a is None or "headerlink" in figure.a["class"]


def test_data_and_script_are_linked_below_what_they_are_of(shown):
    lines = [text(line) for line in shown.select("p.provenance")]
    assert lines[0] == "Data: fit. Script: small_reports.py."
    assert "Data: runs, scores, long. Script: small_reports.py." in lines


def test_page_says_once_below_its_lead_when_and_on_what_it_was_measured(shown):
    (line,) = shown.select("p.measured")
    assert line.find_previous_sibling("p") == shown.h1.find_next_sibling("p")
    pattern = (
        r"Measured \d{4}-\d\d-\d\d \d\d:\d\d UTC on .+ \(\d+ cores, .+\), 1 thread, torch \S+, 6 processes, 1 repeat\."
    )
    assert re.fullmatch(pattern, text(line))
    assert not shown.select(".admonition")


def test_claim_shows_verdict_and_text_and_unfolds_the_evidence(shown):
    quick, counted = shown.select("details.claim")
    assert text(quick.summary) == "✓ holds: A fit takes less than twenty seconds."
    assert "Large, 10,000 samples: 10.0 s (9.7 to 10.3); expected: less than 20 s." in text(quick)
    assert "not-measured" in counted["class"]
    assert "valgrind is not installed" in text(counted)


def test_claims_of_the_original_stand_beside_what_is_said_of_them_here(shown):
    table = next(table for table in shown.select("table.claims") if "original" in text(table.caption))
    assert heads(table) == ["The original said", "Measured here", "Verdict", "Script"]
    (row,) = rows(table)
    assert row[:3] == ["Fits are quick.", "A fit takes less than twenty seconds.", "✓ holds"]


def test_all_claims_stand_in_a_table_that_can_be_filtered_by_verdict(shown):
    table = shown.select_one("table.claims#the-claims")
    assert "verdict-filter" in table["class"]
    assert heads(table) == ["Statement", "Measured here", "Verdict", "Script"]
    verdicts = [row["class"][0] for row in table.select("tbody tr")]
    assert verdicts == ["holds", "holds", "does-not-hold", "not-measured", "holds"]


def test_text_that_depends_on_a_verdict_is_there_or_takes_no_number(shown):
    assert "They are level" not in text(shown)
    assert shown.find("em").get_text() == "level"
    assert shown.find(id="not-there") is None
    assert len(shown.find_all("figure")) == 1


def test_page_without_a_lead_says_under_its_title_when_it_was_measured(project):
    shown = page(project, ".. claim:: fits.quick")
    assert text(shown.h1.find_next_sibling()).startswith("Measured ")


def test_labels_and_columns_with_odd_names_are_chosen_in_quotes(project):
    frame = pd.DataFrame({'a "b", c': ["x, y", "it's\nso"], "plain": [1, 2], "[z]": [True, False]})
    publish("odd", table=frame, indexed=frame.set_index("plain"))
    shown = page(
        project,
        ".. results-table:: odd.table",
        """   :where: 'a "b", c=x, y'""",
        """   :columns: 'a "b", c' [z]""",
        "",
        ".. results-table:: odd.table",
        """   :tabs: 'a "b", c'""",
        "",
        ".. results-table:: odd.indexed",
    )
    chosen, *in_tabs, indexed = shown.select("table")
    assert (heads(chosen), rows(chosen)) == (['A "b", c', "[z]"], [["x, y", "True"]])
    assert [rows(table) for table in in_tabs] == [[["1", "True"]], [["2", "False"]]]
    assert [text(label) for label in shown.select(".results-tab > .tab-labels")] == ["x, y", "it's so"], "no caption"
    assert heads(indexed)[0] == "Plain"


def test_columns_of_the_same_name_and_of_several_levels_are_shown_once(project):
    """Tried: two columns of one name became sixteen, an index named as a column was refused."""
    same = pd.DataFrame([[1, 2]], columns=["a", "a"])
    levels = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("time", "old"), ("time", "new")]))
    publish("odd", same=same, levels=levels.rename_axis("n"), index=pd.DataFrame({"n": [3]}).set_index("n", drop=False))
    lines = [line for key in ("same", "levels", "index") for line in (f".. results-table:: odd.{key}", "")]
    assert [(heads(table), rows(table)) for table in page(project, *lines).select("table")] == [
        (["A", "A"], [["1", "2"]]),
        (["N", "Time old", "Time new"], [["0", "1", "2"]]),
        (["N", "N"], [["3", "3"]]),
    ]


def test_table_without_columns_is_refused_where_it_is_shown(project, capfd):
    """Tried: the build ended with a traceback."""
    publish("odd", table=pd.DataFrame(index=[1, 2]))
    page(project, ".. results-table:: odd.table", fails=True)
    assert "index.rst:4: ERROR: There is nothing to show: odd.table has no columns." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (":value:`fits.fit[Huge]`", "'fits.fit' has no model 'Huge', only Small, Large."),
        (
            ":value:`fits.fiit`",
            "Nothing named 'fits.fiit' is published among the values. The nearest name is 'fits.fit'.",
        ),
        (
            ":says:`fits.quik`",
            "Nothing named 'fits.quik' is published among the claims. The nearest name is 'fits.quick'.",
        ),
        (".. claim:: fit.quick", "Nothing named 'fit.quick' is published among the claims."),
        (
            ".. results-table:: fits.scores\n   :columns: modell",
            "There is no column 'modell' in the table, only model, mse",
        ),
        (
            ".. results-table:: fits.scores\n   :where: model=Huge",
            "The column 'model' has no 'Huge', only Small, Large.",
        ),
        (
            ".. when:: fits.quick is true\n\n   Text.",
            "A condition names a claim and verdicts out of holds, does not hold",
        ),
    ],
)
def test_unknown_name_fails_every_build_until_it_is_corrected(project, capfd, typed, message):
    for _ in range(2):
        page(project, typed, fails=True)
        assert message in capfd.readouterr().err
        build(project, fails=True)
        assert message in capfd.readouterr().err
    page(project, ":value:`fits.library`")


def test_preview_numbers_are_marked(project, monkeypatch):
    monkeypatch.setattr(protocol, "MODE", "quick")
    publish_fits()
    shown = page(project, ":value:`fits.library`")
    assert text(shown.select_one(".admonition.warning.preview-numbers .admonition-title")) == "Preview numbers"


def test_results_of_different_machines_on_one_page_are_pointed_out(project, monkeypatch):
    from mlperf.results import provenance

    machine = provenance.fingerprint()
    monkeypatch.setattr(provenance, "fingerprint", lambda: {**machine, "processor": "`a <javascript:alert(1)>`_"})
    publish("foreign", x=1)
    shown = page(project, ":value:`fits.library` and :value:`foreign.x`")
    assert shown.select(".admonition.warning.different-machines")
    assert "and `a <javascript:alert(1)>`_ (" in text(shown.select_one("p.measured"))
    assert not [link for link in shown.find_all("a") if "javascript" in link.get("href", "")]


def test_other_results_stand_beside_ours(project, monkeypatch):
    from mlperf.results import provenance

    with monkeypatch.context() as patch:
        machine = provenance.fingerprint()
        patch.setattr(provenance, "fingerprint", lambda: {**machine, "processor": "Another CPU"})
        patch.setenv("MLPERF_RESULTS", str(project / "other"))
        publish_fits(factor=2.5)
    lines = [
        ":value:`fits.fit[Large, last]` :verdict:`fits.quick`. :says:`fits.quick`",
        "",
        ".. results-table:: fits.fit",
        "   :tabs: model",
        "",
        ".. claims-table::",
        "",
        ".. claim:: fits.quick",
    ]
    compare = ("-D", f"mlperf_compare={project / 'other'}")
    shown = page(project, *lines, options=compare)
    assert text(shown.select_one("span.value")).startswith("10.0 s (9.7 to 10.3) [other results: 25.0 s (")
    assert "ratio 0.40×" in text(shown.select_one("span.value"))
    assert text(shown.select_one("span.verdict")) == "✓ holds [other results: ✗ does not hold]"
    assert text(shown.select_one("span.says")).endswith("seconds. [other results: ✗ does not hold]")
    large = shown.select(".results-tab table")[1]
    assert heads(large)[-1] == "Ratio to the other results"
    assert rows(large)[1][-1].startswith("0.40× (")
    assert text(shown.select_one("table.claims tbody tr").select("td")[3]) == "✗ does not hold (differs)"
    assert "The other results differ: ✗ does not hold. A fit takes 25" in text(shown.select_one("details.claim"))
    note = text(shown.select_one(".admonition.note.comparison"))
    assert "on Another CPU" in note
    assert "Differences from there to here: processor Another CPU → " in note
    assert not build(project).select(".comparison"), "the next build without other results compares no longer"


def test_results_to_compare_with_must_be_there_and_whole(project):
    with pytest.raises(SystemExit, match=r"There are no results to compare with in .*nowhere"):
        page(project, options=("-D", f"mlperf_compare={project / 'nowhere'}"))
    (project / "other").mkdir()
    (project / "other/fits.json").write_text("{")
    with pytest.raises(SystemExit, match="The result 'fits' is corrupt"):
        page(project, options=("-D", f"mlperf_compare={project / 'other'}"))


def test_no_cell_of_a_result_becomes_markup(project):
    """Tried: a cell in a column of tabs injected directives."""
    hostile = [
        "`a <javascript:alert(1)>`_",
        ".. raw:: html",
        "<script>x</script>",
        ".. include:: /etc/passwd",
        "|x| :doc:`y`",
    ]
    frame = pd.DataFrame({"name": hostile, "calls": range(5)})
    told = claim("`a <javascript:alert(1)>`_ <script>x</script>", fact("<b>x</b>", True), original="<i>y</i>")
    publish("hostile", table=frame, told=told, value=hostile[2])
    shown = page(
        project,
        ":value:`hostile.value` :says:`hostile.told`",
        "",
        ".. results-table:: hostile.table",
        "   :tabs: name",
        "   :name: x",
        "",
        "   Caption",
        "",
        ".. results-table:: hostile.table",
        "",
        ".. claims-table:: hostile",
        "   :original:",
        "",
        ".. claim:: hostile.told",
    )
    assert [row[0] for row in rows(shown.select("table")[-2])] == hostile
    assert [text(label) for label in shown.select(".tab-strip label")] == hostile
    article = shown.select_one("div.body")
    assert not article.find_all(["script", "i", "b"])
    assert not [link for link in article.find_all("a") if "javascript" in link.get("href", "")]


@pytest.mark.parametrize("others", [False, True], ids=["shown", "compared with"])
def test_nothing_that_says_where_a_result_is_from_becomes_markup(project, monkeypatch, others):
    """Tried: a file from outside the report was copied into ``_downloads``, ``javascript:`` links were made."""
    hostile = "`a <javascript:alert(1)>`_ :download:`/etc/passwd` <script>x</script> |x| .. include:: /etc/passwd"
    monkeypatch.setenv("MLPERF_RESULTS", str(project / "others" if others else project / "results"))
    publish_fits(factor=1.1)
    listing = Path(os.environ["MLPERF_RESULTS"], "fits.json")
    record = unseal(listing.read_bytes())
    record["provenance"] |= {"script": hostile, "commit": hostile}
    record["provenance"]["machine"] = dict.fromkeys(record["provenance"]["machine"], hostile)
    record["inputs"] |= {hostile: hostile}
    listing.write_bytes(seal(record))
    if others:
        monkeypatch.setenv("MLPERF_COMPARE", str(listing.parent))
    lines = [
        ":value:`fits.fit[Large, last]` :says:`fits.quick`",
        "",
        ".. results-table:: fits.fit",
        "",
        ".. claim:: fits.quick",
    ]
    shown = page(project, *lines, "", ".. results-figure:: fits.bars", "", ".. claims-table:: fits")
    article = shown.select_one("div.body")
    assert "javascript:alert(1)" in article.get_text()
    assert not article.find_all("script")
    assert not [link for link in article.find_all("a") if "javascript" in link.get("href", "")]
    assert not [path for path in project.rglob("*") if path.name == "passwd"]


class Recorder:
    """An application that only notes what is registered."""

    def __init__(self):
        self.names = []

    def add_role(self, name, _role):
        self.names.append(f":{name}:")

    def add_directive(self, name, directive):
        self.names += [f"``{name}``", *(f"``:{option}:``" for option in directive.option_spec)]


def test_page_of_the_method_names_every_role_directive_and_option():
    recorder = Recorder()
    for part in (roles, directives, history, machines):
        part.setup(recorder)
    described = METHOD.read_text()
    assert [name for name in recorder.names if name not in described] == []
    assert len(recorder.names) > 10
