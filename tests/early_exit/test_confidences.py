from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from forethought.early_exit.base import Confidence, Look
from forethought.early_exit.confidences import GateConfidence, SoftmaxGap, StateSaturation
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import Threshold

ALL = [GateConfidence, SoftmaxGap, StateSaturation]


def look(hidden: torch.Tensor, before: torch.Tensor | None = None, exit: int = 1) -> Look:
    before = torch.randn_like(hidden) if before is None else before
    return Look(exit, exit + 1, hidden, before, 1, [b"k"] * len(hidden), torch.arange(len(hidden)))


@pytest.fixture
def hidden() -> torch.Tensor:
    torch.manual_seed(0)
    return 3 * torch.randn(40, 32)


@pytest.mark.parametrize("make", ALL)
@torch.no_grad()
def test_in_the_unit_interval_row_by_row(
    model: ExitModel, hidden: torch.Tensor, make: Callable[[ExitModel], Confidence]
) -> None:
    confidence = make(model)
    before = torch.randn_like(hidden)
    found = confidence(look(hidden, before))
    assert found.shape == (40,)
    assert bool(((found >= 0) & (found <= 1)).all())
    assert found.std() > 0
    alone = torch.cat([confidence(look(h[None], b[None])) for h, b in zip(hidden, before, strict=True)])
    assert torch.allclose(found, alone, atol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("make", ALL)
@torch.no_grad()
def test_of_a_lost_state_nothing_is_known(
    model: ExitModel, hidden: torch.Tensor, make: Callable[[ExitModel], Confidence], value: float
) -> None:
    hidden[3, 7] = value
    found = make(model)(look(hidden))
    assert found.isnan().nonzero()[:, 0].tolist() == [3]


@torch.no_grad()
def test_a_gate_is_the_sigmoid_of_its_logit(model: ExitModel, hidden: torch.Tensor) -> None:
    found = GateConfidence(model)(look(hidden, exit=2))
    assert found.tolist() == pytest.approx([1 / (1 + math.exp(-z)) for z in model.heads.gate_logit(2, hidden).tolist()])
    assert not torch.allclose(found, GateConfidence(model)(look(hidden, exit=1)))


@torch.no_grad()
def test_a_gap_is_that_of_the_two_likeliest_tokens(model: ExitModel, hidden: torch.Tensor) -> None:
    probabilities = torch.softmax(model.student.logits(model.heads.mapped(1, hidden)), dim=-1)
    ranked = probabilities.sort(dim=-1, descending=True).values
    assert torch.allclose(SoftmaxGap(model)(look(hidden)), ranked[:, 0] - ranked[:, 1])


def test_saturation_by_hand(model: ExitModel) -> None:
    before = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [3.0, 4.0]])
    after = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-5.0, 0.0], [4.0, 3.0]])
    found = StateSaturation(model)(look(after, before))
    assert found.tolist() == pytest.approx([1.0, 0.5, 0.0, (24 / 25 + 1) / 2])


def test_rounding_does_not_pass_a_threshold_of_one(model: ExitModel) -> None:
    torch.manual_seed(1)
    hidden = torch.randn(5000, 32)
    scaled = hidden * torch.rand(5000, 1)
    assert not bool(Threshold(StateSaturation(model), 1.0).leaves(look(hidden, scaled)).any())


def test_what_a_look_costs(model: ExitModel, exits: Callable[..., ExitModel]) -> None:
    costs: list[Any] = [make(model).macs for make in ALL]
    assert costs == [32, 2 * 32 * 3 + 32 * 258, 3 * 32]
    plain = exits(model.base, map_rank=0, gate="mlp")
    assert [make(plain).macs for make in ALL] == [2 * 32 * 32 + 2 * 32, 32 * 258, 3 * 32]
