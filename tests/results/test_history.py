"""The history of values: published builds add to it once, and it is read back as it was written, or refused."""

import json

import pandas as pd
import pytest

from mlperf import Quantity, exact, publish, read
from mlperf.results.folder import ResultError
from mlperf.results.history import FIELDS, INDEX, append, names, series
from mlperf.results.sealed import seal, unseal


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "history"


def fits(*, time="2026-01-05T00:00:00+00:00", factor=1.0, mode="published", folder):
    """Publish as if at another time, by a protocol."""
    fit = Quantity.from_estimates(
        {("Small", 1_000): (0.5 * factor, 0.4 * factor, 0.6 * factor), ("Large", 1_000): (2.0 * factor, 1.9, 2.1)},
        by=["model", "n_samples"],
        unit="seconds",
        name="fit_seconds",
    )
    publish("fits", fit=fit, steps=exact(100), library="torch")
    path = folder / "fits.json"
    record = unseal(path.read_bytes())
    record["provenance"]["time"] = time
    record["provenance"]["protocol"]["MODE"] = mode
    path.write_bytes(seal(record))
    return read("fits")


def test_a_build_adds_its_values_once(folder, results):
    first = fits(folder=results)
    assert append(folder, first)
    assert not append(folder, first)
    assert append(folder, fits(folder=results, time="2026-01-12T00:00:00+00:00", factor=2))
    points = series(folder, "fits.fit[Large, last]")
    assert [point.time[:10] for point in points] == ["2026-01-05", "2026-01-12"]
    assert [point.quantity.value for point in points] == [2.0, 4.0]
    assert points[0].quantity.interval() == (1.9, 2.1)
    assert (
        points[0].machine
        == f"{first.provenance['machine']['processor']} ({first.provenance['machine']['cores']} cores)"
    )


def test_builds_are_in_the_order_of_their_times(folder, results):
    for time in ("2026-01-12T00:00:00+00:00", "2026-01-05T00:00:00+00:00"):
        append(folder, fits(folder=results, time=time))
    assert [point.time[:10] for point in series(folder, "fits.fit[Small]")] == ["2026-01-05", "2026-01-12"]


def test_values_of_a_device_are_no_new_level_of_those_of_the_cpu(folder, results):
    """A build with ``DEVICE=cuda`` on the same machine showed as a change of its values."""
    append(folder, fits(folder=results))
    path = results / "fits.json"
    fits(folder=results, time="2026-01-12T00:00:00+00:00")
    record = unseal(path.read_bytes())
    record["inputs"] |= {"device": "cuda", "accelerator": "NVIDIA H100, driver 550"}
    path.write_bytes(seal(record))
    assert append(folder, read("fits"))
    cpu, cuda = (point.machine for point in series(folder, "fits.fit[Large]"))
    assert cuda == f"{cpu} with NVIDIA H100, driver 550"


def test_previews_leave_no_history(folder, results):
    assert not append(folder, fits(folder=results, mode="quick"))
    assert not folder.exists()


def test_the_files_are_plain_tables_that_an_index_lists(folder, results):
    append(folder, fits(folder=results))
    frame = pd.read_csv(folder / "fits.csv")
    assert tuple(frame.columns) == FIELDS
    assert frame["key"].tolist() == ["fit", "fit", "steps"]
    assert json.loads(frame["labels"][1]) == {"model": "Large", "n_samples": 1_000}
    assert (folder / INDEX).read_text() == "fits.csv\n"
    assert names(folder) == ["fits"]
    assert sorted(path.name for path in folder.iterdir()) == ["fits.csv", INDEX]


def test_what_was_not_measured_in_a_build_is_no_point(folder, results):
    append(folder, fits(folder=results))
    assert series(folder, "fits.fit[Medium, 1000]") == []
    assert series(folder, "fits.slower") == []
    assert series(folder, "others.fit[Large, last]") == []


def test_a_reference_to_several_values_is_refused(folder, results):
    append(folder, fits(folder=results))
    with pytest.raises(ResultError, match=r"A history has a single value in each build. 'fits.fit' names 2."):
        series(folder, "fits.fit")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-20],
        lambda text: text.replace("time,", "when,"),
        lambda text: text.replace("seconds,2,", "seconds,two,"),
        lambda text: text.replace("seconds,2,", "parsecs,2,"),
        lambda text: text.replace("seconds,2,", "seconds,inf,"),
        lambda text: text.replace("1.9,", "-inf,"),
        lambda text: text.replace("2026-01-05T00:00:00+00:00", "yesterday"),
        lambda text: text.replace("+00:00", ""),
        lambda text: text.replace('""Large""', "Large"),
        lambda text: text.replace('""Large""', '{""q"": ""1/0""}'),
        lambda text: text.replace('""Large""', "[" * 50_000 + "]" * 50_000),
    ],
    ids=["torn", "columns", "number", "unit", "infinite", "end", "time", "zone", "labels", "fraction", "nested"],
)
def test_a_history_that_is_none_is_refused_and_left_as_it_is(folder, results, change):
    """It comes from the site that is there. Tried: odd times and labels ended a build with a traceback."""
    append(folder, fits(folder=results))
    path = folder / "fits.csv"
    path.write_text(change(path.read_text()))
    before = path.read_text()
    with pytest.raises(ResultError, match=r"The history .*fits.csv cannot be read \(.*\). Remove it, or restore it."):
        series(folder, "fits.fit[Large, 1000]") + series(folder, "fits.steps")
    assert path.read_text() == before
