from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from forethought.errors import FeatureError
from forethought.probes import LinearScorer, RecalibratedScorer
from forethought.probes.base import log_odds, logit
from forethought.probes.linear_scorer import Part, Table
from forethought.router import Subspace


def linear(rng: np.random.Generator, widths: tuple[int, ...], targets: int, rank: int | None = None) -> LinearScorer:
    """A head of dense blocks and, last, a sparse one."""
    parts = []
    for i, width in enumerate(widths):
        weights = rng.normal(size=(width, targets))
        if rank is not None:
            weights = weights[:, :rank] @ rng.normal(size=(rank, targets))
        parts.append(Part(None if i == len(widths) - 1 else rng.normal(size=width), weights))
    return LinearScorer(parts, rng.normal(size=targets))


def blocks_for(rng: np.random.Generator, scorer: LinearScorer, n: int) -> list[object]:
    *dense, text = (rng.normal(size=(n, width)).astype(np.float32) for width in scorer.widths)
    return [*dense, csr_matrix(text)]


def residual_of_affine_fit(projection: np.ndarray, logits: np.ndarray) -> float:
    design = np.hstack([projection, np.ones((len(projection), 1))])
    fit = np.linalg.lstsq(design, logits, rcond=None)[0]
    return float(np.abs(design @ fit - logits).max())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_logits_of_a_linear_head_are_affine_in_the_projection(seed, targets, widths):
    rng = np.random.default_rng(seed)
    scorer = linear(rng, tuple(widths), targets)
    subspace = Subspace.of(scorer)
    assert subspace.whole
    assert subspace.dimension == sum(min(width, targets) for width in widths)
    blocks = blocks_for(rng, scorer, 100)
    assert residual_of_affine_fit(subspace.project(blocks), scorer.logits(blocks)) < 1e-3


def test_of_a_clipped_head_the_scores_are_affine_in_the_projection_and_the_log_odds_are_not():
    rng = np.random.default_rng(0)
    scorer = LinearScorer([Part(np.zeros(20), rng.normal(size=(20, 3)) * 0.1)], np.full(3, 0.5), link="clip")
    blocks = [rng.normal(size=(500, 20)).astype(np.float32)]
    projection = Subspace.of(scorer).project(blocks)
    assert residual_of_affine_fit(projection, scorer.logits(blocks)) < 1e-3
    assert residual_of_affine_fit(projection, scorer.log_odds(blocks)) > 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_what_the_projection_does_not_see_moves_no_score(seed):
    rng = np.random.default_rng(seed)
    scorer = linear(rng, (12, 9), 3)
    subspace = Subspace.of(scorer)
    x, text = rng.normal(size=(4, 12)), csr_matrix(rng.normal(size=(4, 9)))
    basis = subspace.parts[0].weights.astype(np.float64)
    hidden = rng.normal(size=(4, 12))
    hidden -= hidden @ basis @ basis.T
    np.testing.assert_allclose(scorer.logits([x + hidden, text]), scorer.logits([x, text]), atol=1e-4)
    np.testing.assert_allclose(subspace.project([x + hidden, text]), subspace.project([x, text]), atol=1e-4)


def test_the_basis_is_orthonormal_deterministic_and_of_the_weights_rank():
    rng = np.random.default_rng(0)
    scorer = linear(rng, (30, 20), 6, rank=2)
    first, again = Subspace.of(scorer), Subspace.of(scorer)
    assert first.dimension == 4
    for part, same in zip(first.parts, again.parts, strict=True):
        np.testing.assert_array_equal(part.weights, same.weights)
        np.testing.assert_allclose(part.weights.T @ part.weights, np.eye(2), atol=1e-6)
        largest = np.abs(part.weights).argmax(axis=0)
        assert (part.weights[largest, [0, 1]] > 0).all()


def test_too_many_directions_are_shared_out_between_blocks():
    rng = np.random.default_rng(0)
    scorer = linear(rng, (60, 60, 10), 40)
    subspace = Subspace.of(scorer)
    assert not subspace.whole
    assert [part.weights.shape[1] for part in subspace.parts] == [27, 27, 10]
    assert subspace.dimension == 64
    strongest = np.linalg.svd(scorer.parts[0].weights, full_matrices=False)[0][:, :27]
    np.testing.assert_allclose(np.abs((strongest * subspace.parts[0].weights).sum(axis=0)), 1.0, atol=1e-4)


