"""Fit a router: layers, head, tokens, the order of settings, and one certificate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forethought.errors import DataError
from forethought.metrics import best_single
from forethought.router.certification import Certified, certify, settings_path
from forethought.router.config import TEXT_HEADS, FitConfig
from forethought.router.costs import InputLength, PriceList, expected_cost
from forethought.router.data import Dataset, Parts, split_parts
from forethought.router.features import Block, FeatureBlocks
from forethought.router.heads import FittedHead, fit_head
from forethought.router.provenance import provenance
from forethought.router.router import Heads, Router

if TYPE_CHECKING:
    from forethought.core import FeatureSpec
    from forethought.probes import LayerChoice, TfidfFeatures

Array = NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Fit:
    """A fitted router and what the fit saw.

    Attributes:
        router: Ready to save and to route.
        parts: The split that it was fitted under.
        head: The head with its out-of-fold predictions.
        certified: The setting chosen and the evidence for it.
        layers: Per readout, which layer was chosen and the table behind the choice.
        best_single: Column of the best target on the training part: the safe setting.
    """

    router: Router
    parts: Parts
    head: FittedHead
    certified: Certified
    best_single: int
    layers: Mapping[str, LayerChoice] = field(default_factory=dict)


def fit_router(data: Dataset, config: FitConfig, prices: PriceList, *, say: Say = lambda text: None) -> Fit:
    """Fit a router on a data set.

    Layer, penalties, calibrators and the order of settings come from out-of-fold predictions on
    the training part; the second part serves the certificate alone; the third is not touched.

    Args:
        data: Questions, outcomes, activations of one encoder.
        config: Settings.
        prices: Today's prices of the targets and the encoder, for the order of settings.
        say: Told what is being done.

    Raises:
        DataError: A target without labels in the training part, or too few questions to split.
        FeatureError: Activations that are missing or not finite.
    """
    parts = split_parts(data, config)
    Y, trials = data.success[parts.train], data.trials[parts.train]
    _check_labels(Y, data)
    say(f"choosing a layer for each of {', '.join(config.readouts)}")
    choices, features = choose_features(data, parts, config)
    blocks = _rows(features.read(data.stores, data.questions), parts.train)
    say(f"fitting the {config.head} head on {len(parts.train)} questions")
    head = fit_head(blocks, Y, trials, parts.folds, config)
    heads = _heads(data, parts, features, head, blocks[0])
    single = best_single(Y)
    say("certifying a setting on the second part")
    certified = _certify(data, parts, head, heads, prices, single, config)
    layout = data.stores[0].layout
    manifest = {
        "encoder": {"source": layout.encoder, "dtype": layout.computed, "system": layout.system},
        "config": config.model_dump(),
        "certificate": certified.summary(),
        "fit": {
            "n": {"train": len(parts.train), "certify": len(parts.certify), "report": len(parts.report)},
            "best_single": heads.names[single],
            "one_class": [heads.names[k] for k in head.one_class],
        },
        **provenance(),
    }
    router = Router(heads, certified.policy, prices, manifest=manifest)
    return Fit(router, parts, head, certified, single, choices)


def choose_features(data: Dataset, parts: Parts, config: FitConfig) -> tuple[dict[str, LayerChoice], FeatureBlocks]:
    """Choose a layer for each readout on the training part, and fit the text features on its texts."""
    choices = {readout: _choose_layers(data, parts, readout, config) for readout in config.readouts}
    specs = tuple(_spec(data, choice, readout) for readout, choice in choices.items())
    text = _text(data, parts) if config.text and config.head in TEXT_HEADS else None
    return choices, FeatureBlocks(specs, text)


def _check_labels(labels: Array, data: Dataset) -> None:
    empty = np.isnan(labels).all(axis=0)
    if empty.any():
        names = ", ".join(data.targets[k].name for k in np.flatnonzero(empty))
        raise DataError(f"no labels in the training part for {names}; every target needs some")


def _choose_layers(data: Dataset, parts: Parts, readout: str, config: FitConfig) -> LayerChoice:
    from forethought.probes import choose_layers

    store = data.stores[0]
    ids = [question.id for question in data.take(parts.train)]
    candidates = {(layer, readout): store.block((layer,), readout, ids).values for layer in store.layers}
    return choose_layers(candidates, data.success[parts.train], config.layers, parts.folds)


def _spec(data: Dataset, choice: LayerChoice, readout: str) -> FeatureSpec:
    first = data.questions[0].id
    return data.stores[0].block(choice.shared.layers, readout, [first]).spec


def _text(data: Dataset, parts: Parts) -> TfidfFeatures:
    from forethought.probes import TfidfFeatures

    return TfidfFeatures().fit([question.text for question in data.take(parts.train)])


def _rows(blocks: list[Block], rows: NDArray[np.intp]) -> list[Block]:
    return [block[rows] for block in blocks]


def _heads(data: Dataset, parts: Parts, features: FeatureBlocks, head: FittedHead, block: Block) -> Heads:
    from forethought.probes import TokenHead

    return Heads(
        targets=data.targets,
        features=features,
        scorer=head.scorer,
        tokens=TokenHead().fit(block, data.output_tokens[parts.train]).scorer_,
        lengths=InputLength.fit(data.encoder_tokens[parts.train], data.input_tokens[parts.train]),
    )


def _certify(
    data: Dataset,
    parts: Parts,
    head: FittedHead,
    heads: Heads,
    prices: PriceList,
    single: int,
    config: FitConfig,
) -> Certified:
    known = expected_cost(heads, data, parts.train, prices)
    path = settings_path(config.policy, head.out_of_fold, known, data.success[parts.train], single)
    unseen = heads.features.read(data.stores, data.take(parts.certify))
    return certify(
        path,
        heads.scorer.predict_proba(unseen),
        expected_cost(heads, data, parts.certify, prices),
        data.success[parts.certify],
        names=heads.names,
        tolerance=config.tolerance,
        delta=config.delta,
    )
