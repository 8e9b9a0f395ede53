import pytest

from forethought.voting.base import Ballot, Poll
from forethought.voting.confidence_weighted_vote import ConfidenceWeightedVote


def run(rule, draws):
    poll = Poll(rule)
    for answer, confidence in draws:
        if poll.update(answer, confidence).stop:
            break
    return poll


def test_the_heaviest_answer_wins_over_the_most_frequent():
    poll = run(ConfidenceWeightedVote(cap=5), [("a", 0.1), ("b", 0.9), ("a", 0.1), ("a", 0.1), ("b", 0.9)])
    assert poll.ballot.leader == "a"
    assert poll.verdict.answer == "b"
    assert not poll.verdict.consensus
    assert poll.verdict.confidence == pytest.approx(1.8 / 2.1)
    assert poll.verdict.reason == "5 answers were drawn, 'b' has 86% of the weight"


def test_it_waits_for_the_least_number_of_readable_answers():
    poll = run(ConfidenceWeightedVote(least=3), [("a", 1.0), (None, 1.0), ("a", 1.0), ("a", 1.0)])
    assert len(poll.ballot) == 4
    assert poll.verdict.consensus


def test_a_doubtful_dissenter_does_not_hold_it_up():
    draws = [("a", 0.95), ("b", 0.05), ("a", 0.9)]
    assert len(run(ConfidenceWeightedVote(share=0.95), draws).ballot) == 3
    assert not run(ConfidenceWeightedVote(share=0.95), [("a", 0.95), ("b", 0.5), ("a", 0.9)]).verdict.stop


def test_without_any_weight_the_first_answer_is_returned_at_the_cap():
    poll = run(ConfidenceWeightedVote(cap=3), [("a", 0.0), ("b", 0.0), ("b", 0.0)])
    assert (poll.verdict.answer, poll.verdict.confidence, poll.verdict.consensus) == ("a", 0.0, False)


def test_the_state_holds_the_weights():
    rule = ConfidenceWeightedVote()
    low, high = Ballot().add("a", 0.2), Ballot().add("a", 0.8)
    assert rule.state(low) != rule.state(high)
    one, two = Ballot().add("a", 0.1).add("a", 0.2), Ballot().add("a", 0.2).add("a", 0.1)
    assert rule.state(one) == rule.state(two)
