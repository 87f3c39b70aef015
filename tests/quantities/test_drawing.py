import numpy as np
import pytest
from matplotlib.figure import Figure

from mlperf.quantities.drawing import draw_estimate, draw_reason, headline
from mlperf.results.publishing import publish


@pytest.fixture
def axes():
    return Figure().subplots()


@pytest.mark.parametrize("horizontal", [False, True])
def test_value_interval_and_every_run_are_drawn_where_they_belong(axes, horizontal):
    draw_estimate(axes, 3, (2.0, 1.0, 4.0), [1.5, 2.0, 3.5], horizontal=horizontal, scale=10)
    runs, (value, _, (whisker,)) = axes.lines[0], axes.containers[0]
    across, along = (runs.get_ydata(), runs.get_xdata()) if horizontal else (runs.get_xdata(), runs.get_ydata())
    assert across.tolist() == [3, 3, 3]
    assert along.tolist() == [15, 20, 35]
    assert value.get_xydata().tolist() == [[20, 3] if horizontal else [3, 20]]
    (segment,) = whisker.get_segments()
    assert segment[:, 0 if horizontal else 1].tolist() == [10, 40]


def test_bar_reaches_the_value_and_its_runs_stand_side_by_side(axes):
    draw_estimate(axes, 0, (2.0, 1.0, 4.0), [1.5, 2.0, 3.5], bar=0.5)
    assert axes.patches[0].get_height() == 2.0
    assert axes.patches[0].get_width() == 0.5
    assert len(set(axes.lines[0].get_xdata())) == 3


def test_value_without_interval_is_drawn_and_labelled(axes):
    draw_estimate(axes, 0, (2.0, np.nan, np.nan), label="Large")
    assert axes.texts[0].xy == (0, 2.0)


def test_headline_is_what_is_published_for_those_who_do_not_see_the_figure(tmp_path):
    figure = Figure()
    figure.subplots(1, 2)
    headline(figure, "Large takes longest")
    publish("fits", figures={"bars": figure})
    assert '"alt": "Large takes longest"' in (tmp_path / "results" / "fits.json").read_text()


def test_reason_for_drawing_nothing_fits_the_figure_and_is_what_is_published(tmp_path, axes):
    reason = "The engine needs a C++ compiler, and none was found. Install one, or name another in CXX."
    draw_reason(axes, reason)
    publish("fits", figures={"bars": axes.figure})
    assert f'"alt": "{reason}"' in (tmp_path / "results" / "fits.json").read_text()
    assert max(map(len, axes.get_title(loc="left").splitlines())) <= 60
