"""The threshold at which tokens may leave, by the shared certificate: the risk of CALM (2207.07061, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from forethought.early_exit.base import Confidence, ExitAnswer, Report, silent
from forethought.early_exit.confidences import GateConfidence
from forethought.early_exit.consistency import similarity
from forethought.early_exit.free_running import free_run, unadapted
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import Never, Threshold, check_threshold
from forethought.early_exit.task import Task
from forethought.errors import ConfigError, DataError
from forethought.metrics import (
    Certificate,
    FloatArray,
    clipped_loss,
    learn_then_test,
    map_tolerance,
    signed_loss,
    unmap_tolerance,
)

THRESHOLDS = (0.99, 0.98, 0.97, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""From safe to thrifty: fixed before any data."""

Loss = Literal["success", "clipped", "consistency", "edits"]
_SAID: dict[Loss, str] = {
    "success": "a mean loss of success of at most {:.3f}",
    "clipped": "a mean loss of success of at most {:.3f}, gains not counted,",
    "consistency": "at most a share of {:.3f} of answers that differ",
    "edits": "at most a share of {:.3f} of tokens edited",
}


@dataclass(frozen=True)
class RiskBound:
    """What has to be shown.

    Attributes:
        loss: `success` lost against the unmodified model, where questions won make up for questions lost;
            `clipped` is CALM's, where they do not; `consistency` is 1 for an answer that is not the unmodified
            model's token for token; `edits` is the edit distance to it as a share of the longer answer.
        tolerance: Mean loss that is allowed.
        delta: Probability of being wrong.
    """

    loss: Loss = "success"
    tolerance: float = 0.02
    delta: float = 0.1

    def __post_init__(self) -> None:
        if self.loss not in _SAID:
            raise ConfigError(f"loss must be one of {', '.join(_SAID)}, got {self.loss!r}")
        if not (0 < self.tolerance < 1 and 0 < self.delta < 1):
            raise ConfigError(f"tolerance and delta must lie in (0, 1), got {self.tolerance} and {self.delta}")


@dataclass(frozen=True)
class ThresholdCertificate:
    """A threshold and the evidence for it.

    Attributes:
        threshold: The lowest certified one, thus the thriftiest; None is 'insufficient evidence': keep the
            unmodified model at full depth.
        thresholds: That were to be tested, from safe to thrifty.
        bound: What had to be shown.
        certificate: The tests, on the scale that they need.
    """

    threshold: float | None
    thresholds: tuple[float, ...]
    bound: RiskBound
    certificate: Certificate

    @property
    def smallest_tolerance(self) -> float:
        """The least tolerance at which the first threshold passes: a hint for planning, not a certificate."""
        least = self.certificate.smallest_tolerance
        return unmap_tolerance(least) if self.bound.loss == "success" else least

    def __str__(self) -> str:
        found, said = self.certificate, _SAID[self.bound.loss].format(self.bound.tolerance)
        if self.threshold is None:
            return (
                f"insufficient evidence at n={found.n} for {said.rstrip(',')}: keep the unmodified model at full "
                f"depth; the smallest tolerance provable here is {self.smallest_tolerance:.3f}"
            )
        return (
            f"at threshold {self.threshold:g} there is {said} against the unmodified model, "
            f"with probability {1 - found.delta:.0%} (n={found.n})"
        )


def certify_threshold(
    model: ExitModel,
    task: Task,
    bound: RiskBound | None = None,
    *,
    confidence: Confidence | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    batch_size: int = 64,
    report: Report = silent,
) -> ThresholdCertificate:
    """Choose the lowest threshold whose free-running answers are provably good enough.

    Losses are of whole answers, so errors that a token's exit causes later on are counted. Thresholds are run one
    after the other until the first fails (fixed-sequence testing, 2110.01052); those after it are not run. The test
    counts questions as independent; those that share an entity are not quite.

    Args:
        model: Model with exits.
        task: Questions that nothing was fitted or chosen on.
        bound: What has to be shown.
        confidence: Compared with the threshold; by default the learned gates.
        thresholds: Falling, from safe to thrifty, fixed on other data.
        batch_size: Most answers computed at once.
        report: Called after each batch of answers.

    Raises:
        ConfigError: Thresholds that do not fall or lie outside [0, 1].
    """
    bound = bound or RiskBound()
    check_thresholds(thresholds)
    confidence = confidence or GateConfidence(model)
    full = free_run(unadapted(model), Never(), task, batch_size=batch_size, report=report).answers
    columns: list[FloatArray] = []
    for threshold in thresholds:
        run = free_run(model, Threshold(confidence, threshold), task, batch_size=batch_size, report=report)
        columns.append(answer_losses(bound.loss, task, full, run.answers))
        if certify_losses(np.stack(columns, axis=1), thresholds[: len(columns)], bound).threshold != threshold:
            break
    found = certify_losses(np.stack(columns, axis=1), thresholds[: len(columns)], bound)
    untested = np.full(len(thresholds) - len(columns), np.nan)
    p_values = np.concatenate([found.certificate.p_values, untested])
    return replace(found, thresholds=tuple(thresholds), certificate=replace(found.certificate, p_values=p_values))


def certify_losses(losses: FloatArray, thresholds: Sequence[float], bound: RiskBound) -> ThresholdCertificate:
    """Choose the lowest threshold whose expected loss is provably tolerable, from losses alone.

    Args:
        losses: From `answer_losses`, shape (n, m), questions independent.
        thresholds: Of the columns, falling, fixed on other data.
        bound: What has to be shown.

    Raises:
        ConfigError: Thresholds that do not fall or lie outside [0, 1].
        DataError: Losses of another shape, missing or outside [0, 1].
    """
    check_thresholds(thresholds)
    if losses.shape[1:] != (len(thresholds),):
        raise DataError(f"{len(thresholds)} thresholds need losses of shape (n, {len(thresholds)}), got {losses.shape}")
    tolerance = map_tolerance(bound.tolerance) if bound.loss == "success" else bound.tolerance
    found = learn_then_test(losses, tolerance=tolerance, delta=bound.delta)
    return ThresholdCertificate(
        None if found.index is None else thresholds[found.index], tuple(thresholds), bound, found
    )


def answer_losses(loss: Loss, task: Task, full: Sequence[ExitAnswer], chosen: Sequence[ExitAnswer]) -> FloatArray:
    """Loss of each question's answer, in [0, 1], shape (n,); `success` is mapped as `signed_loss` does.

    Args:
        loss: Which.
        task: Questions and grader.
        full: Answers of the unmodified model.
        chosen: Answers of the rule.
    """
    pairs = [(one.tokens, other.tokens) for one, other in zip(full, chosen, strict=True)]
    if loss == "consistency":
        return np.array([float(one != other) for one, other in pairs])
    if loss == "edits":
        return np.array([1 - similarity(one, other) for one, other in pairs])
    safe = np.array([task.success(i, answer.tokens) for i, answer in enumerate(full)])
    thrifty = np.array([task.success(i, answer.tokens) for i, answer in enumerate(chosen)])
    return clipped_loss(safe, thrifty) if loss == "clipped" else signed_loss(safe, thrifty)


def check_thresholds(thresholds: Sequence[float]) -> None:
    """Raise ConfigError unless thresholds fall, from safe to thrifty, within [0, 1]."""
    if list(thresholds) != sorted(set(thresholds), reverse=True) or not thresholds:
        raise ConfigError(f"thresholds must fall from safe to thrifty and not be empty, got {list(thresholds)}")
    for threshold in thresholds:
        check_threshold(threshold)
