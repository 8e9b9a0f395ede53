import pytest

from forethought.voting.ahead_by import AheadBy
from forethought.voting.base import Poll
from forethought.voting.exact import exact_performance


def test_it_counts_the_lead_over_the_runner_up():
    poll = Poll(AheadBy(lead=2))
    verdicts = [poll.update(answer) for answer in ["a", "b", "c", None, "b", "b"]]
    assert [verdict.stop for verdict in verdicts] == [False] * 5 + [True]
    assert (verdicts[-1].answer, verdicts[-1].reason) == ("b", "'b' leads by 3 to 1")


@pytest.mark.parametrize("p", [0.55, 0.7, 0.9])
@pytest.mark.parametrize("lead", [1, 2, 4])
def test_between_two_answers_it_is_gamblers_ruin(p, lead):
    """Ruin from the middle: P(win) = 1 / (1 + (q / p)^k) and E[steps] = k (2 P(win) - 1) / (p - q)."""
    found = exact_performance(AheadBy(400, lead), [p, 1 - p])
    win = 1 / (1 + ((1 - p) / p) ** lead)
    assert found.accuracy == pytest.approx(win, abs=1e-6)
    assert found.samples == pytest.approx(lead * (2 * win - 1) / (2 * p - 1), rel=1e-4)
