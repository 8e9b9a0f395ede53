"""Vectors -> P(success) per target: linear heads, trunk, baselines, calibration, expected tokens.

Estimators fit, follow scikit-learn and take NaN as a missing label. A fitted probe gives a
`Scorer`: the numpy-only form that is stored in artifacts and serves decisions.
"""

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BaseRate": "base_rate",
        "GroupMean": "group_mean",
        "IsotonicCalibrator": "calibration",
        "LayerChoice": "layer_choice",
        "LengthProbe": "length",
        "LinearScorer": "linear_scorer",
        "LogisticHeads": "logistic_heads",
        "LogisticProbe": "linear",
        "NearestNeighbours": "neighbours",
        "PlattCalibrator": "calibration",
        "RidgeProbe": "linear",
        "Scorer": "base",
        "SharedResidualRidge": "shared_residual",
        "SharedTrunkNet": "shared_trunk",
        "StackedHead": "stack",
        "TemperatureCalibrator": "calibration",
        "TfidfFeatures": "tfidf",
        "TfidfProbe": "tfidf",
        "TokenHead": "tokens",
        "TokenScorer": "tokens",
        "TrunkScorer": "trunk_scorer",
        "VerbalisedConfidence": "verbalised",
        "choose_layers": "layer_choice",
        "out_of_fold": "folds",
        "scorer_from_state": "base",
    },
)
