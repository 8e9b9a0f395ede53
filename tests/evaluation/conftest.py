"""A realistic evaluation made from simulated questions with the project's own metrics."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from forethought.activations.fisher import Fisher
from forethought.allocation import Value
from forethought.evaluation.cards import Truth, difference, score_card
from forethought.evaluation.encoders import EncoderRow
from forethought.evaluation.evaluate import Evaluation, Usage
from forethought.evaluation.frontier import Curve, Frontier, value_settings
from forethought.evaluation.held_out import HeldOut
from forethought.evaluation.operating import OperatingRow, Taken
from forethought.evaluation.plain import plain
from forethought.evaluation.reliability import TargetReliability
from forethought.metrics import (
    Interval,
    Point,
    agreement_zones,
    debiased_ece,
    near_misses,
    operating_point,
    p_auccc,
    pairwise_win_rate,
    picked,
    reference_points,
    reliability_curve,
    static_hull,
)
from forethought.probes.layer_choice import LayerChoice, LayerPick
from forethought.router.certification import certify, settings_path

TARGETS = ("smollm2-chat", "smollm2-5shot", "smollm2-chat-maj5", "gemma-5shot", "gemma-5shot-maj5")
PRICES = np.array([0.1, 0.1, 0.1, 0.16, 0.16])
TOKENS_IN = np.array([42.0, 118.0, 210.0, 121.0, 605.0])
TOKENS_OUT = np.array([9.0, 6.0, 45.0, 6.5, 33.0])
ENCODER_PRICE = 0.1
DRAWS = 60
SIGNALS = {
    "base rate": ("nothing", None),
    "family mean": ("family label", 0.55),
    "length": ("text", 0.1),
    "TF-IDF + logistic": ("text", 0.7),
    "kNN on token embeddings": ("text", 0.5),
    "separate logistic heads": ("activations", 0.95),
    "SharedTrunkNet": ("activations", 1.0),
    "stack without text": ("activations", 1.1),
    "stack": ("activations + text", 1.25),
}


class World:
    """Simulated labels and predictions of one part."""

    def __init__(self, n: int, seed: int) -> None:
        rng = self.rng = np.random.default_rng(seed)
        family = rng.integers(20, size=n)
        taste = np.random.default_rng(5).normal(0, 1.3, (20, len(TARGETS)))
        self.logit = rng.normal(0, 1.0, (n, 1)) + taste[family] + rng.normal(0, 0.6, (n, len(TARGETS)))
        self.logit += np.array([-0.4, -0.5, -0.1, -0.2, 0.25])
        self.success = (rng.random(self.logit.shape) < _sigmoid(self.logit)).astype(np.float64)
        self.groups = np.array([f"family {f}" for f in family])
        length = rng.lognormal(0, 0.25, (n, 1))
        self.input, self.output = TOKENS_IN * length, TOKENS_OUT * rng.lognormal(0, 0.4, (n, len(TARGETS)))
        self.cost = PRICES * (self.input + self.output) / 1e6
        self.clusters = np.arange(n) // 2
        self.encoder_tokens = 40 * length[:, 0]

    def predict(self, skill: float | None) -> np.ndarray:
        """Calibrated guesses of a given strength; None is the base rate."""
        base = np.log(self.success.mean(axis=0) / (1 - self.success.mean(axis=0)))
        if skill is None:
            return np.tile(_sigmoid(base), (len(self.success), 1))
        noise = self.rng.normal(0, 1 / max(skill, 0.1), self.logit.shape)
        weight = skill**2 / (1 + skill**2)
        return _sigmoid(base + weight * (self.logit - base + noise))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def simulate(n: int = 780, seed: int = 3) -> dict[str, Any]:
    """`Evaluation.json()` of a simulated run."""
    train, held, report = World(1300, seed), World(520, seed + 1), World(n, seed + 2)
    best = int(train.success.mean(axis=0).argmax())
    truth = Truth(report.success, report.cost, report.groups, best, report.clusters)
    predictions = {name: report.predict(skill) for name, (_, skill) in SIGNALS.items()}
    routed = 0.9 * predictions["stack"] + 0.05
    cards = [score_card(name, SIGNALS[name][0], p, truth, draws=DRAWS) for name, p in predictions.items()]
    cards.append(score_card("forethought", "the fitted router", routed, truth, draws=DRAWS))
    own, calm = train.predict(1.25), held.predict(1.25)
    path = settings_path("value", own, train.cost, train.success, best)
    proof = certify(path, calm, held.cost, held.success, names=TARGETS, tolerance=0.02, delta=0.1)
    choice = proof.policy.choose(routed, report.cost)
    evaluation = Evaluation(
        about=_about(report, best),
        references=reference_points(
            report.success, report.cost, train.success, test_groups=report.groups, train_groups=train.groups
        ),
        cards=cards,
        differences=[difference("forethought", routed, n, p, truth, draws=DRAWS) for n, p in predictions.items()],
        frontier=_frontier({"forethought": routed, **predictions}, truth, report, choice),
        operating=[
            _row("most accurate", Value(1.0), routed, truth, report),
            _row("as good as best single", Value(1e-4), routed, truth, report),
            _row("certified", proof.policy, routed, truth, report),
        ],
        reliability=_reliability(train, own, report, routed),
        usage=[_usage(k, choice, report) for k in range(len(TARGETS))],
        zones=_zones(routed, truth),
        certificate=proof.summary(),
        layers={readout: _layers(readout, seed) for readout in ("last", "mean")},
        encoders=_encoders(n, seed),
    ).json()
    rest = {"diagnostics": _diagnostics(seed), "held_out": HeldOut(["family 3", "family 8"], 1100, n, cards[:-1])}
    return {**evaluation, **plain(rest)}


def _about(report: World, best: int) -> dict[str, Any]:
    return {
        "targets": list(TARGETS),
        "groups": sorted(set(report.groups.tolist())),
        "n": 1300 + 520 + len(report.success),
        "n_train": 1300,
        "n_certify": 520,
        "n_report": len(report.success),
        "artifact": "3f9c1e7a44d2b6f0",
        "encoder": {"name": "smollm2-135m-instruct"},
        "config": {"tolerance": 0.02},
        "best_single": TARGETS[best],
        "encoder_tokens": float(report.encoder_tokens.mean()),
        "tokens": {
            name: {"input": float(report.input[:, k].mean()), "output": float(report.output[:, k].mean())}
            for k, name in enumerate(TARGETS)
        },
    }


def _frontier(predictions: dict[str, np.ndarray], truth: Truth, report: World, choice: np.ndarray) -> Frontier:
    settings = value_settings(truth.cost)

    def swept(p: np.ndarray) -> list[Point]:
        return [operating_point(truth.success, truth.cost, policy.choose(p, truth.cost)) for policy in settings]

    shown = ("forethought", "TF-IDF + logistic", "family mean", "SharedTrunkNet")
    accuracy, cost = truth.success.mean(axis=0), truth.cost.mean(axis=0)
    hull = static_hull(cost, accuracy)
    return Frontier(
        curves=[Curve(name, swept(predictions[name])) for name in shown],
        targets={name: Point(float(accuracy[k]), float(cost[k])) for k, name in enumerate(TARGETS)},
        hull=[Point(float(a), float(c)) for a, c in zip(hull.accuracy, hull.cost, strict=True)],
        oracle=Curve("oracle", swept(truth.success)),
        certified=operating_point(truth.success, truth.cost, choice),
        encoder_cost=float(report.encoder_tokens.mean() * ENCODER_PRICE / 1e6),
    )


def _row(name: str, policy: Any, routed: np.ndarray, truth: Truth, report: World) -> OperatingRow:
    choice = policy.choose(routed, truth.cost)
    success = picked(truth.success, choice)
    paid = picked(truth.cost, choice) + report.encoder_tokens * ENCODER_PRICE / 1e6
    dearest = int(truth.cost.mean(axis=0).argmax())

    def against(k: int) -> tuple[Interval, Interval]:
        return (
            truth.interval(lambda rows: float(success[rows].mean() - truth.success[rows, k].mean()), DRAWS),
            truth.interval(lambda rows: float(paid[rows].mean() / truth.cost[rows, k].mean() - 1), DRAWS),
        )

    def over_hull(rows: np.ndarray) -> float:
        hull = static_hull(truth.cost[rows].mean(axis=0), truth.success[rows].mean(axis=0))
        return float(paid[rows].mean() / hull.cost_at(float(success[rows].mean())) - 1)

    found = truth.interval(over_hull, DRAWS)
    return OperatingRow(
        name=name,
        policy=f"{policy.name} {policy.setting}",
        accuracy=truth.interval(lambda rows: float(success[rows].mean()), DRAWS),
        cost=truth.interval(lambda rows: float(paid[rows].mean()), DRAWS),
        against_best_single=against(truth.best_single),
        against_dearest=against(dearest),
        against_hull=None if np.isnan(found.low) else found,
        taken={
            TARGETS[k]: Taken(
                float((choice == k).mean()),
                float(report.input[choice == k, k].mean()),
                float(report.output[choice == k, k].mean()),
            )
            for k in np.unique(choice)
        },
    )


def _reliability(train: World, own: np.ndarray, report: World, routed: np.ndarray) -> list[TargetReliability]:
    over = own**1.8 / (own**1.8 + (1 - own) ** 1.8)
    return [
        TargetReliability(
            name,
            before=reliability_curve(train.success[:, k], over[:, k], 10),
            after=reliability_curve(report.success[:, k], routed[:, k], 10),
            ece_before=debiased_ece(train.success[:, k], over[:, k]),
            ece_after=debiased_ece(report.success[:, k], routed[:, k]),
        )
        for k, name in enumerate(TARGETS)
    ]


def _usage(k: int, choice: np.ndarray, report: World) -> Usage:
    taken = choice == k
    accuracy = float(report.success[taken, k].mean()) if taken.any() else float("nan")
    return Usage(TARGETS[k], float(taken.mean()), accuracy, float(report.success[:, k].mean()))


def _zones(routed: np.ndarray, truth: Truth) -> dict[str, Any]:
    choice = routed.argmax(axis=1)
    return {
        "agreement": agreement_zones(truth.success, choice),
        "near_misses": near_misses(truth.success, routed, choice),
        "pairwise_win_rate": pairwise_win_rate(truth.success, routed),
        "auccc": p_auccc(routed, truth.cost, truth.success),
    }


def _rise(layer: int, k: int, readout: str) -> float:
    peak = (22 if readout == "last" else 16) + k
    return float(np.exp(-(((layer - peak) / 14) ** 2)))


def _layers(readout: str, seed: int) -> LayerChoice:
    rng = np.random.default_rng(seed)
    layers = (0, 4, 8, 12, 16, 20, 24, 28, 30)
    table = tuple(
        tuple(
            LayerPick(
                (layer,), readout, "single", 100, 1.0,
                0.58 + 0.17 * _rise(layer, k, readout) + rng.normal(0, 0.005),
                0.02 + 0.14 * _rise(layer, k, readout),
            )
            for layer in layers
        )
        for k in range(len(TARGETS))
    )  # fmt: skip
    best = tuple(max(rows, key=lambda row: row.cv_auc) for rows in table)
    return LayerChoice("cv_auc", best[0], best, table, rng.uniform(0.6, 0.95, len(TARGETS)))


def _diagnostics(seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "layer": layer,
            "readout": readout,
            "target": name,
            "fisher": Fisher(0.02 + 0.14 * _rise(layer, k, readout), abs(rng.normal(0, 0.004)), 0.02, 600, 700),
            "within": Fisher(0.01 + 0.09 * _rise(layer, k, readout), 0.0, 0.02, 600, 700) if k else None,
            "effective_dimension": {"raw": 1.0, "centred": 5.0 + layer, "standardised": 8.0 + layer},
            "anisotropy": {"raw": 0.97, "centred": 0.01, "standardised": None},
        }
        for layer in (0, 4, 8, 12, 16, 20, 24, 28, 30)
        for readout in ("last", "mean")
        for k, name in enumerate(TARGETS)
    ]


def _encoders(n: int, seed: int) -> list[EncoderRow]:
    rng = np.random.default_rng(seed)

    def found(low: float, high: float) -> Interval:
        value = float(rng.uniform(low, high))
        return Interval(value, value - 0.03, value + 0.03, n)

    smol, gemma = (tuple(t for t in TARGETS if t.startswith(start)) for start in ("smol", "gemma"))
    rows = (("smollm2-135m-instruct",), (16,), smol), (("gemma-3-270m",), (11,), gemma)
    rows += ((("smollm2-135m-instruct", "gemma-3-270m"), (16, 11), TARGETS),)
    return [
        EncoderRow(
            names, "mean", layers, {name: found(0.72, 0.78) for name in TARGETS}, own,
            found(0.74, 0.76), found(0.3, 0.4), found(0.6, 0.66),
        )
        for names, layers, own in rows
    ]  # fmt: skip


@pytest.fixture(scope="session")
def _simulated() -> dict[str, Any]:
    return simulate()


@pytest.fixture
def evaluation(_simulated: dict[str, Any]) -> dict[str, Any]:
    """A fresh copy, to be changed at will."""
    return copy.deepcopy(_simulated)


@pytest.fixture
def published(tmp_path: Any) -> Any:
    """A folder as the papers' recorded figures stand in."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "lambda_sweeps.csv").write_text(
        "run,lambda,accuracy,total_output_cost_usd\nMATH,0.0,0.92,25.4\nMATH,0.5,0.90,9.5\nMATH,1.0,0.83,3.3\n"
    )
    (folder / "routing_points.csv").write_text(
        "run,strategy,model,accuracy,total_output_cost_usd\nMATH,single,small,0.76,1.41\nMATH,oracle_cheapest_correct,,0.96,4.95\n"
    )
    return folder
