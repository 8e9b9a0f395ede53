"""Move a router to another domain with few labels: the features stay, the probabilities are learned anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from forethought.errors import DataError
from forethought.metrics import brier, debiased_ece
from forethought.probes import LogisticHeads, RecalibratedScorer
from forethought.router.data import Dataset
from forethought.router.heads import logit
from forethought.router.router import Router

LEAST_LABELS = 20


def recalibrate(router: Router, data: Dataset, *, say: Callable[[str], None] = lambda text: None) -> Router:
    """Fit K joint logistic heads on the router's own logits, from labelled questions of the new domain.

    With n labels a joint head closes more of the gap to the oracle than separate Platt maps
    (arXiv 2602.09924's probes, recalibrated: see docs/papers/2602.09924.md). A certificate of the old
    domain says nothing about the new one, so the manifest drops it.

    Args:
        router: The router as it was fitted.
        data: Questions of the new domain, answered by the router's targets, in the router's order.
        say: Told the calibration before and after.

    Returns:
        A router with other probabilities and the same features, targets and policy.

    Raises:
        DataError: Other targets than the router's, or fewer than 20 labelled questions.
    """
    names = [target.name for target in data.targets]
    if names != list(router.heads.names):
        raise DataError(
            f"the labels are of {', '.join(names)}; the router chooses between {', '.join(router.heads.names)}"
        )
    labelled = int((~np.isnan(data.success)).any(axis=1).sum())
    if labelled < LEAST_LABELS:
        raise DataError(
            f"{labelled} labelled questions are too few to recalibrate on; at least {LEAST_LABELS} are needed"
        )
    blocks = router.heads.features.read(data.stores, data.questions)
    before = router.heads.scorer.predict_proba(blocks)
    heads = LogisticHeads().fit(logit(before), data.success, data.trials)
    scorer = RecalibratedScorer(router.heads.scorer, heads.coef_, heads.intercept_)
    after = scorer.predict_proba(blocks)
    say(_summary("before", data, before))
    say(_summary("after, on the same labels", data, after))
    kept = {key: value for key, value in router.manifest.items() if key != "certificate"}
    manifest = {**kept, "recalibrated": {"from": router.artifact, "n": labelled}}
    return Router(replace(router.heads, scorer=scorer), router.policy, router.prices, manifest=manifest)


def _summary(when: str, data: Dataset, predicted: np.ndarray) -> str:
    columns = zip(data.success.T, predicted.T, data.trials.T, strict=True)
    error = np.mean([debiased_ece(y, p, trials=trials) for y, p, trials in columns])
    score, n = brier(data.success, predicted), len(data.success)
    return f"calibration {when}: debiased ECE {error:.3f}, Brier {score:.3f} (n={n})"
