from collections.abc import Hashable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.errors import ConfigError
from forethought.voting.adaptive_consistency import AdaptiveConsistency
from forethought.voting.adaptive_sequential_vote import AdaptiveSequentialVote
from forethought.voting.ahead_by import AheadBy
from forethought.voting.base import Ballot, Poll, Verdict, at_cap
from forethought.voting.confidence_weighted_vote import ConfidenceWeightedVote
from forethought.voting.early_stopping import EarlyStopping
from forethought.voting.exact import exact_performance, two_answer_performance
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.sprt import SequentialProbabilityRatio

SMALL = [
    MajorityVote(5),
    SequentialVote(5, 2),
    AdaptiveSequentialVote(-0.1, cap=5, consensus=2),
    *(AdaptiveConsistency(6, 0.8, criterion) for criterion in ("beta", "dirichlet", "majority", "random")),
    AdaptiveConsistency(6, 0.75, "entropy"),
    EarlyStopping(2, 6),
    EarlyStopping(3, 5),
    AheadBy(6, 2),
    SequentialProbabilityRatio(0.8, 0.1, 6),
    ConfidenceWeightedVote(6, 0.7, 2),
]


@dataclass(frozen=True, slots=True)
class Curtailed:
    """A majority vote that stops once nothing can change its outcome."""

    cap: int = 40
    name = "curtailed"

    def judge(self, ballot: Ballot) -> Verdict:
        first, second = ballot.top_two
        settled = first > second + self.cap - len(ballot)
        return at_cap(ballot, self.cap, Verdict(settled, ballot.leader, 1.0, "settled"))

    def state(self, ballot: Ballot) -> Hashable:
        return ballot.counts, len(ballot)


def enumerated(rule, shares, right, unparsable):
    """The same by writing down every course of answers."""
    answers = [None, *map(str, range(len(shares)))]
    chances = [unparsable, *((1 - unparsable) * share for share in shares)]
    totals = np.zeros(4)
    for course in product(range(len(answers)), repeat=rule.cap):
        poll, mass = Poll(rule), np.prod([chances[i] for i in course])
        if not mass:
            continue
        verdict = next(v for v in (poll.update(answers[i]) for i in course) if v.stop)
        is_mode = verdict.answer is not None and shares[int(verdict.answer)] == max(shares)
        totals += mass * np.array([len(poll.ballot), verdict.answer == str(right), is_mode, verdict.consensus])
    return totals


def values(performance):
    return [performance.samples, performance.accuracy, performance.agrees_with_mode, performance.consensus]


@pytest.mark.parametrize("rule", SMALL, ids=lambda rule: f"{rule.name}-{getattr(rule, 'criterion', '')}")
@pytest.mark.parametrize(
    ("shares", "right", "unparsable"),
    [((0.5, 0.3, 0.2), 1, 0.0), ((0.4, 0.3, 0.3), 0, 0.1), ((0.2, 0.4, 0.4), None, 0.0), ((0.7, 0.3), 1, 0.3)],
)
def test_it_is_the_sum_over_every_course(rule, shares, right, unparsable):
    found = exact_performance(rule, shares, right=right, unparsable=unparsable)
    assert values(found) == pytest.approx(enumerated(rule, shares, right, unparsable), abs=1e-12)


@pytest.mark.parametrize(
    ("p", "even", "one"),
    [
        (0.3, (0.46, 6.5), (0.33, 5.5)),
        (0.5, (0.83, 5.4), (0.71, 5.0)),
        (0.7, (0.98, 4.2), (0.94, 4.1)),
        (0.9, (1.0, 3.33), (1.0, 3.33)),
    ],
)
def test_sequential_vote_of_eight_to_three(p, even, one):
    """Wrong answers in five equal parts, or 60 % of them one answer and the rest in four."""
    for shares, (accuracy, samples) in (
        ([p] + [(1 - p) / 5] * 5, even),
        ([p, 0.6 * (1 - p)] + [0.1 * (1 - p)] * 4, one),
    ):
        found = exact_performance(SequentialVote(8, 3), shares)
        assert found.accuracy == pytest.approx(accuracy, abs=0.0051)
        assert found.samples == pytest.approx(samples, abs=0.051 if p < 0.9 else 0.0051)


