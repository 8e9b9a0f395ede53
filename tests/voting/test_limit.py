from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.errors import ConfigError
from forethought.voting.adaptive_consistency import AdaptiveConsistency
from forethought.voting.ahead_by import AheadBy
from forethought.voting.beta_mixture import BetaMixture, as_mixture
from forethought.voting.confidence_weighted_vote import ConfidenceWeightedVote
from forethought.voting.early_stopping import EarlyStopping
from forethought.voting.exact import two_answer_performance
from forethought.voting.limit import two_answer_frontier, two_answer_limit
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.sequential_vote import SequentialVote

RULES = [
    *(MajorityVote(cap) for cap in (1, 2, 3, 9, 40)),
    *(SequentialVote(40, consensus) for consensus in (1, 2, 3, 6)),
    *(AdaptiveConsistency(40, threshold) for threshold in (0.7, 0.9, 0.95, 0.99)),
    AdaptiveConsistency(12, 0.8, "majority"),
    AdaptiveConsistency(40, 0.2, "random"),
    *(EarlyStopping(window, 40) for window in (1, 2, 5)),
    *(AheadBy(40, lead) for lead in (1, 2, 3, 4)),
    ConfidenceWeightedVote(40, 0.9, 2),
]
PRIORS = [(1.0, 1.0), (0.3, 0.3), (6.0, 2.0), BetaMixture(((8.0, 2.0), (2.0, 8.0)), (0.7, 0.3))]


@pytest.mark.parametrize(
    ("samples", "disagreement"),
    [(5.8, 10.87), (9.9, 7.86), (11.9, 7.13), (13.2, 6.79), (15.4, 6.47), (17.1, 6.35)],
)
def test_the_published_frontier(samples, disagreement):
    """Uniform prior, at most 40 answers: some price buys each published pair."""
    frontier = two_answer_frontier(40, np.geomspace(0.012, 0.0004, 400))
    pairs = [(each.samples, 100 * (1 - each.agrees_with_mode)) for each in frontier]
    assert any(abs(n - samples) <= 0.06 and abs(d - disagreement) <= 0.006 for n, d in pairs)


def test_adaptive_consistency_lies_a_seventh_above_the_frontier():
    rule = two_answer_performance(AdaptiveConsistency(40, 0.95))
    frontier = two_answer_frontier(40, np.geomspace(0.004, 0.002, 200))
    equal = min(each.samples for each in frontier if each.agrees_with_mode >= rule.agrees_with_mode - 1e-5)
    assert rule.samples / equal == pytest.approx(1.14, abs=0.01)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
@pytest.mark.parametrize("aim", ["mode", "right"])
def test_no_rule_beats_it_at_any_price(prior, aim):
    performances = [two_answer_performance(rule, prior) for rule in RULES]
    for price in (0.0, 1e-4, 1e-3, 5e-3, 0.02, 0.1, 0.5):
        limit = two_answer_limit(40, price, prior, aim)
        best = score(limit, price, aim)
        assert all(score(each, price, aim) <= best + 1e-12 for each in performances)


def score(performance, price, aim):
    gained = performance.agrees_with_mode if aim == "mode" else performance.accuracy
    return gained - price * performance.samples


def brute_force(cap, price, prior, aim):
    """Value by plain recursion over courses of answers, from posterior probabilities alone."""
    evidence = as_mixture(prior).evidence(cap)

    def joint(first, second):
        """P(these counts) and with it P(the first answer is the aim), either answer being the right one."""
        here, there = evidence.counts[first, second], evidence.counts[second, first]
        mode_here, mode_there = evidence.mode_is_right[first, second], evidence.mode_is_right[second, first]
        aimed = (mode_here + there - mode_there) / 2 if aim == "mode" else here / 2
        return (here + there) / 2, aimed

    @lru_cache(None)
    def value(first, second):
        chance, aimed = joint(first, second)
        stop = max([aimed] * (first > 0) + [chance - aimed] * (second > 0), default=-1.0) / chance
        if first + second == cap:
            return stop
        next_first = joint(first + 1, second)[0] / chance
        on = next_first * value(first + 1, second) + (1 - next_first) * value(first, second + 1) - price
        return max(stop, on)

    return value(0, 0)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9),
    st.floats(0, 0.2),
    st.sampled_from(PRIORS),
    st.sampled_from(["mode", "right"]),
)
def test_its_value_is_that_of_the_recursion(cap, price, prior, aim):
    limit = two_answer_limit(cap, price, prior, aim)
    assert score(limit, price, aim) == pytest.approx(brute_force(cap, price, prior, aim), abs=1e-9)


def test_free_answers_are_drawn_only_while_they_can_matter():
    free, full = two_answer_limit(40, 0.0), two_answer_performance(MajorityVote(40))
    assert free.agrees_with_mode == pytest.approx(full.agrees_with_mode, abs=1e-9)
    assert free.samples < 28.7


def test_dear_answers_are_drawn_once():
    dear = two_answer_limit(40, 1.0)
    assert dear.samples == 1
    assert dear.agrees_with_mode == pytest.approx(0.75)
    assert dear.consensus == pytest.approx(1.0)
    assert two_answer_limit(1, 0.1).consensus == 0


def test_the_frontier_falls_with_the_price():
    frontier = two_answer_frontier(20, [0.0, 1e-3, 1e-2, 0.1, 1.0], (2.0, 1.0))
    for dearer, cheaper in zip(frontier[1:], frontier, strict=False):
        assert dearer.samples <= cheaper.samples
        assert dearer.agrees_with_mode <= cheaper.agrees_with_mode + 1e-12


def test_knowing_each_questions_prior_buys_accuracy():
    """Half the questions are easy, half hopeless: told which, less is spent for as many right answers."""
    easy, hopeless = (18.0, 2.0), (2.0, 18.0)
    mixed = BetaMixture((easy, hopeless), (0.5, 0.5))
    price = 0.01
    told = sum(score(two_answer_limit(20, price, prior, "right"), price, "right") for prior in (easy, hopeless)) / 2
    assert told > score(two_answer_limit(20, price, mixed, "right"), price, "right") + 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.1), "cap must be >= 1"),
        ((8, -0.1), "price must be >= 0"),
        ((8, float("nan")), "price must be >= 0"),
        ((8, 0.1, (0.0, 1.0)), "must be > 0"),
        ((8, 0.1, (1.0, 1.0), "best"), "aim must be"),
    ],
)
def test_bad_input_is_one_clear_error(arguments, message):
    with pytest.raises(ConfigError, match=message):
        two_answer_limit(*arguments)
