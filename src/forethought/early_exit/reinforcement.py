"""Stage 2: reinforce leaving early where the answer stays right (2603.21376)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch

from forethought.core import DecodingPolicy, content_hash
from forethought.early_exit.advantages import group_normalised, leave_one_out, token_costs
from forethought.early_exit.base import ExitAnswer
from forethought.early_exit.calibration import forward_kl
from forethought.early_exit.confidences import GateConfidence
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitModel, exit_index
from forethought.early_exit.passage import Answers, Passage, Prefix, PrefixReader, readout, run
from forethought.early_exit.rules import Sampled
from forethought.early_exit.stick_breaking import exit_log_probabilities
from forethought.early_exit.task import Task
from forethought.errors import ConfigError
from forethought.models import Group, Optimisation, Schedule
from forethought.targets.generation import Prompt

Credit = Literal["token", "sequence"]


@dataclass(frozen=True)
class ReinforcementConfig:
    """Settings of stage 2.

    Attributes:
        steps: Of Adam.
        prompts: Questions a step.
        group: K, answers a question.
        price: lambda, in units of task reward: of one pass through all layers for `token`, of an answer all of whose
            passes go through all layers for `sequence`. So the same price weighs T times as much for `token` in
            answers of T passes.
        beta: Price of a nat of divergence from the unmodified model, likewise: of each pass's KL(teacher || student)
            for `token`, of the sampled tokens' mean log-ratio for `sequence`.
        credit: `token` charges depth and divergence to the pass that caused them and takes a leave-one-out baseline
            for the task; `sequence` is the paper's: R = task - beta KL - lambda depth, one advantage an answer,
            centred and divided by the group's deviation.
        anchor: Weight of KL(teacher || student) itself in the loss, on the rollouts; 0 in the paper.
        temperature: Of the rollouts' tokens, drawn from the whole vocabulary; their exits are always sampled.
        adapter_rate: Learning rate of the adapters and maps.
        gate_rate: Learning rate of the gates.
        warmup: Share of the steps in which the rates rise.
        reduced: Differentiate in bfloat16; rollouts stay fp32.
        seed: Of prompts, tokens and exits.
    """

    steps: int = 120
    prompts: int = 16
    group: int = 4
    price: float = 0.5
    beta: float = 0.05
    credit: Credit = "token"
    anchor: float = 0.0
    temperature: float = 1.0
    adapter_rate: float = 3e-4
    gate_rate: float = 1e-3
    warmup: float = 0.1
    reduced: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.prompts < 1 or self.group < 2:
            raise ConfigError(
                f"steps and prompts must be >= 1 and group >= 2, got {self.steps}, {self.prompts} and {self.group}"
            )
        if not (self.price >= 0 and self.beta >= 0 and self.anchor >= 0 and self.temperature > 0):
            raise ConfigError(
                f"price, beta and anchor must be >= 0 and temperature > 0, got {self.price}, {self.beta}, "
                f"{self.anchor} and {self.temperature}"
            )
        if self.credit not in ("token", "sequence"):
            raise ConfigError(f"credit must be 'token' or 'sequence', got {self.credit!r}")


def reinforce(
    model: ExitModel, task: Task, config: ReinforcementConfig, *, checkpoint: Path | None = None
) -> Iterator[dict[str, float]]:
    """Train on rollouts that sample tokens and exits.

    Args:
        model: Trained in place; calibrated before, or every exit is a guess.
        task: Questions with graders.
        config: Settings.
        checkpoint: Folder to save progress in and to go on from.

    Yields:
        Figures of each step: `step`, `loss`, `reward`, `accuracy`, `mean_depth`, `divergence`, `length`. The reward is
            accuracy - price x mean depth / L - beta x mean KL, whatever the credit; it and the depth are NaN where
            every answer is one token.

    Raises:
        DataError: Too many losses were not finite.
        ArtifactError: The checkpoint is damaged, or of another run: other settings, questions, exits or weights of
            `model`, which has to be given as it was when the run began.
    """
    stage = _Stage(model, task, config)
    trunk = [*model.adapters.parameters(), *model.heads.maps.parameters()]
    groups = [Group(trunk, config.adapter_rate), Group(list(model.heads.gates.parameters()), config.gate_rate)]
    asked = content_hash(repr((list(task.questions), task.policy, task.seed)))[:16]
    exits = {"model": model.base.weights, "exits": asdict(model.config)}
    identity = {"stage": "reinforce", **asdict(config), **exits, "task": asked}
    yield from Optimisation(groups, Schedule(config.steps, config.warmup), checkpoint, identity).run(stage.loss)


@dataclass(frozen=True)
class _Rollouts:
    """Answers of one step and what is known of them.

    Attributes:
        answers: As a rectangle.
        depths: (rows, passes).
        success: (rows,).
        logprob: Of the tokens as sampled, at temperature 1, summed, (rows,).
    """

    answers: Answers
    depths: torch.Tensor
    success: torch.Tensor
    logprob: torch.Tensor


class _Stage:
    """The loss of one step."""

    def __init__(self, model: ExitModel, task: Task, config: ReinforcementConfig) -> None:
        self.model = model
        self.task = task
        self.config = config
        self.reader = PrefixReader(model)
        self.prompts = task.prompts()
        policy = DecodingPolicy(**{**asdict(task.policy), "temperature": config.temperature, "top_p": 1.0})
        self.decoder = ExitDecoder(model, Sampled(GateConfidence(model)), policy)

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss and figures."""
        config, model = self.config, self.model
        rolled = self._roll(step)
        answers, taken = rolled.answers, rolled.answers.passes
        if not bool(taken.any()):  # answers of one token, which their prompts predicted: no pass of the adapted model
            return torch.zeros((), requires_grad=True), self._figures(rolled, 0.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.reduced):
            prefix = self.reader.read(answers)
            with torch.no_grad():
                full = run(model.teacher, prefix, answers, ()).final
                wanted = torch.log_softmax(model.teacher.logits(full[taken]), dim=-1)
            passage = run(model.student, prefix, answers, model.config.layers, rolled.depths)
            logits = model.student.logits(readout(model, passage.final, rolled.depths)[taken])
        divergence = _scatter(forward_kl(logits, wanted), taken)
        written = answers.predicted[taken][:, None]
        drawn = torch.log_softmax(logits / config.temperature, dim=-1)  # what the tokens were drawn from
        tokens = _scatter(drawn.gather(1, written)[:, 0], taken)
        exits = self._exits(passage, rolled.depths)
        full_logprob = summed_logprob(prefix, answers, wanted)
        for_tokens, for_exits = self._advantages(rolled, divergence.detach(), full_logprob)
        share = taken / taken.sum(dim=1, keepdim=True).clamp_min(1)
        gain = ((for_tokens * tokens + for_exits * exits) * share).sum(dim=1).mean()
        anchor = (divergence * share).sum(dim=1).mean()
        return config.anchor * anchor - gain, self._figures(rolled, float(anchor.detach()))

    def _roll(self, step: int) -> _Rollouts:
        """Sample a group of answers to each of a few questions."""
        config = self.config
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        order = torch.randperm(len(self.prompts), generator=generator)[: config.prompts].tolist()
        questions = [question for question in order for _ in range(config.group)]
        first = (config.seed * 1_000_003 + step) * config.group
        keys = [self.task.key(question, first + i % config.group) for i, question in enumerate(questions)]
        prompts = [self.prompts[question] for question in questions]
        answers = self._answer(prompts, keys)
        success = [
            self.task.success(question, answer.tokens) for question, answer in zip(questions, answers, strict=True)
        ]
        rectangle = Answers.of(prompts, [answer.tokens for answer in answers])
        return _Rollouts(
            rectangle,
            depth_table(answers, rectangle, self.model.n_layers),
            torch.tensor(success),
            torch.tensor([answer.logprob for answer in answers]),
        )

    def _answer(self, prompts: Sequence[Prompt], keys: Sequence[bytes]) -> list[ExitAnswer]:
        distinct = list(dict.fromkeys(prompts))
        place = {prompt: i for i, prompt in enumerate(distinct)}
        return self.decoder.generate(distinct, [place[prompt] for prompt in prompts], keys)

    def _exits(self, passage: Passage, depths: torch.Tensor) -> torch.Tensor:
        """log pi(e) of every pass, (rows, passes), from the gates that it reached."""
        model = self.model
        logits = [model.heads.gate_logit(k, states.detach().float()) for k, states in enumerate(passage.exits)]
        chosen = exit_index(model.config.layers, depths, model.n_layers)
        table = exit_log_probabilities(torch.stack(logits, dim=-1))
        return table.gather(-1, chosen[..., None])[..., 0]

    def _advantages(
        self, rolled: _Rollouts, divergence: torch.Tensor, full_logprob: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Of tokens and of exits, each broadcastable to (rows, passes).

        Args:
            rolled: Answers.
            divergence: Of each pass, (rows, passes).
            full_logprob: Of the sampled tokens under the unmodified model, summed, (rows,).
        """
        config, taken = self.config, rolled.answers.passes
        depth = rolled.depths / self.model.n_layers
        size = (len(rolled.success) // config.group, config.group)
        if config.credit == "token":
            task = leave_one_out(rolled.success.view(size)).flatten()[:, None]
            own = token_costs(config.beta * divergence + config.price * depth, taken, config.group)
            return task.expand_as(depth), task - own
        count = taken.sum(dim=1).clamp_min(1)
        drift = (rolled.logprob - full_logprob) / rolled.answers.real.sum(dim=1)
        mean_depth = torch.where(taken, depth, 0.0).sum(dim=1) / count
        reward = rolled.success - config.beta * drift - config.price * mean_depth
        shared = group_normalised(reward.view(size)).flatten()[:, None].expand_as(depth)
        return shared, shared

    def _figures(self, rolled: _Rollouts, divergence: float) -> dict[str, float]:
        taken = rolled.answers.passes
        depth = float(rolled.depths[taken].float().mean())
        accuracy = float(rolled.success.mean())
        paid = self.config.price * depth / self.model.n_layers + self.config.beta * divergence
        return {
            "reward": accuracy - paid,
            "accuracy": accuracy,
            "mean_depth": depth,
            "divergence": divergence,
            "length": float(rolled.answers.real.sum(dim=1).float().mean()),
        }


def summed_logprob(prefix: Prefix, answers: Answers, log_probabilities: torch.Tensor) -> torch.Tensor:
    """Log-probability of whole answers, the token that the prompt predicts included, (rows,).

    Args:
        prefix: Prompts, as they were read.
        answers: What was answered.
        log_probabilities: Of the vocabulary at every pass that counts, (passes, vocabulary).
    """
    first = torch.log_softmax(prefix.logits, dim=-1).gather(1, answers.tokens[:, :1])[:, 0]
    written = answers.predicted[answers.passes][:, None]
    return first + _scatter(log_probabilities.gather(1, written)[:, 0], answers.passes).sum(dim=1)


def depth_table(answers: Sequence[ExitAnswer], rectangle: Answers, n_layers: int) -> torch.Tensor:
    """Depths of the passes of some answers, (rows, passes); padding is at full depth."""
    table = torch.full(rectangle.passes.shape, n_layers)
    for row, answer in enumerate(answers):
        table[row, : len(answer.depths) - 1] = torch.tensor(answer.depths[1:])
    return table


def _scatter(values: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
    """Values of the passes that count, (passes,), at their places, 0 elsewhere, (rows, passes)."""
    table = values.new_zeros(taken.shape)
    return table.masked_scatter(taken, values)
