from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from forethought.core import DecodingPolicy, Question
from forethought.early_exit import reinforcement
from forethought.early_exit.advantages import group_normalised, leave_one_out
from forethought.early_exit.base import ExitAnswer, Look
from forethought.early_exit.calibration import forward_kl
from forethought.early_exit.confidences import GateConfidence
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.passage import Answers, readout, run
from forethought.early_exit.reinforcement import ReinforcementConfig, depth_table, reinforce, summed_logprob
from forethought.early_exit.rules import Sampled
from forethought.early_exit.task import Task
from forethought.errors import ArtifactError, ConfigError
from forethought.models import LanguageModel, Schedule, load
from forethought.questions import arithmetic_questions
from forethought.targets.generation import Prompt

torch.set_num_threads(1)
CONFIG = ReinforcementConfig(steps=6, prompts=2, group=3, price=0.5, adapter_rate=3e-3, gate_rate=1e-2)


class AlwaysRight(Task):
    """Whatever is answered."""

    def success(self, question: int, tokens: Any) -> float:
        return 1.0


class LongIsRight(Task):
    """Right where an answer has at least six tokens: success that varies within a group."""

    def success(self, question: int, tokens: Any) -> float:
        return float(len(tokens) >= 6)


def tiny_task(base: LanguageModel, kind: type[Task] = Task, **policy: Any) -> Task:
    questions = [Question.ask(text, answers=("x",)) for text in ("a b?", "c?", "d e f?")]
    return kind(base, DecodingPolicy(**{"max_tokens": 8, "temperature": 1.0, **policy}), questions)


@pytest.fixture(scope="module")
def short(make: Callable[..., LanguageModel]) -> LanguageModel:
    """One in eight of its tokens ends an answer, so that answers differ in length."""
    model = make(seed=7)
    model.model.generation_config.eos_token_id = list(range(0, 258, 8))
    return model


@pytest.fixture(scope="module")
def small() -> LanguageModel:
    return load("arithmetic-small")


@pytest.fixture
def small_task(small: LanguageModel) -> Task:
    return Task(small, DecodingPolicy(max_tokens=10), arithmetic_questions("train", 24, seed=0, levels=(1,)))


def fresh(base: LanguageModel, seed: int = 0) -> ExitModel:
    return ExitModel(base, ExitConfig((1, 3, 5), map_rank=2), seed=seed)


def bits(model: ExitModel) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in model.state().items()}


def gradients(model: ExitModel, loss: torch.Tensor) -> list[torch.Tensor]:
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    return [torch.zeros(1) if gradient is None else gradient for gradient in found]


