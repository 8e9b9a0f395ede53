"""Ways to choose the layer, on equal terms: chosen on the training part, scored on the report part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from forethought.metrics import Interval, mean_auroc, paired_bootstrap
from forethought.outcomes import components
from forethought.probes import LayerMean, LogisticHeads, choose_layers
from forethought.router import Dataset, FitConfig, split_parts

Strategy = Literal["fisher", "cv_auc", "exhaustive", "all_layers"]
STRATEGIES: tuple[Strategy, ...] = ("fisher", "cv_auc", "exhaustive", "all_layers")


@dataclass(frozen=True)
class StrategyRow:
    """What one strategy chose and what it was worth.

    Attributes:
        layers: Chosen layers, fused where there are several.
        fusion: `single`, `mean` of standardised layers or `concatenate`.
        cv_auc: Cross-validated on the training part, at the choice.
        auroc: Mean over targets of separate logistic heads there, on the report part.
        rank_correlation: Spearman of J and CV-AUC over layers, per target.
    """

    strategy: Strategy
    readout: str
    layers: Sequence[int]
    fusion: str
    cv_auc: float
    auroc: Interval
    rank_correlation: Sequence[float]


def compare_strategies(
    data: Dataset, config: FitConfig, *, readout: str = "last", draws: int = 500
) -> list[StrategyRow]:
    """Let every strategy choose among all stored layers of one readout.

    Args:
        data: The data set; its first store is read.
        config: Of the split.
        readout: Whose layers are searched.
        draws: Bootstrap draws.
    """
    parts, store = split_parts(data, config), data.stores[0]
    ids = [question.id for question in data.questions]
    blocks = {(layer, readout): store.block((layer,), readout, ids).values for layer in store.layers}
    training = {key: values[parts.train] for key, values in blocks.items()}
    clusters = components(data.take(parts.report))
    truth = data.success[parts.report]
    rows = []
    for strategy in STRATEGIES:
        choice = choose_layers(training, data.success[parts.train], strategy, parts.folds)
        pick = choice.shared
        X = np.hstack([blocks[layer, readout] for layer in pick.layers])
        if pick.fusion == "mean":
            X = LayerMean(len(pick.layers)).fit(X[parts.train]).transform(X)
        head = LogisticHeads().fit(X[parts.train], data.success[parts.train], folds=parts.folds)
        predicted = head.predict_success(X[parts.report])

        def statistic(sample: np.ndarray, predicted: np.ndarray = predicted) -> float:
            return mean_auroc(truth[sample], predicted[sample])

        auroc = paired_bootstrap(statistic, len(truth), clusters=clusters, draws=draws)
        assert isinstance(auroc, Interval)
        correlation = [float(value) for value in choice.rank_correlation]
        rows.append(StrategyRow(strategy, readout, pick.layers, pick.fusion, pick.cv_auc, auroc, correlation))
    return rows
