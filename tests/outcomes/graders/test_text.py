from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.graders.text import TextGrader, normalise

FRANCE = Question.ask("What is the capital of France?", answers=("Paris",))
GRADER = TextGrader()


@pytest.mark.parametrize(
    "text",
    [
        "Paris",
        "**Paris**",
        "  PARIS!\n\nQ: What is the capital of Spain?",
        "The capital of France is Paris.",
        "Paris is the capital of France.",
        "Sure! The capital of France is Paris. Lyon is another city.",
        "The answer is: Paris",
        "I believe the capital city of France is called Paris",
        "Paris, France",
        "Paris, which is neither Lyon nor Marseille, or so",
        "The capital of France is not Lyon, but Paris.",
        "Paris is not only the capital but a port.",
    ],
)
def test_right(text: str) -> None:
    assert GRADER.grade(FRANCE, text).verdict == "right"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("Lyon", ""),
        ("Parisian", ""),
        ("Lyon. Paris is larger.", ""),
        ("It is one of Paris, Lyon, and Nice, which are large", "several candidates"),
        ("Paris, Lyon or Marseille", "several candidates"),
        ("Paris, Lyon, Marseille", "several candidates"),
        ("Paris or Lyon", "several candidates"),
        ("Paris/Lyon", "several candidates"),
        ("not Paris", "denied"),
        ("The capital of France isn't Paris.", "denied"),
        ("Paris is not the capital of France.", "denied"),
        ("The capital of France is Lyon, not Paris.", "denied"),
    ],
)
def test_wrong(text: str, detail: str) -> None:
    grade = GRADER.grade(FRANCE, text)
    assert (grade.verdict, grade.success, grade.detail) == ("wrong", 0.0, detail)


@pytest.mark.parametrize("text", ["", " \n\n", "...", "**"])
def test_unparsable(text: str) -> None:
    assert GRADER.grade(FRANCE, text)[:3] == (0.0, "unparsable", None)
    assert GRADER.extract(FRANCE, text) is None


def test_an_echo_of_the_question_is_no_answer() -> None:
    question = Question.ask("What is the capital of Singapore?", answers=("Singapore",))
    assert GRADER.grade(question, "The capital of Singapore is Kuala Lumpur.").verdict == "wrong"
    assert GRADER.grade(question, "The capital of Singapore is Singapore.").verdict == "right"


def test_alternatives_that_are_all_accepted_are_no_rivals() -> None:
    question = Question.ask('What is the past tense of "be"?', answers=("was", "were"))
    assert GRADER.grade(question, "was or were").verdict == "right"


def test_abbreviations_do_not_end_the_sentence() -> None:
    question = Question.ask("What is the capital of Antigua and Barbuda?", answers=("St. John's",))
    assert GRADER.grade(question, "The capital of Antigua and Barbuda is St. John’s. It is small.").verdict == "right"


def test_equal_answers_are_equal_votes_however_worded() -> None:
    texts = ["Paris", "paris.", "The capital of France is Paris.", "Paris is the capital of France", "Answer: Paris"]
    assert {GRADER.extract(FRANCE, text) for text in texts} == {"paris"}


@pytest.mark.parametrize("text", ["called", '"called."', 'The past tense of the verb "call" is "called".'])
def test_called_is_an_answer_too(text: str) -> None:
    question = Question.ask('What is the past tense of the verb "call"?', answers=("called",))
    assert GRADER.extract(question, text) == "called"
    assert GRADER.grade(question, text).verdict == "right"


def test_an_echo_may_quote_another_word_than_the_question() -> None:
    question = Question.ask('What is the base form of the verb "replying"?', answers=("reply",))
    assert GRADER.extract(question, 'The base form of the verb "reply" is "replies".') == "replies"
    assert GRADER.grade(question, 'The base form of the verb "reply" is "replies".').verdict == "wrong"
    assert GRADER.grade(question, 'The base form of the verb "replied" is "reply".').verdict == "right"


@pytest.mark.parametrize(
    ("verb", "answer", "text"),
    [
        ("become", "becomes", "She becomes a beautiful person."),
        ("use", "uses", "She uses every day."),
        ("call", "called", "She has already called."),
    ],
)
def test_the_verb_of_a_completion_is_no_echo(verb: str, answer: str, text: str) -> None:
    question = Question.ask(f'Complete with the right form of the verb "{verb}": "She ..."', answers=(answer,))
    assert GRADER.grade(question, text).verdict == "right"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('"sad" or "sullen" in many languages', "wrong"),
        ('"sad" or "sad" in many languages, but in English, "happy', "right"),
        ('"sad" in logic, referring to the end of a time', "right"),
        ('"sad" or "unhappy" in terms of mood', "right"),
    ],
)
def test_where_an_alternative_holds_does_not_change_what_it_is(text: str, verdict: str) -> None:
    question = Question.ask('What is the opposite of "happy"?', answers=("sad", "unhappy"))
    assert GRADER.grade(question, f'The opposite of "happy" is {text}.').verdict == verdict


def test_extract_never_looks_at_the_reference() -> None:
    other = Question.ask(FRANCE.text, answers=("Lyon",))
    text = "The capital of France is Paris, Lyon or Nice"
    assert GRADER.extract(FRANCE, text) == GRADER.extract(other, text) == GRADER.grade(other, text).answer


@pytest.mark.parametrize(
    ("a", "b"),
    [("Nukuʻalofa", "Nukualofa"), ("Chișinău", "chisinau"), ("Tromsø", "Tromso"), ("the U.N.", "u n"), ("A", "a")],
)
def test_normal_forms_agree(a: str, b: str) -> None:
    assert normalise(a) == normalise(b) != ""


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(max_size=200))
def test_any_text_gets_a_verdict(text: str) -> None:
    grade = GRADER.grade(FRANCE, text)
    assert (grade.verdict == "unparsable") == (grade.answer is None)
    assert grade.success == float(grade.verdict == "right")


def test_a_question_without_reference_is_refused() -> None:
    with pytest.raises(DataError, match="no accepted answer"):
        GRADER.grade(Question.ask("Why?"), "So")
