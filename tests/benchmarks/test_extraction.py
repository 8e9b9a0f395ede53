from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from forethought.activations import TransformersEncoder
from forethought.core import Question

Import = Callable[[str, str], ModuleType]


def test_operations_of_a_prefill_are_counted_by_hand(module: Import) -> None:
    matmul = module("extraction", "matmul")
    encoder = TransformersEncoder(module("extraction", "peak_memory").tiny())
    questions = [Question.ask("abc", id="q0"), Question.ask("abcdefg", id="q1")]
    work = matmul.PrefillWork.of(encoder, questions, (1,), ("last",))
    t0, t1 = (int(t) for t in encoder.lengths(questions))
    one_block = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128  # q and o; k and v of half the heads; the MLP's three
    attention = 2 * 64 * (t0 * (t0 + 1) + t1 * (t1 + 1))
    assert work.tokens == t0 + t1
    assert work.operations == pytest.approx(2 * one_block * (t0 + t1) + attention)
    assert matmul.prefill_rate(work) > 0
    assert matmul.matmul_rate(work, 0.01) > 0


def test_peak_memory_is_measured_in_a_process_of_its_own(module: Import) -> None:
    peak = module("extraction", "run").peak_bytes(20)
    assert 50e6 < peak < 5e9
