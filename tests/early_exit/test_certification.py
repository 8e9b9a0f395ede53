from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from forethought.core import DecodingPolicy
from forethought.early_exit.base import ExitAnswer
from forethought.early_exit.certification import (
    THRESHOLDS,
    RiskBound,
    answer_losses,
    certify_losses,
    certify_threshold,
)
from forethought.early_exit.confidences import SoftmaxGap
from forethought.early_exit.free_running import free_run, unadapted
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.rules import Never, Threshold
from forethought.early_exit.task import Task
from forethought.errors import ConfigError, DataError
from forethought.metrics import map_tolerance
from forethought.models import load
from forethought.questions import arithmetic_questions

torch.set_num_threads(1)

SETS = 1000
DRAWN = 300
POOL = 2000
FIVE = (0.99, 0.9, 0.8, 0.7, 0.6)


def pool(kind: str, risks: list[float], seed: int = 0) -> np.ndarray:
    """Losses of POOL questions under each threshold, whose mean is the risk exactly; correlated over thresholds."""
    order = np.random.default_rng(seed).permutation(POOL)
    columns = []
    for risk in risks:
        column = np.full(POOL, 0.5 if kind == "success" else 0.0)
        lost = round((risk + 0.02 if kind == "success" else risk) * POOL)
        column[order[:lost]] = 1.0
        if kind == "success":  # some questions are won, and make up for as many that are lost
            column[order[POOL - round(0.02 * POOL) :]] = 0.0
        columns.append(column)
    return np.stack(columns, axis=1)


def certified(losses: np.ndarray, thresholds: tuple[float, ...], bound: RiskBound) -> list[float | None]:
    """What each of SETS calibration sets drawn from a pool certifies."""
    rng = np.random.default_rng(1)
    return [
        certify_losses(losses[rng.integers(len(losses), size=DRAWN)], thresholds, bound).threshold for _ in range(SETS)
    ]


