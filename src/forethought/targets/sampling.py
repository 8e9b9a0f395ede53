"""Next tokens: greedy, or by temperature and nucleus with randomness that depends on nothing but its key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from forethought.core import DecodingPolicy

_NUCLEUS_CANDIDATES = 512


def sample_key(seed: int, question_id: str, sample: int) -> bytes:
    """Key of one answer's random stream."""
    return hashlib.blake2b(f"{seed}/{sample}/{question_id}".encode(), digest_size=16).digest()


def uniform(key: bytes, step: int) -> float:
    """Number in [0, 1) for a step of a stream: a counter-based generator on BLAKE2b, the same on every machine."""
    digest = hashlib.blake2b(step.to_bytes(8, "little"), key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def choose_tokens(
    logits: torch.Tensor, policy: DecodingPolicy, keys: Sequence[bytes], step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose one token a row.

    Args:
        logits: (rows, vocabulary).
        policy: Temperature (0 is greedy) and nucleus mass.
        keys: One random stream a row.
        step: Number of the token in its answer.

    Returns:
        Token ids (rows,) and their log-probabilities at temperature 1 (rows,).
    """
    if policy.temperature == 0:
        tokens = logits.argmax(dim=-1)
    else:
        draws = torch.tensor([uniform(key, step) for key in keys], dtype=torch.float64, device=logits.device)
        probabilities = torch.softmax(logits / policy.temperature, dim=-1)
        tokens = _invert(probabilities, draws) if policy.top_p == 1 else _nucleus(probabilities, draws, policy.top_p)
    chosen = logits.gather(1, tokens[:, None])[:, 0]
    return tokens, chosen - logits.logsumexp(dim=-1)


def _invert(probabilities: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """First index whose cumulative probability exceeds draw * total (inverse of the distribution function)."""
    cumulative = probabilities.cumsum(dim=-1, dtype=torch.float64)
    threshold = draws[:, None] * cumulative[:, -1:]
    index = torch.searchsorted(cumulative, threshold, right=True)[:, 0]
    return index.clamp_max(probabilities.shape[-1] - 1)


def _nucleus(probabilities: torch.Tensor, draws: torch.Tensor, top_p: float) -> torch.Tensor:
    """Sample from the fewest most likely tokens whose mass reaches `top_p` (Holtzman et al. 2020, section 3.1)."""
    width = min(_NUCLEUS_CANDIDATES, probabilities.shape[-1])
    mass, order = probabilities.topk(width, dim=-1)
    if bool((mass.sum(dim=-1) < top_p).any()):
        mass, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = mass.cumsum(dim=-1, dtype=torch.float64) - mass
    kept = torch.where(before < top_p, mass, 0.0)
    return order.gather(1, _invert(kept, draws)[:, None])[:, 0]
