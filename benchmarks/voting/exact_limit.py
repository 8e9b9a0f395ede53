"""Adaptive-Consistency at 40 answers between two, exactly, and beside the best count-only rule there can be."""

from __future__ import annotations

import numpy as np

from forethought.bench import Figure
from forethought.metrics import static_hull
from forethought.voting import AdaptiveConsistency, two_answer_frontier, two_answer_performance

PRICES = np.geomspace(1e-5, 0.03, 80)


def exact_figures() -> dict[str, Figure]:
    """Expected samples and disagreement with the mode under a uniform prior on the right answer's share."""
    found = two_answer_performance(AdaptiveConsistency(40, 0.95))
    limit = two_answer_frontier(40, PRICES.tolist())
    hull = static_hull([point.samples for point in limit], [point.agrees_with_mode for point in limit])
    return {
        "adaptive_consistency_samples_n40": Figure(found.samples).at_most(14.1),
        "adaptive_consistency_disagreement_n40": Figure(1 - found.agrees_with_mode),
        "adaptive_consistency_over_limit": Figure(found.samples / hull.cost_at(found.agrees_with_mode)),
    }
