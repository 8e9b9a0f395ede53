"""scikit-learn's own checks on the linear estimators; the other estimators' stand in their own test files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from forethought.probes import LogisticHeads, LogisticProbe, RidgeProbe, SharedResidualRidge


@parametrize_with_checks([LogisticHeads(), LogisticProbe(), RidgeProbe(), SharedResidualRidge()])
def test_scikit_learn_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
