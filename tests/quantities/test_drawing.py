import io
from itertools import combinations, product
from math import inf, nan

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from matplotlib import pyplot as plt
from matplotlib.text import Text

from mlperf import Quantity, Runs, exact, headline, reference, subplots
from mlperf.quantities.drawing import COLORS, QUIET, label
from mlperf.quantities.labels import CONTRAST, Labels, broken, contrast, in_order, legible, spread
from mlperf.quantities.scales import LogTicks, Prefixed

MODELS = ["Small", "Medium", "Large"]
SIZES = [1_000, 5_000, 10_000]
DARK_PAGE = "#14181e"


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    plt.close("all")


def measured(n_processes=6, column="fit_seconds", **levels):
    """Return runs whose values grow with the place of each label, and by a hundredth from process to process."""
    rows = []
    for places in product(*(range(len(labels)) for labels in levels.values())):
        labels = {name: known[place] for (name, known), place in zip(levels.items(), places, strict=True)}
        size = np.prod([1 + place for place in places])
        rows += [{**labels, "process": p, column: size * (1 + p / 100)} for p in range(n_processes)]
    return Runs(pd.DataFrame(rows), by=list(levels))[column]


def axes_of(drawn):
    return list(np.ravel(drawn))


def beside(axes):
    return [label for artist in axes.artists if isinstance(artist, Labels) for label in artist.texts]


def dots(axes):
    return np.concatenate([line.get_xydata() for line in axes.lines if line.get_marker() == "."])


def whiskers(axes):
    return [segment for stack in axes.collections for segment in stack.get_segments()]


def tick_texts(axis):
    return [text.get_text() for text in axis.get_ticklabels() if text.get_text()]


# What is drawn


@pytest.mark.parametrize("horizontal", [False, True])
def test_bars_reach_from_zero_to_the_values_in_base_units(horizontal):
    fit = measured(model=MODELS)
    axes = fit.plot(kind="bar", horizontal=horizontal)
    ends = [bar.get_width() if horizontal else bar.get_height() for bar in axes.patches]
    assert ends == [fit[model].value for model in MODELS]
    assert (axes.get_xlim() if horizontal else axes.get_ylim())[0] == 0


@pytest.mark.parametrize("kind", ["bar", "dot"])
@pytest.mark.parametrize("horizontal", [False, True])
def test_every_run_is_a_dot_of_its_own(kind, horizontal):
    fit = measured(model=MODELS)
    seen = dots(fit.plot(kind=kind, horizontal=horizontal))
    along, across = (seen[:, 0], seen[:, 1]) if horizontal else (seen[:, 1], seen[:, 0])
    for place, model in enumerate(MODELS):
        assert along[np.abs(across - place) < 0.5].tolist() == fit[model].runs.tolist()
    assert len(set(across)) == len(across)


@pytest.mark.parametrize("horizontal", [False, True])
def test_whiskers_are_the_95_percent_intervals(horizontal):
    fit = measured(model=MODELS)
    drawn = whiskers(fit.plot(kind="dot", horizontal=horizontal))
    ends = [segment[:, 0 if horizontal else 1].tolist() for segment in drawn]
    assert np.allclose(ends, [fit.at(model=model).interval() for model in MODELS])


@pytest.mark.parametrize(
    "quantity",
    [
        exact({"Small": 2, "Large": 3}, by="model"),
        Quantity.from_estimates({"Small": (2, nan, nan), "Large": (3, nan, nan)}, by="model"),
        measured(model=["Small", "Large"], n_processes=1),
    ],
    ids=["exact", "unknown", "one process"],
)
def test_without_a_known_interval_there_is_no_whisker(quantity):
    axes = quantity.plot(kind="dot")
    assert not whiskers(axes)
    assert len(axes.lines) >= 1


def test_interval_without_an_end_is_an_arrow():
    axes = Quantity.from_estimates({"Small": (2.0, 1.0, inf)}, by="model").plot(kind="dot")
    caret = matplotlib.markers.CARETUPBASE
    assert [line.get_marker() for line in axes.lines].count(caret) == 1
    assert np.isfinite(axes.get_ylim()).all()


