"""The main comparison over many splits: what one split's luck hides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from forethought.evaluation.contenders import baselines, heads
from forethought.metrics import best_single, gap_captured, mean_auroc
from forethought.router import Dataset, FitConfig, PriceList, choose_features, split_parts


@dataclass(frozen=True)
class SeedRow:
    """One contender on one split.

    Attributes:
        auroc: Mean over targets.
        accuracy: Of the target with the highest prediction.
        gap: Share of the way from best single, chosen on the training part, to the oracle.
        cost: Mean USD of the chosen answers, the encoder's prefill left out.
    """

    seed: int
    name: str
    auroc: float
    accuracy: float
    gap: float
    cost: float


def over_seeds(data: Dataset, config: FitConfig, prices: PriceList, seeds: Iterable[int]) -> list[SeedRow]:
    """Split, choose, fit and score anew for each seed.

    Splits overlap, so the spread over seeds is no standard error of the mean; it shows how far one
    split can mislead.

    Args:
        data: The data set.
        config: As for the fit; its seed is replaced.
        prices: Today's prices.
        seeds: Of the splits.
    """
    rows = []
    for seed in seeds:
        split = config.model_copy(update={"seed": seed})
        parts = split_parts(data, split)
        _, features = choose_features(data, parts, split)
        single = best_single(data.success[parts.train])
        truth = data.success[parts.report]
        cost = prices.cost(data.input_tokens[parts.report], data.output_tokens[parts.report])
        contenders = [c for c in [*baselines(data), *heads(features, split)] if c.name != "SharedTrunkNet"]
        for contender in contenders:
            predicted = contender.scores(data, parts).report
            choice = np.argmax(predicted, axis=1)
            picked = choice[:, None]
            rows.append(
                SeedRow(
                    seed=seed,
                    name=contender.name,
                    auroc=mean_auroc(truth, predicted),
                    accuracy=float(np.nanmean(np.take_along_axis(truth, picked, 1))),
                    gap=gap_captured(truth, choice, single),
                    cost=float(np.nanmean(np.take_along_axis(cost, picked, 1))),
                )
            )
    return rows