def recomputed(stage: Any, rolled: Any) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Prefix logits, logits of every pass, and the passage of some rollouts."""
    prefix = stage.reader.read(rolled.answers)
    passage = run(stage.model.student, prefix, rolled.answers, stage.model.config.layers, rolled.depths)
    return prefix.logits, stage.model.student.logits(readout(stage.model, passage.final, rolled.depths)), passage


# --- rollouts -----------------------------------------------------------------------------------


def test_depths_as_a_table() -> None:
    answers = [ExitAnswer([5, 6, 7], [4, 1, 3]), ExitAnswer([5], [4]), ExitAnswer([5, 6], [4, 2])]
    written = Answers.of([Prompt((1, 2), 1)] * 3, [answer.tokens for answer in answers])
    assert depth_table(answers, written, 4).tolist() == [[1, 3], [4, 4], [2, 4]]


def test_tokens_are_as_likely_when_passed_again_as_when_they_were_sampled(
    short: LanguageModel, exits: Callable[..., ExitModel]
) -> None:
    model = exits(short)
    stage = reinforcement._Stage(model, tiny_task(short), replace(CONFIG, prompts=3, group=8))
    rolled = stage._roll(0)
    assert rolled.answers.real.sum(dim=1).unique().numel() > 2
    assert rolled.depths[rolled.answers.passes].unique().tolist() == [1, 2, 3, 4]
    first, logits, _ = recomputed(stage, rolled)  # with gradients: adapters unmerged
    logprob = torch.log_softmax(torch.cat([first[:, None], logits], dim=1), dim=-1)
    each = logprob.gather(-1, rolled.answers.tokens[..., None])[..., 0]
    total = torch.where(rolled.answers.real, each, 0.0).sum(dim=1)
    assert torch.allclose(total, rolled.logprob, atol=1e-4)


class Recorded:
    """A gate that remembers z of every look."""

    macs = 0

    def __init__(self, model: ExitModel) -> None:
        self.model = model
        self.looks: dict[tuple[bytes, int, int], float] = {}

    def __call__(self, look: Look) -> torch.Tensor:
        logits = self.model.heads.gate_logit(look.exit, look.hidden)
        for key, logit in zip(look.keys, logits.tolist(), strict=True):
            self.looks[key, look.step, look.exit] = logit
        return torch.sigmoid(logits)


def test_exits_are_as_likely_when_passed_again_as_when_they_were_sampled(
    short: LanguageModel, exits: Callable[..., ExitModel]
) -> None:
    """log pi from the very gates that the rollouts drew from, look by look."""
    model, task = exits(short), tiny_task(short)
    stage = reinforcement._Stage(model, task, replace(CONFIG, prompts=3, group=6))
    seen = Recorded(model)
    stage.decoder = ExitDecoder(model, Sampled(seen), stage.decoder.policy)
    keys: list[bytes] = []
    answer = stage._answer
    stage._answer = lambda prompts, own: (keys.extend(own), answer(prompts, own))[1]  # type: ignore[method-assign, func-returns-value]
    rolled = stage._roll(0)
    _, _, passage = recomputed(stage, rolled)
    found = stage._exits(passage, rolled.depths)
    compared = 0
    for row, key in enumerate(keys):
        for step in range(int(rolled.answers.passes[row].sum())):
            depth = int(rolled.depths[row, step])
            wanted = 0.0
            for exit, layer in enumerate(model.config.layers):
                if layer <= depth:
                    z = torch.tensor(seen.looks[key, step + 1, exit])
                    wanted += functional.logsigmoid(z if layer == depth else -z).item()
            assert found[row, step].item() == pytest.approx(wanted, abs=1e-4)
            compared += 1
    assert compared > 30


def test_rollouts_differ_by_step_and_within_a_group(base: LanguageModel, exits: Callable[..., ExitModel]) -> None:
    stage = reinforcement._Stage(exits(base), tiny_task(base), replace(CONFIG, prompts=3, group=4))
    first, again, second = stage._roll(0), stage._roll(0), stage._roll(1)
    assert torch.equal(first.answers.tokens, again.answers.tokens)
    assert torch.equal(first.depths, again.depths)
    rows = [tuple(row) for rolled in (first, second) for row in rolled.answers.tokens.tolist()]
    assert len(set(rows)) == 24
    assert [first.answers.rows.count(row) for row in range(3)] == [4, 4, 4]


def test_rollouts_draw_from_the_whole_vocabulary(base: LanguageModel, exits: Callable[..., ExitModel]) -> None:
    stage = reinforcement._Stage(
        exits(base), tiny_task(base, top_p=0.1, temperature=0.0), replace(CONFIG, temperature=1.7)
    )
    assert (stage.decoder.policy.temperature, stage.decoder.policy.top_p) == (1.7, 1.0)


# --- loss ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "beta", "moves"), [(0.0, 0.0, False), (0.5, 0.0, True), (0.0, 0.5, True)])
def test_where_all_are_right_only_what_a_pass_costs_moves_the_gates(
    base: LanguageModel, exits: Callable[..., ExitModel], price: float, beta: float, moves: bool
) -> None:
    model = exits(base)
    stage = reinforcement._Stage(model, tiny_task(base, AlwaysRight), replace(CONFIG, price=price, beta=beta))
    loss, figures = stage.loss(0)
    assert figures["accuracy"] == 1
    largest = max(float(gradient.abs().max()) for gradient in gradients(model, loss))
    assert (largest > 1e-4) if moves else (largest == 0)


def test_costs_are_charged_to_the_gates_and_not_to_the_tokens(
    base: LanguageModel, exits: Callable[..., ExitModel]
) -> None:
    model = exits(base)
    stage = reinforcement._Stage(model, tiny_task(base, AlwaysRight), replace(CONFIG, price=1.0))
    found = dict(zip((name for name in model.state()), gradients(model, stage.loss(0)[0]), strict=True))
    assert all(not gradient.any() for name, gradient in found.items() if "gates" not in name)
    assert any(gradient.any() for name, gradient in found.items() if "gates" in name)


def test_advantages_by_credit(short: LanguageModel, exits: Callable[..., ExitModel]) -> None:
    """From the rollouts' own success, depth and drift."""
    model, config = exits(short), replace(CONFIG, prompts=3, group=6, price=0.7, beta=0.2)
    task = tiny_task(short, LongIsRight)
    stage = reinforcement._Stage(model, task, config)
    rolled = stage._roll(0)
    assert 0 < rolled.success.mean() < 1
    passes = rolled.answers.passes
    divergence = torch.rand(passes.shape, generator=torch.Generator().manual_seed(0)) * passes
    with torch.no_grad():
        prefix = stage.reader.read(rolled.answers)
        full = model.teacher.logits(run(model.teacher, prefix, rolled.answers, ()).final)
    unmodified = summed_logprob(prefix, rolled.answers, torch.log_softmax(full[passes], dim=-1))
    for_tokens, for_exits = stage._advantages(rolled, divergence, unmodified)
    alone = leave_one_out(rolled.success.view(3, 6)).flatten()
    assert torch.equal(for_tokens, alone[:, None].expand_as(passes))
    cost = 0.2 * divergence + 0.7 * rolled.depths / 4
    for group in range(3):
        rows = slice(6 * group, 6 * group + 6)
        taken = passes[rows]
        mean = cost[rows][taken].mean()
        wanted = alone[rows, None].expand_as(taken)[taken] - (cost[rows][taken] - mean)
        assert torch.allclose(for_exits[rows][taken], wanted, atol=1e-6)

    stage = reinforcement._Stage(model, task, replace(config, credit="sequence"))
    reward = []
    for row, success in enumerate(rolled.success.tolist()):
        n = int(rolled.answers.real[row].sum())
        logits = torch.cat([prefix.logits[row][None], full[row, : n - 1]])
        alone = torch.log_softmax(logits, dim=-1).gather(1, rolled.answers.tokens[row, :n, None]).sum()
        assert unmodified[row].item() == pytest.approx(alone.item(), abs=1e-4)
        depth = rolled.depths[row, : n - 1].float().mean().item() / 4 if n > 1 else 0.0
        reward.append(success - 0.2 * (rolled.logprob[row] - alone).item() / n - 0.7 * depth)
    shared, same = stage._advantages(rolled, divergence, unmodified)
    wanted = group_normalised(torch.tensor(reward).view(3, 6)).flatten()
    assert torch.allclose(shared, wanted[:, None].expand_as(shared), atol=1e-3)
    assert torch.equal(shared, same)


