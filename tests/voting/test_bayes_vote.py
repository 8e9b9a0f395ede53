from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.errors import ConfigError
from forethought.voting.answer_prior import AnswerPrior, Component, broad_prior, likelihoods
from forethought.voting.base import Poll
from forethought.voting.bayes_vote import BayesVote, plan
from forethought.voting.partitions import lattice


def prior(*components: Component) -> AnswerPrior:
    return AnswerPrior(components, (1 / len(components),) * len(components))


HOPELESS = prior(Component(2, 16, 2, 4))
EASY = prior(Component(38, 1, 1, 4))
OPEN = prior(Component(9, 6, 5, 4))


def drawn(rule: BayesVote, answers: str) -> int:
    poll = Poll(rule)
    for number, answer in enumerate(answers, start=1):
        if poll.update(answer).stop:
            return number
    raise AssertionError("the rule wants more answers than there are")


def test_one_wrong_answer_at_four_fifths_stops_at_once():
    assert drawn(BayesVote(HOPELESS), "aaaa") == 1


def test_an_easy_question_is_not_voted_on_at_a_fair_price():
    assert drawn(BayesVote(EASY, price=0.05), "aaaa") == 1


def test_an_open_question_is_voted_on():
    assert drawn(BayesVote(OPEN), "ab" * 8) > 4


def test_no_price_buys_an_answer_worth_more_than_itself():
    assert all(drawn(BayesVote(p, price=0.9), "abcd") == 1 for p in (HOPELESS, EASY, OPEN))


def test_more_answers_are_drawn_as_they_get_cheaper():
    counts = [
        drawn(BayesVote(broad_prior(), price=price, cap=12), "abcabcabcabc") for price in (0.2, 0.02, 0.002, 1e-4)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_unreadable_answers_count_against_the_cap_alone():
    poll = Poll(BayesVote(OPEN, cap=3))
    assert [poll.update(None).stop for _ in range(3)] == [False, False, True]
    assert poll.verdict is not None
    assert poll.verdict.answer is None


weights = st.lists(st.floats(0.01, 1), min_size=3, max_size=3)


@settings(max_examples=25, deadline=None)
@given(weights, st.floats(0.0, 0.05), st.integers(2, 7))
def test_the_plan_is_the_optimum_of_a_plain_recursion(raw, price, cap):
    shares = np.array(raw) / sum(raw)
    components = (Component(9, 1, 2, 3), Component(2, 6, 2, 3), Component(1, 1, 6, 20))
    mixed = AnswerPrior(components, tuple((shares / shares.sum()).tolist()))
    nodes, given_ = lattice(cap), likelihoods(components, cap)
    counts, leader = shares @ given_.counts, shares @ given_.leader
    back = {node: partition for partition, node in nodes.index.items()}

    @cache
    def value(node: int) -> float:
        stop = leader[node] / counts[node]
        if sum(back[node]) == cap:
            return float(stop)
        return float(max(stop, go_on(node)))

    def go_on(node: int) -> float:
        partition = back[node]
        total = 0.0
        for i in range(len(partition) + 1):
            grown = (*partition[:i], partition[i] + 1, *partition[i + 1 :]) if i < len(partition) else (*partition, 1)
            child = nodes.index[tuple(sorted(grown, reverse=True))]
            total += counts[child] / counts[node] * value(child)
        return total - price

    _, gain = plan(shares[None], mixed, price, cap)
    for partition, node in nodes.index.items():
        if sum(partition) < cap and partition:
            assert gain[0, node] == pytest.approx(go_on(node) - leader[node] / counts[node], abs=1e-9)


def test_many_questions_are_planned_as_one_alone():
    rows = np.random.default_rng(0).dirichlet(np.ones(3), size=5)
    mixed = prior(Component(9, 1, 2, 3), Component(2, 6, 2, 3), Component(1, 1, 6, 20))
    together = plan(rows, mixed, 0.01, 8)
    for i, row in enumerate(rows):
        for batch, single in zip(together, plan(row[None], mixed, 0.01, 8), strict=True):
            assert batch[i] == pytest.approx(single[0])


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"cap": 0}, "cap"), ({"cap": 41}, "<= 40"), ({"price": -0.1}, "price"), ({"price": 1.0}, "price")],
)
def test_settings_refused(setting, said):
    with pytest.raises(ConfigError, match=said):
        BayesVote(**setting)