def holds(violations: int, delta: float) -> bool:
    return binomtest(violations, SETS, delta, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(
    ("kind", "risks"),
    [
        ("consistency", [0.02, 0.05, 0.12, 0.25, 0.5]),
        ("success", [0.0, 0.01, 0.04, 0.12, 0.3]),
        ("clipped", [0.0, 0.03, 0.09, 0.101, 0.2]),
    ],
)
def test_risks_above_the_tolerance_are_certified_no_more_often_than_allowed(kind: str, risks: list[float]) -> None:
    bound = RiskBound(kind, tolerance=0.1, delta=0.1)  # type: ignore[arg-type]
    found = certified(pool(kind, risks), FIVE, bound)
    true = dict(zip(FIVE, risks, strict=True))
    violations = sum(threshold is not None and true[threshold] > bound.tolerance for threshold in found)
    assert holds(violations, bound.delta)
    # The bound is of use: nearly every set certifies something.
    assert sum(threshold is not None for threshold in found) > 0.9 * SETS


@pytest.mark.parametrize("kind", ["consistency", "success"])
def test_a_risk_at_the_tolerance_itself_is_certified_no_more_often_than_allowed(kind: str) -> None:
    bound = RiskBound(kind, tolerance=0.1, delta=0.1)  # type: ignore[arg-type]
    losses = pool(kind, [0.1])
    assert losses.mean() == pytest.approx(map_tolerance(0.1) if kind == "success" else 0.1, abs=1e-12)
    violations = sum(threshold is not None for threshold in certified(losses, (0.9,), bound))
    assert violations > 0
    assert holds(violations, bound.delta)


def test_a_good_threshold_after_a_bad_one_is_never_reached() -> None:
    bound = RiskBound("consistency", tolerance=0.1, delta=0.1)
    losses = pool("consistency", [0.01, 0.5, 0.0, 0.0, 0.01])
    assert set(certified(losses, FIVE, bound)) == {0.99}
    p_values = certify_losses(losses, FIVE, bound).certificate.p_values
    assert np.isnan(p_values).tolist() == [False, False, True, True, True]


def test_a_path_that_falls_back_to_the_tolerance_keeps_the_promise() -> None:
    bound = RiskBound("consistency", tolerance=0.1, delta=0.1)
    risks = [0.1005, 0.02, 0.1005, 0.02, 0.3]
    found = certified(pool("consistency", risks), FIVE, bound)
    # Whatever was certified after the first has passed through a risk that is too high: each is a failure.
    assert holds(sum(threshold is not None for threshold in found), bound.delta)


@pytest.fixture(scope="module")
def model() -> ExitModel:
    return ExitModel(load("arithmetic-small"), ExitConfig((1, 2, 3, 4, 5)))


@pytest.fixture(scope="module")
def task(model: ExitModel) -> Task:
    return Task(model.base, DecodingPolicy(max_tokens=40), arithmetic_questions("test", 40, seed=0))


def test_losses_of_real_answers_keep_the_promise(model: ExitModel, task: Task) -> None:
    full = free_run(unadapted(model), Never(), task).answers
    thresholds = (0.999, 0.9, 0.5, 0.1)
    runs = [free_run(model, Threshold(SoftmaxGap(model), threshold), task).answers for threshold in thresholds]
    losses = np.stack([answer_losses("edits", task, full, answers) for answers in runs], axis=1)
    risks = dict(zip(thresholds, losses.mean(axis=0).tolist(), strict=True))
    tolerance = (risks[0.999] + max(risks.values())) / 2
    bound = RiskBound("edits", tolerance=tolerance, delta=0.1)
    found = certified(losses, thresholds, bound)
    assert max(risks.values()) > tolerance  # some threshold is worse than allowed
    assert holds(sum(threshold is not None and risks[threshold] > tolerance for threshold in found), 0.1)


def test_a_run_certifies_what_its_losses_certify(model: ExitModel, task: Task) -> None:
    part = task.part(range(20))
    bound = RiskBound("success", tolerance=0.45, delta=0.2)
    confidence, thresholds = SoftmaxGap(model), (1.0, 0.9, 0.0)
    told: list[int] = []
    found = certify_threshold(
        model,
        part,
        bound,
        confidence=confidence,
        thresholds=thresholds,
        report=lambda done, total, text="": told.append(done),
    )
    full = free_run(unadapted(model), Never(), part).answers
    runs = [free_run(model, Threshold(confidence, threshold), part).answers for threshold in thresholds]
    losses = np.stack([answer_losses("success", part, full, answers) for answers in runs], axis=1)
    whole = certify_losses(losses, thresholds, bound)
    assert (found.threshold, str(found)) == (whole.threshold, str(whole))
    np.testing.assert_array_equal(found.certificate.p_values, whole.certificate.p_values)
    assert found.threshold is not None
    assert str(found) == (
        f"at threshold {found.threshold:g} there is a mean loss of success of at most 0.450 against the unmodified "
        "model, with probability 80% (n=20)"
    )
    assert told


def test_thresholds_after_the_first_failure_are_not_run(model: ExitModel, task: Task) -> None:
    told: list[int] = []
    found = certify_threshold(
        model,
        task.part(range(3)),
        RiskBound("consistency", tolerance=0.01),
        report=lambda done, total, text="": told.append(done),
    )
    assert found.threshold is None
    assert len(told) == 2  # the unmodified model and the first threshold
    assert found.thresholds == THRESHOLDS
    assert np.isnan(found.certificate.p_values).sum() == len(THRESHOLDS) - 1


def test_insufficient_evidence_says_what_to_do() -> None:
    losses = pool("success", [0.0])[:40]
    found = certify_losses(losses, (0.9,), RiskBound("success", tolerance=0.01))
    assert found.threshold is None
    assert str(found).startswith(
        "insufficient evidence at n=40 for a mean loss of success of at most 0.010: keep the unmodified model at full "
        "depth; the smallest tolerance provable here is "
    )
    least = found.smallest_tolerance
    assert certify_losses(losses, (0.9,), RiskBound("success", tolerance=least + 1e-6)).threshold == 0.9


def test_losses_by_hand(model: ExitModel) -> None:
    questions = arithmetic_questions("test", 1, seed=0)
    task = Task(model.base, DecodingPolicy(max_tokens=40), [questions[0]] * 2)
    right = model.base.tokenizer.encode(f"1;{questions[0].answers[0]}", add_special_tokens=False)
    wrong = [*right[:-1], *model.base.tokenizer.encode("=", add_special_tokens=False)]
    full = [ExitAnswer(right, [6] * len(right)), ExitAnswer(wrong, [6] * len(wrong))]
    chosen = full[::-1]
    assert answer_losses("success", task, full, chosen).tolist() == [1.0, 0.0]
    assert answer_losses("clipped", task, full, chosen).tolist() == [1.0, 0.0]
    assert answer_losses("success", task, full, full).tolist() == [0.5, 0.5]
    assert answer_losses("consistency", task, full, chosen).tolist() == [1.0, 1.0]
    assert answer_losses("consistency", task, full, full).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(answer_losses("edits", task, full, chosen), 1 / len(right))


def test_what_cannot_be_certified_is_refused() -> None:
    losses = np.zeros((5, 2))
    for thresholds in ((0.5, 0.9), (0.9, 0.9), ()):
        with pytest.raises(ConfigError, match="thresholds must fall from safe to thrifty"):
            certify_losses(losses, thresholds, RiskBound())
    with pytest.raises(ConfigError, match=r"an exit threshold must lie in \[0, 1\], got 1.5"):
        certify_losses(losses, (1.5, 0.5), RiskBound())
    with pytest.raises(DataError, match=r"1 thresholds need losses of shape \(n, 1\), got \(5, 2\)"):
        certify_losses(losses, (0.5,), RiskBound())
    with pytest.raises(ConfigError, match="loss must be one of success, clipped, consistency, edits, got 'bleu'"):
        RiskBound("bleu")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"tolerance and delta must lie in \(0, 1\)"):
        RiskBound(tolerance=0.0)
