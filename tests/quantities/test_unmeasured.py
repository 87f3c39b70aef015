import pytest

from mlperf import not_measured, publish, read

STATEMENTS = {"faster": "The GPU is faster than the CPU.", "smaller": "The GPU needs less memory than the CPU."}
REASON = "The engine needs a C++ compiler, and none was found; install one, or name another in CXX"


def test_every_claim_is_not_measured_and_gives_the_reason():
    results = not_measured(STATEMENTS, reason="torch finds no GPU", figure="times")
    assert list(results) == ["faster", "smaller", "times"]
    for name, statement in STATEMENTS.items():
        assert results[name].statement == statement
        assert results[name].verdict == "not measured"
        assert "torch finds no GPU" in results[name].text


def test_reason_fits_the_figure_and_nothing_else_is_drawn():
    figure = not_measured(STATEMENTS, reason=REASON, figure="times")["times"]
    (axes,) = figure.axes
    figure.canvas.draw()
    box = axes.title.get_window_extent(figure.canvas.get_renderer())
    assert " ".join(axes.get_title().split()) == f"Not measured here: {REASON}."
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert not axes.axison


def test_what_is_published_says_why_instead_of_a_number(results):
    publish("times", status="left out", **not_measured(STATEMENTS, reason="torch finds no GPU", figure="speeds"))
    result = read("times", folder=results)
    assert "torch finds no GPU" in result["faster"].text
    assert result["speeds"].alt == "Not measured here: torch finds no GPU."


@pytest.mark.parametrize(("reason", "figure"), [("", "times"), (" ", "times"), (None, "times"), ("no GPU", "faster")])
def test_reason_must_say_something_and_the_figure_needs_a_name_of_its_own(reason, figure):
    with pytest.raises(ValueError, match="parameter of not_measured must"):
        not_measured(STATEMENTS, reason=reason, figure=figure)
