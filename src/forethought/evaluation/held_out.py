"""Whole families held out: what is left of a router on kinds of questions it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forethought.evaluation.cards import Card, Truth, score_card
from forethought.evaluation.contenders import baselines, heads
from forethought.metrics import best_single
from forethought.outcomes import folds, hold_out_groups
from forethought.router import Dataset, FitConfig, Parts, PriceList, choose_features


@dataclass(frozen=True)
class HeldOut:
    """Cards of contenders on held-out families; intervals draw whole families.

    Attributes:
        families: The families held out.
        n_train: Questions of the other families.
        n_report: Questions of the held-out families.
        cards: One a contender.
    """

    families: Sequence[str]
    n_train: int
    n_report: int
    cards: Sequence[Card]


def held_out_families(
    data: Dataset, config: FitConfig, prices: PriceList, *, share: float = 0.3, draws: int = 1000
) -> HeldOut:
    """Choose layers, fit and calibrate on some families, score on the others.

    Args:
        data: The data set.
        config: As for the fit.
        prices: Today's prices.
        share: Share of the families held out.
        draws: Bootstrap draws.
    """
    train, report = hold_out_groups(data.questions, share, seed=config.seed)
    inner = folds(data.take(train), config.folds, seed=config.seed)
    parts = Parts(train, np.empty(0, dtype=np.intp), report, inner)
    _, features = choose_features(data, parts, config)
    groups = data.groups[report]
    truth = Truth(
        success=data.success[report],
        cost=prices.cost(data.input_tokens[report], data.output_tokens[report]),
        groups=groups,
        best_single=best_single(data.success[train]),
        clusters=np.unique(groups, return_inverse=True)[1],
        trials=data.trials[report],
    )
    cards = [
        score_card(contender.name, contender.signal, contender.scores(data, parts).report, truth, draws=draws)
        for contender in [*baselines(data), *heads(features, config)]
    ]
    return HeldOut(sorted(set(groups.tolist())), len(train), len(report), cards)
