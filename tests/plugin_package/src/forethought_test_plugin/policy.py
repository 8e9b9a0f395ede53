from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rank:
    """Choose the target whose P(success) has the asked rank."""

    rank: float
    name = "rank"
    because = "the one of that rank"

    @property
    def setting(self):
        return {"rank": self.rank}

    def choose(self, success, cost):
        return np.argsort(success, axis=1, kind="stable")[:, int(self.rank)]
