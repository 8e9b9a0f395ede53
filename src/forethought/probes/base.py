"""The serving form of a fitted probe: numpy in, probabilities out, and a state that is plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from forethought.errors import ArtifactError, FeatureError
from forethought.registry import Registry

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from forethought.probes.linear_scorer import Part

    Block: TypeAlias = NDArray[Any] | csr_matrix

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
Meta: TypeAlias = dict[str, Any]
Arrays: TypeAlias = dict[str, NDArray[Any]]


@runtime_checkable
class Scorer(Protocol):
    """What serves a fitted probe; implementations need numpy (and scipy for sparse blocks), nothing that trains.

    Attributes:
        kind: Name under which the registry finds the class again.
    """

    kind: ClassVar[str]

    def predict_proba(self, blocks: Sequence[Block]) -> FloatArray:
        """Score questions.

        Args:
            blocks: One (n, d_b) array per feature block in the artifact's order; a text block may be CSR.

        Returns:
            (n, K) in target order: P(success), or expected tokens for a token head.

        Raises:
            FeatureError: Number or width of blocks differs from the fitted ones, or a value is not finite.
        """
        ...

    def state(self) -> tuple[Meta, Arrays]:
        """Everything needed to rebuild the scorer: JSON-able `meta` (with `kind`) and arrays."""
        ...

    @classmethod
    def from_state(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild a scorer from its state."""
        ...


@runtime_checkable
class Legible(Protocol):
    """A scorer whose insides can be kept and looked at later, without the text that it scored."""

    def log_odds(self, blocks: Sequence[Block]) -> FloatArray:
        """Log-odds of success `(n, K)` before any calibration that stands apart from the head."""

    def directions(self) -> list[Part]:
        """What the head looks at: columns in falling order of weight, with the centre taken off before.

        Returns:
            One part a block, or a single one over all blocks side by side.
        """


def log_odds(scorer: Scorer, blocks: Sequence[Block]) -> FloatArray:
    """Uncalibrated log-odds of success `(n, K)`; of a scorer that is not legible, those of its probabilities."""
    if isinstance(scorer, Legible):
        return scorer.log_odds(blocks)
    return logit(scorer.predict_proba(blocks))


def logit(p: FloatArray) -> FloatArray:
    """Log-odds of probabilities, which are kept 1e-6 away from 0 and 1."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)), dtype=np.float64)


SCORERS: Registry[type[Scorer]] = Registry(
    "scorer",
    "forethought.probes",
    {
        "linear": "forethought.probes.linear_scorer:LinearScorer",
        "recalibrated": "forethought.probes.recalibrated:RecalibratedScorer",
        "tokens": "forethought.probes.token_scorer:TokenScorer",
        "trunk": "forethought.probes.trunk_scorer:TrunkScorer",
    },
)


def scorer_from_state(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Scorer:
    """Rebuild any registered scorer from what `Scorer.state` gave.

    Raises:
        ArtifactError: `meta` names no kind, or the arrays do not fit it.
        ConfigError: No installed scorer has that kind.
    """
    if not isinstance(kind := meta.get("kind"), str):
        raise ArtifactError(f"scorer state must name its 'kind', got {kind!r}")
    try:
        return SCORERS[kind].from_state(meta, arrays)
    except (KeyError, IndexError) as error:
        raise ArtifactError(f"state of a {kind!r} scorer lacks {error}") from error


def check_blocks(blocks: Sequence[Block], widths: Sequence[int]) -> None:
    """Check number and widths of feature blocks and that all have as many rows.

    Raises:
        FeatureError: They do not fit.
    """
    found = [block.shape[1] if block.ndim == 2 else None for block in blocks]
    if found != list(widths):
        raise FeatureError(f"feature blocks must be 2-D with widths {list(widths)}, got {found}")
    if len({block.shape[0] for block in blocks}) > 1:
        raise FeatureError(f"feature blocks must have as many rows, got {[block.shape[0] for block in blocks]}")