def test_a_head_without_weights_has_nothing_to_project():
    scorer = LinearScorer([Part(None, np.zeros((5, 3)))], np.zeros(3))
    subspace = Subspace.of(scorer)
    assert subspace.whole
    assert subspace.project([np.ones((2, 5))]).shape == (2, 0)


def test_log_odds_are_those_before_a_calibration_that_stands_apart():
    rng = np.random.default_rng(0)
    plain = linear(rng, (6, 4), 3)
    blocks = blocks_for(rng, plain, 5)
    tables = [Table(np.array([-1.0, 1.0]), np.array([0.4, 0.6]))] * 3
    with_tables = LinearScorer(plain.parts, plain.bias, tables=tables)
    moved = RecalibratedScorer(with_tables, np.eye(3) * 2, np.ones(3))
    for scorer in (plain, with_tables, moved):
        np.testing.assert_array_equal(log_odds(scorer, blocks), plain.logits(blocks))
    assert Subspace.of(moved).dimension == Subspace.of(plain).dimension == 6


def test_log_odds_of_scores_that_are_probabilities_are_finite():
    scorer = LinearScorer([Part(None, np.eye(3))], np.zeros(3), link="clip")
    found = log_odds(scorer, [np.array([[-1.0, 0.25, 2.0]])])
    np.testing.assert_allclose(found[0], logit(np.array([0.0, 0.25, 1.0])))
    assert np.isfinite(found).all()


def test_a_scorer_that_is_not_legible_is_still_kept_by_its_probabilities():
    class Closed:
        kind = "closed"

        def predict_proba(self, blocks):
            return np.array([[0.5, 0.8]])

    np.testing.assert_allclose(log_odds(Closed(), []), [[0.0, np.log(4)]])
    assert Subspace.of(Closed()).dimension == 0
    assert RecalibratedScorer(Closed(), np.eye(2), np.zeros(2)).directions() == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    scorer = linear(np.random.default_rng(0), (4, 3), 2)
    with pytest.raises(FeatureError, match="finite"):
        Subspace.of(scorer).project([np.full((1, 4), bad), csr_matrix(np.zeros((1, 3)))])


@pytest.fixture(scope="module")
def trunk():
    from forethought.probes import SharedTrunkNet, TrunkTraining

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 24)) * np.linspace(1, 50, 24) + 1000
    Y = (rng.random((300, 3)) < 0.5).astype(float)
    return X, SharedTrunkNet(6, seeds=(0, 1), training=TrunkTraining(max_epochs=5)).fit(X, Y).scorer()


def test_a_network_sees_nothing_beside_its_subspace(trunk):
    X, scorer = trunk
    subspace = Subspace.of(scorer)
    assert subspace.dimension == 6
    basis = subspace.parts[0].weights.astype(np.float64)
    hidden = np.random.default_rng(1).normal(size=X.shape) * 10
    hidden -= hidden @ basis @ basis.T
    assert np.abs(scorer.predict_proba([X + hidden]) - scorer.predict_proba([X])).max() < 1e-3
    seen = np.random.default_rng(2).normal(size=(len(X), 6)) * 10
    assert np.abs(scorer.predict_proba([X + seen @ basis.T]) - scorer.predict_proba([X])).max() > 1e-2


def test_a_networks_blocks_are_projected_side_by_side(trunk):
    X, scorer = trunk
    subspace = Subspace.of(scorer)
    np.testing.assert_array_equal(subspace.project([X[:, :10], X[:, 10:]]), subspace.project([X]))


def test_a_networks_log_odds_come_before_its_calibration(trunk):
    X, scorer = trunk
    moved = scorer.calibrated(np.array([0.5, 1.0, 2.0]), np.array([0.3, 0.0, -1.0]))
    np.testing.assert_array_equal(log_odds(moved, [X]), log_odds(scorer, [X]))
    np.testing.assert_allclose(log_odds(scorer, [X]), logit(scorer.predict_proba([X])), atol=1e-9)
