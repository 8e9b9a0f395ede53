import random
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.errors import BudgetError, ConfigError
from forethought.voting.base import Poll
from forethought.voting.early_stopping import EarlyStopping, choose_window, expected_samples, risk
from forethought.voting.exact import exact_performance


def drawn(rule, answers):
    poll = Poll(rule)
    for answer in answers:
        if poll.update(answer).stop:
            break
    return poll


def test_a_unanimous_window_is_returned_without_a_vote_over_the_earlier_ones():
    poll = drawn(EarlyStopping(3, 12), "aabaabccc")
    assert len(poll.ballot) == 9
    assert poll.ballot.leader == "a"
    assert (poll.verdict.answer, poll.verdict.consensus) == ("c", True)
    assert poll.verdict.confidence == 3 / 9


def test_equal_answers_across_a_border_are_no_window():
    assert len(drawn(EarlyStopping(3, 12), "abbbaabbb").ballot) == 9


def test_answers_that_cannot_be_read_agree_with_nothing():
    poll = drawn(EarlyStopping(2, 6), [None, None, "a", None, "b", "b"])
    assert len(poll.ballot) == 6
    assert poll.verdict.answer == "b"
    assert not drawn(EarlyStopping(2, 4), [None] * 4).verdict.consensus


def test_the_rest_after_the_last_full_window_goes_to_the_majority():
    poll = drawn(EarlyStopping(3, 5), "abaaa")
    assert (len(poll.ballot), poll.verdict.answer, poll.verdict.consensus) == (5, "a", False)
    assert drawn(EarlyStopping(3, 5), "abbcc").verdict.answer == "b"


SHARES = st.lists(st.floats(0.05, 1), min_size=1, max_size=3).map(lambda s: [x / sum(s) for x in s])


@settings(max_examples=25, deadline=None)
@given(SHARES, st.integers(1, 4), st.integers(0, 8))
def test_expected_samples_are_those_of_the_rule(shares, window, more):
    cap = window + more
    exact = exact_performance(EarlyStopping(window, cap), shares)
    assert expected_samples(shares, window, cap) == pytest.approx(exact.samples, rel=1e-9)


def test_expected_samples_is_the_authors_formula():
    shares, window, cap = [0.6, 0.3, 0.1], 5, 40
    q, k = sum(p**window for p in shares), cap // window
    published = window * (sum(q * (1 - q) ** i * (i + 1) for i in range(k - 1)) + (1 - q) ** (k - 1) * k)
    assert expected_samples(shares, window, cap) == pytest.approx(published)


def test_risk_is_the_normal_tail_of_every_other_answer():
    window = 5
    tails = [1 - NormalDist().cdf((window - p * window) / (window * p * (1 - p)) ** 0.5) for p in (0.3, 0.1)]
    assert risk([0.3, 0.6, 0.1], window) == pytest.approx(sum(tails), rel=1e-9)
    assert risk([1.0], window) == 0
    assert risk([1.0, 0.0], window) == 0


def test_risk_falls_and_samples_grow_with_the_window():
    rng = random.Random(1)
    for _ in range(50):
        weights = [rng.random() for _ in range(4)]
        shares = [weight / sum(weights) for weight in weights]
        risks = [risk(shares, window) for window in range(2, 9)]
        samples = [expected_samples(shares, window, 840) for window in range(2, 9)]
        assert risks == sorted(risks, reverse=True)
        assert samples == sorted(samples)


def test_the_window_of_least_risk_within_the_budget():
    shares, windows = [0.7, 0.2, 0.1], [2, 4, 5, 8, 10]
    for most in (4, 10, 16, 30, 40):
        chosen = choose_window(shares, 40, windows, most)
        allowed = [window for window in windows if expected_samples(shares, window, 40) <= most]
        assert risk(shares, chosen) == min(risk(shares, window) for window in allowed)
    assert choose_window([1.0], 40, windows, 40) == 2


def test_what_cannot_be_chosen_is_said():
    with pytest.raises(BudgetError, match=r"at most 3 answers; the least expected is 5\.00"):
        choose_window([1.0], 40, [5, 8], 3)
    with pytest.raises(ConfigError, match="at least one window"):
        choose_window([1.0], 40, [], 3)
    for shares in ([], [0.7, 0.7], [-0.1, 1.0], [float("nan")]):
        with pytest.raises(ConfigError, match="shares must lie"):
            expected_samples(shares, 5, 40)
    with pytest.raises(ConfigError, match="cap must be >= window"):
        choose_window([1.0], 4, [5], 40)
