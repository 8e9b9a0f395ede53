import math

import pytest

from forethought.voting.ahead_by import AheadBy
from forethought.voting.base import Poll
from forethought.voting.exact import exact_performance, two_answer_performance
from forethought.voting.sprt import SequentialProbabilityRatio


def test_the_boundary_is_walds():
    """log(19) / log(7 / 3) = 3.475 votes."""
    assert SequentialProbabilityRatio(0.7, 0.05).lead == 4
    assert SequentialProbabilityRatio(0.9, 0.05).lead == 2
    # log(9) / log(3) is 2 exactly.
    assert SequentialProbabilityRatio(0.75, 0.1).lead == 2


def test_it_is_a_lead_by_another_name():
    rule = SequentialProbabilityRatio(0.7, 0.05)
    assert two_answer_performance(rule) == two_answer_performance(AheadBy(40, rule.lead))


@pytest.mark.parametrize("p1", [0.6, 0.7, 0.9])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_the_error_at_p1_is_at_most_alpha(p1, alpha):
    found = exact_performance(SequentialProbabilityRatio(p1, alpha, cap=300), [p1, 1 - p1])
    assert 1 - found.accuracy <= alpha + 1e-6


def test_confidence_is_the_probability_of_the_better_hypothesis():
    poll = Poll(SequentialProbabilityRatio(0.7, 0.05))
    assert poll.update("a").confidence == pytest.approx(0.7)
    assert poll.update("b").confidence == pytest.approx(0.5)
    for _ in range(4):
        verdict = poll.update("a")
    assert verdict.stop
    assert verdict.confidence == pytest.approx(1 / (1 + math.exp(-4 * math.log(7 / 3))))
    assert verdict.confidence >= 0.95
