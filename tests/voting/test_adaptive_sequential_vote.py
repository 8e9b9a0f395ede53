from hypothesis import given
from hypothesis import strategies as st

from forethought.voting.adaptive_sequential_vote import AdaptiveSequentialVote
from forethought.voting.base import Poll
from forethought.voting.sequential_vote import SequentialVote

ANSWERS = st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=8, max_size=8)


def run(rule, draws):
    poll = Poll(rule)
    for answer, confidence in draws:
        if poll.update(answer, confidence).stop:
            break
    return poll


@given(ANSWERS)
def test_a_vote_is_a_sequential_vote(answers):
    draws = [(answer, 1.0) for answer in answers]
    adaptive, plain = run(AdaptiveSequentialVote(0.1), draws), run(SequentialVote(), draws)
    assert adaptive.ballot == plain.ballot
    assert adaptive.verdict.answer == plain.verdict.answer
    assert adaptive.verdict.consensus == plain.verdict.consensus


def test_a_gain_at_or_below_the_price_takes_the_first_answer():
    for gain in (0.05, 0.02, -0.3):
        poll = run(AdaptiveSequentialVote(gain, price=0.05), [("a", 0.4), ("b", 1.0)])
        assert len(poll.ballot) == 1
        assert (poll.verdict.answer, poll.verdict.confidence, poll.verdict.consensus) == ("a", 0.4, True)
        assert poll.verdict.reason.startswith("no vote")


def test_without_a_vote_an_answer_that_cannot_be_read_is_drawn_again():
    poll = run(AdaptiveSequentialVote(-0.1), [(None, 1.0), (None, 1.0), ("b", 0.7), ("a", 1.0)])
    assert len(poll.ballot) == 3
    assert (poll.verdict.answer, poll.verdict.confidence) == ("b", 0.7)


def test_after_the_first_answer_a_sure_one_is_not_voted_on():
    rule = AdaptiveSequentialVote(0.2, decide="after_first", trust=0.8)
    sure, doubtful = [("a", 0.8)] * 3, [("a", 0.79)] + [("a", 1.0)] * 2
    assert len(run(rule, sure).ballot) == 1
    assert len(run(rule, doubtful).ballot) == 3
    assert len(run(AdaptiveSequentialVote(0.0, decide="after_first", trust=0.8), doubtful).ballot) == 1


def test_the_first_answer_is_the_first_that_can_be_read():
    rule = AdaptiveSequentialVote(0.2, decide="after_first", trust=0.8)
    assert len(run(rule, [(None, 0.1), ("a", 0.9), ("a", 1.0)]).ballot) == 2
    assert len(run(rule, [(None, 0.9), ("a", 0.1), ("a", 1.0), ("a", 1.0)]).ballot) == 4
