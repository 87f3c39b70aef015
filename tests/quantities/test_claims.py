"""A claim has words for every verdict, and the verdict follows from all of its checks."""

import math
import re

import pytest

from mlperf import Quantity, claim, exact, fact
from mlperf.quantities.checks import FAILS, HOLDS, UNDECIDED, UNMEASURED, Check


def measured(*ends, unit="ratio"):
    """Return a quantity with one cell for each (value, low, high)."""
    return Quantity.from_estimates({f"cell {i}": end for i, end in enumerate(ends)}, by="cell", unit=unit)


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((2.0, 1.5, 2.5), HOLDS),
        ((0.5, 0.4, 0.6), FAILS),
        ((1.1, 0.9, 1.3), UNDECIDED),
        ((2.0, math.nan, math.nan), UNDECIDED),
        ((1.5, 1.0, 2.0), UNDECIDED),
    ],
)
def test_a_comparison_holds_only_if_its_whole_interval_is_on_the_right_side(ends, verdict):
    assert (measured(ends) > 1).verdict == verdict


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((1.0, 0.95, 1.05), HOLDS),
        ((1.0, 0.9, 1.1), HOLDS),
        ((1.3, 1.2, 1.4), FAILS),
        ((1.1, 1.0, 1.2), UNDECIDED),
    ],
)
def test_a_range_includes_its_ends(ends, verdict):
    assert measured(ends).within(0.9, 1.1).verdict == verdict


def test_a_claim_holds_if_all_checks_do_and_does_not_hold_if_one_fails():
    good, bad, open_ = measured((2, 1.5, 2.5)), measured((0.5, 0.45, 0.55)), measured((1.0, 0.8, 1.2))
    assert claim("It is.", good > 1, good > 1).verdict == HOLDS
    assert claim("It is.", good > 1, open_ > 1).verdict == UNDECIDED
    assert claim("It is.", good > 1, open_ > 1, bad > 1).verdict == FAILS


def test_the_level_at_which_one_of_many_comparisons_refutes_a_claim_is_divided_by_their_number():
    just_below = (0.97, 0.945, 0.995)
    assert (measured(just_below) > 1).verdict == FAILS
    many = measured(just_below, *[(2.0, 1.9, 2.1)] * 20)
    assert (many > 1).verdict == UNDECIDED


def test_a_negated_check_holds_where_the_check_does_not():
    falls = measured((0.5, 0.4, 0.6), (1.5, 1.4, 1.6)) < 1
    assert falls.verdict == FAILS
    assert (~falls).verdict == HOLDS
    assert (~~falls).verdict == FAILS
    assert (~(measured((1.0, 0.8, 1.2)) < 1)).verdict == UNDECIDED


def test_a_check_is_neither_true_nor_false_and_says_what_to_do_instead():
    with pytest.raises(TypeError, match=re.escape("holds, does not hold, or is undecided. Give it to claim")):
        bool(measured((2, 1, 3)) > 1)
    with pytest.raises(TypeError, match=re.escape("write q.within")):
        assert 0 < measured((2, 1, 3)) < 4


def test_a_claim_says_the_text_of_its_verdict():
    texts = {"otherwise": "It is not.", "undecided": "Who knows.", "unmeasured": "Nobody looked."}
    assert claim("It is.", measured((2, 1.5, 2.5)) > 1, **texts).text == "It is."
    assert claim("It is.", measured((0.5, 0.4, 0.6)) > 1, **texts).text == "It is not."
    assert claim("It is.", measured((1, 0.5, 1.5)) > 1, **texts).text == "Who knows."
    assert claim("It is.", reason="no tool", **texts).text == "Nobody looked."


def test_a_claim_has_a_text_for_every_verdict_even_if_none_was_written():
    made = claim("R2 is high.", measured((2, 1.5, 2.5)) > 1)
    assert set(made.texts) == {HOLDS, FAILS, UNDECIDED, UNMEASURED}
    assert all(text.strip().endswith((".", "”.")) for text in made.texts.values())
    assert made.texts[FAILS] == "The claim “R2 is high” does not hold here."


def test_what_is_undecided_is_what_would_hold_put_in_doubt_with_the_same_numbers():
    near = measured((1.1, 0.9, 1.3))
    made = claim("Small is slower.", near > 1, holds="In training, Small is slower.", seen=f"it takes {near}")
    assert made.text == "It is open whether, in training, Small is slower: it takes 1.1× (0.9 to 1.3)."
    assert claim("In all, it is less.", near < 1, undecided="Nobody knows.").text == "Nobody knows."


