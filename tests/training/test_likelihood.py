from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from forethought.core import DecodingPolicy, Question
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt
from forethought.training import TraceFormat, TraceText, TraceWriter, chosen_logprobs, likelihood


def texts_of(lengths: list[tuple[int, int]], seed: int = 0) -> list[TraceText]:
    """Random tokens after random prompts, half of them chosen."""
    generator = torch.Generator().manual_seed(seed)

    def draw(n: int) -> list[int]:
        return torch.randint(3, 25, (n,), generator=generator).tolist()

    return [
        TraceText(Prompt(tuple(draw(before)), 1), draw(after), [token % 2 == 0 for token in draw(after)])
        for before, after in lengths
    ]


def naive(model: LanguageModel, text: TraceText) -> torch.Tensor:
    """Token by token, each from a pass over what stands before it."""
    total = torch.zeros(())
    for place, (token, chosen) in enumerate(zip(text.tokens, text.chosen, strict=True)):
        ids = torch.tensor([[*text.prompt.ids, *text.tokens[:place]]])
        if chosen:
            total = total + torch.log_softmax(model.model(input_ids=ids).logits[0, -1], dim=-1)[token]
    return total


LENGTHS = [(5, 9), (3, 1), (8, 20), (5, 9), (1, 14), (12, 2)]


def test_sums_are_those_of_a_naive_loop(tiny: LanguageModel) -> None:
    texts = texts_of(LENGTHS)
    with torch.no_grad():
        found = chosen_logprobs(tiny, texts)
        wanted = torch.stack([naive(tiny, text) for text in texts])
    assert found.shape == (6,)
    assert torch.allclose(found, wanted, atol=1e-4)


def test_gradients_are_those_of_a_naive_loop(make: Callable[..., LanguageModel]) -> None:
    model, texts = make(seed=2), texts_of(LENGTHS[:3])
    weights = torch.tensor([1.0, -2.0, 0.5])
    parameters = list(model.model.requires_grad_(True).parameters())
    found = torch.autograd.grad((weights * chosen_logprobs(model, texts)).sum(), parameters)
    total = sum((weight * naive(model, text) for weight, text in zip(weights, texts, strict=True)), torch.zeros(()))
    wanted = torch.autograd.grad(total, parameters)
    assert any(gradient.abs().max() > 0.1 for gradient in wanted)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("most", [1, 30, 60, 10_000])
@pytest.mark.parametrize("limit", ["CELLS", "LOGITS"])
def test_parts_never_change_sums(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch, most: int, limit: str) -> None:
    texts = texts_of(LENGTHS, seed=1)
    with torch.no_grad():
        wanted = torch.cat([chosen_logprobs(tiny, [text]) for text in texts])
        monkeypatch.setattr(likelihood, limit, most * (25 if limit == "LOGITS" else 1))
        parts = list(likelihood.parts(tiny, texts))
        found = chosen_logprobs(tiny, texts)
    assert torch.allclose(found, wanted, atol=1e-4)
    assert sorted(place for part in parts for place in part) == list(range(6))
    assert len(parts) == (1 if most == 10_000 else 6 if most == 1 else len(parts))
    for part in parts:
        widths = [len(texts[i].prompt.ids) + len(texts[i].tokens) for i in part]
        assert len(part) == 1 or len(part) * max(widths) <= most


def test_only_what_was_chosen_counts(tiny: LanguageModel) -> None:
    """Other tokens matter as context alone: one text in two parts of marks sums to the whole."""
    (text,) = texts_of([(6, 12)])
    others = TraceText(text.prompt, text.tokens, [not chosen for chosen in text.chosen])
    whole = TraceText(text.prompt, text.tokens, [True] * 12)
    none = TraceText(text.prompt, text.tokens, [False] * 12)
    with torch.no_grad():
        one, other, both, nothing = chosen_logprobs(tiny, [text, others, whole, none]).tolist()
    assert one + other == pytest.approx(both, abs=1e-4)
    assert one < 0
    assert nothing == 0.0


def test_no_text(tiny: LanguageModel) -> None:
    assert chosen_logprobs(tiny, []).shape == (0,)


def test_written_traces_are_as_likely_as_when_they_were_written(
    tiny: LanguageModel, ask: Callable[..., list[Question]]
) -> None:
    policy = DecodingPolicy(temperature=1.3, top_p=0.8, max_tokens=5)
    traces = TraceWriter(tiny, TraceFormat.of(tiny), policy).write(ask(8), range(8))
    with torch.no_grad():
        assert chosen_logprobs(tiny, traces).tolist() == pytest.approx([t.logprob for t in traces], abs=1e-4)
