from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forethought.early_exit.base import ExitRule, Look
from forethought.early_exit.rules import (
    DecayingThreshold,
    MonotoneSchedule,
    Never,
    Prescribed,
    Sampled,
    StaticCut,
    Threshold,
)
from forethought.errors import ConfigError
from forethought.targets.sampling import sample_key

NAN = float("nan")


@dataclass(frozen=True)
class Given:
    """A confidence that was laid down."""

    values: list[float]
    macs = 11

    def __call__(self, look: Look) -> torch.Tensor:
        return torch.tensor(self.values)


def look(n: int = 3, *, layer: int = 2, exit: int = 0, step: int = 1, first: int = 0) -> Look:
    keys = [sample_key(0, f"q{i}", 0) for i in range(first, first + n)]
    return Look(exit, layer, torch.zeros(n, 4), torch.zeros(n, 4), step, keys, torch.arange(first, first + n))


def test_never_and_static() -> None:
    assert Never().leaves(look()).tolist() == [False] * 3
    assert [StaticCut(3).leaves(look(2, layer=layer)).tolist() for layer in (2, 3, 4)] == [
        [False, False],
        [True, True],
        [True, True],
    ]


def test_a_threshold_is_exceeded_not_met_and_nan_goes_on() -> None:
    rule = Threshold(Given([0.5, 0.50001, NAN]), 0.5)
    assert rule.leaves(look()).tolist() == [False, True, False]
    assert rule.macs == 11
    assert Threshold(Given([1.0, NAN, 0.0]), 1.0).leaves(look()).tolist() == [False] * 3
    assert Threshold(Given([1.0, NAN, 0.0]), 0.0).leaves(look()).tolist() == [True, False, False]


@given(st.floats(0, 1), st.floats(0, 1), st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3))
def test_a_stricter_threshold_lets_fewer_go(one: float, other: float, values: list[float]) -> None:
    lax, strict = (Threshold(Given(values), t).leaves(look()) for t in sorted((one, other)))
    assert not bool((strict & ~lax).any())


@pytest.mark.parametrize("value", [-0.01, 1.01, NAN, math.inf])
@pytest.mark.parametrize("make", [Threshold, Sampled, lambda c, v: DecayingThreshold(c, v, 1.0, 5)])
def test_thresholds_outside_the_unit_interval_are_refused(make: Callable[..., Any], value: float) -> None:
    with pytest.raises(ConfigError, match=r"an exit threshold must lie in \[0, 1\], got"):
        make(Given([]), value)


def test_a_decaying_threshold_by_hand() -> None:
    rule = DecayingThreshold(Given([0.95, 0.9, NAN]), 0.9, 4.0, 8)
    assert rule.at(0) == pytest.approx(0.81 + 0.1)
    assert rule.at(4) == pytest.approx(0.81 + 0.1 * math.exp(-2))
    assert rule.at(1000) == pytest.approx(0.81)
    assert DecayingThreshold(Given([]), 1.0, 0.0, 8).at(3) == 1.0
    assert rule.leaves(look(step=1)).tolist() == [True, True, False]
    assert DecayingThreshold(Given([0.85]), 0.9, 4.0, 8).leaves(look(1, step=1)).tolist() == [False]
    assert DecayingThreshold(Given([0.85]), 0.9, 4.0, 8).leaves(look(1, step=8)).tolist() == [True]


@given(st.floats(0, 1), st.floats(0, 20), st.integers(1, 50))
def test_a_decaying_threshold_never_rises(threshold: float, decay: float, length: int) -> None:
    values = [DecayingThreshold(Given([]), threshold, decay, length).at(step) for step in range(length)]
    assert all(0 <= later <= earlier <= 1 for earlier, later in itertools.pairwise(values))


