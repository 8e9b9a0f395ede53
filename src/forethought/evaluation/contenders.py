"""Everything that could stand in for the router: each baseline and each head, under one protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from forethought.core import FeatureSpec
from forethought.probes import (
    BaseRate,
    GroupMean,
    LengthProbe,
    LogisticHeads,
    NearestNeighbours,
    PlattCalibrator,
    SharedResidualRidge,
    TfidfProbe,
    VerbalisedConfidence,
    out_of_fold,
    predict_success,
    text_lengths,
)
from forethought.router import Dataset, FeatureBlocks, FitConfig, Parts, fit_head
from forethought.router.heads import logit

Array = NDArray[np.float64]
Signal = Literal["nothing", "family label", "text", "own words", "activations", "activations + text"]


@dataclass(frozen=True)
class Scores:
    """What one contender predicts.

    Attributes:
        out_of_fold: P(success) of the training rows by models that never saw them, shape (n_train, K).
        report: P(success) of the report rows after fitting on all training rows, shape (n_report, K).
    """

    out_of_fold: Array
    report: Array


class Contender(Protocol):
    """Something that predicts every target's success."""

    @property
    def name(self) -> str:
        """As the report prints it."""

    @property
    def signal(self) -> Signal:
        """What it may look at."""

    def scores(self, data: Dataset, parts: Parts) -> Scores:
        """Fit on the training rows alone and predict the training rows out of fold and the report rows."""
        ...


@dataclass(frozen=True)
class Single:
    """One estimator on one matrix of features, Platt-calibrated on its out-of-fold predictions.

    Attributes:
        make: Gives a new unfitted estimator.
        features: Gives the rows of every question of a data set.
    """

    name: str
    signal: Signal
    make: Callable[[], Any]
    features: Callable[[Dataset], Any]

    def scores(self, data: Dataset, parts: Parts) -> Scores:
        """See `Contender`."""
        X, Y = self.features(data), data.success[parts.train]
        raw = out_of_fold(self.make, X[parts.train], Y, parts.folds)
        fitted = self.make().fit(X[parts.train], Y)
        calibrator = PlattCalibrator().fit(logit(raw), Y)
        unseen = calibrator.transform(logit(predict_success(fitted, X[parts.report])))
        return Scores(calibrator.transform(logit(raw)), unseen)


@dataclass(frozen=True)
class Head:
    """One of the router's own heads on feature blocks."""

    name: str
    signal: Signal
    features: FeatureBlocks
    config: FitConfig

    def scores(self, data: Dataset, parts: Parts) -> Scores:
        """See `Contender`."""
        blocks = self.features.read(data.stores, data.questions)
        train = [block[parts.train] for block in blocks]
        head = fit_head(train, data.success[parts.train], data.trials[parts.train], parts.folds, self.config)
        return Scores(head.out_of_fold, head.scorer.predict_proba([block[parts.report] for block in blocks]))


def baselines(data: Dataset, confidence: Sequence[str] | None = None) -> list[Contender]:
    """The contenders that never see an activation beyond the token embeddings.

    Args:
        data: The data set; neighbours are sought among token embeddings where its first store holds them.
        confidence: The encoder's stated confidence in each question of the data set, where collected.
    """
    found: list[Contender] = [
        Single("base rate", "nothing", BaseRate, lambda data: np.zeros((len(data.questions), 1))),
        Single("family mean", "family label", GroupMean, lambda data: data.groups),
        Single("length", "text", LengthProbe, lambda data: text_lengths(data.texts, data.encoder_tokens)),
        Single("TF-IDF + logistic", "text", TfidfProbe, lambda data: np.array(data.texts, dtype=object)),
    ]
    if 0 in data.stores[0].layers and "mean" in data.stores[0].readouts:
        found.append(Single("kNN on token embeddings", "text", NearestNeighbours, _token_embeddings))
    if confidence is not None:
        found.append(Single("verbalised confidence", "own words", VerbalisedConfidence, _words(confidence)))
    return found


def heads(features: FeatureBlocks, config: FitConfig) -> list[Contender]:
    """The heads on some feature blocks, and the ablations beside them.

    Args:
        features: Activation blocks at chosen layers, and text or none.
        config: Seeds of the trunk and the stack's calibration.
    """
    stack = config.model_copy(update={"head": "stack"})
    trunk = config.model_copy(update={"head": "trunk"})
    bare = FeatureBlocks(features.specs)
    found: list[Contender] = [
        Single("separate logistic heads", "activations", LogisticHeads, _reader(features.specs)),
        Head("SharedTrunkNet", "activations", bare, trunk),
        *(
            Single(f"shared + residual ridge, {spec.readout}", "activations", SharedResidualRidge, _reader((spec,)))
            for spec in features.specs
        ),
        Head("stack without text", "activations", bare, stack),
    ]
    return [*found, Head("stack", "activations + text", features, stack)] if features.text is not None else found


def _reader(specs: Sequence[FeatureSpec]) -> Callable[[Dataset], Array]:
    blocks = FeatureBlocks(tuple(specs))
    return lambda data: np.hstack(blocks.read(data.stores, data.questions))


def _token_embeddings(data: Dataset) -> Array:
    ids = [question.id for question in data.questions]
    return np.asarray(data.stores[0].block((0,), "mean", ids).values)


def _words(confidence: Sequence[str]) -> Callable[[Dataset], NDArray[np.object_]]:
    def columns(data: Dataset) -> NDArray[np.object_]:
        return np.array([[text] * len(data.targets) for text in confidence], dtype=object)

    return columns
