import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forethought.allocation import Programme, solve_milp, solve_share_cap
from forethought.errors import ConfigError, DataError

ORDERS = ("served", "gain")
SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.29, 1 / 3, 0.5, 2 / 3, 0.75, 0.9, 1.0])


@st.composite
def programmes(draw) -> Programme:
    """Sampled responses: margins on a grid fine enough to be equal now and then."""
    n, m = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    margins = draw(arrays(np.float64, n, elements=st.integers(-8, 8).map(lambda eighth: eighth / 8)))
    voted, feasible = draw(arrays(np.bool_, (n, m))), draw(arrays(np.bool_, (n, m)))
    return Programme.of_votes(margins, voted, feasible, draw(SHARES))


def batch(seed: int, n: int, m: int, share: float) -> Programme:
    """Right answers likelier by vote, as in training."""
    rng = np.random.default_rng(seed)
    ease, voted = rng.normal(size=n), rng.random((n, m)) < 0.5
    right = rng.random((n, m)) < 1 / (1 + np.exp(-ease[:, np.newaxis] - 0.6 * voted))
    return Programme.of_votes(rng.uniform(-0.3, 0.8, n), voted, right, share)


@settings(deadline=None)
@given(programmes(), st.sampled_from(ORDERS))
def test_it_is_as_good_as_the_integer_programme(programme, order):
    found, best = solve_share_cap(programme, order=order), solve_milp(programme, order=order)
    assert found.gain == pytest.approx(best.gain, abs=1e-9)
    if order == "served":
        assert found.served == best.served
    assert found.served >= np.count_nonzero(programme.sure)
    assert (programme.excess(found.choice) <= 0).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), SHARES, st.sampled_from(ORDERS))
def test_any_gains_do_not_only_margins(seed, share, order):
    """Responses of one group may differ in gain, as under a reward model."""
    rng = np.random.default_rng(seed)
    gain, voted = rng.normal(size=(12, 3)), rng.random((12, 3)) < 0.6
    programme = Programme(gain, voted[np.newaxis].astype(float), np.array([share]), rng.random((12, 3)) < 0.6)
    found, best = solve_share_cap(programme, order=order), solve_milp(programme, order=order)
    assert found.gain == pytest.approx(best.gain, abs=1e-9)
    assert order == "gain" or found.served == best.served


@settings(deadline=None)
@given(programmes(), st.randoms(use_true_random=False), st.sampled_from(ORDERS))
def test_order_of_questions_and_responses_changes_nothing(programme, random, order):
    n, m = programme.gain.shape
    place = np.ix_(random.sample(range(n), n), random.sample(range(m), m))
    moved = Programme(programme.gain[place], programme.weight[:, *place], programme.cap, programme.feasible[place])
    here, there = solve_share_cap(programme, order=order), solve_share_cap(moved, order=order)
    assert (here.served, here.gain) == (there.served, pytest.approx(there.gain, abs=1e-12))


def test_the_two_orders_differ_where_a_vote_only_question_takes_the_place_of_a_better_flip():
    # Both kinds with margin .28, vote-only with .29, single-only; half of the accepted may vote.
    voted = np.array([[True, False], [True, True], [False, False]])
    feasible = np.array([[True, True], [True, False], [True, False]])
    programme = Programme.of_votes(np.array([0.28, 0.29, 0.0]), voted, feasible, 0.5)
    by_gain, by_served = (solve_share_cap(programme, order=order) for order in ("gain", "served"))
    # Serving all three takes the only vote of three; not serving the second leaves one of two for the flip.
    assert by_gain.gain == pytest.approx(0.28)
    assert by_gain.choice.tolist() == [0, -1, 0]
    assert by_served.gain == pytest.approx(0.29 - 0.28)
    assert by_served.choice.tolist() == [1, 0, 0]


def test_worked_example_of_the_paper():
    """Table 2 with q = .5: a single response for the first question, a right vote for the second."""
    voted = np.array([[False, False, True, True], [False, False, True, True]])
    right = np.array([[True, True, True, True], [True, False, True, True]])
    found = solve_share_cap(Programme.of_votes(np.array([0.0, 0.5]), voted, right, 0.5))
    assert found.choice[0] in (0, 1)
    assert found.choice[1] in (2, 3)
    assert (found.served, found.gain, found.used.tolist()) == (2, 0.5, [0.5])


