from __future__ import annotations

import numpy as np
import pytest

from forethought.activations import extract, fisher_separability, layer_report
from forethought.activations.components import principal_scores
from forethought.errors import ConfigError, DataError, FeatureError
from forethought.outcomes import Labels


@pytest.fixture(scope="module")
def store(tmp_path_factory, hashing):
    path = tmp_path_factory.mktemp("diagnostics") / "s"
    return extract(hashing["HashingEncoder"](), hashing["ask"](60), path, layers=(1, 3), readouts=("mean",))


@pytest.fixture(scope="module")
def labels(store):
    """Success that layer 3 holds; a target that is always right; one with holes."""
    ids = store.question_ids
    truth = (store.block((3,), "mean", ids).values[:, :4].sum(axis=1) > 0).astype(float)
    holed = np.where(np.arange(60) % 5 == 0, np.nan, truth)
    success = np.column_stack([truth, np.ones(60), holed])
    return Labels(ids, ("able", "always", "holed"), success, np.ones_like(success))


def test_rows(store, labels):
    rows = layer_report(store, labels, pca=8, permutations=50)
    assert [(row.layer, row.target) for row in rows] == [(at, name) for at in (1, 3) for name in labels.targets]
    by = {(row.layer, row.target): row for row in rows}
    assert by[3, "able"].fisher.J > by[1, "able"].fisher.J
    assert by[3, "able"].fisher.null_p < 0.05
    assert by[1, "always"][3:6] == (None, None, None)
    assert by[3, "holed"].fisher.n0 + by[3, "holed"].fisher.n1 == 48
    assert by[3, "able"].effective_dimension == by[3, "holed"].effective_dimension
    assert np.isfinite(by[3, "able"].anisotropy).all()
    assert np.isnan(by[3, "able"].cv_auc)


def test_one_size_and_both_kinds(store, labels):
    row = layer_report(store, labels, pca=8, permutations=10)[0]
    X = store.block((1,), "mean", labels.question_ids).values
    scores = principal_scores(X.astype(np.float64), 8)
    assert scores.shape == (60, 8)
    assert row.fisher == fisher_separability(scores, labels.success[:, 0], permutations=10)
    assert row.trace_ratio == fisher_separability(scores, labels.success[:, 0], kind="trace_ratio", permutations=10)


def test_within_groups_and_auc_are_taken_where_asked(store, labels):
    asked = []

    def cv_auc(X, Y):
        asked.append((X.shape, Y.shape))
        return [0.1, 0.2, 0.3]

    rows = layer_report(store, labels, groups=["a", "b"] * 30, cv_auc=cv_auc, pca=8, permutations=10)
    assert asked == [((60, 16), (60, 3))] * 2
    assert [row.cv_auc for row in rows[:3]] == [0.1, 0.2, 0.3]
    assert rows[0].within.n0 + rows[0].within.n1 == 60
    alone = layer_report(store, labels, groups=[str(i) for i in range(60)], pca=8, permutations=0)
    assert alone[0].within is None


def test_an_end_tokens_embedding_never_varies(tmp_path, encoder, questions):
    store = extract(encoder, questions, tmp_path / "s", layers=(0, 1), readouts=("last",))
    success = np.array([[i % 2] for i in range(len(questions))], dtype=float)
    ids = tuple(question.id for question in questions)
    first, second = layer_report(store, Labels(ids, ("t",), success, np.ones_like(success)), pca=4, permutations=5)
    assert np.isnan(first.fisher.J)
    assert np.isnan(first.effective_dimension.centred)
    assert np.isnan(first.anisotropy.centred)
    assert first.anisotropy.raw == pytest.approx(1)
    assert np.isfinite(second.fisher.J)


def test_bad_input(store, labels):
    with pytest.raises(ConfigError, match="pca"):
        layer_report(store, labels, pca=0)
    with pytest.raises(DataError, match="3 groups for 60"):
        layer_report(store, labels, groups=["a", "b", "c"])
    with pytest.raises(FeatureError, match="'missing'"):
        layer_report(store, Labels(("missing",), ("t",), np.ones((1, 1)), np.ones((1, 1))))
