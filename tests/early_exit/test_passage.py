from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitModel
from forethought.early_exit.passage import Answers, PrefixReader, readout, run
from forethought.early_exit.rules import Prescribed, StaticCut
from forethought.errors import DataError
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt

POLICY = DecodingPolicy(max_tokens=10, temperature=1.0)


def prescribed(model: ExitModel, prompts: list[Prompt], answers: list[Any]) -> torch.Tensor:
    """Logits of every pass as training computes them, (rows, passes, vocabulary)."""
    written = Answers.of(prompts, [answer.tokens for answer in answers])
    depths = torch.tensor([answer.depths[1:] for answer in answers])
    prefix = PrefixReader(model).read(written)
    passage = run(model.student, prefix, written, model.config.layers, depths)
    logits = model.student.logits(readout(model, passage.final, depths))
    return torch.cat([prefix.logits[:, None], logits], dim=1)


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3", "Mistral", "Gemma2", "Gemma3"])
@pytest.mark.parametrize("map_rank", [0, 3])
@torch.no_grad()
def test_prescribed_and_free_running_exits_give_the_same_logits(
    make: Callable[..., LanguageModel], exits: Callable[..., ExitModel], drive: Callable[..., Any],
    at_random: Callable[[float], Any], prompts: list[Prompt], family: str, map_rank: int,
) -> None:  # fmt: skip
    model = exits(make(family), map_rank=map_rank)
    free, answers = drive(ExitDecoder(model, at_random(0.4), POLICY), prompts)
    assert {depth for answer in answers for depth in answer.depths} == {1, 2, 3, 4}
    assert torch.allclose(prescribed(model, prompts, answers), free, atol=1e-5)


@torch.no_grad()
def test_depths_laid_down_beforehand_are_those_that_run(
    model: ExitModel, drive: Callable[..., Any], prompts: list[Prompt]
) -> None:
    depths = torch.randint(1, 5, (5, 9), generator=torch.Generator().manual_seed(0))
    _, answers = drive(ExitDecoder(model, Prescribed(depths), POLICY), prompts)
    assert [answer.depths[1:] for answer in answers] == depths.tolist()


@torch.no_grad()
def test_a_gradient_changes_no_logits(model: ExitModel, drive: Callable[..., Any], prompts: list[Prompt]) -> None:
    free, answers = drive(ExitDecoder(model, StaticCut(2), POLICY), prompts)
    with torch.enable_grad():  # adapters unmerged
        logits = prescribed(model, prompts, answers)
        assert logits.requires_grad
    assert torch.allclose(logits, free, atol=1e-5)


@torch.no_grad()
def test_states_at_the_exits_are_frozen_where_a_token_left(model: ExitModel, prompts: list[Prompt]) -> None:
    answers = Answers.of(prompts[:2], [[1, 2, 3, 4], [5, 6, 7, 8]])
    prefix = PrefixReader(model).read(answers)
    depths = torch.tensor([[1, 2, 4], [4, 3, 1]])
    found = run(model.student, prefix, answers, model.config.layers, depths)
    whole = run(model.student, prefix, answers, model.config.layers)
    assert torch.equal(found.exits[0], whole.exits[0])  # all tokens ran layer 0
    for row, column in torch.cartesian_prod(torch.arange(2), torch.arange(3)).tolist():
        depth = int(depths[row, column])
        for exit, layer in enumerate(model.config.layers):
            stopped = torch.equal(found.exits[exit, row, column], found.final[row, column])
            assert stopped == (depth <= layer)
    assert torch.equal(whole.final, run(model.student, prefix, answers, ()).final)


def test_right_padding_changes_nothing(model: ExitModel, prompts: list[Prompt]) -> None:
    texts = [[1, 2, 3, 4, 5, 6], [5, 6, 7]]
    together = Answers.of(prompts[:2], texts)
    assert together.real.tolist() == [[True] * 6, [True] * 3 + [False] * 3]
    assert together.passes.sum(dim=1).tolist() == [5, 2]
    final = run(model.teacher, PrefixReader(model).read(together), together, ()).final
    for row, text in enumerate(texts):
        one = Answers.of([prompts[row]], [text])
        apart = run(model.teacher, PrefixReader(model).read(one), one, ()).final
        assert torch.allclose(final[row, : len(text) - 1], apart[0], atol=1e-5)


def test_answers_to_one_prompt_share_it(prompts: list[Prompt]) -> None:
    answers = Answers.of([prompts[1], prompts[0], prompts[1]], [[1, 2], [3, 4], [5, 6]])
    assert list(answers.prompts) == [prompts[1], prompts[0]]
    assert list(answers.rows) == [0, 1, 0]
    assert (answers.inputs.tolist(), answers.predicted.tolist()) == ([[1], [3], [5]], [[2], [4], [6]])


@pytest.mark.parametrize(("asked", "answered"), [(0, []), (2, [[1]]), (2, [[1], []])])
def test_answers_without_prompts_or_tokens_are_refused(
    prompts: list[Prompt], asked: int, answered: list[list[int]]
) -> None:
    with pytest.raises(DataError, match="each answer needs a prompt and a token"):
        Answers.of(prompts[:asked], answered)
