import pytest

from mlperf import claim, exact
from mlperf.quantities.claims import SYMBOLS
from mlperf.sphinxext.sentences import errors, join, parse_conditions, parse_sentences, refuted, tally


def said(text):
    """Return a claim that holds."""
    return claim(text, exact(2) > 1)


def test_texts_are_joined_by_what_stands_between_them():
    names, joints, form = parse_sentences("fits.grows, but fits.level; fits.quick")
    assert (names, form) == (["fits.grows", "fits.level", "fits.quick"], "")
    joined = join([said("The time grows."), said("Both are level."), said("It is quick.")], joints, form)
    assert joined == "The time grows, but both are level; it is quick."


def test_texts_without_a_word_between_them_stay_sentences():
    _, joints, form = parse_sentences("fits.grows fits.level")
    assert join([said("The time grows."), said("Both are level.")], joints, form) == "The time grows. Both are level."


def test_a_sentence_can_go_on_and_be_a_clause_of_another():
    assert join([said("The time grows.")], [], "open") == "The time grows"
    assert join([said("The time grows.")], [], "clause") == "the time grows"
    assert parse_sentences("fits.grows clause")[2] == "clause"


@pytest.mark.parametrize("typed", ["", "grows", "so fits.grows", "fits.grows loudly", "fits.grows, but"])
def test_what_names_no_claim_is_refused(typed):
    with pytest.raises(ValueError, match=r"Claims have the form result\.name"):
        parse_sentences(typed)


@pytest.mark.parametrize(
    ("typed", "verdicts"),
    [
        ("fits.grows holds", {"holds"}),
        ("fits.grows is holds", {"holds"}),
        ("fits.grows does not hold", {"does not hold"}),
        ("fits.grows holds or is undecided", {"holds", "undecided"}),
        ("fits.grows is undecided, does not hold or not measured", {"undecided", "does not hold", "not measured"}),
        ("fits.grows is not undecided", set(SYMBOLS) - {"undecided"}),
        ("fits.grows is not measured", {"not measured"}),
        ("fits.grows is not not measured", set(SYMBOLS) - {"not measured"}),
    ],
)
def test_conditions_are_read_as_they_are_said(typed, verdicts):
    assert parse_conditions(typed) == [("fits.grows", frozenset(verdicts))]


def test_several_conditions_are_joined_by_and():
    conditions = parse_conditions("fits.grows holds and fits.level does not hold")
    assert [name for name, _ in conditions] == ["fits.grows", "fits.level"]


@pytest.mark.parametrize("typed", ["fits.grows", "fits.grows is true", "grows holds", "fits.grows holds or"])
def test_other_conditions_are_refused(typed):
    with pytest.raises(ValueError, match="A condition names a claim and verdicts"):
        parse_conditions(typed)


def test_claims_are_counted_by_verdict_one_and_several_of_them():
    assert tally(["holds"]) == "1 holds"
    verdicts = ["undecided", "not measured", "not measured", "does not hold", "does not hold", "holds"]
    assert tally(verdicts) == "1 holds, 2 do not hold, 1 is undecided and 2 were not measured"


def test_refuted_statements_are_quoted_in_one_sentence():
    assert refuted([]) == "No statement is refuted."
    assert refuted(["Fits are quick."]) == "Refuted is “Fits are quick”."
    assert refuted(["A.", "B.", "C."]) == "Refuted are “A”, “B” and “C”."


def test_only_decided_verdicts_can_be_wrong_by_chance():
    sentence = errors(["holds"] * 60 + ["does not hold"] * 40 + ["undecided"] * 100)
    assert sentence == "Of the 100 decided verdicts, at most about 5 may be wrong by chance."
    assert errors(["undecided", "not measured"]) == "No verdict was decided."
