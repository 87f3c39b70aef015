import numpy as np
from matplotlib.figure import Figure

from mlperf import exact
from mlperf.quantities.drawing import draw_reason


def test_exact_value_is_drawn_in_base_units():
    axes = exact({"Small": 0.01, "Large": 0.02}, by="model", unit="seconds").plot()
    assert np.allclose([bar.get_height() for bar in axes.patches], [0.01, 0.02])


def test_reason_for_drawing_nothing_fits_the_figure():
    axes = Figure().subplots()
    draw_reason(axes, "The engine needs a C++ compiler, and none was found. Install one, or name another in CXX.")
    assert max(map(len, axes.get_title(loc="left").splitlines())) <= 60
