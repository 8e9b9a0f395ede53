from itertools import product

from forethought.voting.base import Poll
from forethought.voting.first_to import first_to
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.sequential_vote import SequentialVote


def last(rule, answers):
    poll = Poll(rule)
    return next(verdict for verdict in map(poll.update, answers) if verdict.stop), len(poll.ballot)


def test_it_is_a_sequential_vote_with_a_far_cap():
    assert first_to(4) == SequentialVote(cap=40, consensus=4)


def test_between_two_answers_it_is_a_shortened_majority_vote():
    saved = 0
    for answers in product("ab", repeat=7):
        (early, drawn), (full, _) = last(first_to(4), answers), last(MajorityVote(7), answers)
        assert early.answer == full.answer
        assert early.consensus
        saved += 7 - drawn
    assert saved > 0
