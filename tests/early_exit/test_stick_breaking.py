from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forethought.early_exit.stick_breaking import exit_log_probabilities, exit_probabilities, gate_targets

LOGITS = st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=7)


def test_three_exits_by_hand() -> None:
    found = exit_probabilities(torch.tensor([[0.5, 0.2, 1.0], [0.0, 0.0, 0.25]]))
    assert torch.allclose(found, torch.tensor([[0.5, 0.1, 0.4, 0.0], [0.0, 0.0, 0.25, 0.75]]))


@given(LOGITS)
def test_a_distribution(logits: list[float]) -> None:
    found = exit_log_probabilities(torch.tensor(logits, dtype=torch.float64))
    assert found.shape == (len(logits) + 1,)
    assert float(found.exp().sum()) == pytest.approx(1)
    assert bool(found.isfinite().all())  # 60 nats deep, where 1 - p is 0 in plain arithmetic


@given(LOGITS)
def test_both_forms_agree(logits: list[float]) -> None:
    given_logits = torch.tensor(logits, dtype=torch.float64)
    found = exit_probabilities(torch.sigmoid(given_logits))
    assert torch.allclose(found, exit_log_probabilities(given_logits).exp(), atol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.integers(0, 5))
def test_what_comes_later_does_not_change_the_chance_of_an_earlier_exit(stop: list[float], change: int) -> None:
    first, change = torch.tensor(stop, dtype=torch.float64), change % len(stop)
    second = first.clone()
    second[change] = 1 - second[change]
    assert torch.allclose(exit_probabilities(first)[:change], exit_probabilities(second)[:change])


def test_gate_targets_by_hand() -> None:
    divergence = torch.tensor([0.0, 2.0, 1e9, -1e-7])
    wanted = [1.0, 1 - math.tanh(1.5), 0.0, 1.0]  # float error below 0 is no divergence
    assert gate_targets(divergence, 1.5).tolist() == pytest.approx(wanted, abs=1e-6)


@given(st.lists(st.floats(-1e-6, 50), min_size=2, max_size=9), st.floats(0.1, 4))
def test_gate_targets_are_probabilities_that_fall_with_the_divergence(divergence: list[float], kappa: float) -> None:
    found = gate_targets(torch.tensor(sorted(divergence)), kappa)
    assert bool(((found >= 0) & (found <= 1)).all())
    assert bool((found.diff() <= 1e-7).all())
