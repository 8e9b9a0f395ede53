import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forethought.allocation import (
    Programme,
    SmoothedMargins,
    conditional_margins,
    joint_margins,
    solve_milp,
    solve_share_cap,
)
from forethought.errors import ConfigError, DataError

TABLES = st.tuples(st.integers(1, 6), st.integers(1, 8)).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))
)

# Table 2 of arXiv 2501.17974: all right but one single response of the second question.
VOTED = np.array([[False, False, True, True], [False, False, True, True]])
RIGHT = np.array([[True, True, True, True], [True, False, True, True]])


def test_worked_example_of_the_paper():
    found = conditional_margins(RIGHT, VOTED)
    assert found.margin.tolist() == [0.0, 0.5]
    assert found.weight.tolist() == [1.0, 1.0]
    accepted = solve_share_cap(Programme.of_votes(found.margin, VOTED, RIGHT, 0.5))
    assert VOTED[[0, 1], accepted.choice].tolist() == [False, True]
    assert accepted.used.tolist() == [0.5]
    assert joint_margins(RIGHT, VOTED).tolist() == [0.0, 0.25]


def test_the_joint_margin_follows_how_often_the_model_votes():
    # Votes are right always and single answers half of the time, but one of eight responses votes.
    voted = np.array([[True] + [False] * 7])
    right = np.array([[True, True, True, True, True, False, False, False]])
    assert conditional_margins(right, voted).margin == pytest.approx([1 - 4 / 7])
    assert joint_margins(right, voted) == pytest.approx([1 / 8 - 4 / 8])


@settings(deadline=None)
@given(TABLES)
def test_margins_by_counting(tables):
    right, voted = tables
    found = conditional_margins(right, voted)
    for i, margin in enumerate(found.margin):
        groups = right[i][voted[i]], right[i][~voted[i]]
        assert found.known[i] == all(len(group) > 0 for group in groups)
        assert margin == pytest.approx(groups[0].mean() - groups[1].mean() if found.known[i] else 0.0)
    assert (np.abs(found.margin) <= 1).all()


@settings(deadline=None)
@given(TABLES)
def test_groups_that_change_places_change_the_sign(tables):
    right, voted = tables
    here, there = conditional_margins(right, voted), conditional_margins(right, ~voted)
    assert here.margin == pytest.approx(-there.margin)
    assert here.weight.tolist() == there.weight.tolist()
    assert joint_margins(right, voted) == pytest.approx(-joint_margins(right, ~voted))


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("voted", [True, False])
def test_groups_without_samples(right, voted):
    found = conditional_margins(np.full((3, 4), right), np.full((3, 4), voted))
    assert found.margin.tolist() == [0.0] * 3
    assert not found.known.any()


def test_all_wrong_and_all_right_batches_are_solved():
    voted = np.tile([True, False], (4, 2))
    for right, served in ((np.zeros((4, 4), bool), 0), (np.ones((4, 4), bool), 4)):
        found = solve_share_cap(Programme.of_votes(conditional_margins(right, voted).margin, voted, right, 0.5))
        assert (found.served, found.gain) == (served, 0.0)


def listing(right: np.ndarray, voted: np.ndarray, share: float) -> tuple[int, int]:
    """Accepted and voting responses by the paper's listing: joint margins, at most round(share n m) votes, no serving.

    Its cap as one on all n questions, written with an option of no weight for each that accepts nothing.
    """
    n, m = right.shape
    limit = round(share * n * m) / n
    gain = np.where(voted, 1, -1) * joint_margins(right, voted)[:, np.newaxis]
    nothing = np.zeros((n, 1))
    # Of a response that gains nothing and none, the listing takes none.
    table = np.column_stack([gain, nothing + 1e-4])
    votes = np.column_stack([voted, nothing])[np.newaxis].astype(float)
    feasible = np.column_stack([right, np.ones((n, 1), dtype=bool)])
    found = solve_milp(Programme(table, votes, np.array([limit]), feasible))
    accepted = found.choice < m
    return int(accepted.sum()), int(voted[accepted, found.choice[accepted]].sum())


def test_the_cap_of_the_listing_never_binds_and_ours_does():
    rng = np.random.default_rng(0)
    voted = rng.random((32, 8)) < 0.5
    right = rng.random((32, 8)) < np.where(voted, 0.8, 0.5)
    accepted = {share: listing(right, voted, share) for share in (0.25, 0.5, 0.75)}
    assert len(set(accepted.values())) == 1
    served, votes = accepted[0.25]
    assert votes > 2 * 0.25 * served
    assert served < 32
    margin = conditional_margins(right, voted).margin
    for share in (0.25, 0.5):
        ours = solve_share_cap(Programme.of_votes(margin, voted, right, share))
        assert ours.served == 32
        assert ours.used[0] == share


