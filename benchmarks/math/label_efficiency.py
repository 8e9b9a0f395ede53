"""How many labels of the new domain a joint recalibration of the targets' own probes takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from contenders import Split
from table import Array, Table

from forethought.probes import LogisticHeads

DRAWS = 6
C = 0.05
"""Inverse penalty of the heads, fixed beforehand: a hundred labels cannot choose one."""


def recalibrated(table: Table, splits: Sequence[Split], n: int, *, seed: int) -> Array:
    """Success of the routed target, (n_questions,), mean over draws of n labelled training questions."""
    rng = np.random.default_rng(seed)
    success = np.zeros((DRAWS, len(table.success)))
    for split in splits:
        for draw in success:
            rows = rng.choice(split.train, n, replace=False)
            heads = LogisticHeads(Cs=(C,)).fit(table.own[rows], table.success[rows])
            choice = heads.predict_success(table.own[split.test]).argmax(axis=1)
            draw[split.test] = table.success[split.test, choice]
    return success.mean(axis=0)
