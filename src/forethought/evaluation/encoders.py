"""Own against foreign encoders: every encoder against every target, at the same readout (2603.20895, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.activations import ActivationStore
from forethought.evaluation.cards import Rows, Truth, score_card
from forethought.evaluation.evaluate import report_truth
from forethought.metrics import Interval, auroc, mean_auroc
from forethought.probes import choose_layers
from forethought.router import Dataset, Fit, FitConfig, fit_head

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EncoderRow:
    """What one encoder, or several side by side, know of each target.

    Attributes:
        encoders: Names; more than one are separate blocks of one stack.
        readout: The same in every row: the last token is not comparable across chat templates.
        layers: Chosen on the training part, one an encoder.
        auroc: Per target.
        own: Targets that run on one of these encoders.
        mean_auroc: Over targets.
        gap: Share of the gap to the oracle; None where the headroom is not established.
        accuracy: Of the target with the highest prediction.
    """

    encoders: Sequence[str]
    readout: str
    layers: Sequence[int]
    auroc: dict[str, Interval]
    own: Sequence[str]
    mean_auroc: Interval
    gap: Interval | None
    accuracy: Interval


def encoder_matrix(
    data: Dataset, fit: Fit, config: FitConfig, *, readout: str = "mean", draws: int = 1000
) -> list[EncoderRow]:
    """Fit the default head on each encoder's activations alone and on all together.

    Args:
        data: A data set with one store an encoder.
        fit: Its fit, for the parts.
        config: Its configuration.
        readout: Read in every encoder.
        draws: Bootstrap draws.
    """
    truth = report_truth(data, fit, fit.router.prices)
    layers = {store.encoder: _best_layer(store, data, fit, readout) for store in data.stores}
    sets = [[store] for store in data.stores]
    if len(data.stores) > 1:
        sets.append(list(data.stores))
    return [_row(stores, layers, readout, data, fit, config, truth, draws) for stores in sets]


def _best_layer(store: ActivationStore, data: Dataset, fit: Fit, readout: str) -> int:
    ids = [question.id for question in data.take(fit.parts.train)]
    blocks = {(layer, readout): store.block((layer,), readout, ids).values for layer in store.layers}
    choice = choose_layers(blocks, data.success[fit.parts.train], "cv_auc", fit.parts.folds)
    return choice.shared.layers[0]


def _row(
    stores: Sequence[ActivationStore],
    layers: dict[str, int],
    readout: str,
    data: Dataset,
    fit: Fit,
    config: FitConfig,
    truth: Truth,
    draws: int,
) -> EncoderRow:
    ids = [question.id for question in data.questions]
    blocks = [store.block((layers[store.encoder],), readout, ids).values for store in stores]
    train, report = fit.parts.train, fit.parts.report
    stacked = config.model_copy(update={"head": "stack"})
    head = fit_head([b[train] for b in blocks], data.success[train], data.trials[train], fit.parts.folds, stacked)
    predicted = head.scorer.predict_proba([block[report] for block in blocks])
    card = score_card("", "", predicted, truth, draws=draws)
    names = [store.encoder for store in stores]

    def of_target(k: int) -> Interval:
        def statistic(rows: Rows) -> float:
            return auroc(truth.success[rows, k], predicted[rows, k])

        return truth.interval(statistic, draws // 4)

    return EncoderRow(
        encoders=names,
        readout=readout,
        layers=[layers[name] for name in names],
        auroc={target.name: of_target(k) for k, target in enumerate(data.targets)},
        own=[target.name for target in data.targets if target.model in names],
        mean_auroc=truth.interval(lambda rows: mean_auroc(truth.success[rows], predicted[rows]), draws),
        gap=card.gap,
        accuracy=card.accuracy,
    )
