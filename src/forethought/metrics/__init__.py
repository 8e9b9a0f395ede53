"""How good a router is, and how sure we are: formulas, intervals and certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Auccc": "auccc",
        "BoolArray": "_types",
        "Certificate": "fixed_sequence",
        "FloatArray": "_types",
        "IntArray": "_types",
        "Interval": "bootstrap",
        "NearMisses": "agreement",
        "Point": "points",
        "References": "references",
        "Reliability": "reliability",
        "StaticHull": "hull",
        "Zones": "agreement",
        "agreement_zones": "agreement",
        "auroc": "roc",
        "best_single": "references",
        "betting_p": "betting",
        "brier": "calibration_error",
        "clipped_loss": "losses",
        "debiased_ece": "calibration_error",
        "expected_calibration_error": "calibration_error",
        "gap_captured": "gap",
        "gap_interval": "gap",
        "hoeffding_bentkus_p": "hoeffding_bentkus",
        "learn_then_test": "fixed_sequence",
        "map_tolerance": "losses",
        "mean_auroc": "roc",
        "near_misses": "agreement",
        "operating_point": "points",
        "oracle_accuracy": "gap",
        "oracle_choice": "references",
        "p_auccc": "auccc",
        "paired_bootstrap": "bootstrap",
        "pairwise_win_rate": "agreement",
        "picked": "points",
        "reference_choices": "references",
        "reference_points": "references",
        "reliability_curve": "reliability",
        "signed_loss": "losses",
        "spearman": "rank_correlation",
        "static_hull": "hull",
        "unmap_tolerance": "losses",
        "within_group_auroc": "roc",
    },
)

if TYPE_CHECKING:
    from forethought.metrics._types import BoolArray as BoolArray
    from forethought.metrics._types import FloatArray as FloatArray
    from forethought.metrics._types import IntArray as IntArray
    from forethought.metrics.agreement import NearMisses as NearMisses
    from forethought.metrics.agreement import Zones as Zones
    from forethought.metrics.agreement import agreement_zones as agreement_zones
    from forethought.metrics.agreement import near_misses as near_misses
    from forethought.metrics.agreement import pairwise_win_rate as pairwise_win_rate
    from forethought.metrics.auccc import Auccc as Auccc
    from forethought.metrics.auccc import p_auccc as p_auccc
    from forethought.metrics.betting import betting_p as betting_p
    from forethought.metrics.bootstrap import Interval as Interval
    from forethought.metrics.bootstrap import paired_bootstrap as paired_bootstrap
    from forethought.metrics.calibration_error import brier as brier
    from forethought.metrics.calibration_error import debiased_ece as debiased_ece
    from forethought.metrics.calibration_error import expected_calibration_error as expected_calibration_error
    from forethought.metrics.fixed_sequence import Certificate as Certificate
    from forethought.metrics.fixed_sequence import learn_then_test as learn_then_test
    from forethought.metrics.gap import gap_captured as gap_captured
    from forethought.metrics.gap import gap_interval as gap_interval
    from forethought.metrics.gap import oracle_accuracy as oracle_accuracy
    from forethought.metrics.hoeffding_bentkus import hoeffding_bentkus_p as hoeffding_bentkus_p
    from forethought.metrics.hull import StaticHull as StaticHull
    from forethought.metrics.hull import static_hull as static_hull
    from forethought.metrics.losses import clipped_loss as clipped_loss
    from forethought.metrics.losses import map_tolerance as map_tolerance
    from forethought.metrics.losses import signed_loss as signed_loss
    from forethought.metrics.losses import unmap_tolerance as unmap_tolerance
    from forethought.metrics.points import Point as Point
    from forethought.metrics.points import operating_point as operating_point
    from forethought.metrics.points import picked as picked
    from forethought.metrics.rank_correlation import spearman as spearman
    from forethought.metrics.references import References as References
    from forethought.metrics.references import best_single as best_single
    from forethought.metrics.references import oracle_choice as oracle_choice
    from forethought.metrics.references import reference_choices as reference_choices
    from forethought.metrics.references import reference_points as reference_points
    from forethought.metrics.reliability import Reliability as Reliability
    from forethought.metrics.reliability import reliability_curve as reliability_curve
    from forethought.metrics.roc import auroc as auroc
    from forethought.metrics.roc import mean_auroc as mean_auroc
    from forethought.metrics.roc import within_group_auroc as within_group_auroc
