"""Stage 1: learn to read out early, and when that is safe, from the model's own full-depth answers (2603.21376)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch.nn import functional

from forethought.core import content_hash
from forethought.early_exit.blocks import Blocks
from forethought.early_exit.model import ExitModel
from forethought.early_exit.optimisation import Group, Optimisation, Schedule
from forethought.early_exit.passage import Answers, Passage, Prefix, PrefixReader, readout, run
from forethought.early_exit.stick_breaking import exit_probabilities, gate_targets
from forethought.early_exit.traces import Trace
from forethought.errors import ConfigError, DataError

Label = Literal["divergence", "agreement"]
Reference = Literal["teacher", "student"]

_SAMPLES = 4
"""Most answers of one question in a step: they share the prompt's pass, but are alike."""


@dataclass(frozen=True)
class CalibrationConfig:
    """Settings of stage 1.

    Attributes:
        steps: Of Adam.
        batch: Answers a step.
        kappa: How fast a gate's target falls with the divergence from full depth.
        label: Target of a gate: `divergence` is the paper's 1 - tanh(kappa KL / 2); `agreement` is 1 where the
            exit's likeliest token is full depth's, as CALM's classifier learns.
        reference: Whose exits are compared with the unmodified model's last layer: `teacher`, the unmodified model's
            own, as the paper does; `student`, the adapted model's, which learn to say it earlier as they are trained.
        explore: Share of tokens that leave at an exit drawn evenly instead of from the targets.
        whole: Share of the answers that are passed to full depth, where the adapted model has to stay the unmodified
            one: without them training on early exits unlearns the task.
        gate_weight: Of the gates' likelihood beside the divergence, 1 in the paper.
        adapter_rate: Learning rate of the adapters.
        head_rate: Learning rate of gates and maps.
        warmup: Share of the steps in which the rates rise.
        reduced: Compute in bfloat16 where that is faster; weights and losses stay fp32.
        seed: Of batches and exits.
    """

    steps: int = 500
    batch: int = 32
    kappa: float = 1.0
    label: Label = "divergence"
    reference: Reference = "student"
    explore: float = 0.1
    whole: float = 0.25
    gate_weight: float = 1.0
    adapter_rate: float = 1e-3
    head_rate: float = 1e-3
    warmup: float = 0.1
    reduced: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ConfigError(f"steps and batch must be >= 1, got {self.steps} and {self.batch}")
        if self.label not in ("divergence", "agreement") or self.reference not in ("teacher", "student"):
            raise ConfigError(
                f"label must be 'divergence' or 'agreement' and reference 'teacher' or 'student', got {self.label!r} "
                f"and {self.reference!r}"
            )
        if not (self.kappa > 0 and self.gate_weight >= 0 and 0 <= self.explore <= 1 and 0 <= self.whole <= 1):
            raise ConfigError(
                "kappa must be > 0, gate_weight >= 0, explore and whole in [0, 1], got "
                f"{self.kappa}, {self.gate_weight}, {self.explore} and {self.whole}"
            )


def calibrate(
    model: ExitModel, traces: Sequence[Trace], config: CalibrationConfig, *, checkpoint: Path | None = None
) -> Iterator[dict[str, float]]:
    """Train adapters, maps and gates on recorded answers of the unmodified model, step by step.

    Each step: full depth of the unmodified model gives the distribution to match and each gate's target q; exits
    are drawn from the stick-breaking of q, one a token; the adapted model passes the answers to those depths. The
    loss is KL(student || teacher) at the exits plus the gates' negative log-likelihood, taken in expectation over
    the drawn exit instead of from one draw: a cross-entropy to q at every gate that a token reaches.

    Gates read states without bending them: their gradient stops at the state.

    Args:
        model: Trained in place.
        traces: From `record_traces`; an answer of one token teaches nothing and is passed over.
        config: Settings.
        checkpoint: Folder to save progress in and to go on from.

    Yields:
        Figures of each step: `loss`, `divergence`, `gates`, `mean_depth`.

    Raises:
        DataError: No trace has two tokens.
        ArtifactError: The checkpoint is of another run.
    """
    useful = [trace for trace in traces if len(trace.tokens) > 1]
    if not useful:
        raise DataError(f"none of {len(traces)} traces has two tokens: there is no pass to learn from")
    stage = _Stage(model, useful, config)
    heads = [*model.heads.gates.parameters(), *model.heads.maps.parameters()]
    groups = [Group(list(model.adapters.parameters()), config.adapter_rate), Group(heads, config.head_rate)]
    identity = {"stage": "calibrate", **asdict(config), "traces": _hash(useful), "model": model.base.weights}
    schedule = Schedule(config.steps, config.warmup)
    yield from Optimisation(groups, schedule, checkpoint, identity).run(stage.loss)


