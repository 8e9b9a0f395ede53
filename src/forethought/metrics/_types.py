"""Array types that every metric is written in, and the one check that they share."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forethought.errors import DataError

BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
AnyArray: TypeAlias = NDArray[Any]


def require(condition: bool, problem: str) -> None:
    """Raise `DataError` with `problem` unless the condition holds."""
    if not condition:
        raise DataError(problem)


def require_same_shape(**arrays: AnyArray) -> None:
    """Raise `DataError` naming the shapes unless they are all equal."""
    shapes = {name: array.shape for name, array in arrays.items()}
    require(len(set(shapes.values())) == 1, f"shapes differ: {shapes}; they must be equal")
