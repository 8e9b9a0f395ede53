"""The best target of each group ('dataset oracle'): what knowing the kind of question buys, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from crossfit import Array, View
from splits import Rows

from forethought.probes import GroupMean


@dataclass(frozen=True)
class GroupBest:
    """Reads the label that tables carry and traffic does not."""

    kind = "label"
    name = "best of each group (label)"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        groups = np.array(view.table.groups)
        return GroupMean().fit(groups[train], view.table.success[train]).predict_proba(groups[test])
