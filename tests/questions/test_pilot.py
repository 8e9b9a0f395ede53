from __future__ import annotations

import pytest

from forethought.core import Question
from forethought.questions import PilotRow, run_pilot
from forethought.questions.pilot import mentions


def test_rows_count_right_answers_per_family():
    questions = [Question.ask("?", id=f"{g}{n}", answers=("Paris",), group=g) for g in "ab" for n in range(4)]
    texts = ["Paris", "It is Paris.", "Rome", "Parisian", "paris", "PARIS!", "the Paris", "in Paris\n"]
    assert run_pilot(questions, lambda asked: texts[: len(asked)]) == [PilotRow("a", 4, 0.5), PilotRow("b", 4, 1.0)]


def test_an_answer_for_every_question_is_required():
    with pytest.raises(ValueError, match="zip"):
        run_pilot([Question.ask("?", group="a")], lambda asked: [])


@pytest.mark.parametrize(("accuracy", "kept"), [(0.19, False), (0.2, True), (0.8, True), (0.81, False)])
def test_kept_between_a_fifth_and_four_fifths(accuracy: float, kept: bool):
    assert PilotRow("a", 25, accuracy).kept is kept


def test_only_the_first_line_counts():
    assert not mentions("Rome\nParis", ["Paris"])
    assert mentions("\n Côte-d'Ivoire", ["Cote d'Ivoire"])
