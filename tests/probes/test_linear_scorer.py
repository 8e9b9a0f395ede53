from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from forethought.errors import ArtifactError, FeatureError
from forethought.probes import LinearScorer, Scorer, scorer_from_state
from forethought.probes.linear_scorer import Part, Table


def _scorer(rng: np.random.Generator, **rest: object) -> LinearScorer:
    dense = Part(rng.normal(size=6) + 100, rng.normal(size=(6, 3)))
    return LinearScorer([dense, Part(None, rng.normal(size=(5, 3)))], rng.normal(size=3), **rest)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_it_is_a_scorer(rng: np.random.Generator) -> None:
    assert isinstance(_scorer(rng), Scorer)


def test_scores_are_the_logistic_of_the_affine_map(rng: np.random.Generator) -> None:
    scorer = _scorer(rng)
    x, t = rng.normal(size=(4, 6)) + 100, rng.normal(size=(4, 5))
    by_hand = (x - scorer.parts[0].centre) @ scorer.parts[0].weights + t @ scorer.parts[1].weights + scorer.bias
    np.testing.assert_allclose(scorer.predict_proba([x, csr_matrix(t)]), 1 / (1 + np.exp(-by_hand)), atol=1e-5)


def test_single_row_equals_its_row_in_a_batch(rng: np.random.Generator) -> None:
    scorer = _scorer(rng)
    x, t = rng.normal(size=(9, 6)).astype(np.float32) + 100, csr_matrix(rng.normal(size=(9, 5)))
    batch = scorer.predict_proba([x, t])
    for i in range(9):
        np.testing.assert_allclose(scorer.predict_proba([x[i : i + 1], t[i : i + 1]])[0], batch[i], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"link": "clip"}, {"tables": [Table(np.r_[-1.0, 2], np.r_[0.1, 0.9])] * 3}])
def test_state_round_trip_gives_the_same_scores(rng: np.random.Generator, options: dict[str, object]) -> None:
    scorer = _scorer(rng, **options)
    blocks = [rng.normal(size=(4, 6)) + 100, rng.normal(size=(4, 5))]
    again = scorer_from_state(*scorer.state())
    np.testing.assert_array_equal(again.predict_proba(blocks), scorer.predict_proba(blocks))
    assert ((scorer.predict_proba(blocks) >= 0) & (scorer.predict_proba(blocks) <= 1)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_by_row(rng: np.random.Generator, bad: float) -> None:
    x = rng.normal(size=(3, 6))
    x[1, 2] = bad
    with pytest.raises(FeatureError, match=r"rows \[1\]"):
        _scorer(rng).predict_proba([x, np.zeros((3, 5))])


def test_blocks_of_another_shape_are_refused(rng: np.random.Generator) -> None:
    scorer = _scorer(rng)
    with pytest.raises(FeatureError, match=r"widths \[6, 5\], got \[6\]"):
        scorer.predict_proba([np.zeros((1, 6))])
    with pytest.raises(FeatureError, match="as many rows"):
        scorer.predict_proba([np.zeros((1, 6)), np.zeros((2, 5))])


def test_state_that_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    meta, arrays = _scorer(rng).state()
    with pytest.raises(ArtifactError, match="must name its 'kind'"):
        scorer_from_state({}, arrays)
    with pytest.raises(ArtifactError, match=r"weights\.1"):
        scorer_from_state(meta, {k: v for k, v in arrays.items() if k != "weights.1"})
    with pytest.raises(ArtifactError, match=r"shape \(d, 2\)"):
        scorer_from_state(meta, {**arrays, "bias": np.zeros(2)})
    with pytest.raises(ArtifactError, match="link must be one of"):
        scorer_from_state({**meta, "link": "probit"}, arrays)