def test_what_is_not_measured_is_a_verdict_of_its_own_with_its_reason():
    made = claim("The heap holds less.", reason="memray is not installed")
    assert made.mark == "– not measured"
    assert "memray is not installed" in made.text
    assert made.evidence == ()


def test_an_undecided_claim_says_what_would_decide_it():
    near = claim("It is.", Quantity({("a",): _sampled([1.0, 1.3, 1.1, 0.95, 1.2, 1.05, 1.15, 0.98])}, ["x"]) > 1)
    assert near.verdict == UNDECIDED
    assert "more processes would decide it" in near.advice
    at_it = claim("It is.", Quantity({("a",): _sampled([0.9, 1.1, 0.95, 1.05, 0.99, 1.01, 0.98, 1.02])}, ["x"]) > 1)
    assert at_it.advice.startswith("The value lies at the threshold")
    once = claim("It is.", measured((2, math.nan, math.nan)) > 1)
    assert once.advice.startswith("One process cannot decide it")


def _sampled(values):
    import numpy as np

    from mlperf.quantities.cells import Sampled

    numbers = np.arange(len(values))
    return Sampled(np.asarray(values), numbers, np.zeros_like(numbers), object())


def test_numbers_are_not_appended_to_a_text_that_tells_them_itself():
    ratio = measured((1.1, 0.9, 1.3))
    made = claim("It is faster.", ratio > 1, holds=f"It is {ratio} as fast.", otherwise="It is not.", seen=ratio)
    assert made.texts[HOLDS] == "It is 1.1× (0.9 to 1.3) as fast."
    assert made.texts[FAILS] == "It is not: 1.1× (0.9 to 1.3)."
    # What would hold may point the other way: the statement is put in doubt.
    assert made.texts[UNDECIDED] == "It is open whether it is faster: 1.1× (0.9 to 1.3)."


@pytest.mark.parametrize(
    ("sentence", "within"),
    [
        ("The time grows.", "the time grows."),
        ("Training takes long.", "training takes long."),
        ("A cell is small.", "a cell is small."),
        ("Up to then, all is well.", "up to then, all is well."),
        ("Overfitting, above all, costs.", "overfitting, above all, costs."),
        ("JAX is faster.", "JAX is faster."),
        ("DataLoader: slow.", "DataLoader: slow."),
        ("R2 is high.", "R2 is high."),
        ("Adam takes half of it.", "Adam takes half of it."),
        ("Large, as ever, takes longer.", "Large, as ever, takes longer."),
    ],
)
def test_within_a_sentence_only_names_begin_with_a_capital_letter(sentence, within):
    fit = exact({"fused Adam": 1.0, "Large": 3.5}, by="what", unit="seconds")
    made = claim(sentence, fit["fused Adam"] / fit["Large"] < 2, fact("The whole is a sum", True))
    assert made.text_within == within


def test_evidence_is_said_as_people_say_it():
    fit = exact({("Small", 1): 1.0, ("Large", 1): 3.5}, by=["model", "size"], unit="seconds")
    (one,) = (fit["Large"] - fit["Small"] < 2).evidence()
    assert one.sentence == "Large takes 2.5\u00a0s longer than Small (size 1); expected: less than 2\u00a0s."
    (one,) = (fit["Large"] / fit["Small"]).within(1, 2).evidence()
    assert one.sentence.startswith("Large takes 3.5 times as long as Small (size 1)")
    assert one.expected == "1× to 2×"


def test_the_comparisons_that_decided_come_first():
    made = claim("It is.", measured((2, 1.5, 2.5), (0.5, 0.45, 0.55)) > 1)
    assert [one.label for one in made.deciding] == ["cell 1"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("It is.", [exact(1) > 0]), TypeError, "separate several checks by commas, not in a list"),
        (("It is.", True), TypeError, "use fact(label, truth)"),
        (("It is.",), ValueError, "must have a check, or a reason why nothing was measured"),
        (("", exact(1) > 0), ValueError, "must be a sentence. Got '' instead"),
    ],
)
def test_a_slip_in_a_claim_is_named(arguments, error, message):
    with pytest.raises(error) as caught:
        claim(*arguments)
    assert message in str(caught.value)


def test_a_fact_is_what_was_counted():
    assert claim("It leads.", fact("mm leads", True)).verdict == HOLDS
    assert claim("It leads.", fact("add leads", False)).deciding[0].sentence == "add leads."


def test_checks_are_joined_by_and():
    both = (exact(2) > 1) & (exact(2) < 1)
    assert isinstance(both, Check)
    assert len(both) == 2
    assert both.verdict == FAILS