def test_line_runs_through_the_values_over_their_sizes():
    sizes = [10, 30, 100, 300, 1_000]
    epoch = measured(n_samples=sizes)
    axes = epoch.plot()
    (line,) = (line for line in axes.lines if line.get_linestyle() == "-")
    assert line.get_xdata().tolist() == sizes
    assert line.get_ydata().tolist() == [epoch[size].value for size in sizes]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "Samples"


def test_scalar_is_one_bar():
    axes = measured(model=MODELS)["Small"].plot()
    assert len(axes.patches) == 1
    assert not tick_texts(axes.xaxis)


# What is chosen where nothing is asked for


def is_bar(axes):
    return any(bar.get_width() < 1 and bar.get_height() > 0 and bar.get_y() == 0 for bar in axes.patches)


def test_few_values_of_like_size_are_bars():
    axes = measured(model=MODELS, engine=["eager", "fused"]).plot(x="model")
    assert is_bar(axes)
    assert axes.get_yscale() == "linear"


def test_values_further_apart_than_a_decade_are_dots_on_a_logarithmic_scale():
    axes = exact({"Small": 1, "Large": 40}, by="model").plot()
    assert not is_bar(axes)
    assert axes.get_yscale() == "log"


def test_many_labels_are_dots():
    assert not is_bar(measured(model=list("ABCDE")).plot())


def test_values_that_are_not_above_zero_stay_on_a_linear_scale():
    axes = exact({"Small": -1, "Large": 40}, by="model").plot()
    assert axes.get_yscale() == "linear"


def test_labels_that_do_not_fit_below_become_rows_from_top_to_bottom():
    names = [f"a rather long name of operator {number}" for number in range(6)]
    axes = measured(operator=names).plot()
    texts = [text.replace("\n", " ") for text in tick_texts(axes.yaxis)]
    assert texts == names
    assert axes.yaxis_inverted()


def test_more_rows_make_the_figure_taller():
    heights = [
        measured(operator=[f"operator {number}" for number in range(n)])
        .plot(horizontal=True)
        .get_figure()
        .get_figheight()
        for n in (6, 12, 24)
    ]
    assert heights[1] - heights[0] > 1
    assert heights[2] - heights[1] == pytest.approx(2 * (heights[1] - heights[0]))


def test_second_level_is_told_apart_by_colour_and_marker():
    axes = measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", kind="dot")
    marked = [line for line in axes.lines if line.get_marker() in "os^"]
    assert len({line.get_color() for line in marked}) == len({line.get_marker() for line in marked}) == 3


def test_any_number_of_series_has_its_own_look():
    axes = measured(model=[f"model {number}" for number in range(20)], n_samples=SIZES).plot(x="n_samples", kind="dot")
    looks = [(line.get_color(), line.get_marker()) for line in axes.lines if line.get_markeredgecolor() == "white"]
    assert len(looks) == len(set(looks)) == 20


def test_colour_is_taken_from_who_asks_for_it():
    axes = measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", kind="dot", colors={"Large": "black"})
    assert [line.get_color() for line in axes.lines if line.get_marker() == "^"] == ["black"]


# Axes


@pytest.mark.parametrize(
    ("size", "unit", "label"), [(1e-3, "seconds", "Fit time (ms)"), (5, "seconds", "Fit time (s)")]
)
def test_axis_has_one_prefix_and_says_what_it_shows(size, unit, label):
    axes = exact({"Small": size, "Large": 2 * size}, by="model", unit=unit, name="fit_seconds").plot()
    assert axes.get_ylabel() == label


def test_ticks_are_in_the_unit_of_the_axis():
    axes = exact({"Small": 0.001, "Large": 0.002}, by="model", unit="seconds").plot()
    axes.set_yticks([0, 0.0015])
    assert tick_texts(axes.yaxis) == ["0", "1.5"]


