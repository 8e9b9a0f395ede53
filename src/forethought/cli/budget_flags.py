"""What the verbs of `forethought budget` are told, by what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from forethought.core import DecodingPolicy
    from forethought.models import LanguageModel
    from forethought.training import PolicyConfig, Selection
    from forethought.training.budget_run import Imitation
    from forethought.training.saved import Trained

ARITHMETIC_QUESTIONS = 6000
"""Drawn where nobody says how many: a third to train on, a third to validate, a third to test."""
_SMALL = 5_000_000
"""Weights up to which all of them are trained, where nobody says what."""


@dataclass(frozen=True)
class PolicyFlags:
    """Which model, how it is asked, and what.

    Args:
        model: Folder, catalogue name, or `arithmetic-small`, the decoder that comes with the package.
        questions: Questions as JSON lines; by default the committed ones, for a small decoder arithmetic.
        limit: Only so many questions.
        system: System turn before each question, "" for none; by default what goes with the questions.
        temperature: Of the trials; votes need answers that differ.
        top_p: Nucleus mass.
        max_tokens: Longest trial.
    """

    model: str = "arithmetic-small"
    questions: Path | None = None
    limit: int | None = None
    system: str | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 56

    def policy(self, usual: DecodingPolicy) -> DecodingPolicy:
        """How trials are sampled."""
        from dataclasses import replace

        return replace(usual, temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)


@dataclass(frozen=True)
class TraceFlags:
    """Traces to imitate, made of the model's own samples.

    Args:
        samples: Plain answers drawn of each training question.
        votes: Voting traces.
        alpha: Traces of one trial for each of them; 0 makes a model that always votes.
        distinct: Fewest and most distinct answers of a question that is voted on.
        orders: Voting traces of one question at most.
        cap: Most trials of a vote.
        consensus: Equal answers that end it.
        decide: Whether to vote is decided `after_first`, as the paper has it, or `before` any trial.
        restate: Whether every trial begins with the question; by default that of a small decoder does.
        train: `all` weights or `adapters`; by default all of a small model's.
    """

    samples: int = 32
    votes: int = 2000
    alpha: float = 1.0
    distinct: Annotated[tuple[int, int], Parameter(consume_multiple=True, negative=())] = (2, 12)
    orders: int = 3
    cap: int = 8
    consensus: int = 3
    decide: Literal["after_first", "before"] = "after_first"
    restate: bool | None = None
    train: Literal["all", "adapters"] | None = None

    def trained(self, model: LanguageModel) -> Trained:
        """What is trained of a model."""
        if self.train is not None:
            return self.train
        return "all" if sum(weight.numel() for weight in model.model.parameters()) <= _SMALL else "adapters"


@dataclass(frozen=True)
class ImitationFlags:
    """How traces are imitated.

    Args:
        steps: Updates.
        batch: Traces an update.
        rate: Peak learning rate.
    """

    steps: int = 600
    batch: int = 32
    rate: float = 1e-3

    def stage(self, traces: TraceFlags, trained: Trained, small: bool, seed: int) -> Imitation:
        """Everything about imitation.

        Args:
            traces: What is imitated.
            trained: What is trained of the model.
            small: Whether it is a small decoder.
            seed: Of everything drawn.
        """
        from forethought.training import SupervisedConfig, TraceRecipe
        from forethought.training.budget_run import Imitation
        from forethought.voting import SequentialVote

        rule = SequentialVote(traces.cap, traces.consensus)
        recipe = TraceRecipe(traces.votes, traces.alpha, traces.distinct, traces.orders, rule, seed)
        training = SupervisedConfig(steps=self.steps, batch=self.batch, rate=self.rate, seed=seed)
        restate = small if traces.restate is None else traces.restate
        return Imitation(traces.samples, recipe, training, traces.decide, restate, trained)


@dataclass(frozen=True)
class SpendFlags:
    """What may be spent, and how it is learnt.

    Args:
        budget: Largest mean of what is learnt from, in `--unit`; for `ibpo`.
        unit: `share` of voting answers, `trials`, `tokens` or `usd` of an answer.
        usd_per_million: Price of output tokens, for `--unit usd`.
        method: `ibpo`, or what it is compared with: `rejection` sampling, `best-of-n`, `cgpo`, or a fixed `price`.
        margins: `smoothed` by a regression on the prefill's activations, `conditional` means of the batch
            alone, or the `joint` frequencies of the paper's listing.
        price: Success that a vote must gain, for `--method price`.
        kl_max: Nats above the model before practice that a text to learn from may be.
    """

    budget: float = 0.5
    unit: Literal["share", "trials", "tokens", "usd"] = "share"
    usd_per_million: float | None = None
    method: Literal["ibpo", "rejection", "best-of-n", "cgpo", "price"] = "ibpo"
    margins: Literal["smoothed", "conditional", "joint"] = "smoothed"
    price: float = 0.05
    kl_max: float = 1024.0

    @property
    def probed(self) -> bool:
        """Whether features of questions are read."""
        return self.method == "ibpo" and self.margins == "smoothed"

    def selection(self, width: int) -> Selection:
        """What to learn from.

        Args:
            width: Features of a question.

        Raises:
            ConfigError: A budget out of range, or USD without a price.
        """
        from forethought.training import BestOfN, ConstrainedPolicy, PricedReward, RejectionSampling

        if self.method == "rejection":
            return RejectionSampling()
        if self.method == "best-of-n":
            return BestOfN()
        if self.method == "cgpo":
            return ConstrainedPolicy(self.kl_max)
        if self.method == "price":
            return PricedReward(self.price)
        return self._inference_aware(width)

    def _inference_aware(self, width: int) -> Selection:
        from forethought.allocation import SmoothedMargins
        from forethought.errors import ConfigError
        from forethought.training import InferenceAware

        smoother = SmoothedMargins(width) if self.margins == "smoothed" else None
        if self.unit != "usd":
            return InferenceAware(
                self.budget, unit=self.unit, margins=self.margins, kl_max=self.kl_max, smoother=smoother
            )
        if self.usd_per_million is None or not self.usd_per_million > 0:
            raise ConfigError(f"--unit usd needs --usd-per-million > 0, got {self.usd_per_million}")
        tokens = self.budget / self.usd_per_million * 1e6
        return InferenceAware(tokens, unit="tokens", margins=self.margins, kl_max=self.kl_max, smoother=smoother)


@dataclass(frozen=True)
class PracticeFlags:
    """The loop.

    Args:
        steps: Updates.
        prompts: Questions an update.
        samples: Traces a question.
        accumulate_prompts: Batches of questions that one programme decides on.
        accumulate_samples: Times `--samples` traces a question.
        rate: Learning rate, constant.
    """

    steps: int = 100
    prompts: int = 64
    samples: int = 8
    accumulate_prompts: int = 1
    accumulate_samples: int = 1
    rate: float = 5e-4

    def config(self, seed: int) -> PolicyConfig:
        """Of the loop."""
        from forethought.training import PolicyConfig

        return PolicyConfig(
            steps=self.steps,
            prompts=self.prompts,
            samples=self.samples,
            accumulate_prompts=self.accumulate_prompts,
            accumulate_samples=self.accumulate_samples,
            rate=self.rate,
            seed=seed,
        )


Folders = Annotated[Sequence[Path], Parameter(consume_multiple=True, negative=())]
