import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from forethought.allocation import Programme, largest_service, solve_knapsack, solve_milp
from forethought.allocation.knapsack import HullSteps, cheapest
from forethought.errors import BudgetError, DataError


@st.composite
def programmes(draw) -> Programme:
    """Gains and costs on a grid, so that sums are exact; costs may be negative, as a floor's are."""
    n, k = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    gain = draw(arrays(np.float64, (n, k), elements=st.integers(-16, 16).map(lambda part: part / 16)))
    cost = draw(arrays(np.float64, (n, k), elements=st.integers(-4, 16).map(lambda part: part / 4)))
    feasible = draw(arrays(np.bool_, (n, k)))
    return Programme.of_costs(gain, cost, draw(st.integers(-2, 16)) / 4, feasible)


def meets(programme: Programme) -> bool:
    return bool((programme.excess(cheapest(programme)) <= 0).all())


def relaxed(programme: Programme) -> float:
    """Most gain of any randomised choice that serves every solvable question, by linear programming."""
    n, k = programme.gain.shape
    one_each = np.kron(np.eye(n), np.ones((1, k)))
    upper = programme.feasible.ravel().astype(float)
    over = (programme.weight[0] - programme.cap[0]).ravel()[np.newaxis]
    bounds = np.column_stack([np.zeros(n * k), upper])
    found = linprog(-programme.gain.ravel(), over, [0.0], one_each, programme.solvable.astype(float), bounds=bounds)
    return -found.fun


def random_programme(seed: int, n: int, k: int, where: float) -> Programme:
    """A budget some way from the cheapest to the dearest."""
    rng = np.random.default_rng(seed)
    gain, cost = rng.random((n, k)), rng.random((n, k))
    least, most = cost.min(axis=1).mean(), cost.max(axis=1).mean()
    return Programme.of_costs(gain, cost, least + where * (most - least))


@settings(deadline=None)
@given(programmes())
def test_it_is_within_one_step_of_the_integer_programme(programme):
    assume(meets(programme))
    found, best = solve_knapsack(programme), solve_milp(programme)
    assert found.served == best.served
    assert (programme.excess(found.choice) <= 0).all()
    steps = HullSteps.of(programme, cheapest(programme))
    assert found.gain <= best.gain + 1e-9
    assert best.gain <= found.bound + 1e-9
    assert found.gap <= steps.gain.max(initial=0) + 1e-9


@settings(deadline=None, max_examples=50)
@given(programmes())
def test_the_bound_is_the_linear_relaxation(programme):
    assume(meets(programme))
    assert solve_knapsack(programme).bound == pytest.approx(relaxed(programme), abs=1e-8)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_cap_and_gap_hold_off_the_grid(seed, where):
    programme = random_programme(seed, 40, 5, where)
    found = solve_knapsack(programme)
    steps = HullSteps.of(programme, cheapest(programme))
    assert found.served == 40
    assert found.used[0] <= programme.cap[0] * (1 + 1e-9)
    assert 0 <= found.gap <= steps.gain.max()
    # Steps of a question keep its order, and their slopes fall.
    assert (np.diff(steps.slope) <= 0).all()
    for row in range(40):
        assert (np.diff(programme.weight[0, row, steps.option[steps.row == row]]) > 0).all()


@settings(deadline=None)
@given(programmes(), st.randoms(use_true_random=False))
def test_order_of_questions_and_options_does_not_change_the_bound(programme, random):
    assume(meets(programme))
    n, k = programme.gain.shape
    place = np.ix_(random.sample(range(n), n), random.sample(range(k), k))
    moved = Programme(programme.gain[place], programme.weight[:, *place], programme.cap, programme.feasible[place])
    here, there = solve_knapsack(programme), solve_knapsack(moved)
    assert here.served == there.served
    assert here.bound == pytest.approx(there.bound, abs=1e-9)
    assert here.price == pytest.approx(there.price, abs=1e-9)


def test_worked_by_hand():
    # Hulls: (1, .5) (2, .8) (4, 1), slopes .3 and .1; (1, .2) (3, .9), slope .35, (2, .3) lies under it.
    gain = np.array([[0.5, 0.8, 1.0], [0.2, 0.3, 0.9]])
    cost = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 3.0]])
    spent = {budget: solve_knapsack(Programme.of_costs(gain, cost, budget)) for budget in (1, 2, 2.5, 3, 4)}
    assert [spent[budget].choice.tolist() for budget in spent] == [[0, 0], [0, 2], [1, 2], [1, 2], [2, 2]]
    assert [spent[budget].price for budget in spent] == pytest.approx([0.35, 0.3, 0.1, 0.1, 0.0])
    assert [spent[budget].gap for budget in spent] == pytest.approx([0, 0, 0, 0.1, 0], abs=1e-12)


def test_a_straight_hull_is_climbed_in_its_order():
    # Slopes that are equal but for their last bits, in either direction.
    rng = np.random.default_rng(0)
    cost = np.sort(rng.random((2000, 5)))
    programme = Programme.of_costs(cost * rng.random((2000, 1)), cost, 1.0)
    steps = HullSteps.of(programme, cheapest(programme))
    order = np.lexsort((np.arange(len(steps.row)), steps.row))
    same = np.diff(steps.row[order]) == 0
    assert (np.diff(steps.option[order])[same] > 0).all()
    assert (np.diff(steps.slope[order])[same] <= 0).all()


