from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from forethought.core import DecodingPolicy, Question, Target
from forethought.early_exit import traces
from forethought.early_exit.task import Task
from forethought.early_exit.traces import Trace, record_traces
from forethought.errors import ArtifactError
from forethought.models import LanguageModel, load
from forethought.questions import arithmetic_questions
from forethought.targets import LocalResponder
from forethought.targets.generation import Generator

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(load("arithmetic-small"), DecodingPolicy(max_tokens=16), arithmetic_questions("test", 7, seed=0))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers each call of the generator was asked for."""
    asked: list[int] = []
    generate = Generator.generate

    def counted(self: Generator, prompts: Any, rows: Any, keys: Any) -> Any:
        asked.append(len(rows))
        return generate(self, prompts, rows, keys)

    monkeypatch.setattr(Generator, "generate", counted)
    return asked


def record(task: Task, out: Path, samples: int = 1, temperature: float = 0.0) -> list[Trace]:
    return record_traces(task, out, samples=samples, temperature=temperature)


def plain(found: list[Trace]) -> list[tuple[int, list[int]]]:
    return [(trace.question, list(trace.tokens)) for trace in found]


def test_at_temperature_0_they_are_what_the_model_answers(task: Task, tmp_path: Path) -> None:
    """The local responder's greedy texts, and tokens as the model's own argmax goes on."""
    found = record(task, tmp_path)
    responder = LocalResponder(task.model, Target("t", task.model.name, task.policy))
    assert [task.text(trace.tokens) for trace in found] == [
        answer.text for answer in responder.respond(task.questions, [0] * 7)
    ]
    assert [trace.question for trace in found] == list(range(7))
    assert [trace.prompt for trace in found] == task.prompts()
    for trace in found:
        with torch.no_grad():
            logits = task.model.model(torch.tensor([[*trace.prompt.ids, *trace.tokens]])).logits[0]
        assert logits[len(trace.prompt.ids) - 1 : -1].argmax(dim=-1).tolist() == list(trace.tokens)


def test_the_temperature_is_that_of_these_answers_whatever_the_policys(task: Task, tmp_path: Path) -> None:
    hot = replace(task, policy=replace(task.policy, temperature=3.0))
    assert plain(record(hot, tmp_path)) == plain(record(task, tmp_path))
    assert plain(record(task, tmp_path, temperature=3.0)) != plain(record(task, tmp_path))


def test_samples_have_streams_of_their_own(task: Task, tmp_path: Path) -> None:
    found = record(task, tmp_path, samples=3, temperature=3.0)
    assert [trace.question for trace in found] == [i for i in range(7) for _ in range(3)]
    assert len({tuple(trace.tokens) for trace in found}) > 14
    one = record(task, tmp_path / "one", samples=1, temperature=3.0)
    assert plain(one) == plain(found)[::3], "the first sample is the same, however many there are"
    other = record(replace(task, seed=1), tmp_path, samples=3, temperature=3.0)
    assert plain(other) != plain(found)


def test_what_is_recorded_is_not_computed_again(
    task: Task, tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "SLICE", 3)
    first = record(task, tmp_path)
    assert calls == [3, 3, 1]
    assert record(task, tmp_path) == first
    assert calls == [3, 3, 1]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_killed_run_goes_on_where_it_was(
    task: Task, tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "SLICE", 3)
    reported: list[tuple[int, int]] = []

    def killed(done: int, total: int, text: str = "") -> None:
        reported.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_traces(task, tmp_path, samples=1, temperature=0.0, report=killed)
    assert reported == [(1, 3), (2, 3)]
    assert calls == [3, 3]
    found = record(task, tmp_path)
    assert calls == [3, 3, 1]
    assert plain(found) == plain(record(task, tmp_path / "whole"))


@pytest.mark.parametrize(
    "change",
    [
        lambda task: replace(task, policy=replace(task.policy, max_tokens=15)),
        lambda task: replace(task, seed=1),
        lambda task: task.part([0, 1]),
        lambda task: replace(task, questions=[replace(q, id=f"{q.id}x") for q in task.questions]),
    ],
    ids=["policy", "seed", "questions", "ids"],
)
def test_traces_of_another_task_are_recorded_anew(
    task: Task, tmp_path: Path, calls: list[int], change: Callable[[Task], Task]
) -> None:
    record(task, tmp_path)
    record(change(task), tmp_path)
    assert len(calls) == 2
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "content",
    [
        "[[1, 2], [3", "", "\udcff", "7", "null", "{}", "[]", "[[1], [2]]", json.dumps([[1]] * 6 + [[]]),
        json.dumps([[1]] * 6 + ["ab"]), json.dumps([[1]] * 6 + [[1.5]]), json.dumps([[1]] * 6 + [[-1]]),
        json.dumps([[1]] * 6 + [[True]]), json.dumps({key: [1] for key in "abcdefg"}),
    ],
)  # fmt: skip
def test_a_damaged_shard_is_refused(task: Task, tmp_path: Path, content: str) -> None:
    record(task, tmp_path)
    (shard,) = tmp_path.iterdir()
    shard.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactError, match=rf"{shard.name}.*delete it to record it anew"):
        record(task, tmp_path)


def test_questions_are_answered_as_each_would_be_alone(make: Callable[..., LanguageModel], tmp_path: Path) -> None:
    questions = [Question.ask(text, answers=("x",)) for text in ("a b?", "c?", "d e f?")]
    task = Task(make(), DecodingPolicy(max_tokens=6), questions)
    together = record(task, tmp_path)
    alone = [record(task.part([i]), tmp_path)[0].tokens for i in range(3)]
    assert [trace.tokens for trace in together] == alone