@pytest.mark.parametrize("horizontal", [False, True])
def test_ticks_have_their_own_units_where_one_prefix_would_give_long_numbers(horizontal):
    quantity = exact({"Small": 2e-4, "Medium": 3e-3, "Large": 4.0}, by="model", unit="seconds", name="fit_seconds")
    axes = quantity.plot(kind="dot", log=True, horizontal=horizontal)
    assert {"1\xa0ms", "1\xa0s"} <= set(tick_texts(axes.xaxis if horizontal else axes.yaxis))
    assert (axes.get_xlabel() if horizontal else axes.get_ylabel()) == "Fit time"


def test_figure_says_what_a_hollow_dot_is_where_there_is_one():
    frame = pd.DataFrame({"model": MODELS * 6, "process": sorted([*range(6)] * 3), "seconds": range(1, 19)})
    calm = Runs(frame.assign(load=0.5), by="model")["seconds"].plot(kind="dot")
    disturbed = Runs(frame.assign(load=[0.5] * 17 + [9]), by="model")["seconds"].plot(kind="dot")
    assert calm.get_figure().get_supxlabel() == ""
    assert disturbed.get_figure().get_supxlabel() == "Hollow dots: disturbed runs."


def test_shares_are_shown_in_percent():
    axes = exact({"a": 0.25, "b": 0.5}, by="part", unit="fraction").plot()
    axes.set_yticks([0.5])
    assert tick_texts(axes.yaxis) == ["50"]
    assert axes.get_ylabel() == "Share (%)"


def test_sizes_say_what_they_are_where_they_fit():
    axes = measured(n_samples=SIZES).plot()
    assert tick_texts(axes.xaxis) == ["1,000 samples", "5,000 samples", "10,000 samples"]
    assert axes.get_xlabel() == ""


def test_sizes_are_shorter_in_panels_and_the_axis_says_what_they_are():
    panels = measured(model=MODELS, n_samples=SIZES, split=["train", "test", "all"]).plot(x="n_samples", panels="split")
    for axes in panels:
        assert tick_texts(axes.xaxis) == ["1k", "5k", "10k"]
    assert [axes.get_xlabel() for axes in panels] == ["", "Samples", ""], "once, in the middle"


# Panels


def test_there_is_a_panel_for_each_label_on_one_scale():
    panels = measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", panels="model")
    assert [axes.get_title(loc="left") for axes in panels] == MODELS
    assert len({axes.get_ylim() for axes in panels}) == 1
    assert [axes.get_ylabel() for axes in panels] == ["Fit time (s)", "", ""]


@pytest.mark.parametrize("horizontal", [False, True])
def test_panels_of_different_scale_have_units_of_their_own_and_say_so(horizontal):
    sizes = {("one", "a"): 1e-6, ("one", "b"): 2e-6, ("many", "a"): 1.0, ("many", "b"): 3.0}
    quantity = exact(sizes, by=["rows", "who"], unit="seconds")
    panels = quantity.plot(x="who", panels="rows", sharey=False, horizontal=horizontal)
    texts = [axes.get_xlabel() if horizontal else axes.get_ylabel() for axes in panels]
    assert texts == ["Time (µs)", "Time (s)"]
    assert panels[0].get_figure().get_supxlabel() == "Each panel has a scale of its own."


def test_third_level_is_a_panel_each():
    panels = measured(split=["train", "test"], model=MODELS, n_samples=SIZES).plot()
    assert [axes.get_title(loc="left") for axes in panels] == ["train", "test"]


def test_series_are_named_once_in_a_row_of_panels():
    panels = measured(model=MODELS, n_samples=SIZES, split=["train", "test"]).plot(x="n_samples", panels="split")
    assert [len(beside(axes)) for axes in panels] == [0, 3]


# Labels


OPERATORS = [f"aten::operator_{number}" for number in range(24)]


def panels_with_reference():
    panels = measured(model=MODELS, n_samples=SIZES, split=["train", "test", "all"]).plot(x="n_samples", panels="split")
    for axes in panels:
        reference(axes, 8.5, "noise")
    return panels


def rows_with_references():
    axes = measured(change=["two threads", "no profiler", "fused"]).plot(horizontal=True)
    reference(axes, 1, "unchanged")
    reference(axes, 1.05, "nearly unchanged")
    return axes


