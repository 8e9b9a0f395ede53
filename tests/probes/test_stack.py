from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from forethought.errors import DataError, FeatureError
from forethought.probes import IsotonicCalibrator, StackedHead, scorer_from_state

Array = NDArray[np.float64]


def _problem(n: int = 240, seed: int = 0) -> tuple[list[Array | csr_matrix], Array, NDArray[np.int64]]:
    """Two dense blocks and a sparse one; the targets differ along features of different blocks."""
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(n, 12)), rng.normal(size=(n, 300)) + 2
    T = rng.poisson(0.3, size=(n, 40)).astype(float)
    logits = np.column_stack([A[:, 0] + A[:, 1], A[:, 0] - A[:, 1], A[:, 0] + T[:, 0]])
    Y = (rng.random((n, 3)) < 1 / (1 + np.exp(-1.5 * logits))).astype(float)
    return [A, B, csr_matrix(T)], Y, np.arange(n) % 4


def test_it_learns_what_sets_targets_apart() -> None:
    blocks, Y, folds = _problem(600)
    head = StackedHead().fit([b[:400] for b in blocks], Y[:400], folds[:400])
    P = head.predict_proba([b[400:] for b in blocks])
    routed = Y[400:][np.arange(200), P.argmax(axis=1)].mean()
    assert routed > Y[400:].mean(axis=0).max() + 0.08
    assert np.abs(P.mean(axis=0) - Y[400:].mean(axis=0)).max() < 0.1


def test_out_of_fold_rows_are_blind_to_their_own_fold() -> None:
    """The whole chain is: flipping every label of a fold leaves that fold's predictions as they were."""
    blocks, Y, folds = _problem()
    before = StackedHead().fit(blocks, Y, folds).out_of_fold_
    flipped = np.where((folds == 2)[:, None], 1 - Y, Y)
    after = StackedHead().fit(blocks, flipped, folds).out_of_fold_
    np.testing.assert_allclose(after[folds == 2], before[folds == 2], atol=1e-9)
    assert np.abs(after[folds != 2] - before[folds != 2]).mean() > 0.02


def test_noise_gains_nothing_out_of_fold() -> None:
    blocks, Y, folds = _problem()
    shuffled = np.random.default_rng(5).permutation(Y)
    P = StackedHead().fit(blocks, shuffled, folds).out_of_fold_
    brier, base = ((P - shuffled) ** 2).mean(), ((shuffled.mean(axis=0) - shuffled) ** 2).mean()
    assert base - 0.005 < brier < base + 0.03


def test_serving_form_survives_json_and_matches_in_any_batch() -> None:
    blocks, Y, folds = _problem()
    head = StackedHead().fit(blocks, Y, folds)
    meta, arrays = head.scorer().state()
    again = scorer_from_state(json.loads(json.dumps(meta)), arrays)
    expected = head.predict_proba(blocks)
    np.testing.assert_array_equal(again.predict_proba(blocks), expected)
    np.testing.assert_allclose(again.predict_proba([b[7:8] for b in blocks])[0], expected[7], atol=1e-6)


def test_folded_matrix_equals_the_chain_step_by_step() -> None:
    blocks, Y, folds = _problem()
    head = StackedHead(calibrator=IsotonicCalibrator()).fit(blocks, Y, folds)
    logits, stack = head.scorer().logits(blocks), head._stack
    np.testing.assert_allclose(stack.calibrator.transform(logits), head.predict_proba(blocks), atol=1e-9)
    platt = StackedHead().fit(blocks, Y, folds)
    unfolded = platt._stack.calibrator.slope_ * logits + platt._stack.calibrator.offset_
    np.testing.assert_allclose(platt.scorer().logits(blocks), unfolded, atol=1e-4)


def test_row_and_block_order_change_nothing() -> None:
    blocks, Y, folds = _problem()
    order = np.random.default_rng(1).permutation(len(Y))
    one = StackedHead().fit(blocks, Y, folds).out_of_fold_
    other = StackedHead().fit([b[order] for b in blocks[::-1]], Y[order], folds[order]).out_of_fold_
    np.testing.assert_allclose(other, one[order], atol=2e-3)


def test_missing_labels_one_class_targets_and_trials() -> None:
    blocks, Y, folds = _problem()
    Y = np.column_stack([Y, np.zeros(len(Y))])
    Y[np.random.default_rng(2).random(Y.shape) < 0.2] = np.nan
    trials = np.where(np.isnan(Y), 0.0, 4.0)
    head = StackedHead().fit(blocks, Y, folds, trials)
    known = (~np.isnan(Y[:, 3])).sum() * 4
    assert head.one_class_ == [3]
    assert np.isfinite(head.out_of_fold_).all()
    np.testing.assert_allclose(head.predict_proba(blocks)[:, 3], 0.5 / (known + 1), rtol=1e-4)


def test_only_one_class_targets_still_give_probabilities() -> None:
    blocks, Y, folds = _problem(60)
    P = StackedHead().fit(blocks, np.ones_like(Y), folds).predict_proba(blocks)
    np.testing.assert_allclose(P, 60.5 / 61, rtol=1e-4)


def test_it_names_the_penalties_and_the_edges() -> None:
    blocks, Y, folds = _problem()
    head = StackedHead(Cs=(1e-3, 1e-1)).fit(blocks, Y, folds)
    assert [set(penalties) for penalties in head.penalties_] == [{"shared", "residual"}] * 3
    assert head.C_ in (1e-3, 1e-1)
    assert "stack" in head.edge_


def test_bad_input_says_what_is_wrong() -> None:
    blocks, Y, folds = _problem(40)
    with pytest.raises(FeatureError, match="at least one feature block"):
        StackedHead().fit([], Y, folds)
    with pytest.raises(FeatureError, match="as many rows"):
        StackedHead().fit([blocks[0], blocks[1][:5]], Y, folds)
    with pytest.raises(FeatureError, match="block 1 has values"):
        StackedHead().fit([blocks[0], np.full((40, 2), np.nan)], Y, folds)
    with pytest.raises(DataError, match="three folds"):
        StackedHead().fit(blocks, Y, folds % 2)
    with pytest.raises(DataError, match="40 rows, success rates 39"):
        StackedHead().fit(blocks, Y[:39], folds[:39])