def test_a_batch_of_answers_is_the_mean_of_its_answers_alone(
    short: LanguageModel, exits: Callable[..., ExitModel]
) -> None:
    """Loss and gradients, with advantages held: padding contributes nothing."""
    model = exits(short)
    stage = reinforcement._Stage(model, tiny_task(short), replace(CONFIG, prompts=3, group=3, anchor=0.3))
    rolled = stage._roll(1)
    lengths = rolled.answers.real.sum(dim=1).tolist()
    assert len(set(lengths)) > 2
    worth = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))

    def loss(rows: list[int]) -> torch.Tensor:
        width = max(lengths[row] for row in rows)
        answers = Answers.of(
            [rolled.answers.prompts[rolled.answers.rows[row]] for row in rows],
            [rolled.answers.tokens[row, : lengths[row]].tolist() for row in rows],
        )
        part = replace(
            rolled, answers=answers, depths=rolled.depths[rows, : width - 1], success=rolled.success[rows],
            logprob=rolled.logprob[rows],
        )  # fmt: skip
        stage._roll = lambda step: part  # type: ignore[method-assign]
        stage._advantages = lambda rolled, divergence, full: (worth[rows, :1], worth[rows, 1:])  # type: ignore[method-assign]
        return stage.loss(0)[0]

    together = loss(list(range(9)))
    alone = torch.stack([loss([row]) for row in range(9)]).mean()
    assert torch.allclose(together, alone, atol=1e-5)
    for one, other in zip(gradients(model, together), gradients(model, alone), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_the_anchor_is_the_divergence_of_the_rollouts(base: LanguageModel, exits: Callable[..., ExitModel]) -> None:
    model = exits(base)
    config = replace(CONFIG, price=0.0, beta=0.0, anchor=2.0)
    stage = reinforcement._Stage(model, tiny_task(base, AlwaysRight), config)
    loss, figures = stage.loss(0)
    rolled = stage._roll(0)
    _, logits, _ = recomputed(stage, rolled)
    teacher = model.teacher.logits(run(model.teacher, stage.reader.read(rolled.answers), rolled.answers, ()).final)
    wanted = forward_kl(logits, torch.log_softmax(teacher, dim=-1)).mean(dim=1).mean().item()  # of one length
    assert loss.item() == pytest.approx(2 * wanted, rel=1e-4)
    assert figures["divergence"] == pytest.approx(wanted, rel=1e-4)


def test_the_gradient_is_that_of_the_distribution_that_tokens_were_drawn_from(
    base: LanguageModel, exits: Callable[..., ExitModel]
) -> None:
    stage = reinforcement._Stage(exits(base), tiny_task(base), replace(CONFIG, temperature=2.0))
    rolled = stage._roll(0)
    stage._advantages = lambda rolled, divergence, full: (torch.ones(6, 1), torch.zeros(6, 1))  # type: ignore[method-assign]
    _, logits, _ = recomputed(stage, rolled)
    drawn = torch.log_softmax(logits / 2, dim=-1).gather(-1, rolled.answers.predicted[..., None])[..., 0]
    assert stage.loss(0)[0].item() == pytest.approx(-drawn.mean().item(), rel=1e-4)


def test_answers_of_one_token_each_have_no_pass_to_learn_from(
    base: LanguageModel, exits: Callable[..., ExitModel]
) -> None:
    stage = reinforcement._Stage(exits(base), tiny_task(base, max_tokens=1), replace(CONFIG, anchor=1.0))
    loss, figures = stage.loss(0)
    assert loss.item() == 0
    assert figures["length"] == 1
    assert math.isnan(figures["mean_depth"])
    model = exits(base)
    before = bits(model)
    assert len(list(reinforce(model, tiny_task(base, max_tokens=1), replace(CONFIG, steps=2)))) == 2
    assert bits(model) == before


# --- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("credit", ["token", "sequence"])
def test_gradients_in_reduced_precision(base: LanguageModel, exits: Callable[..., ExitModel], credit: str) -> None:
    """Of prompts that share a prefix, which is kept in the precision that it was read in."""
    task = tiny_task(base, AlwaysRight)
    assert task.prompts()[0].shared > 0
    config = replace(CONFIG, credit=credit, anchor=0.5)
    losses = [
        reinforcement._Stage(exits(base), task, replace(config, reduced=reduced)).loss(0) for reduced in (False, True)
    ]
    (exact, figures), (rounded, about) = losses
    assert rounded.item() == pytest.approx(exact.item(), abs=0.1)
    assert about["mean_depth"] == figures["mean_depth"]  # rollouts stay in full precision
    assert about["divergence"] == pytest.approx(figures["divergence"], rel=0.1)


def test_a_price_weighs_by_the_pass_for_token_and_by_the_answer_for_sequence(
    short: LanguageModel, exits: Callable[..., ExitModel]
) -> None:
    """What one pass at full depth instead of none takes off its own exit's advantage."""
    config = replace(CONFIG, prompts=1, group=6, price=0.7, beta=0.0)
    stage = reinforcement._Stage(exits(short), tiny_task(short, AlwaysRight), config)
    rolled = stage._roll(0)
    row = int(rolled.answers.passes.sum(dim=1).argmax())
    passes = int(rolled.answers.passes[row].sum())
    assert passes > 1
    nothing = torch.zeros(rolled.answers.passes.shape)
    whole, none = rolled.depths.clone(), rolled.depths.clone()
    whole[row, 0], none[row, 0] = 4, 0
    full = torch.zeros(6)  # which `token` does not read
    costly, free = (stage._advantages(replace(rolled, depths=depths), nothing, full)[1] for depths in (whole, none))
    count = int(rolled.answers.passes.sum())
    assert (free - costly)[row, 0].item() == pytest.approx(0.7 * (1 - 1 / count), abs=1e-5)  # not divided by `passes`


def test_a_seed_gives_the_same_training_again(base: LanguageModel, exits: Callable[..., ExitModel]) -> None:
    def trained(seed: int) -> tuple[list[dict[str, float]], dict[str, list[float]]]:
        model = exits(base)
        task = tiny_task(base, LongIsRight)
        return list(reinforce(model, task, replace(CONFIG, steps=3, seed=seed))), bits(model)

    first = trained(0)
    assert trained(0) == first
    assert trained(1) != first
    assert {"step", "loss", "reward", "accuracy", "mean_depth", "divergence", "length"} == set(first[0][0])


@pytest.mark.parametrize("credit", ["token", "sequence"])
def test_a_killed_run_resumed_in_a_new_model_is_the_uninterrupted_one(
    small: LanguageModel, small_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credit: Any
) -> None:
    monkeypatch.setattr(reinforcement, "Schedule", partial(Schedule, every=2))
    config = replace(CONFIG, credit=credit)
    whole = fresh(small)
    history = list(reinforce(whole, small_task, config))
    for after in (3, 2):  # killed twice
        steps = reinforce(fresh(small), small_task, config, checkpoint=tmp_path / "run")
        for _ in range(after):
            next(steps)
        steps.close()  # type: ignore[attr-defined]
    resumed = fresh(small)
    assert list(reinforce(resumed, small_task, config, checkpoint=tmp_path / "run")) == history[4:]
    assert bits(resumed) == bits(whole)


def test_a_checkpoint_of_another_run_is_refused(
    base: LanguageModel, exits: Callable[..., ExitModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reinforcement, "Schedule", partial(Schedule, every=1))
    task = tiny_task(base)

    def go_on(model: ExitModel, task: Task = task, **other: Any) -> None:
        next(reinforce(model, task, replace(CONFIG, **other), checkpoint=tmp_path / "run"))

    trained = exits(base)
    go_on(trained)
    go_on(exits(base))
    refused = pytest.raises(ArtifactError, match="other settings, other data or other weights to start from")
    with refused:
        go_on(trained)  # as the run left it, not as it began
    for other in (exits(base, noise=0.11), exits(base, (1, 2)), exits(base, (1, 2, 3), gate="mlp")):
        with refused:
            go_on(other)
    for changed in (
        tiny_task(base, max_tokens=7), tiny_task(base, system="Be brief."), replace(task, seed=1), task.part([0, 1]),
        replace(task, questions=[replace(question, answers=("y",)) for question in task.questions]),
    ):  # fmt: skip
        with refused:
            go_on(exits(base), changed)
    with refused:
        go_on(exits(base), price=0.6)


def test_a_large_price_makes_answers_shallow(small: LanguageModel, small_task: Task) -> None:
    model = ExitModel(small, ExitConfig((1, 2, 3, 4, 5)))
    config = ReinforcementConfig(steps=20, prompts=2, group=4, price=5.0, gate_rate=5e-2)
    depths = [figures["mean_depth"] for figures in reinforce(model, small_task, config)]
    assert sum(depths[:3]) / 3 > 1.6  # untrained gates leave half of those who come by: 1.97 on average
    assert sum(depths[-3:]) / 3 < 1.2


def test_without_a_price_depth_is_not_charged(small: LanguageModel, small_task: Task) -> None:
    """All wrong or all right alike: gates of a model that is always right stay where they are."""
    model = ExitModel(small, ExitConfig((1, 2, 3, 4, 5)))
    task = AlwaysRight(small, small_task.policy, small_task.questions)
    before = bits(model)
    list(reinforce(model, task, replace(CONFIG, steps=3, price=0.0, beta=0.0)))
    assert bits(model) == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps and prompts must be >= 1 and group >= 2, got 0, 16 and 4"),
        ({"prompts": 0}, "got 120, 0 and 4"),
        ({"group": 1}, "got 120, 16 and 1"),
        ({"price": -0.1}, "price, beta and anchor must be >= 0"),
        ({"beta": float("nan")}, "price, beta and anchor must be >= 0"),
        ({"temperature": 0.0}, "temperature > 0"),
        ({"credit": "group"}, "credit must be 'token' or 'sequence', got 'group'"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ReinforcementConfig(**wrong)


def test_rollouts_leave_by_the_models_own_gates(base: LanguageModel, exits: Callable[..., ExitModel]) -> None:
    model = exits(base)
    rule = reinforcement._Stage(model, tiny_task(base), CONFIG).decoder.rule
    assert rule == Sampled(GateConfidence(model))
