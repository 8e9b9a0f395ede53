"""Stage 1: learn to read out early, and when that is safe, from the model's own full-depth answers (2603.21376)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch.nn import functional

from forethought.core import content_hash
from forethought.early_exit.model import ExitModel
from forethought.early_exit.passage import Answers, Passage, Prefix, PrefixReader, readout, run, run_moving
from forethought.early_exit.stick_breaking import gate_targets
from forethought.early_exit.trace_batches import TraceBatches
from forethought.early_exit.traces import Trace, with_passes
from forethought.errors import ConfigError
from forethought.models import Group, Optimisation, Schedule

Label = Literal["divergence", "agreement"]
Reference = Literal["teacher", "student"]
Direction = Literal["reverse", "forward"]


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
        direction: Of the divergence: `reverse` is the paper's KL(student || teacher), `forward` is
            KL(teacher || student), whose gradient does not vanish where the student is sure and wrong.
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
    direction: Direction = "forward"
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
        if self.direction not in ("reverse", "forward"):
            raise ConfigError(f"direction must be 'reverse' or 'forward', got {self.direction!r}")
        if not (self.kappa > 0 and self.gate_weight >= 0 and 0 <= self.explore <= 1 and 0 <= self.whole <= 1):
            raise ConfigError(
                "kappa must be > 0, gate_weight >= 0, explore and whole in [0, 1], got "
                f"{self.kappa}, {self.gate_weight}, {self.explore} and {self.whole}"
            )


def calibrate(
    model: ExitModel, traces: Sequence[Trace], config: CalibrationConfig, *, checkpoint: Path | None = None
) -> Iterator[dict[str, float]]:
    """Train adapters, maps and gates on recorded answers of the unmodified model, step by step.

    Each step: full depth of the unmodified model gives the distribution to match. The adapted model passes the
    answers; at each exit every token that is still under way gets the target q of its gate, from how far the exit's
    distribution is from full depth's, and leaves with probability q: a draw from the stick-breaking of q. The loss
    is the divergence of what is read out where tokens stopped, plus the gates' negative log-likelihood, taken in
    expectation over the drawn exit instead of from one draw: a cross-entropy to q at every gate that a token reaches.

    Gates read states without bending them: their gradient stops at the state.

    Args:
        model: Trained in place.
        traces: From `record_traces`; an answer of one token teaches nothing and is passed over.
        config: Settings.
        checkpoint: Folder to save progress in and to go on from.

    Yields:
        Figures of each step: `step`, `loss`, `divergence`, `gates`, `mean_depth`, and `agreement`, the share of passes
            whose likeliest token is the unmodified model's.

    Raises:
        DataError: No trace has two tokens.
        ArtifactError: The checkpoint is damaged, or of another run: other settings, traces, exits or weights of
            `model`, which has to be given as it was when the run began.
    """
    useful = with_passes(traces)
    stage = _Stage(model, useful, config)
    heads = [*model.heads.gates.parameters(), *model.heads.maps.parameters()]
    groups = [Group(list(model.adapters.parameters()), config.adapter_rate), Group(heads, config.head_rate)]
    exits = {"model": model.base.weights, "exits": asdict(model.config)}
    identity = {"stage": "calibrate", **asdict(config), **exits, "traces": _hash(useful)}
    schedule = Schedule(config.steps, config.warmup)
    yield from Optimisation(groups, schedule, checkpoint, identity).run(stage.loss)


class _Stage:
    """The loss of one step."""

    def __init__(self, model: ExitModel, traces: Sequence[Trace], config: CalibrationConfig) -> None:
        self.model = model
        self.config = config
        self.reader = PrefixReader(model)
        self.batches = TraceBatches(traces, config.batch)
        self.written = _written(model, traces)

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss and figures."""
        config, model = self.config, self.model
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        answers = self.batches.draw(generator)
        taken = answers.passes
        with torch.autocast("cpu", torch.bfloat16, enabled=config.reduced):
            prefix = self.reader.read(answers)
            teacher, wanted = self._teach(prefix, answers)
            leaving = _Leaving(self, wanted, teacher, taken, generator)
            passage = run_moving(model.student, prefix, answers, model.config.layers, leaving)
            depths = leaving.depths
            logits = model.student.logits(readout(model, passage.final, depths)[taken])
        divergence = _DIVERGENCES[config.direction](logits, torch.log_softmax(wanted, dim=-1)).mean()
        gates = gate_cross_entropy(model, passage, depths, leaving.targets, taken)
        figures = {
            "divergence": float(divergence.detach()),
            "gates": float(gates.detach()),
            "mean_depth": float(depths[taken].float().mean()),
            "agreement": float((logits.argmax(-1) == wanted.argmax(-1)).float().mean()),
        }
        return divergence + config.gate_weight * gates, figures

    @torch.no_grad()
    def _teach(self, prefix: Prefix, answers: Answers) -> tuple[torch.Tensor, torch.Tensor]:
        """The unmodified model's states at the exits, (K, rows, passes, width), and last logits, (real, vocabulary)."""
        passage = run(self.model.teacher, prefix, answers, self.model.config.layers)
        return passage.exits, self.model.teacher.logits(passage.final[answers.passes])

    @torch.no_grad()
    def target(self, exit: int, hidden: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """q of states at an exit, (passes, width) -> (passes,)."""
        logits = self.model.teacher.logits(self.model.heads.mapped(exit, hidden), self.written)
        full = wanted if self.written is None else wanted[:, self.written]
        if self.config.label == "agreement":
            return (logits.argmax(dim=-1) == full.argmax(dim=-1)).float()
        divergence = forward_kl(logits, torch.log_softmax(full, dim=-1))
        return gate_targets(divergence, self.config.kappa)


class _Leaving:
    """Who is still under way, decided at the exits.

    Attributes:
        depths: Where each token left, L for none, (rows, passes).
        targets: q of every exit at the tokens that reached it, 0 elsewhere, (rows, passes, K).
    """

    def __init__(
        self,
        stage: _Stage,
        wanted: torch.Tensor,
        teacher: torch.Tensor,
        taken: torch.Tensor,
        generator: torch.Generator,
    ) -> None:
        config, model = stage.config, stage.model
        self._stage, self._wanted, self._taken, self._generator = stage, wanted, taken, generator
        self._states = teacher if config.reference == "teacher" else None
        layers = torch.tensor(model.depths)
        even = layers[torch.randint(len(layers), taken.shape, generator=generator)]
        explored = torch.rand(taken.shape, generator=generator) < config.explore
        whole = torch.rand(len(taken), 1, generator=generator) < config.whole
        self._prescribed = torch.where(whole, model.n_layers, torch.where(explored, even, -1))
        self.depths = torch.full(taken.shape, model.n_layers)
        self.targets = torch.zeros(*taken.shape, len(model.config.layers))

    def __call__(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """Which tokens the layer is to change, (rows, passes)."""
        layers = self._stage.model.config.layers
        if layer in layers:
            self._look(layers.index(layer), layer, hidden)
        return self.depths > layer

    def _look(self, exit: int, layer: int, hidden: torch.Tensor) -> None:
        reached = (self.depths > layer) & self._taken
        states = hidden.detach() if self._states is None else self._states[exit]
        among = self._wanted[reached[self._taken]]
        self.targets[..., exit][reached] = self._stage.target(exit, states[reached], among).float()
        drawn = torch.rand(reached.shape, generator=self._generator) < self.targets[..., exit]
        leaves = torch.where(self._prescribed < 0, drawn, self._prescribed <= layer) & (self.depths > layer)
        self.depths[leaves] = layer


def forward_kl(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """KL(teacher || student) of each pass, (passes,).

    Args:
        logits: The student's, (passes, vocabulary).
        wanted: The teacher's log-probabilities, (passes, vocabulary).
    """
    divergence = functional.kl_div(torch.log_softmax(logits, dim=-1), wanted, reduction="none", log_target=True)
    return divergence.sum(dim=-1)


def reverse_kl(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """KL(student || teacher) of each pass, (passes,).

    Args:
        logits: The student's, (passes, vocabulary).
        wanted: The teacher's log-probabilities, (passes, vocabulary).
    """
    log_student = torch.log_softmax(logits, dim=-1)
    return (log_student.exp() * (log_student - wanted)).sum(dim=-1)


_DIVERGENCES = {"reverse": reverse_kl, "forward": forward_kl}


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
    return content_hash(repr([(trace.question, trace.prompt.ids, tuple(trace.tokens)) for trace in traces]))[:16]
