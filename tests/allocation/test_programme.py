import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.allocation import Programme
from forethought.allocation.programme import draw_among_equals
from forethought.errors import ConfigError, DataError

YES = np.ones((2, 2), dtype=bool)


def test_a_share_cap_weighs_votes_and_gains_the_margin():
    voted = np.array([[True, False], [False, True]])
    programme = Programme.of_votes(np.array([0.3, -0.1]), voted, YES, 0.5)
    assert programme.gain.tolist() == [[0.3, -0.3], [0.1, -0.1]]
    assert programme.weight.tolist() == [[[1, 0], [0, 1]]]
    assert programme.cap.tolist() == [0.5]


def test_what_a_choice_serves_gains_and_uses():
    programme = Programme.of_costs(np.array([[0.5, 0.9], [0.2, 0.4], [0.1, 0.6]]), np.tile([1.0, 4.0], (3, 1)), 2.0)
    found = programme.evaluate(np.array([1, -1, 0]))
    assert (found.served, found.gain, found.used.tolist()) == (2, 1.0, [2.5])
    # The cap is relative to what is accepted: 5 spent on 2, not on 3.
    assert programme.excess(found.choice).tolist() == [1.0]
    assert programme.excess(np.array([1, 0, 0])).tolist() == [0.0]
    nobody = programme.evaluate(np.array([-1, -1, -1]))
    assert (nobody.served, nobody.gain, nobody.used.tolist()) == (0, 0.0, [0.0])


def test_a_product_that_is_short_of_a_whole_number_is_no_excess():
    assert 0.29 * 100 < 29
    voted = np.arange(100)[:, np.newaxis] < 29
    programme = Programme.of_votes(np.zeros(100), voted, np.ones((100, 1), dtype=bool), 0.29)
    everything = np.zeros(100, dtype=np.int64)
    assert programme.excess(everything) <= 0
    one_more = np.arange(100)[:, np.newaxis] < 30
    assert Programme.of_votes(np.zeros(100), one_more, programme.feasible, 0.29).excess(everything) > 0.9


def test_who_is_sure_to_be_served():
    feasible = np.array([[True, True], [False, True], [False, False]])
    programme = Programme.of_costs(np.zeros((3, 2)), np.tile([1.0, 3.0], (3, 1)), 2.0, feasible)
    assert programme.solvable.tolist() == [True, True, False]
    assert programme.sure.tolist() == [True, False, False]
    assert programme.restricted(np.array([False, True, True])).solvable.tolist() == [False, True, False]
    two_caps = Programme(np.zeros((1, 2)), np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), np.array([0.5, 0.5]), YES[:1])
    assert two_caps.sure.tolist() == [False]


def test_what_is_not_feasible_is_not_read():
    gain = np.array([[0.5, np.nan]])
    programme = Programme.of_costs(gain, np.array([[1.0, np.inf]]), 2.0, np.array([[True, False]]))
    assert programme.evaluate(np.array([0])).gain == 0.5
    with pytest.raises(DataError, match="not feasible"):
        programme.evaluate(np.array([1]))


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_equal_options_are_drawn_evenly_and_only_those(seed):
    gain = np.array([[0.5, 0.5, 0.5, 0.5, 0.7]])
    cost = np.array([[1.0, 1.0, 2.0, 1.0, 1.0]])
    feasible = np.array([[True, True, True, False, True]])
    programme = Programme.of_costs(np.repeat(gain, 400, 0), cost.repeat(400, 0), 2.0, feasible.repeat(400, 0))
    choice = np.repeat([0, -1], [399, 1])
    drawn = draw_among_equals(programme, choice, np.random.default_rng(seed))
    assert set(drawn[:399].tolist()) == {0, 1}
    assert drawn[399] == -1
    # Five standard deviations of a fair coin's 399 throws.
    assert abs((drawn[:399] == 0).sum() - 199.5) < 50
    assert (drawn == draw_among_equals(programme, choice, np.random.default_rng(seed))).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Programme.of_costs(np.zeros(2), np.zeros(2), 1.0), DataError, "n and k >= 1"),
        (lambda: Programme.of_costs(np.zeros((0, 2)), np.zeros((0, 2)), 1.0), DataError, "n and k >= 1"),
        (lambda: Programme.of_costs(np.zeros((2, 2)), np.zeros((2, 2)), 1.0, np.ones((2, 2))), DataError, "boolean"),
        (lambda: Programme.of_costs(np.zeros((2, 2)), np.zeros((2, 3)), 1.0), DataError, r"\(G, n, k\)"),
        (lambda: Programme.of_costs(np.full((2, 2), np.nan), np.zeros((2, 2)), 1.0), DataError, "gain must be finite"),
        (lambda: Programme.of_costs(np.zeros((2, 2)), np.full((2, 2), np.inf), 1.0), DataError, r"weight\[0\] must be"),
        (lambda: Programme.of_costs(np.zeros((2, 2)), np.zeros((2, 2)), np.nan), ConfigError, "cap must be finite"),
        (lambda: Programme.of_votes(np.zeros(2), YES, YES, 1.1), ConfigError, r"share must lie in \[0, 1\], got 1.1"),
        (lambda: Programme.of_votes(np.zeros(3), YES, YES, 0.5), DataError, r"margins \(3,\)"),
        (lambda: Programme.of_votes(np.zeros(2), YES.astype(float), YES, 0.5), DataError, "boolean voted"),
        (lambda: Programme.of_votes(np.array([0, np.nan]), YES, YES, 0.5), DataError, "0 where nothing is known"),
        (lambda: Programme.of_votes(np.zeros(2), YES, YES[:1], 0.5), DataError, "one shape"),
    ],
)
def test_what_is_no_programme(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("choice", [[0], [0, 2], [-2, 0]])
def test_what_is_no_choice(choice):
    with pytest.raises(DataError, match="choice must be of shape"):
        Programme.of_costs(np.zeros((2, 2)), np.zeros((2, 2)), 1.0).evaluate(np.array(choice))
