from __future__ import annotations

from pathlib import Path

import pytest

from forethought.early_exit.parts import ARITHMETIC, COMMITTED, Parts, Source
from forethought.errors import ConfigError, DataError


def test_parts_are_dealt_the_same_way_again_and_share_nothing() -> None:
    parts = Parts.read(Source(ARITHMETIC, 30, seed=4))
    texts = [{question.text for question in part} for part in (parts.train, parts.certify, parts.test)]
    assert [len(part) for part in texts] == [10, 10, 10]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]
    assert Parts.again(parts.describe()).test == parts.test
    with pytest.raises(DataError, match="not those that were dealt before"):
        Parts.again({**parts.describe(), "seed": 5})
    with pytest.raises(ConfigError, match="limit must be >= 1"):
        Parts.read(Source(ARITHMETIC, 0))


def test_questions_and_policy_follow_the_model() -> None:
    assert Source.of("arithmetic-small", None, None, 0).name == ARITHMETIC
    assert Source.of("smollm2-135m-instruct", None, None, 0).name == COMMITTED
    assert Source.of("arithmetic-small", Path("q.jsonl"), None, 0).name == "q.jsonl"
    usual = Source(COMMITTED).policy(None, None)
    assert (usual.system, usual.max_tokens, usual.temperature) == ("Give only the final answer.", 24, 0)
    assert Source(COMMITTED).policy("", 7).system is None
    assert Source("q.jsonl").policy("Hm.", None).system == "Hm."


def test_the_committed_questions_leave_enough_to_judge_by() -> None:
    parts = Parts.read(Source(COMMITTED))
    assert len(parts.test) >= 1500
    assert min(len(parts.train), len(parts.certify)) >= 250
