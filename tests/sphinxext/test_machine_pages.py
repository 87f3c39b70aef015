"""Machines on a page: a sentence where there is one, tables where there are more; other results are one of them."""

import shutil

import pytest
from small_reports import begin, build, page, publish_fits, text

MACHINES = [
    ".. machines-table::",
    "",
    "   The machines.",
    "",
    ".. machines-claims::",
    "",
    "   The claims.",
    "",
    ".. machines-values::",
    "",
    "   fits.fit[Large, last] Fit of Large",
]


@pytest.fixture
def project(tmp_path):
    begin(tmp_path, "mlperf_machines = 'machines'\n")
    return tmp_path


def contribute(project, *, factor=3.0, place="docs/machines/slow-machine"):
    publish_fits(factor=factor)
    shutil.copytree(project / "results", project / place)
    publish_fits()


def rows(table):
    return [[text(cell).replace("\xa0", " ") for cell in row.select("td")] for row in table.select("tbody tr")]


def test_one_machine_alone_is_said_in_a_sentence(project):
    made = page(project, *MACHINES)
    assert "There are no results of other machines yet" in text(made)
    assert text(made).count("There is no other machine to compare with yet.") == 2
    assert made.select("table") == []


def test_machines_stand_side_by_side(project):
    contribute(project)
    made = page(project, *MACHINES)
    known, claims, values = map(rows, made.select("table"))
    assert [row[0] for row in known] == ["This machine", "slow-machine"]
    assert known[1][1].startswith("Measured ")
    assert claims[0] == [
        "A fit takes less than twenty seconds.",
        "depends on the machine",
        "✓ holds",
        "✗ does not hold",
        "fits",
    ]
    assert "every machine that measured them: 3. Claims that depend on the machine: 1." in text(made)
    ((value, here, there),) = values
    assert value == "Fit of Large"
    assert "; 3.0" in there
    assert ";" not in here


def test_ratios_are_to_a_chosen_machine(project):
    contribute(project)
    lines = [*MACHINES[:8], ".. machines-values::", "   :relative-to: slow-machine", "", *MACHINES[-1:]]
    ((_, here, there),) = rows(page(project, *lines).select("table")[2])
    assert "; 0.33" in here
    assert ";" not in there


def test_other_results_are_one_more_machine(project):
    contribute(project, place="other")
    made = page(project, *MACHINES, options=["-D", f"mlperf_compare={project / 'other'}"])
    assert [row[0] for row in rows(made.select("table")[0])] == ["This machine", "Other results"]


def test_a_page_is_made_anew_when_a_machine_comes_and_when_it_goes(project):
    page(project, *MACHINES)
    contribute(project)
    assert "slow-machine" in text(build(project))
    shutil.rmtree(project / "docs/machines")
    assert "There are no results of other machines yet" in text(build(project))


def test_a_slip_fails_the_build_in_a_sentence(project, capsys):
    contribute(project)
    page(project, ".. machines-values::", "   :relative-to: fast", "", "   fits.fit[Large, last]", fails=True)
    assert "There is no machine 'fast', only This machine, slow-machine." in capsys.readouterr().err
    page(project, ".. machines-values::", fails=True)
    assert "machines-values needs a value in each line" in capsys.readouterr().err


def test_a_value_that_is_not_there_fails_the_build_of_one_machine_too(project, capsys):
    page(project, ".. machines-values::", "", "   fits.fitt[Large, last]", fails=True)
    assert "The nearest name is 'fits.fit'." in capsys.readouterr().err
