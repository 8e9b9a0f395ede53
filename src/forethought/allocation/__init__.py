"""From probabilities and costs to a choice of target: policies, operating points, and samples across questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ABSTAIN": "base",
        "AbstentionFloor": "abstention_floor",
        "Argmax": "argmax",
        "Cascade": "cascade",
        "MeanCostCap": "mean_cost_cap",
        "OperatingPoint": "frontier",
        "Policy": "base",
        "Single": "single",
        "Tolerance": "tolerance",
        "Utility": "utility",
        "Value": "value",
        "allocate_samples": "samples",
        "choose_point": "frontier",
        "explain": "explanation",
        "majority_gains": "samples",
        "operating_points": "frontier",
        "pass_gains": "samples",
        "policies": "registry",
        "policy_from": "registry",
        "restricted": "restriction",
    },
)

if TYPE_CHECKING:
    from forethought.allocation.abstention_floor import AbstentionFloor as AbstentionFloor
    from forethought.allocation.argmax import Argmax as Argmax
    from forethought.allocation.base import ABSTAIN as ABSTAIN
    from forethought.allocation.base import Policy as Policy
    from forethought.allocation.cascade import Cascade as Cascade
    from forethought.allocation.explanation import explain as explain
    from forethought.allocation.frontier import OperatingPoint as OperatingPoint
    from forethought.allocation.frontier import choose_point as choose_point
    from forethought.allocation.frontier import operating_points as operating_points
    from forethought.allocation.mean_cost_cap import MeanCostCap as MeanCostCap
    from forethought.allocation.registry import policies as policies
    from forethought.allocation.registry import policy_from as policy_from
    from forethought.allocation.restriction import restricted as restricted
    from forethought.allocation.samples import allocate_samples as allocate_samples
    from forethought.allocation.samples import majority_gains as majority_gains
    from forethought.allocation.samples import pass_gains as pass_gains
    from forethought.allocation.single import Single as Single
    from forethought.allocation.tolerance import Tolerance as Tolerance
    from forethought.allocation.utility import Utility as Utility
    from forethought.allocation.value import Value as Value
