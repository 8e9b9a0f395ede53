"""What an answer will cost: expected tokens at the prices given now, plus the encoder's own prefill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forethought.core import Prices
from forethought.errors import ConfigError, DataError
from forethought.router.features import FeatureBlocks

if TYPE_CHECKING:
    from forethought.router.data import Dataset, Rows
    from forethought.router.router import Heads


@dataclass(frozen=True)
class InputLength:
    """Prompt tokens of each target as a line in the encoder's own prompt length.

    Few-shot examples add a constant, votes and other tokenizers a slope, so a line per target
    is exact up to tokenizer differences, and nothing but the encoder has to tokenise.

    Attributes:
        slope: Shape (K,).
        intercept: Shape (K,), tokens.
    """

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]

    @classmethod
    def fit(cls, encoder_tokens: NDArray[np.float64], input_tokens: NDArray[np.float64]) -> InputLength:
        """Fit one least-squares line per target, missing rows masked.

        Args:
            encoder_tokens: Prompt length in the encoder, shape (n,).
            input_tokens: Recorded prompt lengths, shape (n, K), NaN where missing.

        Raises:
            DataError: A target has no recorded prompt length at all.
        """
        lines = []
        for k, column in enumerate(input_tokens.T):
            seen = ~np.isnan(column)
            if not seen.any():
                raise DataError(f"target {k} has no recorded input tokens; need at least one")
            x, y = encoder_tokens[seen], column[seen]
            spread = float(np.var(x))
            slope = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread if spread > 0 else 0.0
            lines.append((slope, float(y.mean() - slope * x.mean())))
        slope_K, intercept_K = np.array(lines).T
        return cls(slope_K, intercept_K)

    def predict(self, encoder_tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected prompt tokens, shape (n, K), never negative."""
        return np.maximum(np.multiply.outer(encoder_tokens, self.slope) + self.intercept, 0.0)


@dataclass(frozen=True)
class PriceList:
    """Prices of the targets in the router's order.

    Attributes:
        input: USD per token, shape (K,).
        output: USD per token, shape (K,).
        encoder: USD per prompt token that the encoder reads.
    """

    input: NDArray[np.float64]
    output: NDArray[np.float64]
    encoder: float = 0.0

    @classmethod
    def of(cls, targets: Sequence[str], prices: Mapping[str, Prices], encoder_price: float = 0.0) -> PriceList:
        """Line prices up with targets; prices arrive in USD per million tokens.

        Raises:
            ConfigError: A target has no price.
        """
        if missing := [name for name in targets if name not in prices]:
            raise ConfigError(
                f"no prices for {', '.join(missing)}; each target needs input and output prices (a pool file, `--pool`)"
            )
        table = np.array([(prices[name].input, prices[name].output) for name in targets]) / 1e6
        return cls(table[:, 0], table[:, 1], encoder_price / 1e6)

    def cost(self, input_tokens: NDArray[np.float64], output_tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected USD of each target's answer, shape (n, K); the encoder's share is the same for all and left out."""
        return input_tokens * self.input + output_tokens * self.output

    def encoder_cost(self, encoder_tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """USD of reading each prompt with the encoder, shape (n,)."""
        return encoder_tokens * self.encoder


def expected_cost(heads: Heads, data: Dataset, rows: Rows, prices: PriceList) -> NDArray[np.float64]:
    """What each target's answer to some rows of a data set is expected to cost, USD, shape (len(rows), K)."""
    first = FeatureBlocks(heads.features.specs[:1]).read(data.stores, data.take(rows))
    return prices.cost(heads.lengths.predict(data.encoder_tokens[rows]), heads.tokens.predict_proba(first))