@pytest.mark.parametrize(("decay", "length"), [(-1.0, 5), (NAN, 5), (1.0, 0)])
def test_a_decay_that_is_none_is_refused(decay: float, length: int) -> None:
    with pytest.raises(ConfigError, match="decay must be >= 0 and length >= 1"):
        DecayingThreshold(Given([]), 0.5, decay, length)


def test_draws_follow_the_probability() -> None:
    probabilities = [0.0, 0.1, 0.5, 0.9, 1.0]
    rule = Sampled(Given([p for p in probabilities for _ in range(400)]))
    left = torch.stack([rule.leaves(look(2000, step=step)) for step in range(1, 6)]).float()
    shares = left.view(5, 5, 400).mean(dim=(0, 2))
    for share, probability in zip(shares.tolist(), probabilities, strict=True):
        deviation = math.sqrt(probability * (1 - probability) / 2000)
        assert abs(share - probability) <= 4 * deviation


def test_draws_do_not_depend_on_the_batch_and_differ_between_looks() -> None:
    rule = Sampled(Given([0.5] * 64))
    whole = rule.leaves(look(64))
    halves = [Sampled(Given([0.5] * 32)).leaves(look(32, first=first)) for first in (0, 32)]
    assert torch.equal(whole, torch.cat(halves))
    others = [look(64, step=2), look(64, exit=1), look(64, first=64)]
    for other in others:
        assert 10 < int((rule.leaves(other) != whole).sum()) < 54


def test_draws_below_the_floor_are_not_made_and_nan_goes_on() -> None:
    low = Sampled(Given([0.09] * 200), 0.1).leaves(look(200))
    assert not bool(low.any())
    assert 5 < int(Sampled(Given([0.1] * 200), 0.0).leaves(look(200)).sum()) < 45
    assert not bool(Sampled(Given([NAN] * 50)).leaves(look(50)).any())


def test_a_schedule_by_hand() -> None:
    rule = MonotoneSchedule(8, 2, 4)
    assert [rule.depth(step) for step in range(1, 8)] == [8, 6, 4, 2, 2, 2, 2]
    assert rule.leaves(look(2, layer=5, step=2)).tolist() == [False, False]
    assert rule.leaves(look(2, layer=6, step=2)).tolist() == [True, True]
    assert MonotoneSchedule(8, 2, 1).depth(1) == 8  # the share of no way is none
    assert MonotoneSchedule(8, 2, 1).depth(2) == 2


@given(st.integers(1, 30), st.integers(0, 29), st.integers(1, 40))
def test_a_schedule_never_goes_deeper(last: int, more: int, length: int) -> None:
    rule = MonotoneSchedule(last + more, last, length)
    depths = [rule.depth(step) for step in range(1, length + 5)]
    assert depths == sorted(depths, reverse=True)
    assert depths[0] == last + more
    assert depths[-1] == last


@pytest.mark.parametrize("setting", [(2, 3, 5), (3, 0, 5), (3, 2, 0)])
def test_a_schedule_that_rises_is_refused(setting: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="a schedule falls from first to last >= 1 over length >= 1 passes"):
        MonotoneSchedule(*setting)


def test_prescribed_rows_are_found_by_their_number() -> None:
    rule = Prescribed(torch.tensor([[1, 4], [2, 1], [4, 2]]))
    some = Look(1, 2, torch.zeros(2, 4), torch.zeros(2, 4), 2, [b"a", b"b"], torch.tensor([2, 0]))
    assert rule.leaves(some).tolist() == [True, False]


@pytest.mark.parametrize(
    "rule",
    [
        Never(), StaticCut(1), Threshold(Given([]), 0.5), DecayingThreshold(Given([]), 0.5, 1, 5),
        Sampled(Given([])), MonotoneSchedule(3, 1, 4), Prescribed(torch.ones(1, 1)),
    ],
)  # fmt: skip
def test_all_are_rules(rule: ExitRule) -> None:
    assert isinstance(rule, ExitRule)
    assert getattr(rule, "monotone", False) == isinstance(rule, Never | StaticCut | MonotoneSchedule)
