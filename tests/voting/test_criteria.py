from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta as beta_distribution

from forethought.voting.base import Ballot
from forethought.voting.criteria import CRITERIA, beta_probability, dirichlet_probability, entropy, majority, random


def ballot(*answers):
    found = Ballot()
    for answer in answers:
        found = found.add(answer)
    return found


@given(st.integers(0, 60), st.integers(0, 60))
def test_beta_is_the_posterior_of_a_uniform_prior(first, second):
    assert beta_probability(first, second) == pytest.approx(beta_distribution(first + 1, second + 1).sf(0.5), rel=1e-12)


def test_unanimous_votes_are_sure_by_halves():
    assert [beta_probability(n, 0) for n in range(7)] == [1 - 2.0 ** -(n + 1) for n in range(7)]


def exact_dirichlet(partition):
    """Expand the gamma integral into whole factorials: exact."""
    first, *others = partition
    terms = {(1, first): Fraction(1, factorial(first))}
    for other in others:
        grown = dict(terms)
        for (rate, power), weight in terms.items():
            for i in range(other + 1):
                key = rate + 1, power + i
                grown[key] = grown.get(key, 0) - weight / factorial(i)
        terms = grown
    return sum(weight * factorial(power) / Fraction(rate) ** (power + 1) for (rate, power), weight in terms.items())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_dirichlet_is_the_exact_integral(counts):
    partition = tuple(sorted(counts, reverse=True))
    assert dirichlet_probability(partition) == pytest.approx(float(exact_dirichlet(partition)), abs=1e-11)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(0, 60))
def test_dirichlet_of_two_answers_is_beta(first, second):
    partition = tuple(sorted((first, second), reverse=True)) if second else (first,)
    assert dirichlet_probability(partition) == pytest.approx(beta_probability(*(*partition, 0)[:2]), abs=1e-11)


def test_dirichlet_agrees_with_draws():
    shares = np.random.default_rng(0).dirichlet([8, 6, 3, 2], size=200_000)
    assert dirichlet_probability((7, 5, 2, 1)) == pytest.approx((shares.argmax(axis=1) == 0).mean(), abs=0.005)


def test_majority_and_entropy_wait_for_a_second_vote():
    assert majority(ballot("a"), 0.8) == (False, 1.0)
    assert majority(ballot("a", "a"), 0.8) == (True, 1.0)
    assert majority(ballot("a", "a", "b"), 0.8) == (False, 2 / 3)
    assert not entropy(ballot("a"), 0.999)[0]


def test_entropy_at_its_published_threshold_stops_at_four_of_one_kind():
    """H(3/4) = 0.811 and H(4/5) = 0.722 bits, an unseen second answer counting once."""
    stops, settled = zip(*(entropy(ballot(*"a" * n), 0.75) for n in (2, 3, 4)), strict=True)
    assert stops == (False, False, True)
    assert settled == pytest.approx((1 - 0.9183, 1 - 0.8113, 1 - 0.7219), abs=1e-4)
    assert entropy(ballot("a", "b"), 0.75) == (False, pytest.approx(0, abs=1e-12))


def test_random_stops_with_its_probability_and_says_the_same_twice():
    ballots = [ballot(*"a" * i, *"b" * j, *"c" * k) for i in range(1, 16) for j in range(16) for k in range(8)]
    stops = [random(each, 0.1)[0] for each in ballots]
    assert stops == [random(each, 0.1)[0] for each in ballots]
    assert np.mean(stops) == pytest.approx(0.1, abs=0.03)
    assert not any(random(each, 0.0)[0] for each in ballots)
    assert all(random(each, 1.0)[0] for each in ballots)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=20), st.sampled_from(sorted(CRITERIA)))
def test_measures_lie_between_0_and_1(answers, criterion):
    assert 0 <= CRITERIA[criterion](ballot(*answers), 0.5)[1] <= 1


def test_beta_is_a_sum_of_whole_numbers():
    assert beta_probability(4, 0) == Fraction(31, 32)
    assert beta_probability(6, 1) == Fraction(sum(comb(8, k) for k in range(7)), 2**8)
