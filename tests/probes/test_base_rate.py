from __future__ import annotations

import numpy as np
from sklearn.utils.estimator_checks import parametrize_with_checks

from forethought.probes.base_rate import BaseRate


def test_mean_of_the_labels_that_are_there():
    Y = np.array([[1.0, np.nan], [0.0, 0.0], [1.0, np.nan]])
    p = BaseRate().fit(np.zeros((3, 1)), Y).predict_proba(np.ones((2, 1)))
    np.testing.assert_allclose(p, [[2 / 3, 0], [2 / 3, 0]])


def test_trials_weigh():
    model = BaseRate().fit(np.zeros((2, 1)), np.array([[1.0, 1.0], [0.0, 0.5]]), trials=np.array([[1, 1], [3, 3]]))
    np.testing.assert_allclose(model.rate_, [0.25, 0.625])


@parametrize_with_checks(
    [BaseRate()],
    expected_failed_checks=lambda _: {"check_classifiers_train": "ignores the features on purpose"},
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)
