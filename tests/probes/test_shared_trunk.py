from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from forethought.errors import ConfigError, DataError
from forethought.probes import SharedTrunkNet, TrunkTraining
from forethought.probes.trunk_scorer import TrunkScorer

SMALL = TrunkTraining(max_epochs=8, batch_size=64)


def problem(n=300, d=24, K=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.linspace(1, 50, d) + np.linspace(-3000, 3000, d)
    logits = (X - X.mean(0)) / X.std(0) @ rng.normal(size=(d, K))
    return X, (rng.random((n, K)) < 1 / (1 + np.exp(-logits))).astype(float)


def torch_probabilities(scorer: TrunkScorer, Z: np.ndarray) -> np.ndarray:
    """The ensemble as torch modules, from the same weights, in double precision."""
    w = scorer.weights
    members, width, second = w["weight2"].shape
    out = []
    for e in range(members):
        layers = [torch.nn.Linear(Z.shape[1], width), torch.nn.Linear(width, second), torch.nn.Linear(second, 3)]
        net = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2]).double()
        columns = slice(e * width, (e + 1) * width)
        pairs = [
            (w["weight1"][:, columns], w["bias1"][columns]),
            (w["weight2"][e], w["bias2"][e, 0]),
            (w["weight3"][e], w["bias3"][e, 0]),
        ]
        with torch.no_grad():
            for layer, (weight, bias) in zip(layers, pairs, strict=True):
                layer.weight.copy_(torch.tensor(weight.T))
                layer.bias.copy_(torch.tensor(bias))
            out.append(torch.sigmoid(net(torch.tensor(Z))).numpy())
    return np.mean(out, axis=0)


def test_numpy_inference_equals_torch_on_scaled_pca_scores():
    X, Y = problem()
    net = SharedTrunkNet(pca=10, seeds=range(4), keep=3, training=SMALL).fit(X, Y)
    train = np.setdiff1d(np.arange(len(X)), net.selection_)
    steps = make_pipeline(StandardScaler(), PCA(10, random_state=0), StandardScaler()).fit(X[train])
    # StandardScaler divides by the population deviation, the fitted projection by the sample's.
    Z = steps.transform(X) * np.sqrt(1 - 1 / len(train))
    np.testing.assert_allclose(net.predict_proba(X), torch_probabilities(net.scorer_, Z), atol=1e-5)


def test_learns_and_masks_missing_labels():
    X, Y = problem(n=800, d=8)
    net = SharedTrunkNet(pca=8, seeds=(42,), training=TrunkTraining(max_epochs=60, batch_size=64)).fit(X[:600], Y[:600])
    right = ((net.predict_proba(X[600:]) > 0.5) == Y[600:]).mean()
    assert right > 0.75
    holes = Y.copy()
    holes[::3, 1] = np.nan
    spoiled = np.where(np.isnan(holes), 1.0, holes)
    masked, counted = (
        SharedTrunkNet(pca=8, seeds=(42,), training=SMALL).fit(X, target).predict_proba(X)[:, 1]
        for target in (holes, spoiled)
    )
    assert counted.mean() > masked.mean() + 0.05
    assert abs(masked.mean() - np.nanmean(holes[:, 1])) < 0.1


