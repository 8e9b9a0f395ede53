"""How likely a policy makes what it, or another, chose to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from forethought.models import LanguageModel
from forethought.training.base import Learnable

CELLS = 4096
"""Most tokens computed at once, padding included: texts of like length waste little of it."""
LOGITS = 1 << 25
"""Most logits held at once: a vocabulary of 50,000 leaves room for 670 tokens."""


def chosen_logprobs(model: LanguageModel, texts: Sequence[Learnable]) -> torch.Tensor:
    """Sum of the chosen tokens' log-probabilities at temperature 1, nats, shape (texts,); differentiable.

    Args:
        model: The policy.
        texts: What was written.
    """
    found: list[torch.Tensor | None] = [None] * len(texts)
    for part in parts(model, texts):
        sums = _of_part(model, [texts[i] for i in part])
        for place, value in zip(part, sums, strict=True):
            found[place] = value
    return torch.stack([value for value in found if value is not None]) if texts else torch.zeros(0)


def parts(model: LanguageModel, texts: Sequence[Learnable]) -> Iterator[list[int]]:
    """Places of the texts, in parts of like length that are computed at once."""
    lengths = [len(text.prompt.ids) + len(text.tokens) for text in texts]
    most = min(CELLS, LOGITS // model.model.config.vocab_size)
    part: list[int] = []
    for place in sorted(range(len(texts)), key=lambda i: (lengths[i], i)):
        if part and (len(part) + 1) * lengths[place] > most:
            yield part
            part = []
        part.append(place)
    if part:
        yield part


def _of_part(model: LanguageModel, texts: Sequence[Learnable]) -> torch.Tensor:
    rows = [[*text.prompt.ids, *text.tokens] for text in texts]
    width = max(map(len, rows))
    # Padding stands to the right: no real token sees it, so no mask is needed.
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    chosen = torch.zeros_like(ids, dtype=torch.bool)
    for i, text in enumerate(texts):
        chosen[i, len(text.prompt.ids) : len(rows[i])] = torch.tensor(text.chosen, dtype=torch.bool)
    logits = model.model(input_ids=ids[:, :-1], use_cache=False).logits.float()
    wanted, counted = ids[:, 1:], chosen[:, 1:]
    logprobs = logits.gather(2, wanted[..., None])[..., 0] - logits.logsumexp(dim=-1)
    return torch.where(counted, logprobs, 0.0).sum(dim=1)
