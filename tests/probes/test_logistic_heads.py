from __future__ import annotations

import numpy as np
from scipy.special import expit

from forethought.probes import LogisticHeads, LogisticProbe


def _problem(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 10))
    return X, (rng.random((n, 3)) < expit(2 * X[:, :3])).astype(float)


def test_each_head_is_the_probe_of_its_target() -> None:
    X, Y = _problem()
    heads = LogisticHeads().fit(X, Y)
    for k in range(3):
        probe = LogisticProbe().fit(X, Y[:, k])
        assert heads.C_[k] == probe.C_
        np.testing.assert_allclose(heads.predict_proba(X)[:, k], probe.predict_proba(X)[:, 1], atol=1e-4)


def test_missing_labels_of_one_target_leave_the_others_alone() -> None:
    X, Y = _problem()
    before = LogisticHeads().fit(X, Y).predict_proba(X)
    Y[::3, 1] = np.nan
    after = LogisticHeads().fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], atol=1e-4)
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-3


def test_one_class_target_is_named_and_served_by_its_smoothed_rate() -> None:
    X, Y = _problem()
    Y[:, 2] = 1
    heads = LogisticHeads().fit(X, Y)
    assert heads.one_class_ == [2]
    assert 2 not in heads.edge_
    np.testing.assert_allclose(heads.predict_proba(X)[:, 2], 300.5 / 301)


def test_serving_form_agrees() -> None:
    X, Y = _problem()
    heads = LogisticHeads().fit(X, Y)
    np.testing.assert_allclose(heads.scorer().predict_proba([X]), heads.predict_proba(X), atol=1e-5)
