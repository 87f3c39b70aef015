"""How sentences call what is compared."""

import pytest

from mlperf import Quantity, exact


def fits(*labels):
    numbers = {label: (number, 0.9 * number, 1.1 * number) for number, label in enumerate(labels, 2)}
    return Quantity.from_estimates(numbers, by="model", unit="seconds")


def sentence(check):
    (one,) = check.evidence()
    return one.sentence.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda fit: fit["b"] / fit["a"] > 1, "B takes 1.5 times (1.3 to 1.7) as long as a; expected: more than 1×."),
        (lambda fit: fit["b"] - fit["a"] < 9, "B takes 1.0 s (0.6 to 1.4) longer than a; expected: less than 9 s."),
        (lambda fit: 2 * (fit["b"] - fit["a"]) < 9, "B minus a is 2.0 s (1.3 to 2.7); expected: less than 9 s."),
        (lambda fit: fit["b"] < 9, "B: 3.0 s (2.7 to 3.3); expected: less than 9 s."),
    ],
)
def test_a_contrast_is_said_with_a_verb_as_long_as_one_fits(check, said):
    assert sentence(check(fits("a", "b"))) == said


def test_what_was_combined_over_all_labels_is_called_by_them_alone():
    share = fits("a", "b") / fits("a", "b")["a"]
    assert [one.label for one in (share > 1).evidence()] == ["a", "b"]


def test_labels_with_braces_are_said_as_they_are():
    fit = fits("{a}", "{}")
    assert sentence(fit["{}"] - fit["{a}"] < 9).startswith("{} takes 1.0 s (0.6 to 1.4) longer than {a};")
    assert sentence(exact({"{}": 1}, by="model") < 9) == "{}: 1; expected: less than 9."
