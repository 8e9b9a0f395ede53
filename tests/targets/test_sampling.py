from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import DecodingPolicy
from forethought.targets.sampling import choose_tokens, sample_key, uniform


def draw(logits: list[float], policy: DecodingPolicy, n: int = 4000) -> np.ndarray:
    keys = [sample_key(0, "q", sample) for sample in range(n)]
    tokens, _ = choose_tokens(torch.tensor([logits] * n), policy, keys, 0)
    return np.bincount(tokens.numpy(), minlength=len(logits)) / n


@given(st.integers(0, 2**31), st.text(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_uniforms_lie_in_the_unit_interval_and_repeat(seed: int, name: str, sample: int, step: int) -> None:
    value = uniform(sample_key(seed, name, sample), step)
    assert 0 <= value < 1
    assert value == uniform(sample_key(seed, name, sample), step)


def test_uniforms_are_uniform_and_independent_across_steps() -> None:
    values = np.array([[uniform(sample_key(0, "q", s), t) for t in range(2)] for s in range(4000)])
    assert np.abs(np.histogram(values, 10, (0, 1))[0] / 8000 - 0.1).max() < 0.02
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.06


def test_frequencies_follow_the_temperature() -> None:
    logits = np.log([0.5, 0.3, 0.2])
    expected = np.exp(logits / 2) / np.exp(logits / 2).sum()
    assert np.abs(draw(list(logits), DecodingPolicy(temperature=2.0)) - expected).max() < 0.03


@pytest.mark.parametrize(("top_p", "expected"), [(0.45, [1, 0, 0]), (0.6, [0.625, 0.375, 0]), (1.0, [0.5, 0.3, 0.2])])
def test_the_nucleus_is_the_smallest_set_that_reaches_its_mass(top_p: float, expected: list[float]) -> None:
    logits = list(np.log([0.5, 0.3, 0.2]))
    assert np.abs(draw(logits, DecodingPolicy(temperature=1.0, top_p=top_p)) - expected).max() < 0.03


def test_a_flat_nucleus_wider_than_the_candidates_is_still_whole() -> None:
    drawn = draw([0.0] * 2000, DecodingPolicy(temperature=1.0, top_p=0.9), n=3000)
    assert 1300 < (drawn > 0).sum() <= 1801


def test_log_probabilities_are_at_temperature_one() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0]])
    tokens, logprobs = choose_tokens(logits, DecodingPolicy(temperature=0.01), [b"k"], 0)
    assert tokens.tolist() == [1]
    assert logprobs[0] == pytest.approx(float(logits.log_softmax(-1)[0, 1]))