@pytest.mark.parametrize(("p", "samples"), [(0.9, 5.6), (0.7, 15.1), (0.6, 24.2)])
def test_adaptive_consistency_of_known_shares(p, samples):
    assert exact_performance(AdaptiveConsistency(), [p, 1 - p]).samples == pytest.approx(samples, abs=0.05)


@pytest.mark.parametrize(
    ("rule", "samples", "disagreement"),
    [
        (MajorityVote(40), 40, 6.27),
        (Curtailed(), 28.6, 6.27),
        (AdaptiveConsistency(40, 0.95), 14.0, 7.03),
        (SequentialProbabilityRatio(0.7, 0.05, 40), 8.8, 8.49),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_two_answers_under_a_uniform_prior(rule, samples, disagreement):
    found = two_answer_performance(rule)
    assert found.samples == pytest.approx(samples, abs=0.05)
    assert 100 * (1 - found.agrees_with_mode) == pytest.approx(disagreement, abs=0.005)
    assert found.accuracy == pytest.approx(0.5)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(SMALL), st.floats(0.5, 5), st.floats(0.5, 5))
def test_two_answers_are_the_mean_over_p(rule, alpha, beta):
    """Gauss-Jacobi nodes integrate the polynomial in p exactly; the mode jumps at 1/2 and is left out."""
    from scipy.special import roots_jacobi

    nodes, weights = roots_jacobi(12, beta - 1, alpha - 1)
    rows = [values(exact_performance(rule, [p, 1 - p])) for p in (nodes + 1) / 2]
    mean = weights @ np.array(rows) / weights.sum()
    found = two_answer_performance(rule, (alpha, beta))
    assert [found.samples, found.accuracy, found.consensus] == pytest.approx(mean[[0, 1, 3]], abs=1e-9)


def test_a_prior_that_is_nearly_a_point_is_that_point():
    prior = (7000.0, 3000.0)
    for rule in SMALL:
        found, point = two_answer_performance(rule, prior), exact_performance(rule, [0.7, 0.3])
        assert values(found) == pytest.approx(values(point), abs=2e-3)


def test_three_answers_at_a_cap_of_forty_are_merged():
    found = [exact_performance(rule, [0.6, 0.2, 0.2]) for rule in (AdaptiveConsistency(), EarlyStopping())]
    assert found[0].samples < found[1].samples < 40
    assert min(each.accuracy for each in found) > 0.97


def test_answers_without_a_share_change_nothing():
    rule = SequentialVote()
    assert exact_performance(rule, [0.6, 0.4, 0.0, 0.0]) == exact_performance(rule, [0.6, 0.4])
    assert exact_performance(rule, [1.0, 0.0], right=1).accuracy == 0


def test_nothing_readable_is_never_right():
    found = exact_performance(SequentialVote(), [1.0], unparsable=1.0)
    assert values(found) == [8, 0, 0, 0]


@dataclass(frozen=True)
class Endless:
    cap: int = 3
    name = "endless"

    def judge(self, ballot):
        return Verdict(False, ballot.leader, 0.0, "never")

    def state(self, ballot):
        return ballot.counts, len(ballot)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_performance(SequentialVote(), []), "shares must lie"),
        (lambda: exact_performance(SequentialVote(), [0.5, 0.6]), "sum to 1"),
        (lambda: exact_performance(SequentialVote(), [float("nan")]), "shares must lie"),
        (lambda: exact_performance(SequentialVote(), [1.0], right=1), "right must be a position among 1 shares"),
        (lambda: exact_performance(SequentialVote(), [1.0], unparsable=1.5), "unparsable must lie"),
        (lambda: exact_performance(Endless(), [0.5, 0.5]), "goes on at its cap of 3"),
        (lambda: two_answer_performance(Endless()), "goes on at its cap of 3"),
        (lambda: two_answer_performance(SequentialVote(), (0.0, 1.0)), "must be > 0"),
    ],
)
def test_bad_input_is_one_clear_error(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_too_many_ballots_are_refused_rather_than_waited_for(monkeypatch):
    monkeypatch.setattr("forethought.voting.exact.MOST_STATES", 50)
    with pytest.raises(ConfigError, match="more than 50 different ballots"):
        exact_performance(MajorityVote(20), [0.4, 0.35, 0.25])
