from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from forethought.errors import ConfigError, DataError, FeatureError
from forethought.probes import AveragedHead, IsotonicCalibrator, SharedResidualRidge, scorer_from_state

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
    head = AveragedHead().fit([b[:400] for b in blocks], Y[:400], folds[:400])
    P = head.predict_proba([b[400:] for b in blocks])
    routed = Y[400:][np.arange(200), P.argmax(axis=1)].mean()
    assert routed > Y[400:].mean(axis=0).max() + 0.08
    assert np.abs(P.mean(axis=0) - Y[400:].mean(axis=0)).max() < 0.1


def test_out_of_fold_rows_are_blind_to_their_own_fold() -> None:
    """The whole chain is: flipping every label of a fold leaves that fold's predictions as they were."""
    blocks, Y, folds = _problem()
    before = AveragedHead().fit(blocks, Y, folds).out_of_fold_
    flipped = np.where((folds == 2)[:, None], 1 - Y, Y)
    after = AveragedHead().fit(blocks, flipped, folds).out_of_fold_
    np.testing.assert_allclose(after[folds == 2], before[folds == 2], atol=1e-9)
    assert np.abs(after[folds != 2] - before[folds != 2]).mean() > 0.02


def test_noise_gains_nothing_out_of_fold() -> None:
    blocks, Y, folds = _problem()
    shuffled = np.random.default_rng(5).permutation(Y)
    P = AveragedHead().fit(blocks, shuffled, folds).out_of_fold_
    brier, base = ((P - shuffled) ** 2).mean(), ((shuffled.mean(axis=0) - shuffled) ** 2).mean()
    assert base - 0.005 < brier < base + 0.03


def test_serving_form_survives_json_and_matches_in_any_batch() -> None:
    blocks, Y, folds = _problem()
    head = AveragedHead().fit(blocks, Y, folds)
    meta, arrays = head.scorer().state()
    again = scorer_from_state(json.loads(json.dumps(meta)), arrays)
    expected = head.predict_proba(blocks)
    np.testing.assert_array_equal(again.predict_proba(blocks), expected)
    np.testing.assert_allclose(again.predict_proba([b[7:8] for b in blocks])[0], expected[7], atol=1e-6)


def test_serving_form_is_the_average_of_the_ridges_then_platt() -> None:
    blocks, Y, folds = _problem()
    head = AveragedHead(weights=(1, 2, 1)).fit(blocks, Y, folds)
    singles = []
    for block, penalties in zip(blocks, head.penalties_, strict=True):
        ridge = SharedResidualRidge([penalties["shared"]], [penalties["residual"]]).fit(block, Y, folds=folds)
        singles.append(ridge.predict(block))
    scores = 4 * (np.average(singles, axis=0, weights=(1, 2, 1)) - 0.5)
    P = head.predict_proba(blocks)
    for score, p in zip(scores.T, P.T, strict=True):
        logits = np.log(p / (1 - p))
        slope, offset = np.polyfit(score, logits, 1)
        assert slope > 0
        np.testing.assert_allclose(slope * score + offset, logits, atol=1e-3)


def test_a_block_without_weight_changes_nothing() -> None:
    blocks, Y, folds = _problem()
    noise = np.random.default_rng(3).normal(size=(len(Y), 5))
    alone = AveragedHead().fit(blocks[:1], Y, folds)
    beside = AveragedHead(weights=(1, 0)).fit([blocks[0], noise], Y, folds)
    np.testing.assert_allclose(beside.predict_proba([blocks[0], noise]), alone.predict_proba(blocks[:1]), atol=1e-6)
    np.testing.assert_allclose(beside.out_of_fold_, alone.out_of_fold_, atol=1e-9)


def test_isotonic_tables_serve_one_class_targets_too() -> None:
    blocks, Y, folds = _problem()
    Y = np.column_stack([np.ones(len(Y)), Y])
    P = AveragedHead(calibrator=IsotonicCalibrator()).fit(blocks, Y, folds).predict_proba(blocks)
    np.testing.assert_allclose(P[:, 0], (len(Y) + 0.5) / (len(Y) + 1))
    assert np.abs(P[:, 1:].mean(axis=0) - Y[:, 1:].mean(axis=0)).max() < 0.02


def test_a_second_fit_forgets_the_first() -> None:
    blocks, Y, folds = _problem()
    head = AveragedHead().fit(blocks, Y, folds)
    assert head.out_of_fold_.shape == Y.shape
    again = head.fit(blocks, 1 - Y, folds).out_of_fold_
    np.testing.assert_array_equal(again, AveragedHead().fit(blocks, 1 - Y, folds).out_of_fold_)


def test_row_and_block_order_change_nothing() -> None:
    blocks, Y, folds = _problem()
    order = np.random.default_rng(1).permutation(len(Y))
    one = AveragedHead().fit(blocks, Y, folds).out_of_fold_
    other = AveragedHead().fit([b[order] for b in blocks[::-1]], Y[order], folds[order]).out_of_fold_
    np.testing.assert_allclose(other, one[order], atol=2e-3)


def test_missing_labels_one_class_targets_and_trials() -> None:
    blocks, Y, folds = _problem()
    Y = np.column_stack([Y, np.zeros(len(Y))])
    Y[np.random.default_rng(2).random(Y.shape) < 0.2] = np.nan
    trials = np.where(np.isnan(Y), 0.0, 4.0)
    head = AveragedHead().fit(blocks, Y, folds, trials)
    known = (~np.isnan(Y[:, 3])).sum() * 4
    assert head.one_class_ == [3]
    assert np.isfinite(head.out_of_fold_).all()
    np.testing.assert_allclose(head.predict_proba(blocks)[:, 3], 0.5 / (known + 1), rtol=1e-4)


def test_only_one_class_targets_still_give_probabilities() -> None:
    blocks, Y, folds = _problem(60)
    P = AveragedHead().fit(blocks, np.ones_like(Y), folds).predict_proba(blocks)
    np.testing.assert_allclose(P, 60.5 / 61, rtol=1e-4)


def test_bad_input_says_what_is_wrong() -> None:
    blocks, Y, folds = _problem(40)
    with pytest.raises(FeatureError, match="at least one feature block"):
        AveragedHead().fit([], Y, folds)
    with pytest.raises(FeatureError, match="as many rows"):
        AveragedHead().fit([blocks[0], blocks[1][:5]], Y, folds)
    with pytest.raises(FeatureError, match="block 1 has values"):
        AveragedHead().fit([blocks[0], np.full((40, 2), np.nan)], Y, folds)
    with pytest.raises(DataError, match="three folds"):
        AveragedHead().fit(blocks, Y, folds % 2)
    with pytest.raises(DataError, match="40 rows, success rates 39"):
        AveragedHead().fit(blocks, Y[:39], folds[:39])
    for weights in [(1, 1), (1, 1, -1), (0, 0, 0)]:
        with pytest.raises(ConfigError, match="one for each of 3 blocks"):
            AveragedHead(weights=weights).fit(blocks, Y, folds)
