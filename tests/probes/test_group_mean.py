from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from forethought.errors import ConfigError, DataError
from forethought.probes.group_mean import GroupMean

GROUPS = ["a", "a", "a", "b"]
Y = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, np.nan], [0.0, np.nan]])


def test_hand_worked_rates():
    model = GroupMean(prior=2.0).fit(GROUPS, Y)
    np.testing.assert_allclose(model.overall_, [0.5, 0.5])
    np.testing.assert_allclose(model.predict_proba(["a", "b"]), [[(2 + 1) / 5, 0.5], [1 / 3, 0.5]])


def test_unseen_groups_get_the_overall_rate():
    np.testing.assert_allclose(GroupMean().fit(GROUPS, Y).predict_proba(["c"]), [[0.5, 0.5]])
    assert GroupMean().fit(GROUPS, Y).predict_proba([]).shape == (0, 2)


def test_order_of_rows_changes_nothing():
    order = [3, 1, 0, 2]
    shuffled = GroupMean().fit([GROUPS[i] for i in order], Y[order])
    np.testing.assert_allclose(shuffled.predict_proba(GROUPS), GroupMean().fit(GROUPS, Y).predict_proba(GROUPS))


def test_bad_input_is_refused():
    with pytest.raises(ConfigError, match="prior"):
        GroupMean(prior=0).fit(GROUPS, Y)
    with pytest.raises(DataError, match="3 groups"):
        GroupMean().fit(GROUPS[:3], Y)


def test_clones_with_its_settings():
    assert clone(GroupMean(prior=3.0)).get_params() == {"prior": 3.0}
