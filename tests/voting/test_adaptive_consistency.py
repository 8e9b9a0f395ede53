import pytest

from forethought.voting.adaptive_consistency import AdaptiveConsistency
from forethought.voting.base import Ballot, Poll

PUBLISHED = {
    0.95: [(4, 0), (6, 1), (8, 2), (9, 3), (11, 4), (12, 5)],
    0.9: [(3, 0), (5, 1), (6, 2), (8, 3), (9, 4), (11, 5)],
    0.8: [(2, 0), (3, 1), (5, 2), (6, 3), (7, 4), (9, 5)],
}


def counted(first, second):
    answers = ["b"] * second + ["a"] * first
    return Ballot(tuple(answers), (1.0,) * len(answers), tuple(p for p in (("b", second), ("a", first)) if p[1]))


@pytest.mark.parametrize("threshold", PUBLISHED)
def test_the_published_stopping_table(threshold):
    """The fewest votes of the leader that settle it against so many of the runner-up (arXiv 2305.11860)."""
    rule = AdaptiveConsistency(cap=40, threshold=threshold)
    least = [
        next(first for first in range(second + 1, 40) if rule.judge(counted(first, second)).stop) for second in range(6)
    ]
    assert [(first, second) for second, first in enumerate(least)] == PUBLISHED[threshold]


@pytest.mark.parametrize(("threshold", "stop"), [(0.8, 2), (0.9, 3), (0.95, 4), (0.99, 6)])
def test_unanimous_answers_stop_early(threshold, stop):
    poll = Poll(AdaptiveConsistency(threshold=threshold))
    drawn = next(n for n in range(1, 41) if poll.update("a").stop)
    assert drawn == stop
    assert poll.verdict.confidence == 1 - 2.0 ** -(stop + 1)


def test_dirichlet_asks_for_more_where_answers_scatter():
    ballot = Ballot()
    for answer in "aaaaaabcde":
        ballot = ballot.add(answer)
    beta = AdaptiveConsistency(threshold=0.9).judge(ballot)
    dirichlet = AdaptiveConsistency(threshold=0.9, criterion="dirichlet").judge(ballot)
    assert dirichlet.confidence < beta.confidence
    assert beta.stop


def test_at_the_cap_there_is_no_consensus():
    poll = Poll(AdaptiveConsistency(cap=4))
    verdict = [poll.update(answer) for answer in "abab"][-1]
    assert (verdict.stop, verdict.answer, verdict.consensus, verdict.confidence) == (True, "a", False, 0.5)
