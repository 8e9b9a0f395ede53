from forethought.voting.base import Poll
from forethought.voting.majority_vote import MajorityVote


def verdicts(rule, answers):
    poll = Poll(rule)
    return [poll.update(answer) for answer in answers]


def test_it_stops_at_the_cap_alone():
    found = verdicts(MajorityVote(5), "aaaab")
    assert [verdict.stop for verdict in found] == [False, False, False, False, True]
    assert found[-1].answer == "a"
    assert found[-1].consensus
    assert found[-1].confidence == 0.8
    assert found[-1].reason == "'a' has 4 of 5 votes"


def test_a_tie_is_no_consensus_and_goes_to_the_first():
    last = verdicts(MajorityVote(4), "baab")[-1]
    assert (last.stop, last.answer, last.consensus) == (True, "b", False)


def test_answers_that_cannot_be_read_count_towards_the_cap():
    last = verdicts(MajorityVote(3), [None, "a", None])[-1]
    assert (last.stop, last.answer, last.consensus) == (True, "a", True)
    assert last.confidence == 1 / 3
