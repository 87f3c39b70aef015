import math

import pytest

from mlperf.profilers.energy import joules


def meter(folder, zone, name, microjoules, full=1_000_000_000):
    """Make a meter as Linux shows it; returns the file with its reading."""
    place = folder / zone
    place.mkdir()
    (place / "name").write_text(f"{name}\n")
    (place / "max_energy_range_uj").write_text(f"{full}\n")
    reading = place / "energy_uj"
    reading.write_text(f"{microjoules}\n")
    return reading


def test_energy_is_what_the_meters_of_all_packages_advance_by(tmp_path):
    first = meter(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    second = meter(tmp_path, "intel-rapl:1", "package-1", 100)

    def call():
        first.write_text("7500000\n")
        second.write_text("500100\n")

    assert joules(call, folder=tmp_path) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("zone", "name"), [("intel-rapl:0:0", "core"), ("intel-rapl:1", "psys"), ("intel-rapl-mmio:0", "package-0")]
)
def test_meter_of_what_a_package_counts_already_is_left_out(zone, name, tmp_path):
    package = meter(tmp_path, "intel-rapl:0", "package-0", 0)
    part = meter(tmp_path, zone, name, 0)

    def call():
        package.write_text("2000000\n")
        part.write_text("1000000\n")

    assert joules(call, folder=tmp_path) == pytest.approx(2.0)


def test_meter_that_starts_again_from_zero_meanwhile_is_understood(tmp_path):
    reading = meter(tmp_path, "intel-rapl:0", "package-0", 9_000_000, full=10_000_000)
    assert joules(lambda: reading.write_text("1000000\n"), folder=tmp_path) == pytest.approx(2.0)


def test_without_a_meter_the_call_is_made_and_its_energy_is_unknown(tmp_path):
    calls = []
    assert math.isnan(joules(lambda: calls.append(1), folder=tmp_path / "missing"))
    assert calls == [1]


def test_meter_that_must_not_be_read_counts_as_none(tmp_path):
    # A folder in place of the file refuses to be read, also by the administrator.
    meter(tmp_path, "intel-rapl:0", "package-0", 0).unlink()
    (tmp_path / "intel-rapl:0" / "energy_uj").mkdir()
    assert math.isnan(joules(lambda: None, folder=tmp_path))
