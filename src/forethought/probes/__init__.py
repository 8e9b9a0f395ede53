"""Vectors -> P(success) per target: linear heads, trunk, baselines, calibration, expected tokens.

Estimators fit, follow scikit-learn and take NaN as a missing label. A fitted probe gives a
`Scorer`: the numpy-only form that is stored in artifacts and serves decisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AveragedHead": "averaged_head",
        "BaseRate": "base_rate",
        "GroupMean": "group_mean",
        "IsotonicCalibrator": "calibration",
        "LayerChoice": "layer_choice",
        "LayerMean": "layer_mean",
        "LayerPick": "layer_choice",
        "LayerSearch": "layer_choice",
        "LengthProbe": "length",
        "LinearScorer": "linear_scorer",
        "LogisticHeads": "logistic_heads",
        "LogisticProbe": "linear",
        "NearestNeighbours": "neighbours",
        "PlattCalibrator": "calibration",
        "RecalibratedScorer": "recalibrated",
        "RidgeProbe": "linear",
        "Scorer": "base",
        "SharedResidualRidge": "shared_residual",
        "SharedTrunkNet": "shared_trunk",
        "StackedHead": "stack",
        "TemperatureCalibrator": "calibration",
        "TfidfFeatures": "tfidf",
        "TfidfProbe": "tfidf_probe",
        "TokenHead": "tokens",
        "TokenScorer": "token_scorer",
        "TrunkScorer": "trunk_scorer",
        "TrunkTraining": "trunk_config",
        "VerbalisedConfidence": "verbalised",
        "choose_layers": "layer_choice",
        "confidence_prompt": "verbalised",
        "out_of_fold": "folds",
        "parse_confidence": "verbalised",
        "predict_success": "folds",
        "scorer_from_state": "base",
        "text_lengths": "length",
    },
)

if TYPE_CHECKING:
    from forethought.probes.averaged_head import AveragedHead as AveragedHead
    from forethought.probes.base import Scorer as Scorer
    from forethought.probes.base import scorer_from_state as scorer_from_state
    from forethought.probes.base_rate import BaseRate as BaseRate
    from forethought.probes.calibration import IsotonicCalibrator as IsotonicCalibrator
    from forethought.probes.calibration import PlattCalibrator as PlattCalibrator
    from forethought.probes.calibration import TemperatureCalibrator as TemperatureCalibrator
    from forethought.probes.folds import out_of_fold as out_of_fold
    from forethought.probes.folds import predict_success as predict_success
    from forethought.probes.group_mean import GroupMean as GroupMean
    from forethought.probes.layer_choice import LayerChoice as LayerChoice
    from forethought.probes.layer_choice import LayerPick as LayerPick
    from forethought.probes.layer_choice import LayerSearch as LayerSearch
    from forethought.probes.layer_choice import choose_layers as choose_layers
    from forethought.probes.layer_mean import LayerMean as LayerMean
    from forethought.probes.length import LengthProbe as LengthProbe
    from forethought.probes.length import text_lengths as text_lengths
    from forethought.probes.linear import LogisticProbe as LogisticProbe
    from forethought.probes.linear import RidgeProbe as RidgeProbe
    from forethought.probes.linear_scorer import LinearScorer as LinearScorer
    from forethought.probes.logistic_heads import LogisticHeads as LogisticHeads
    from forethought.probes.neighbours import NearestNeighbours as NearestNeighbours
    from forethought.probes.recalibrated import RecalibratedScorer as RecalibratedScorer
    from forethought.probes.shared_residual import SharedResidualRidge as SharedResidualRidge
    from forethought.probes.shared_trunk import SharedTrunkNet as SharedTrunkNet
    from forethought.probes.stack import StackedHead as StackedHead
    from forethought.probes.tfidf import TfidfFeatures as TfidfFeatures
    from forethought.probes.tfidf_probe import TfidfProbe as TfidfProbe
    from forethought.probes.token_scorer import TokenScorer as TokenScorer
    from forethought.probes.tokens import TokenHead as TokenHead
    from forethought.probes.trunk_config import TrunkTraining as TrunkTraining
    from forethought.probes.trunk_scorer import TrunkScorer as TrunkScorer
    from forethought.probes.verbalised import VerbalisedConfidence as VerbalisedConfidence
    from forethought.probes.verbalised import confidence_prompt as confidence_prompt
    from forethought.probes.verbalised import parse_confidence as parse_confidence
