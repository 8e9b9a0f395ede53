"""From probabilities and costs to a choice of target: policies, operating points, budgets across questions."""

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
        "KnapsackSolution": "knapsack",
        "Margins": "margins",
        "MeanCostCap": "mean_cost_cap",
        "OperatingPoint": "frontier",
        "Pacer": "pacing",
        "PacerState": "pacing",
        "Pacing": "pacing",
        "Policy": "base",
        "Programme": "programme",
        "Single": "single",
        "SmoothedMargins": "margins",
        "Solution": "programme",
        "Tolerance": "tolerance",
        "Utility": "utility",
        "Value": "value",
        "allocate_samples": "samples",
        "choose_point": "frontier",
        "conditional_margins": "margins",
        "explain": "explanation",
        "joint_margins": "margins",
        "largest_service": "knapsack",
        "majority_gains": "samples",
        "operating_points": "frontier",
        "pass_gains": "samples",
        "policies": "registry",
        "policy_from": "registry",
        "restricted": "restriction",
        "solve_knapsack": "knapsack",
        "solve_milp": "milp",
        "solve_share_cap": "share_cap",
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
    from forethought.allocation.knapsack import KnapsackSolution as KnapsackSolution
    from forethought.allocation.knapsack import largest_service as largest_service
    from forethought.allocation.knapsack import solve_knapsack as solve_knapsack
    from forethought.allocation.margins import Margins as Margins
    from forethought.allocation.margins import SmoothedMargins as SmoothedMargins
    from forethought.allocation.margins import conditional_margins as conditional_margins
    from forethought.allocation.margins import joint_margins as joint_margins
    from forethought.allocation.mean_cost_cap import MeanCostCap as MeanCostCap
    from forethought.allocation.milp import solve_milp as solve_milp
    from forethought.allocation.pacing import Pacer as Pacer
    from forethought.allocation.pacing import PacerState as PacerState
    from forethought.allocation.pacing import Pacing as Pacing
    from forethought.allocation.programme import Programme as Programme
    from forethought.allocation.programme import Solution as Solution
    from forethought.allocation.registry import policies as policies
    from forethought.allocation.registry import policy_from as policy_from
    from forethought.allocation.restriction import restricted as restricted
    from forethought.allocation.samples import allocate_samples as allocate_samples
    from forethought.allocation.samples import majority_gains as majority_gains
    from forethought.allocation.samples import pass_gains as pass_gains
    from forethought.allocation.share_cap import solve_share_cap as solve_share_cap
    from forethought.allocation.single import Single as Single
    from forethought.allocation.tolerance import Tolerance as Tolerance
    from forethought.allocation.utility import Utility as Utility
    from forethought.allocation.value import Value as Value