class _Stage:
    """The loss of one step."""

    def __init__(self, model: ExitModel, traces: Sequence[Trace], config: CalibrationConfig) -> None:
        self.model = model
        self.traces = traces
        self.config = config
        self.reader = PrefixReader(model)
        self.written = _written(model, traces)
        self.asked: dict[int, list[Trace]] = {}
        for trace in traces:
            self.asked.setdefault(trace.question, []).append(trace)

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss and figures."""
        config, model = self.config, self.model
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        answers = self._batch(generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.reduced):
            prefix = self.reader.read(answers)
            wanted, targets = self._targets(prefix, answers)
            depths = self._draw(targets, generator)
            passage = run(model.student, prefix, answers, model.config.layers, depths)
            taken = answers.passes
            states = readout(model, passage.final, depths)[taken]
            logits = model.student.logits(states)
        divergence = reverse_kl(logits, wanted).mean()
        gates = gate_cross_entropy(model, passage, depths, targets, taken)
        figures = {
            "divergence": float(divergence.detach()),
            "gates": float(gates.detach()),
            "mean_depth": float(depths[taken].float().mean()),
            "agreement": float((logits.argmax(-1) == wanted.argmax(-1)).float().mean()),
        }
        return divergence + config.gate_weight * gates, figures

    def _batch(self, generator: torch.Generator) -> Answers:
        """Answers of a few questions: samples of one question share their prompt's pass."""
        chosen: list[Trace] = []
        for place in torch.randperm(len(self.traces), generator=generator).tolist():
            beside = self.asked[self.traces[place].question]
            chosen.extend(beside[i] for i in torch.randperm(len(beside), generator=generator)[:_SAMPLES].tolist())
            if len(chosen) >= self.config.batch:
                break
        chosen = chosen[: self.config.batch]
        return Answers.of([trace.prompt for trace in chosen], [trace.tokens for trace in chosen])

    @torch.no_grad()
    def _targets(self, prefix: Prefix, answers: Answers) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities of full depth, (real passes, vocabulary), and q of every exit, (rows, passes, K)."""
        model, taken = self.model, answers.passes
        blocks: Blocks = model.teacher if self.config.reference == "teacher" else model.student
        exits = run(blocks, prefix, answers, model.config.layers).exits
        full = run(model.teacher, prefix, answers, ()).final
        wanted = model.teacher.logits(full[taken])
        among = torch.log_softmax(wanted if self.written is None else wanted[:, self.written], dim=-1)
        targets = torch.zeros(*taken.shape, len(exits))
        for exit, hidden in enumerate(exits):
            logits = model.teacher.logits(model.heads.mapped(exit, hidden[taken]), self.written)
            targets[taken, exit] = self._target(among, logits)
        return torch.log_softmax(wanted, dim=-1), targets

    def _target(self, wanted: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        if self.config.label == "agreement":
            return (logits.argmax(dim=-1) == wanted.argmax(dim=-1)).float()
        divergence = functional.kl_div(torch.log_softmax(logits, dim=-1), wanted, reduction="none", log_target=True)
        return gate_targets(divergence.sum(dim=-1), self.config.kappa)

    def _draw(self, targets: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Depth of every token, (rows, passes): from the stick-breaking of its targets, evenly, or full."""
        layers = torch.tensor(self.model.depths)
        flat = exit_probabilities(targets).flatten(0, 1)
        drawn = torch.multinomial(flat, 1, generator=generator)[:, 0]
        even = torch.randint(len(layers), drawn.shape, generator=generator)
        explored = torch.rand(drawn.shape, generator=generator) < self.config.explore
        depths = layers[torch.where(explored, even, drawn)].view(targets.shape[:-1])
        whole = torch.rand(len(depths), 1, generator=generator) < self.config.whole
        return torch.where(whole, self.model.n_layers, depths)


def reverse_kl(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """KL(student || teacher) of each pass, (passes,).

    Args:
        logits: The student's, (passes, vocabulary).
        wanted: The teacher's log-probabilities, (passes, vocabulary).
    """
    log_student = torch.log_softmax(logits, dim=-1)
    return (log_student.exp() * (log_student - wanted)).sum(dim=-1)


def gate_cross_entropy(
    model: ExitModel, passage: Passage, depths: torch.Tensor, targets: torch.Tensor, taken: torch.Tensor
) -> torch.Tensor:
    """Mean over passes of the cross-entropies to q at the gates that each token reached.

    Args:
        model: Whose gates.
        passage: States at the exits.
        depths: Where each token left, (rows, passes).
        targets: q, (rows, passes, K).
        taken: Which passes count, bool, (rows, passes).
    """
    total = torch.zeros(())
    for exit, layer in enumerate(model.config.layers):
        reached = taken & (depths >= layer)
        logits = model.heads.gate_logit(exit, passage.exits[exit][reached].detach().float())
        total = total + functional.binary_cross_entropy_with_logits(logits, targets[reached][:, exit], reduction="sum")
    return total / taken.sum()


def _written(model: ExitModel, traces: Sequence[Trace]) -> torch.Tensor | None:
    """Ids that the traces hold; None where they are most of the vocabulary.

    A gate's target compares distributions over these alone: heads at every exit over a whole vocabulary would
    cost more than everything else of a step.
    """
    found = sorted({token for trace in traces for token in trace.tokens})
    return torch.tensor(found) if len(found) < model.base.model.config.vocab_size / 2 else None


def _hash(traces: Sequence[Trace]) -> str:
    return content_hash(repr([(trace.question, tuple(trace.tokens)) for trace in traces]))[:16]
