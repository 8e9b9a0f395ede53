"""What a source knows of its targets beyond one answer each: success rates over repeated samples of the same models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tables import Array, Table, math36

SAMPLES = 50.0
"""Answers behind most recorded rates; those over 5 or 8 are few, and a rate only weighs in a target's own column."""


@dataclass(frozen=True)
class Auxiliary:
    """Further labels of the same questions, for training alone.

    Attributes:
        rates: Mean success over repeated samples of each target's model, (n, K); NaN where none was recorded.
        samples: Answers behind a rate.
    """

    rates: Array
    samples: float = SAMPLES

    @classmethod
    def none(cls, table: Table) -> Auxiliary:
        """No further labels."""
        return cls(np.full(table.success.shape, np.nan))

    def key(self) -> bytes:
        """What tells two of them apart."""
        return self.rates.tobytes()


def repeated_samples(data: Path, table: Table) -> Auxiliary:
    """Rates of the same models at the temperatures nearest to greedy, from MATH's 36 policies; nothing elsewhere."""
    if table.name != "MATH-7":
        return Auxiliary.none(table)
    policies = math36(data)
    row = {id: place for place, id in enumerate(policies.ids)}
    success = policies.success[[row[id] for id in table.ids]]
    return Auxiliary(np.column_stack([_rate(success, policies.targets, target) for target in table.targets]))


def _rate(success: Array, policies: tuple[str, ...], target: str) -> NDArray[np.float64]:
    """Mean of a model's recorded rates, low temperatures alone where there are some."""
    rates = [name for name in policies if name.startswith(f"{target}|sr")]
    cool = [name for name in rates if "@T0.6" in name or "@T0.7" in name] or rates
    if not cool:
        return np.full(len(success), np.nan)
    return np.asarray(success[:, [policies.index(name) for name in cool]].mean(axis=1))
