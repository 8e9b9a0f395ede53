from __future__ import annotations

import pytest
import torch

from forethought.core import DecodingPolicy, Question, Target
from forethought.early_exit.task import Task
from forethought.errors import DataError
from forethought.models import LanguageModel, load
from forethought.questions import arithmetic_questions
from forethought.targets import LocalResponder
from forethought.targets.sampling import sample_key

torch.set_num_threads(1)
POLICY = DecodingPolicy(max_tokens=16)


@pytest.fixture(scope="module")
def small() -> LanguageModel:
    return load("arithmetic-small")


@pytest.fixture(scope="module")
def task(small: LanguageModel) -> Task:
    return Task(small, POLICY, arithmetic_questions("test", 6, seed=0), seed=3)


def ids(small: LanguageModel, text: str) -> list[int]:
    return list(small.tokenizer(text, add_special_tokens=False)["input_ids"])


def test_prompts_are_the_chats_that_the_model_reads(task: Task, small: LanguageModel) -> None:
    responder = LocalResponder(small, Target("any", small.name, POLICY))
    assert task.prompts() == responder.prompts(task.questions)
    for prompt, question in zip(task.prompts(), task.questions, strict=True):
        assert list(prompt.ids) == ids(small, f"<bos>{question.messages[-1].content}<answer>")


def test_a_system_turn_is_read(small: LanguageModel, task: Task) -> None:
    told = Task(small, DecodingPolicy(system="7;", max_tokens=16), task.questions)
    assert [small.tokenizer.decode(prompt.ids) for prompt in told.prompts()] == [
        f"<bos>7;{question.messages[-1].content}<answer>" for question in task.questions
    ]


def test_streams_are_of_seed_question_and_sample(task: Task, small: LanguageModel) -> None:
    assert task.key(2, 1) == sample_key(3, task.questions[2].id, 1)
    keys = {task.key(question, sample) for question in range(6) for sample in range(4)}
    assert len(keys) == 24
    assert task.key(0, 0) != Task(small, POLICY, task.questions, seed=4).key(0, 0)


def test_an_answer_is_read_without_its_end(task: Task, small: LanguageModel) -> None:
    assert task.text([*ids(small, "37+58=95;95"), *small.eos]) == "37+58=95;95"


def test_answers_are_graded_by_the_questions_own_grader(small: LanguageModel) -> None:
    asked = [
        Question.ask("37+58=", answers=("95",), grader="number"),
        Question.ask("1+1=", answers=("2",), grader="number"),
    ]
    task = Task(small, POLICY, asked)
    assert task.success(0, ids(small, "37+58=95;95")) == 1
    assert task.success(0, ids(small, "37+58=94;94")) == 0
    assert task.success(1, ids(small, "37+58=95;95")) == 0
    assert task.success(0, ids(small, "+")) == 0, "nothing to read out of it"
    assert task.success(0, list(small.eos)) == 0


def test_a_part_keeps_order_policy_and_seed(task: Task) -> None:
    part = task.part([4, 1])
    assert [question.id for question in part.questions] == [task.questions[4].id, task.questions[1].id]
    assert (part.model, part.policy, part.seed) == (task.model, task.policy, task.seed)
    assert part.key(0, 2) == task.key(4, 2), "a question keeps its stream in a part"
    assert part.prompts() == [task.prompts()[4], task.prompts()[1]]


def test_a_task_needs_a_question(task: Task, small: LanguageModel) -> None:
    with pytest.raises(DataError, match="a task needs at least one question"):
        Task(small, POLICY, [])
    with pytest.raises(DataError, match="a task needs at least one question"):
        task.part([])