FIGURES = {
    "dots": lambda: measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", by="model", kind="dot"),
    "bars": lambda: measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", by="model", kind="bar"),
    "rows": lambda: measured(model=MODELS, operator=OPERATORS).plot(x="operator", by="model", horizontal=True),
    "panels of rows": lambda: measured(model=MODELS, who=list("ABCDEF")).plot(x="who", panels="model", horizontal=True),
    "lines": lambda: measured(model=[f"model {n}" for n in range(12)], n_samples=[100 * 2**n for n in range(8)]).plot(),
    "level": lambda: exact({(n, k): 1 for n in MODELS for k in SIZES}, by=["model", "n_samples"]).plot(x="n_samples"),
    "panels": panels_with_reference,
    "references": rows_with_references,
}


@pytest.mark.parametrize("drawn", FIGURES.values(), ids=FIGURES)
def test_no_text_hides_another_or_a_mark_or_is_cut_off(drawn):
    axes = axes_of(drawn())
    figure = axes[0].get_figure()
    headline(axes, "What is seen in this figure is said in a sentence that is longer than the figure is wide")
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for one in axes for text in beside(one)]
    for one in axes:
        for axis in (one.xaxis, one.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            boxes += [text.get_window_extent(renderer) for text in [*ticks, axis.label] if text.get_visible()]
    boxes.append(figure._suptitle.get_window_extent(renderer))
    boxes = [box for box in boxes if box.width and box.height]
    for first, second in combinations(boxes, 2):
        assert min(first.x1, second.x1) - max(first.x0, second.x0) < 1 or (
            min(first.y1, second.y1) - max(first.y0, second.y0) < 1
        )
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    marks = [one.get_window_extent(renderer) for one in axes]
    assert not any(mark.overlaps(text.get_window_extent(renderer)) for mark in marks for text in beside(axes[-1]))


def test_there_is_a_label_for_each_series_in_its_colour():
    axes = measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", kind="dot")
    assert [text.get_text() for text in beside(axes)] == MODELS
    assert [text.get_color() for text in beside(axes)] == [color.lower() for color in COLORS[:3]]


def test_series_that_is_not_in_the_last_panel_is_named_too():
    cells = {("a", "one"): 1, ("b", "one"): 2, ("a", "two"): 3}
    panels = exact(cells, by=["who", "rows"]).plot(x=None, by="who", panels="rows")
    assert [text.get_text() for text in beside(panels[-1])] == ["a", "b"]


def test_label_stands_at_the_last_value_where_there_is_room():
    fit = measured(model=MODELS, n_samples=SIZES)
    axes = fit.plot(x="n_samples", kind="dot")
    axes.get_figure().canvas.draw()
    for text in beside(axes):
        wanted = axes.transData.transform((0, fit[text.get_text(), SIZES[-1]].value))[1]
        assert text.get_position()[1] == pytest.approx(wanted)


def heights_of_labels(axes):
    axes.get_figure().canvas.draw()
    return {text.get_text(): text.get_position()[1] for text in beside(axes)}


@pytest.mark.parametrize("kind", ["bar", "dot"])
def test_labels_at_nearly_the_same_height_have_the_order_in_which_the_series_stand(kind):
    """Reported: beside bars of nearly the same height, the labels were in another order than the bars."""
    cells = {(name, size): 4 * size + place / 100 for place, name in enumerate(MODELS) for size in (1, 2)}
    heights = heights_of_labels(exact(cells, by=["model", "n"]).plot(x="n", by="model", kind=kind))
    assert sorted(heights, key=heights.get, reverse=True) == MODELS


def test_labels_of_lines_have_the_order_in_which_the_lines_end():
    cells = {(name, size): size + place / 100 for place, name in enumerate(MODELS) for size in range(1, 7)}
    heights = heights_of_labels(exact(cells, by=["model", "n"]).plot(x="n", by="model", kind="line"))
    assert sorted(heights, key=heights.get) == MODELS


def test_reference_keeps_its_place_among_labels_in_the_order_of_the_series():
    cells = {(name, size): 4 * size + place / 100 for place, name in enumerate(["a", "b"]) for size in (1, 2)}
    axes = exact(cells, by=["model", "n"]).plot(x="n", by="model", kind="dot")
    reference(axes, 8.02, "most")
    heights = heights_of_labels(axes)
    assert sorted(heights, key=heights.get, reverse=True) == ["most", "a", "b"]


def test_labels_at_heights_that_differ_have_the_order_of_their_values():
    cells = {(name, size): 4 * size + place for place, name in enumerate(MODELS) for size in (1, 2)}
    heights = heights_of_labels(exact(cells, by=["model", "n"]).plot(x="n", by="model", kind="dot"))
    assert sorted(heights, key=heights.get) == MODELS


def test_places_of_other_heights_stay_where_they_are():
    assert in_order([3, 7, 20], [True, True, True], near=2).tolist() == [3, 7, 20]


def test_what_is_drawn_by_hand_is_named_without_overlap():
    _, axes = subplots()
    for place, name in enumerate(MODELS):
        (line,) = axes.plot([0, 1], [0, 1 + place / 100])
        label(axes, 1 + place / 100, name, color=line.get_color())
    heights = heights_of_labels(axes)
    assert heights["Large"] - heights["Medium"] > 10
    assert heights["Medium"] - heights["Small"] > 10


def test_labels_beside_the_axes_leave_room_to_the_edge():
    axes = measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", by="model")
    figure = axes.get_figure()
    figure.canvas.draw()
    ends = [text.get_window_extent(figure.canvas.get_renderer()).x1 for text in beside(axes)]
    assert figure.bbox.x1 - max(ends) > 4


@pytest.mark.parametrize("seed", range(20))
def test_spread_places_keep_order_and_distance_and_move_no_more_than_they_must(seed):
    rng = np.random.default_rng(seed)
    wanted, sizes = rng.uniform(0, 100, 6), rng.uniform(2, 12, 6)
    places = spread(wanted, sizes, 0, 100)
    order = np.argsort(wanted)
    gaps = np.diff(places[order]) - (sizes[order][1:] + sizes[order][:-1]) / 2
    assert (gaps > -1e-9).all()
    assert (places - sizes / 2 > -1e-9).all()
    assert (places + sizes / 2 < 100 + 1e-9).all()
    # Whatever touches nothing is where it wants to be.
    free = (np.concatenate([[inf], gaps]) > 1e-9) & (np.concatenate([gaps, [inf]]) > 1e-9)
    inside = (places[order] - sizes[order] / 2 > 1e-9) & (places[order] + sizes[order] / 2 < 100 - 1e-9)
    assert np.allclose(places[order][free & inside], wanted[order][free & inside])


def test_what_does_not_fit_goes_beyond_both_ends_alike():
    assert spread([0, 0, 0], [10, 10, 10], 0, 20).tolist() == [0, 10, 20]


def test_long_names_are_broken_where_they_have_joints():
    assert broken("aten::_foreach_addcmul_ of the optimiser", 16).splitlines() == [
        "aten::_foreach_",
        "addcmul_ of the",
        "optimiser",
    ]
    assert broken("torch/autograd/__init__.py(91): _make_grads", 28).splitlines() == [
        "torch/autograd/",
        "__init__.py(91): _make_grads",
    ]
    assert "".join(broken("x" * 50, 20).splitlines()) == "x" * 50


# Colours


def on_dark_page(color):
    """Return a colour after ``filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen`` on the dark page."""
    turned = 2 * np.outer(np.ones(3), [0.213, 0.715, 0.072]) - np.eye(3)
    shown = np.clip(turned @ (1 - np.asarray(colors.to_rgb(color))), 0, 1)
    return 1 - (1 - shown) * (1 - np.asarray(colors.to_rgb(DARK_PAGE)))


@pytest.mark.parametrize("color", [*COLORS, QUIET, "yellow"])
def test_labels_are_legible_on_a_light_and_on_a_dark_page(color):
    assert contrast(legible(color), "white") >= CONTRAST
    assert contrast(on_dark_page(legible(color)), DARK_PAGE) >= CONTRAST


@pytest.mark.parametrize("color", COLORS)
def test_marks_are_seen_on_a_light_and_on_a_dark_page(color):
    assert contrast(color, "white") >= 3
    assert contrast(on_dark_page(color), DARK_PAGE) >= 3


# Around the drawing


def test_style_is_that_of_the_report_and_the_callers_stays_as_it_is():
    with plt.rc_context({"axes.facecolor": "yellow", "font.size": 30, "axes.grid": False}):
        before, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
        axes = measured(model=MODELS).plot(title="Large takes longest")
        reference(axes, 1, "Small")
        figure, _ = subplots()
        figure.canvas.draw()
        axes.get_figure().canvas.draw()
        assert dict(matplotlib.rcParams) == before
        assert matplotlib.get_backend() == backend
    assert colors.to_hex(axes.get_facecolor()) == "#ffffff"
    assert axes.yaxis.label.get_size() < 15
    assert {text.get_size() for text in axes.get_yticklabels()} == {10.5}


def test_same_quantity_makes_the_same_file():
    def drawn():
        axes = measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", title="Large takes longest")
        file = io.BytesIO()
        with plt.rc_context({"svg.hashsalt": "mlperf"}):
            axes.get_figure().savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    assert drawn() == drawn()


def test_quantity_is_drawn_where_it_is_told():
    _, (left, right) = subplots(1, 2)
    assert measured(model=MODELS).plot(ax=right) is right
    assert not left.patches
    assert len(right.patches) == 3


@pytest.mark.parametrize("plotted", [{"x": "model"}, {"x": "n", "by": "model"}, {"x": "n", "panels": "model"}])
def test_dollar_signs_begin_no_formula(plotted):
    """Tried: a model whose name has two dollar signs could not be drawn, or was drawn as a formula."""
    names = ["from $5 to $6", r"$\nonsense{$"]
    time = measured(model=names, n=[1, 2], column="$_seconds")
    drawn = axes_of((time.at(n=1) if plotted == {"x": "model"} else time).plot(**plotted))
    reference(drawn[-1], 1, names[1])
    figure = drawn[0].get_figure()
    figure.savefig(io.BytesIO())
    texts = [*figure.findobj(Text), *beside(drawn[-1])]
    assert set(names) <= {" ".join(text.get_text().split()) for text in texts}


def test_headline_is_broken_to_the_width_of_the_figure():
    _, axes = subplots()
    sentence = "Large takes four times as long as Small, and on more samples even longer than that, at most $5$ times"
    headline(axes, sentence)
    figure = axes.get_figure()
    figure.canvas.draw()
    box = figure._suptitle.get_window_extent(figure.canvas.get_renderer())
    assert " ".join(figure.get_suptitle().split()) == sentence
    assert 0.6 * figure.bbox.width < box.width <= figure.bbox.width


def test_headline_is_not_broken_between_a_number_and_its_unit():
    for n in range(30, 60):
        _, axes = subplots()
        headline(axes, f"{'x' * n} takes 46.2\xa0% to 49.0\xa0% of the time")
        lines = axes.get_figure().get_suptitle().splitlines()
        plt.close(axes.get_figure())
        assert not any(line.startswith("%") for line in lines)


def test_headline_of_one_of_several_axes_is_its_title():
    figure, (left, right) = subplots(1, 2)
    headline(left, "Large takes longest")
    assert left.get_title(loc="left").split() == ["Large", "takes", "longest"]
    assert figure.get_suptitle() == right.get_title(loc="left") == ""


@pytest.mark.parametrize("whole", [True, False])
def test_headline_of_all_panels_is_that_of_the_figure(whole):
    figure, panels = subplots(1, 2)
    headline(figure if whole else panels, "Large takes longest")
    assert figure.get_suptitle() == "Large takes longest"


@pytest.mark.parametrize(("horizontal", "vertical"), [(False, None), (True, None), (False, False)])
def test_reference_lies_across_the_values(horizontal, vertical):
    axes = measured(model=MODELS).plot(horizontal=horizontal)
    reference(axes, 1.5, "limit", vertical=vertical)
    line = axes.lines[-1]
    assert set(line.get_xdata() if horizontal else line.get_ydata()) == {1.5}
    assert [text.get_text() for text in beside(axes)] == ["limit"]


def test_reference_stands_at_a_size():
    axes = measured(n_samples=[10, 20, 30, 40, 50]).plot()
    reference(axes, 25, "cache", vertical=True)
    assert set(axes.lines[-1].get_xdata()) == {25}


def test_reference_in_a_row_of_panels_is_named_once():
    panels = measured(model=MODELS, n_samples=SIZES).plot(x="n_samples", panels="model")
    for axes in panels:
        reference(axes, 2, "noise")
    assert [len(beside(axes)) for axes in panels] == [0, 0, 1]


# Slips


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "pie"}, ValueError, "must be one of bar, dot, line. Got 'pie'"),
        ({"kind": "bar", "log": True}, ValueError, "begins at zero.*Give kind='dot'"),
        ({"kind": "line", "x": "model"}, ValueError, "must be a level of numbers.*Got 'model'"),
        ({"x": "model", "by": "model"}, ValueError, "Got 'model' more than once"),
        ({"x": "modell"}, KeyError, "Did you mean 'model'"),
    ],
)
def test_slip_is_named(options, error, message):
    with pytest.raises(error, match=message):
        measured(model=MODELS, n_samples=SIZES).plot(**options)


