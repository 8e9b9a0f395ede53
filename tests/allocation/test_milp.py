from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forethought.allocation import Programme, solve_milp
from forethought.errors import ConfigError

GRID = st.integers(-8, 8).map(lambda eighth: eighth / 8)


@st.composite
def programmes(draw) -> Programme:
    """Up to three caps, floors among them; numbers on a grid, so that sums are exact."""
    caps, n, k = draw(st.integers(0, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    return Programme(
        draw(arrays(np.float64, (n, k), elements=GRID)),
        draw(arrays(np.float64, (caps, n, k), elements=GRID)),
        draw(arrays(np.float64, caps, elements=GRID)),
        draw(arrays(np.bool_, (n, k))),
    )


def best_of_all(programme: Programme, order: str) -> tuple[int, float]:
    """Questions served and gain of the best choice, by trying every one."""
    n, k = programme.gain.shape
    found = []
    for choice in product(range(-1, k), repeat=n):
        rows = [i for i in range(n) if choice[i] >= 0]
        if not all(programme.feasible[i, choice[i]] for i in rows):
            continue
        sums = [
            sum(w[i, choice[i]] - cap for i in rows) for w, cap in zip(programme.weight, programme.cap, strict=True)
        ]
        if any(over > 0 for over in sums):
            continue
        if order == "gain" and any(choice[i] < 0 for i in np.flatnonzero(programme.sure)):
            continue
        found.append((len(rows), sum(programme.gain[i, choice[i]] for i in rows)))
    return max(found) if order == "served" else max(found, key=lambda pair: pair[1])


@settings(deadline=None, max_examples=60)
@given(programmes(), st.sampled_from(["served", "gain"]))
def test_it_finds_the_best_of_all_choices(programme, order):
    served, gain = best_of_all(programme, order)
    found = solve_milp(programme, order=order)
    assert found.gain == pytest.approx(gain, abs=1e-9)
    assert (programme.excess(found.choice) <= 0).all()
    if order == "served":
        assert found.served == served


@settings(deadline=None, max_examples=25)
@given(programmes(), st.randoms(use_true_random=False), st.sampled_from(["served", "gain"]))
def test_order_of_questions_and_options_changes_nothing(programme, random, order):
    n, k = programme.gain.shape
    rows, columns = random.sample(range(n), n), random.sample(range(k), k)
    place = np.ix_(rows, columns)
    weight = np.array([table[place] for table in programme.weight]).reshape(-1, n, k)
    moved = Programme(programme.gain[place], weight, programme.cap, programme.feasible[place])
    here, there = solve_milp(programme, order=order), solve_milp(moved, order=order)
    assert here.gain == pytest.approx(there.gain, abs=1e-9)
    assert order == "gain" or here.served == there.served


def test_two_caps_hold_together():
    # Options: single, vote, vote of the larger model. At most half may vote, at a mean cost of at most 3.
    gain = np.array([[0.1, 0.5, 0.6], [0.2, 0.3, 0.9], [0.3, 0.4, 0.5], [0.1, 0.2, 0.2]])
    cost = np.tile([1.0, 3.0, 8.0], (4, 1))
    votes = np.tile([0.0, 1.0, 1.0], (4, 1))
    found = solve_milp(Programme(gain, np.stack([votes, cost]), np.array([0.5, 3.0]), np.ones((4, 3), dtype=bool)))
    # 12 to spend: one vote of the larger model leaves 4 for the other three, two votes of the smaller cost 8.
    assert found.gain == pytest.approx(0.1 + 0.9 + 0.3 + 0.1)
    assert found.choice.tolist() == [0, 2, 0, 0]
    assert found.used.tolist() == [0.25, 2.75]


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_units_of_gain_and_cost_change_nothing(unit):
    rng = np.random.default_rng(0)
    gain, cost = rng.random((30, 4)), rng.random((30, 4))
    ones = np.ones((30, 4), dtype=bool)
    plain = solve_milp(Programme.of_costs(gain, cost, 0.4, ones))
    scaled = solve_milp(Programme.of_costs(gain * unit, cost * unit, 0.4 * unit, ones))
    assert plain.choice.tolist() == scaled.choice.tolist()


def test_it_goes_on_to_the_best():
    """At the solver's default, a relative gap of 1e-4, it ends with 164.6349 here."""
    rng = np.random.default_rng(3)
    found = solve_milp(Programme.of_costs(rng.random((200, 6)), rng.random((200, 6)), 0.3))
    assert found.gain == pytest.approx(164.6431147, abs=1e-6)


def test_nothing_feasible_and_an_unknown_order():
    nothing = Programme.of_costs(np.ones((2, 2)), np.ones((2, 2)), 1.0, np.zeros((2, 2), dtype=bool))
    assert solve_milp(nothing).choice.tolist() == [-1, -1]
    with pytest.raises(ConfigError, match="'most'"):
        solve_milp(nothing, order="most")


def test_the_seed_decides_among_equal_responses():
    programme = Programme.of_costs(np.ones((20, 4)), np.ones((20, 4)), 1.0)
    first, again, other = (solve_milp(programme, seed=seed).choice.tolist() for seed in (0, 0, 1))
    assert first == again != other
