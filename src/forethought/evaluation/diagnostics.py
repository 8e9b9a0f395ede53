"""What each layer shows of each target, on the training part alone."""

from __future__ import annotations

import numpy as np

from forethought.activations import LayerRow, layer_report
from forethought.outcomes import Labels
from forethought.router import Dataset, Fit

PERMUTATIONS = 50


def diagnose(data: Dataset, fit: Fit, *, permutations: int = PERMUTATIONS) -> list[LayerRow]:
    """Fisher separability, effective dimension and anisotropy of every layer at the fit's readouts.

    Args:
        data: The data set, whose first store is the router's encoder.
        fit: The fit; only its training rows are read.
        permutations: Behind each null.
    """
    rows = fit.parts.train
    labels = Labels(
        question_ids=tuple(question.id for question in data.take(rows)),
        targets=tuple(target.name for target in data.targets),
        success=data.success[rows],
        trials=np.asarray(data.trials[rows]),
    )
    return layer_report(
        data.stores[0],
        labels,
        readouts=[spec.readout for spec in fit.router.heads.features.specs],
        groups=data.groups[rows].tolist(),
        permutations=permutations,
    )
