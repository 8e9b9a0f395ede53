"""Expected output tokens of each target: what a question will cost before it is answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from forethought.errors import DataError
from forethought.probes.base import FloatArray, IntArray
from forethought.probes.token_scorer import TokenScorer

TOKEN_ALPHAS = tuple(np.logspace(0, 7, 15).tolist())


class TokenHead(BaseEstimator):  # type: ignore[misc]
    """Ridge on log(1 + tokens) for each target, brought back to tokens by Duan's smearing.

    arXiv 2603.20895 prices a question by each target's median training length, the same for all
    questions; predicting the length from the same features is the improvement that others
    published ("Predicting Reasoning-Model Costs from Shared Prefill Activations"). The smearing
    factor (Duan, JASA 1983) is the mean of exp(residual). We take leave-one-out residuals: with
    more features than questions the fitted ones are too small and costs come out too low.

    Args:
        alphas: Ridge penalties on standardised features, chosen for each target by leave-one-out
            squared error of log(1 + tokens).
        min_rows: A target with fewer recorded lengths is served by its mean.

    Attributes:
        scorer_: `TokenScorer` that predicts here and serves elsewhere.
        alpha_: `(K,)` chosen penalties, NaN where the mean serves.
        fallback_: Columns served by their mean: too few lengths, or all the same.
    """

    def __init__(self, alphas: Sequence[float] = TOKEN_ALPHAS, min_rows: int = 20) -> None:
        self.alphas = alphas
        self.min_rows = min_rows

    def fit(self, X: ArrayLike, Y: ArrayLike) -> Self:
        """Fit one regression a target.

        Args:
            X: Features `(n, d)`.
            Y: Output tokens `(n, K)` or `(n,)`, NaN where not recorded.

        Raises:
            DataError: Negative or infinite tokens, or a target without any recorded length.
        """
        features: FloatArray = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        tokens = _check_tokens(Y, len(features))
        constant = np.nanmin(tokens, axis=0) == np.nanmax(tokens, axis=0)
        few = (~np.isnan(tokens)).sum(axis=0) < self.min_rows
        self.fallback_ = np.flatnonzero(constant | few)
        d, K = features.shape[1], tokens.shape[1]
        coef, intercept, smearing = np.zeros((d, K)), np.log1p(np.nanmean(tokens, axis=0)), np.ones(K)
        self.alpha_ = np.full(K, np.nan)
        for rows, ks in _by_mask(~np.isnan(tokens), np.setdiff1d(np.arange(K), self.fallback_)):
            fit = _log_ridge(features[rows], tokens[np.ix_(rows, ks)], self.alphas)
            coef[:, ks], intercept[ks], smearing[ks], self.alpha_[ks] = fit
        self.scorer_ = TokenScorer(coef, intercept, smearing, np.nanmin(tokens, axis=0), np.nanmax(tokens, axis=0))
        return self

    def scorer(self) -> TokenScorer:
        """Serving form."""
        check_is_fitted(self)
        return self.scorer_

    def predict(self, X: ArrayLike) -> FloatArray:
        """Return expected output tokens `(n, K)`."""
        check_is_fitted(self)
        return self.scorer_.predict_proba([validate_data(self, X, reset=False, dtype=np.float64)])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "scorer_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = True
        return tags


class _LogRidge(NamedTuple):
    coef: FloatArray
    intercept: FloatArray
    smearing: FloatArray
    alpha: FloatArray


def _log_ridge(X: FloatArray, tokens: FloatArray, alphas: Sequence[float]) -> _LogRidge:
    """Fit log(1 + tokens) `(n, m)` and undo the standardisation, so that serving needs one product.

    One singular value decomposition serves every penalty and target; leave-one-out residuals are
    `(y - H y) / (1 - diag H)` with the hat matrix H of ridge and intercept.
    """
    centre, spread = X.mean(axis=0), X.std(axis=0)
    spread = np.where(spread > 0, spread, np.inf)
    U, s, Vt = np.linalg.svd((X - centre) / spread, full_matrices=False)
    logs = np.log1p(tokens)
    mean = logs.mean(axis=0)
    shrinks = [s**2 / (s**2 + alpha) for alpha in alphas]
    projected = U.T @ (logs - mean)
    residuals = np.stack([_loo_residuals(logs - mean, U, projected, shrink) for shrink in shrinks])
    best = (residuals**2).mean(axis=1).argmin(axis=0)
    smearing = np.exp(residuals[best, :, np.arange(logs.shape[1])]).mean(axis=1)
    gain = np.stack([shrinks[i] / np.maximum(s, 1e-12) for i in best], axis=1)
    coef = (Vt.T @ (gain * projected)) / spread[:, None]
    return _LogRidge(coef, mean - centre @ coef, smearing, np.asarray(alphas, dtype=np.float64)[best])


def _loo_residuals(y: FloatArray, U: FloatArray, projected: FloatArray, shrink: FloatArray) -> FloatArray:
    leverage = 1 / len(y) + (U**2) @ shrink
    residuals: FloatArray = (y - U @ (shrink[:, None] * projected)) / np.maximum(1 - leverage, 1e-9)[:, None]
    return residuals


def _by_mask(present: NDArray[np.bool_], targets: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield rows and the targets recorded on exactly these rows: they share one decomposition."""
    patterns = {present[:, k].tobytes(): present[:, k] for k in targets}
    for key, mask in patterns.items():
        yield np.flatnonzero(mask), np.array([k for k in targets if present[:, k].tobytes() == key])


def _check_tokens(Y: ArrayLike, n: int) -> FloatArray:
    if Y is None:
        raise DataError("TokenHead requires y to be passed, but the target y is None")
    tokens = np.asarray(Y, dtype=np.float64)
    tokens = tokens[:, None] if tokens.ndim == 1 else tokens
    if tokens.ndim != 2 or len(tokens) != n:
        raise DataError(f"tokens must have shape ({n}, K), got {tokens.shape}")
    present = ~np.isnan(tokens)
    if (tokens[present] < 0).any() or np.isinf(tokens).any():
        raise DataError("output tokens must be finite and >= 0, or NaN where not recorded")
    if not present.any(axis=0).all():
        raise DataError(f"targets in columns {np.flatnonzero(~present.any(axis=0)).tolist()} have no recorded tokens")
    return tokens