def test_deterministic_and_leaves_torch_as_it_was():
    X, Y = problem(n=120)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    first, second = (SharedTrunkNet(5, seeds=(1, 2), training=SMALL).fit(X, Y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_keeps_the_seeds_of_lowest_loss_on_one_split():
    X, Y = problem(n=150)
    net = SharedTrunkNet(5, seeds=(7, 8, 9), keep=2, training=SMALL).fit(X, Y)
    best = np.argsort(net.selection_loss_)[:2]
    assert net.kept_ == [(7, 8, 9)[i] for i in best]
    alone = SharedTrunkNet(5, seeds=(net.kept_[0],), training=SMALL).fit(X, Y)
    assert alone.selection_loss_[0] == net.selection_loss_.min()
    np.testing.assert_array_equal(alone.selection_, net.selection_)
    assert len(net.selection_) == round(0.15 * 150 + 0.5)


def test_best_weights_are_restored():
    X, Y = problem(n=150)
    config = TrunkTraining(max_epochs=120, batch_size=32, patience=120, learning_rate=1e-2)
    net = SharedTrunkNet(5, seeds=(0,), training=config).fit(X, Y)
    p, y = net.predict_proba(X)[net.selection_], Y[net.selection_]
    assert -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean() == pytest.approx(net.selection_loss_[0], abs=1e-4)


def test_groups_stay_on_one_side_of_the_selection_split():
    X, Y = problem(n=200)
    groups = np.repeat(np.arange(40), 5)
    net = SharedTrunkNet(5, seeds=(0,), training=SMALL).fit(X, Y, groups=groups)
    train = np.setdiff1d(np.arange(200), net.selection_)
    assert not set(groups[train]) & set(groups[net.selection_])


def test_one_range_for_each_target_shares_equal_transforms():
    X, Y = problem()
    columns = [(0, 12), (12, 24), (0, 12)]
    net = SharedTrunkNet(pca=4, columns=columns, seeds=(0,), training=SMALL).fit(X, Y)
    assert [(p.start, p.stop) for p in net.scorer_.projections] == [(0, 12), (12, 24)]
    assert net.scorer_.weights["weight1"].shape == (8, 256)
    moved = X.copy()
    moved[:, 12:] += 100
    assert not np.allclose(net.predict_proba(moved), net.predict_proba(X))
    sizes = SharedTrunkNet(pca=(4, 2, 3), columns=columns, seeds=(0,), training=SMALL).fit(X, Y)
    assert sizes.scorer_.weights["weight1"].shape[0] == 9


def test_one_class_targets_are_named_and_served_by_their_rate():
    X, Y = problem(n=100)
    Y[:, 1] = 1.0
    Y[:5, 1] = np.nan
    net = SharedTrunkNet(5, seeds=(0,), training=SMALL).fit(X, Y)
    assert net.one_class_.tolist() == [1]
    np.testing.assert_array_equal(net.predict_proba(X)[:, 1], 1.0)


def test_trials_weigh_labels():
    X, Y = problem(n=100, K=2)
    twice = SharedTrunkNet(5, seeds=(0,), training=SMALL).fit(X, Y, trials=np.full(Y.shape, 2.0))
    once = SharedTrunkNet(5, seeds=(0,), training=SMALL).fit(X, Y)
    uneven = SharedTrunkNet(5, seeds=(0,), training=SMALL).fit(X, Y, trials=np.where(Y == 1, 20.0, 1.0))
    np.testing.assert_allclose(twice.predict_proba(X), once.predict_proba(X), atol=1e-4)
    assert uneven.predict_proba(X).mean() > once.predict_proba(X).mean() + 0.1


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"keep": 0}, ConfigError),
        ({"seeds": ()}, ConfigError),
        ({"pca": 0}, ConfigError),
        ({"columns": [(0, 5)]}, ConfigError),
        ({"columns": [(0, 99)] * 3}, ConfigError),
        ({"pca": (3, 3)}, ConfigError),
    ],
)
def test_bad_settings_are_refused(settings, error):
    X, Y = problem(n=50)
    with pytest.raises(error):
        SharedTrunkNet(**{"seeds": (0,), "training": SMALL, **settings}).fit(X, Y)


def test_bad_labels_and_training_are_refused():
    X, Y = problem(n=50)
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        SharedTrunkNet(training=SMALL).fit(X, Y * 2)
    with pytest.raises(DataError, match="hold out"):
        SharedTrunkNet(training=SMALL).fit(X, Y, groups=np.zeros(50))
    with pytest.raises(ConfigError, match="selection_share"):
        TrunkTraining(selection_share=1.0)


CHECKED = TrunkTraining(max_epochs=20, batch_size=64, learning_rate=1e-2)


@parametrize_with_checks([SharedTrunkNet(pca=5, seeds=(0,), training=CHECKED)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