def test_axes_have_no_room_for_panels():
    _, axes = subplots()
    with pytest.raises(ValueError, match="room for one panel"):
        measured(model=MODELS, n_samples=SIZES).plot(ax=axes, panels="model")


def test_too_many_levels_are_refused_with_the_way_out():
    four = exact({("a", "b", "c", "d"): 1}, by=["one", "two", "three", "four"])
    with pytest.raises(ValueError, match=r"places for three levels.*q.at\(one='a'\)"):
        four.plot()


def test_logarithmic_scale_of_what_is_not_above_zero_is_refused():
    with pytest.raises(ValueError, match="above zero"):
        exact({"a": 0, "b": 1}, by="part").plot(log=True)


def test_ticks_of_less_than_a_decade_do_not_crowd_at_its_upper_end():
    sizes = {"a": 20e-6, "b": 60e-6, "c": 180e-6}
    axes = exact(sizes, by="who", unit="seconds").plot(x="who", kind="dot", horizontal=True, log=True)
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    gaps = np.diff(np.log10(ticks))
    assert len(ticks) >= 2
    assert gaps.min() > 0.25


def test_two_panels_say_between_them_what_both_show():
    panels = measured(model=MODELS, n_samples=SIZES, split=["train", "test"]).plot(x="n_samples", panels="split")
    assert [axes.get_xlabel() for axes in panels] == ["Samples", ""]
    assert panels[0].xaxis.label.get_position()[0] > 1


