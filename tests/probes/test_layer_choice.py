from __future__ import annotations

import numpy as np
import pytest

from forethought.errors import ConfigError, DataError, FeatureError
from forethought.probes.layer_choice import LayerSearch, choose_layers

SEARCH = LayerSearch(sizes=(4, 8), penalties=(1e-3, 1.0), fisher_size=8)


def problem(n=400, d=8, peaks=(2, 4), seed=0):
    """Two targets; target k is read best at layer peaks[k] of the readout `mean`, and `last` is noise."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, 2))
    Y = (truth + 0.5 * rng.normal(size=(n, 2)) > 0).astype(float)
    blocks = {}
    for layer in range(6):
        strength = np.exp(-((layer - np.array(peaks)) ** 2) / 2.0)
        signal = (truth * strength) @ np.eye(2, d) * 3
        blocks[layer, "mean"] = (rng.normal(size=(n, d)) + signal).astype(np.float32)
        blocks[layer, "last"] = rng.normal(size=(n, d)).astype(np.float32)
    return blocks, Y, np.arange(n) % 4


@pytest.mark.parametrize("strategy", ["fisher", "cv_auc", "exhaustive"])
def test_truth_is_found_where_it_lives(strategy):
    blocks, Y, folds = problem()
    choice = choose_layers(blocks, Y, strategy, folds, SEARCH)
    assert [(pick.layers, pick.readout) for pick in choice.per_target] == [((2,), "mean"), ((4,), "mean")]
    assert choice.shared.readout == "mean"
    assert choice.shared.layers[0] in {2, 3, 4}
    assert choice.per_target[0].cv_auc > 0.85


def test_table_is_whole_and_the_pick_is_its_best_row():
    blocks, Y, folds = problem()
    choice = choose_layers(blocks, Y, "cv_auc", folds, SEARCH)
    for rows, pick in zip(choice.table, choice.per_target, strict=True):
        assert {(row.layers[0], row.readout) for row in rows} == set(blocks)
        assert pick == max(rows, key=lambda row: row.cv_auc)
        assert pick.C == 1.0
    by_fisher = choose_layers(blocks, Y, "fisher", folds, SEARCH)
    assert by_fisher.table == choice.table
    assert by_fisher.per_target[0] == max(choice.table[0], key=lambda row: row.J)


def test_exhaustive_never_does_worse_on_its_own_measure():
    blocks, Y, folds = problem()
    grid, code = (choose_layers(blocks, Y, strategy, folds, SEARCH) for strategy in ("exhaustive", "cv_auc"))
    assert grid.shared.cv_auc >= code.shared.cv_auc
    assert {row.C for rows in grid.table for row in rows} == {1e-3, 1.0}


def test_separability_and_auroc_rank_layers_alike_where_signal_leads():
    blocks, Y, folds = problem(n=1500)
    only_mean = {key: X for key, X in blocks.items() if key[1] == "mean"}
    assert (choose_layers(only_mean, Y, "cv_auc", folds, SEARCH).rank_correlation > 0.8).all()


def test_all_layers_beat_the_best_one_where_each_has_a_part():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(500, 4))
    Y = (truth.sum(axis=1) > 0).astype(float)
    blocks = {(layer, "last"): rng.normal(size=(500, 6)) + np.outer(truth[:, layer], np.ones(6)) for layer in range(4)}
    folds = np.arange(500) % 5
    fused = choose_layers(blocks, Y, "all_layers", folds, SEARCH).shared
    single = choose_layers(blocks, Y, "cv_auc", folds, SEARCH).shared
    assert fused.layers == (0, 1, 2, 3)
    assert fused.fusion in {"concatenate", "mean"}
    assert fused.cv_auc > single.cv_auc + 0.1


def test_one_class_targets_follow_the_others_and_missing_labels_are_masked():
    blocks, Y, folds = problem()
    spoiled = np.column_stack([Y[:, 0], np.ones(len(Y))])
    spoiled[::7] = np.nan
    choice = choose_layers(blocks, spoiled, "cv_auc", folds, SEARCH)
    assert choice.per_target[1] == choice.shared
    assert choice.shared.layers == (2,)
    assert np.isnan(choice.rank_correlation[1])


def test_equals_go_to_the_shortest_prefill():
    blocks, Y, folds = problem()
    same = {(layer, "mean"): blocks[2, "mean"] for layer in (9, 3, 5)}
    assert choose_layers(same, Y, "cv_auc", folds, SEARCH).shared.layers == (3,)


def test_rows_in_another_order_choose_the_same():
    blocks, Y, folds = problem()
    order = np.random.default_rng(3).permutation(len(Y))
    shuffled = choose_layers({key: X[order] for key, X in blocks.items()}, Y[order], "cv_auc", folds[order], SEARCH)
    plain = choose_layers(blocks, Y, "cv_auc", folds, SEARCH)
    assert [p[:5] for p in shuffled.per_target] == [p[:5] for p in plain.per_target]
    assert shuffled.shared.cv_auc == pytest.approx(plain.shared.cv_auc, abs=1e-4)


def test_bad_input_is_refused():
    blocks, Y, folds = problem(n=60)
    with pytest.raises(ConfigError, match="ternary"):
        choose_layers(blocks, Y, "ternary", folds)
    with pytest.raises(DataError, match="both classes"):
        choose_layers(blocks, np.ones_like(Y), "cv_auc", folds)
    with pytest.raises(DataError, match="two folds"):
        choose_layers(blocks, Y, "cv_auc", np.zeros(60))
    with pytest.raises(FeatureError, match="60 rows"):
        choose_layers({(0, "last"): blocks[0, "last"][:50]}, Y, "cv_auc", folds)
    with pytest.raises(FeatureError, match="finite"):
        choose_layers({(0, "last"): blocks[0, "last"] * np.nan}, Y, "cv_auc", folds)
    with pytest.raises(ConfigError, match="PCA"):
        LayerSearch(sizes=(0,))
    with pytest.raises(ConfigError, match="penalties"):
        LayerSearch(penalties=(-1.0,))