@pytest.mark.parametrize(("share", "n", "votes"), [(0.29, 100, 29), (0.07, 100, 7), (0.57, 100, 57), (0.285, 100, 28)])
def test_a_share_is_not_rounded_down_by_its_last_bit(share, n, votes):
    voted = np.tile([True, False], (n, 1))
    found = solve_share_cap(Programme.of_votes(np.full(n, 0.3), voted, np.ones((n, 2), dtype=bool), share))
    assert (found.served, np.count_nonzero(found.choice == 0)) == (n, votes)


def test_the_cap_is_relative_to_what_is_accepted():
    # Forty questions of which thirty have no right response: half of ten may vote, not half of forty.
    feasible = np.zeros((40, 2), dtype=bool)
    feasible[:10] = True
    found = solve_share_cap(Programme.of_votes(np.full(40, 0.2), np.tile([True, False], (40, 1)), feasible, 0.5))
    assert (found.served, found.used.tolist()) == (10, [0.5])
    assert (found.choice[10:] == -1).all()


def test_flips_that_gain_nothing_are_not_made():
    voted, every = np.tile([True, False], (3, 1)), np.ones((3, 2), dtype=bool)
    found = solve_share_cap(Programme.of_votes(np.array([0.0, -0.2, 0.1]), voted, every, 1.0))
    assert found.choice.tolist() == [1, 1, 0]


@pytest.mark.parametrize("order", ORDERS)
def test_nothing_right_and_nothing_but_votes(order):
    voted = np.ones((4, 3), dtype=bool)
    nobody = solve_share_cap(Programme.of_votes(np.zeros(4), voted, ~voted, 0.5), order=order)
    assert (nobody.served, nobody.gain, nobody.choice.tolist()) == (0, 0.0, [-1] * 4)
    # Of accepted responses that all vote, no share below 1 may vote.
    assert solve_share_cap(Programme.of_votes(np.ones(4), voted, voted, 0.99), order=order).served == 0
    assert solve_share_cap(Programme.of_votes(np.ones(4), voted, voted, 1.0), order=order).served == 4


def test_the_seed_decides_among_equals():
    programme = Programme.of_votes(np.full(40, 0.2), np.tile([True, True, False], (40, 1)), np.ones((40, 3), bool), 0.5)
    runs = [solve_share_cap(programme, seed=seed).choice for seed in (0, 0, 1)]
    assert runs[0].tolist() == runs[1].tolist() != runs[2].tolist()
    flipped = np.array([solve_share_cap(programme, seed=seed).choice < 2 for seed in range(200)])
    assert (flipped.sum(axis=1) == 20).all()
    # Every question is flipped in about half of the draws, wherever it stands: five standard deviations.
    assert (np.abs(flipped.mean(axis=0) - 0.5) < 5 * np.sqrt(0.25 / 200)).all()
    assert {0, 1} == set(np.concatenate([run[run < 2] for run in runs]).tolist())


def test_a_training_batch_is_solved_as_well_as_by_the_integer_programme():
    for share in (0.25, 0.5, 0.75):
        programme = batch(0, 128, 8, share)
        found, best = solve_share_cap(programme), solve_milp(programme)
        assert (found.served, found.gain) == (best.served, pytest.approx(best.gain, abs=1e-9))


@pytest.mark.parametrize(
    ("weight", "cap", "message"),
    [
        (np.zeros((2, 1, 2)), [0.5, 0.5], "one cap"),
        (np.zeros((1, 1, 2)), [1.5], r"one cap in \[0, 1\], got \[1.5\]"),
        (np.zeros((1, 1, 2)), [-0.1], "one cap in"),
        (np.array([[[0.0, 2.0]]]), [0.5], "weights 0 and 1"),
    ],
)
def test_other_programmes_are_refused(weight, cap, message):
    with pytest.raises(DataError, match=message):
        solve_share_cap(Programme(np.zeros((1, 2)), weight, np.array(cap), np.ones((1, 2), dtype=bool)))


def test_an_order_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="'served' or 'gain', got 'both'"):
        solve_share_cap(batch(0, 4, 2, 0.5), order="both")