def test_a_straight_hull_is_climbed_in_its_smallest_steps():
    programme = Programme.of_costs(np.array([[0.0, 0.25, 0.5, 0.75]]), np.array([[1.0, 2.0, 3.0, 4.0]]), 9.0)
    assert HullSteps.of(programme, np.array([0])).option.tolist() == [1, 2, 3]


def test_what_one_step_leaves_over_buys_a_lesser_change():
    # 3 to spend beyond the least: the step of .9 for 4 does not fit, the option under its hull does.
    gain = np.array([[0.0, 0.9, 0.4], [0.0, 0.1, 0.1]])
    cost = np.array([[1.0, 5.0, 4.0], [1.0, 9.0, 9.0]])
    found = solve_knapsack(Programme.of_costs(gain, cost, 2.5))
    assert found.choice.tolist() == [2, 0]
    assert found.gap == pytest.approx(0.9 * 3 / 4 - 0.4)


def test_a_budget_is_not_rounded_down_by_its_last_bit():
    assert np.full(10, 0.3).sum() < 3
    found = solve_knapsack(Programme.of_costs(np.tile([0.0, 0.5], (10, 1)), np.tile([0.0, 1.0], (10, 1)), 0.3))
    assert np.count_nonzero(found.choice) == 3


def test_of_equal_cost_the_better_and_of_equals_by_lot():
    gain, cost = np.array([[0.2, 0.5, 0.5]]).repeat(50, 0), np.ones((50, 3))
    runs = [solve_knapsack(Programme.of_costs(gain, cost, 1.0), seed=seed).choice for seed in (0, 0, 1)]
    assert set(runs[0].tolist()) == {1, 2}
    assert runs[0].tolist() == runs[1].tolist() != runs[2].tolist()


def test_questions_that_are_equal_at_the_end_of_the_budget_are_drawn():
    programme = Programme.of_costs(np.tile([0.1, 0.3], (40, 1)), np.tile([1.0, 2.0], (40, 1)), 1.5)
    upgraded = np.array([solve_knapsack(programme, seed=seed).choice for seed in range(200)])
    assert (upgraded.sum(axis=1) == 20).all()
    assert (np.abs(upgraded.mean(axis=0) - 0.5) < 5 * np.sqrt(0.25 / 200)).all()


def test_options_that_cost_more_and_gain_less_are_never_taken():
    gain, cost = np.array([[0.5, 0.4, 0.5, -0.3]]), np.array([[1.0, 2.0, 3.0, 0.5]])
    assert solve_knapsack(Programme.of_costs(gain, cost, 9.0)).choice.tolist() == [0]
    # The cheapest serves where the budget allows no other, whatever it gains.
    assert solve_knapsack(Programme.of_costs(gain, cost, 0.5)).choice.tolist() == [3]


def test_a_budget_that_serves_not_everybody_names_the_one_that_does():
    programme = Programme.of_costs(np.ones((4, 2)), np.array([[1.0, 5], [2, 5], [3, 5], [6, 7]]), 2.0)
    with pytest.raises(BudgetError, match=r"cost of 2 does not serve all 4 .* that does is 3,"):
        solve_knapsack(programme)
    assert solve_knapsack(Programme.of_costs(programme.gain, programme.weight[0], 3.0)).served == 4
    partly = largest_service(programme)
    found = solve_knapsack(partly)
    assert found.choice.tolist() == [0, 0, 0, -1]
    assert found.used.tolist() == [2.0]


@settings(deadline=None)
@given(programmes())
def test_the_largest_service_is_as_large_as_any(programme):
    found, best = solve_knapsack(largest_service(programme)), solve_milp(programme)
    assert found.served == best.served
    assert found.gain <= best.gain + 1e-9
    assert (programme.excess(found.choice) <= 0).all()


def test_nothing_feasible_and_too_many_caps():
    nothing = Programme.of_costs(np.ones((2, 2)), np.ones((2, 2)), 0.0, np.zeros((2, 2), dtype=bool))
    found = solve_knapsack(nothing)
    assert (found.choice.tolist(), found.gain, found.bound, found.price) == ([-1, -1], 0, 0, 0)
    assert largest_service(nothing).solvable.tolist() == [False, False]
    with pytest.raises(DataError, match="one cap, got 2"):
        solve_knapsack(Programme(np.ones((1, 1)), np.ones((2, 1, 1)), np.ones(2), np.ones((1, 1), dtype=bool)))


def test_what_is_not_feasible_may_be_anything():
    gain, cost = np.array([[0.1, np.nan, 0.4]]), np.array([[1.0, np.nan, 2.0]])
    programme = Programme.of_costs(gain, cost, 3.0, np.array([[True, False, True]]))
    assert solve_knapsack(programme).choice.tolist() == [2]


def test_more_questions_than_are_looked_at_together():
    programme = random_programme(0, 70_000, 3, 0.3)
    found = solve_knapsack(programme)
    assert found.served == 70_000
    assert found.used[0] == pytest.approx(programme.cap[0], rel=1e-4)
    assert found.gap <= 1e-6 * found.gain
    half = Programme.of_costs(programme.gain[:500], programme.weight[0, :500], programme.cap[0])
    assert solve_milp(half).gain - solve_knapsack(half).gain <= 1
