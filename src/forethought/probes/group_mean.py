"""Success rate of each question's group: what knowing only the dataset or family buys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from forethought.errors import ConfigError, DataError
from forethought.probes.base import FloatArray
from forethought.probes.success_classifier import check_rates, check_trials


class GroupMean(BaseEstimator):  # type: ignore[misc]
    """Mean success per group and target, shrunk towards the target's mean over all groups.

    Most of the gain that routers report is knowing the kind of question ("dataset oracle"), so
    this baseline stands beside every probe.

    Args:
        prior: Weight of the target's overall rate, in answers. An unseen group, or one without
            labels for a target, gets the overall rate.

    Attributes:
        rates_: Group -> `(K,)` success.
        overall_: `(K,)` success over all groups.
    """

    def __init__(self, prior: float = 1.0) -> None:
        self.prior = prior

    def fit(self, groups: Sequence[str], Y: ArrayLike, trials: ArrayLike | None = None) -> Self:
        """Fit on each question's group name and success rates `(n, K)`, NaN where missing.

        Raises:
            ConfigError: `prior` is not positive.
            DataError: Groups and rates differ in number, or a rate is outside [0, 1].
        """
        if not self.prior > 0:
            raise ConfigError(f"prior must be > 0 answers, got {self.prior}")
        rates = check_rates(np.asarray(Y, dtype=np.float64).reshape(len(groups), -1) if np.ndim(Y) == 1 else Y)
        if len(groups) != len(rates):
            raise DataError(f"{len(groups)} groups for {len(rates)} rows of success rates")
        weight = check_trials(trials, rates)
        right = np.nan_to_num(rates) * weight
        self.overall_ = right.sum(axis=0) / weight.sum(axis=0)
        names, codes = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
        member = np.equal.outer(np.arange(len(names)), codes).astype(np.float64)
        means = (member @ right + self.prior * self.overall_) / (member @ weight + self.prior)
        self.rates_: dict[str, FloatArray] = dict(zip(names.tolist(), means, strict=True))
        return self

    def predict_proba(self, groups: Sequence[str]) -> FloatArray:
        """Return P(success) `(n, K)` for questions of these groups."""
        check_is_fitted(self)
        return np.array([self.rates_.get(str(group), self.overall_) for group in groups]).reshape(
            len(groups), len(self.overall_)
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.categorical = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags
