from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.errors import ConfigError
from forethought.outcomes import MathGrader
from forethought.voting import Ballot, MajorityVote, Poll, SequentialVote

answers = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c", " "])), max_size=12)


@given(answers)
def test_a_ballot_counts_every_answer_once(given_):
    ballot = Ballot()
    for answer in given_:
        ballot = ballot.add(answer)
    assert ballot.votes + ballot.unparsable == len(ballot) == len(given_)
    assert sum(ballot.partition) == ballot.votes
    read = [answer for answer in given_ if answer is not None]
    assert ballot.leader == (max(dict.fromkeys(read), key=read.count) if read else None)


def test_blank_and_missing_answers_are_votes_for_nothing():
    poll = Poll(MajorityVote(cap=4))
    for answer in (None, "", "  ", "x"):
        verdict = poll.update(answer)
    assert (verdict.answer, poll.ballot.unparsable) == ("x", 3)


def test_equal_mathematics_is_one_vote_and_the_first_form_is_kept():
    with MathGrader(deadline=20) as grader:
        poll = Poll(SequentialVote(cap=8, consensus=3), grader.same)
        assert not poll.update(r"\frac{1}{2}").stop
        assert not poll.update("0.25").stop
        assert not poll.update("0.5").stop
        verdict = poll.update("1/2")
    assert verdict.stop
    assert verdict.answer == r"\frac{1}{2}"
    assert poll.ballot.counts == ((r"\frac{1}{2}", 3), ("0.25", 1))


def test_mathematics_that_outlasts_the_deadline_is_another_vote():
    with MathGrader(deadline=0.001) as grader:
        poll = Poll(SequentialVote(cap=3, consensus=2), grader.same)
        poll.update("1/2")
        assert not poll.update("0.5").stop
        assert len(poll.ballot.counts) == 2


def test_a_stopped_vote_takes_no_more():
    poll = Poll(SequentialVote(cap=2, consensus=1))
    assert poll.update("a").stop
    with pytest.raises(ConfigError, match="has stopped after 1 answers"):
        poll.update("b")


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_confidence_out_of_range_is_refused(confidence):
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        Poll(SequentialVote()).update("a", confidence)
