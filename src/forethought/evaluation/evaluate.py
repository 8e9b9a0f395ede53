"""Score a fit and everything it is compared with on the report part: the numbers behind the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forethought.errors import DataError
from forethought.evaluation.cards import Card, Difference, Truth, difference, score_card
from forethought.evaluation.contenders import Contender, Scores
from forethought.evaluation.frontier import Frontier, frontier
from forethought.evaluation.operating import OperatingRow, operating_rows
from forethought.evaluation.plain import plain
from forethought.evaluation.reliability import TargetReliability, target_reliability
from forethought.metrics import (
    References,
    agreement_zones,
    near_misses,
    p_auccc,
    pairwise_win_rate,
    reference_points,
)
from forethought.outcomes import components
from forethought.router import Dataset, Fit, PriceList, expected_cost

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Usage:
    """How often one target was chosen under the certified policy, and how well it did then."""

    target: str
    share: float
    accuracy: float
    overall: float


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on the report part; `json()` of it is what the report reads.

    Attributes:
        about: Sizes, targets, seed, configuration, artifact hash.
        references: Accuracy and USD of best single, cheapest, dearest, random, oracle, per-group best.
        cards: One a contender, in the order given.
        differences: The router's head against each text baseline and ablation.
        frontier: Curves and points of the cost-accuracy picture.
        operating: Settings chosen on training predictions, as (accuracy change, cost).
        reliability: Per target, before and after calibration.
        usage: Per target, under the certified policy.
        zones: Agreement zones, near misses, pairwise win rate, area under the cost-accuracy curve.
        certificate: As the manifest records it.
        layers: Per readout, the table behind the layer choice.
        encoders: Own against foreign encoders, where several were extracted.
        published: The papers' own figures, as the papers'.
    """

    about: Mapping[str, Any]
    references: References
    cards: Sequence[Card]
    differences: Sequence[Difference]
    frontier: Frontier
    operating: Sequence[OperatingRow]
    reliability: Sequence[TargetReliability]
    usage: Sequence[Usage]
    zones: Mapping[str, Any]
    certificate: Mapping[str, Any]
    layers: Mapping[str, Any]
    encoders: Sequence[Mapping[str, Any]] = ()
    published: Mapping[str, Any] | None = None

    def json(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return dict(plain(self))


def evaluate(
    data: Dataset,
    fit: Fit,
    contenders: Sequence[Contender],
    prices: PriceList,
    *,
    draws: int = 1000,
    say: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> Evaluation:
    """Evaluate a fit on the report part, which nothing was fitted or chosen on.

    Args:
        data: The data set that the fit was made from.
        fit: The fitted router.
        contenders: What stands beside it; each is fitted on the training part alone.
        prices: Today's prices.
        draws: Bootstrap draws behind every interval.
        say: Progress callback.
    """
    truth = report_truth(data, fit, prices)
    scored: dict[str, Scores] = {}
    cards = []
    for number, contender in enumerate(contenders):
        say(number, len(contenders), contender.name)
        scores = scored[contender.name] = contender.scores(data, fit.parts)
        cards.append(score_card(contender.name, contender.signal, scores.report, truth, draws=draws))
    say(len(contenders), len(contenders), "done")
    routed = router_predictions(data, fit)
    cards.append(score_card("forethought", "the fitted router", routed, truth, draws=draws))
    expected = expected_cost(fit.router.heads, data, fit.parts.report, prices)
    return Evaluation(
        about=_about(data, fit),
        references=reference_points(
            truth.success,
            truth.cost,
            data.success[fit.parts.train],
            test_groups=truth.groups,
            train_groups=data.groups[fit.parts.train],
        ),
        cards=cards,
        differences=[
            difference("forethought", routed, name, scores.report, truth, draws=draws)
            for name, scores in scored.items()
        ],
        frontier=frontier({"forethought": (routed, expected), **_curves(scored, expected)}, truth, data, fit),
        operating=operating_rows(data, fit, routed, expected, truth, prices, draws=draws),
        reliability=target_reliability(data, fit, routed, truth),
        usage=_usage(fit, routed, expected, truth),
        zones=_zones(routed, truth),
        certificate=fit.certified.summary(),
        layers={readout: plain(choice) for readout, choice in fit.layers.items()},
    )


def report_truth(data: Dataset, fit: Fit, prices: PriceList) -> Truth:
    """What happened on the report part, at today's prices."""
    rows = fit.parts.report
    cost = prices.cost(data.input_tokens[rows], data.output_tokens[rows])
    clusters = components(data.take(rows))
    return Truth(data.success[rows], cost, data.groups[rows], fit.best_single, clusters, data.trials[rows])


def router_predictions(data: Dataset, fit: Fit) -> Array:
    """The router's P(success) on the report part, shape (n_report, K)."""
    heads = fit.router.heads
    return heads.scorer.predict_proba(heads.features.read(data.stores, data.take(fit.parts.report)))


def _about(data: Dataset, fit: Fit) -> dict[str, Any]:
    return {
        "targets": [target.name for target in data.targets],
        "groups": sorted(set(data.groups.tolist())),
        "n": len(data.questions),
        "n_train": len(fit.parts.train),
        "n_certify": len(fit.parts.certify),
        "n_report": len(fit.parts.report),
        "artifact": fit.router.artifact,
        "encoder": dict(fit.router.manifest["encoder"]),
        "config": dict(fit.router.manifest["config"]),
        "best_single": data.targets[fit.best_single].name,
        "encoder_tokens": float(data.encoder_tokens[fit.parts.report].mean()),
        "tokens": {
            target.name: {
                "input": float(np.nanmean(data.input_tokens[fit.parts.report, k])),
                "output": float(np.nanmean(data.output_tokens[fit.parts.report, k])),
            }
            for k, target in enumerate(data.targets)
        },
    }


def _curves(scored: Mapping[str, Scores], expected: Array) -> dict[str, tuple[Array, Array]]:
    shown = ("TF-IDF + logistic", "family mean", "SharedTrunkNet")
    return {name: (scored[name].report, expected) for name in shown if name in scored}


def _usage(fit: Fit, routed: Array, expected: Array, truth: Truth) -> list[Usage]:
    choice = fit.router.policy.choose(routed, expected)
    found = []
    for k, target in enumerate(fit.router.targets):
        taken = choice == k
        accuracy = float(np.nanmean(truth.success[taken, k])) if taken.any() else float("nan")
        found.append(Usage(target.name, float(taken.mean()), accuracy, float(np.nanmean(truth.success[:, k]))))
    return found


def _zones(routed: Array, truth: Truth) -> dict[str, Any]:
    choice = np.argmax(routed, axis=1)
    return {
        "agreement": plain(agreement_zones(truth.success, choice)),
        "near_misses": plain(near_misses(truth.success, routed, choice)),
        "pairwise_win_rate": pairwise_win_rate(truth.success, routed),
        "auccc": _area(routed, truth),
    }


def _area(routed: Array, truth: Truth) -> Any:
    """P-AUCCC; None where it is undefined: all targets cost the same, or no question has a label from each."""
    try:
        return plain(p_auccc(routed, truth.cost, truth.success))
    except DataError:
        return None