def test_panels_with_scales_of_their_own_break_what_they_say_into_lines():
    sizes = {"train": 1e-6, "test": 1e-3, "all": 1.0}
    cells = {(name, split): size for name in ("aten::addmm", "aten::mul_") for split, size in sizes.items()}
    quantity = exact(cells, by=("operator", "split"), unit="seconds", name="self_cpu_seconds")
    panels = quantity.plot(x="operator", panels="split", horizontal=True, sharey=False)
    said = [axes.get_xlabel() for axes in panels]
    assert len(set(said)) > 1
    assert all("\n" in one for one in said)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (15, 600, [30, 100, 300]),
        (200, 8_000, [300, 1_000, 3_000]),
        (1, 1e5, [1, 100, 10_000]),
        (2.1, 4.2, [3, 4]),
    ],
)
def test_logarithmic_ticks_are_no_more_than_there_is_room_for(low, high, ticks):
    _, axes = subplots()
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogTicks(3 if high > 5 else 5, Prefixed()))
    assert axes.yaxis.get_major_locator().tick_values(low, high).tolist() == ticks


def test_ticks_along_x_leave_room_between_their_texts():
    figure, (axes, _) = subplots(1, 2, figsize=(3, 2))
    axes.set_xscale("log")
    axes.set_xlim(200, 8_000)
    axes.xaxis.set_major_locator(LogTicks(3, Prefixed()))
    figure.canvas.draw()
    assert len(axes.xaxis.get_major_locator()()) == 2