def test_the_listing_accepts_nothing_where_the_margin_is_zero():
    """Of the paper's own example it leaves out the first question."""
    assert listing(RIGHT, VOTED, 0.5) == (1, 1)


def planted(seed: int, n: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, noisy margins and the margins they are of: .2 + .1 x."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3))
    true = 0.2 + 0.1 * features[:, 0]
    return features, true + noise * rng.normal(size=n), true


def test_smoothing_finds_the_margin_behind_the_noise():
    smoothed = SmoothedMargins(3)
    for seed in range(30):
        features, margins, _ = planted(seed, 64)
        smoothed.update(features, margins, np.full(64, 2.0))
    features, margins, true = planted(99, 1000)
    error = np.sqrt(np.mean((smoothed.predict(features) - true) ** 2))
    raw = np.sqrt(np.mean((margins - true) ** 2))
    assert error < 0.1 * raw


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_a_weight_is_a_number_of_equal_questions(seed, times):
    features, margins, _ = planted(seed, 12)
    once, often = SmoothedMargins(3), SmoothedMargins(3)
    once.update(features, margins, np.full(12, float(times)))
    often.update(features.repeat(times, 0), margins.repeat(times), np.ones(12 * times))
    assert once.predict(features) == pytest.approx(often.predict(features), abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_order_within_a_batch_does_not_matter(seed, random):
    features, margins, _ = planted(seed, 12)
    weights, order = np.arange(12.0), random.sample(range(12), 12)
    here, there = SmoothedMargins(3), SmoothedMargins(3)
    here.update(features, margins, weights)
    there.update(features[order], margins[order], weights[order])
    assert here.predict(features) == pytest.approx(there.predict(features), abs=1e-9)


def test_margins_that_are_not_known_are_not_read():
    features, margins, _ = planted(0, 20)
    known, all_of_them = SmoothedMargins(3), SmoothedMargins(3)
    known.update(features[:10], margins[:10], np.ones(10))
    all_of_them.update(features, np.where(np.arange(20) < 10, margins, 9.0), np.repeat([1.0, 0.0], 10))
    assert known.predict(features) == pytest.approx(all_of_them.predict(features))
    before = known.predict(features)
    for _ in range(1000):
        known.update(features, margins, np.zeros(20))
    assert known.predict(features).tolist() == before.tolist()


def test_without_features_it_is_the_discounted_mean():
    smoothed = SmoothedMargins(0, discount=0.5)
    nothing = np.zeros((1, 0))
    assert smoothed.predict(nothing).tolist() == [0.0]
    for margin in (0.0, 0.3, 0.6):
        smoothed.update(nothing, np.array([margin]), np.ones(1))
    assert smoothed.predict(nothing) == pytest.approx([(0.5 * 0.3 + 0.6) / (0.25 + 0.5 + 1)])


def test_old_batches_fade():
    smoothed = SmoothedMargins(1, discount=0.8)
    features = np.linspace(-1, 1, 20)[:, np.newaxis]
    for slope in [0.5] * 50 + [-0.5] * 50:
        smoothed.update(features, slope * features[:, 0], np.full(20, 2.0))
    found = smoothed.predict(np.array([[1.0]]))
    assert -0.5 <= found[0] < -0.45


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conditional_margins(VOTED, VOTED[:1]), DataError, "one shape"),
        (lambda: conditional_margins(VOTED[:0], VOTED[:0]), DataError, "n and m >= 1"),
        (lambda: joint_margins(VOTED.astype(float), VOTED), DataError, "must be boolean, got float64"),
        (lambda: SmoothedMargins(-1), ConfigError, "width >= 0"),
        (lambda: SmoothedMargins(1, penalty=0), ConfigError, "penalty > 0"),
        (lambda: SmoothedMargins(1, discount=1.1), ConfigError, "discount"),
        (lambda: SmoothedMargins(2).predict(np.zeros((1, 3))), DataError, r"\(n, 2\), got shape \(1, 3\)"),
        (lambda: SmoothedMargins(1).predict(np.array([[np.nan]])), DataError, "finite"),
        (lambda: SmoothedMargins(1).update(np.zeros((2, 1)), np.zeros(3), np.zeros(3)), DataError, "2 questions"),
        (lambda: SmoothedMargins(1).update(np.zeros((1, 1)), np.zeros(1), -np.ones(1)), DataError, ">= 0"),
        (lambda: SmoothedMargins(1).update(np.zeros((1, 1)), np.array([np.nan]), np.ones(1)), DataError, "finite"),
    ],
)
def test_what_cannot_be_used_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
