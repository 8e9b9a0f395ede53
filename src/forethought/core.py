"""The nouns that every package shares. Nothing here imports beyond the standard library."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from forethought.errors import ConfigError, DataError

Role = Literal["system", "user", "assistant"]


class Message(NamedTuple):
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """Something to answer, and how to tell whether an answer is right.

    Attributes:
        id: Unique within a table; every join is on ids, never on text.
        messages: The chat, last turn by the user.
        answers: Accepted reference answers, the canonical one first; empty when unknown.
        group: Dataset or family, for per-group baselines and held-out splits.
        entities: Names that tie questions together (a country, a word): questions that
            share one never stand on two sides of a split.
        grader: Name of the grader that compares an answer with `answers`.
        difficulty: Human difficulty rating where one was recorded, else None.
    """

    id: str
    messages: tuple[Message, ...]
    answers: tuple[str, ...] = ()
    group: str = ""
    entities: tuple[str, ...] = ()
    grader: str = "text"
    difficulty: float | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise DataError("question with an empty id; every question needs a unique one")
        if not self.messages or self.messages[-1].role != "user":
            raise DataError(f"question {self.id!r} must end with a user turn")
        if not self.messages[-1].content.strip():
            raise DataError(f"question {self.id!r} is empty; its last user turn needs some text")

    @classmethod
    def ask(cls, text: str, *, id: str = "", **rest: Any) -> Question:
        """Make a single-turn question; without an id, one is derived from the text."""
        return cls(id=id or content_hash(text)[:16], messages=(Message("user", text),), **rest)

    @property
    def text(self) -> str:
        """The last user turn."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens, as they stand when a decision is made.

    Attributes:
        input: Of a prompt.
        output: Of an answer.
        cached_input: Of prompt tokens that a prefix cache served; None where they cost what the others do.
    """

    input: float
    output: float
    cached_input: float | None = None

    def __post_init__(self) -> None:
        if not (self.input >= 0 and self.output >= 0 and (self.cached_input is None or self.cached_input >= 0)):
            raise ConfigError(f"prices must be >= 0 USD per million tokens, got {self}")

    def cost(self, input_tokens: float, output_tokens: float, cached_tokens: float = 0) -> float:
        """USD for that many tokens, `cached_tokens` of the input ones from a prefix cache."""
        cached = self.input if self.cached_input is None else self.cached_input
        spared = (self.input - cached) * cached_tokens
        return (self.input * input_tokens + self.output * output_tokens - spared) / 1e6


@dataclass(frozen=True, slots=True)
class DecodingPolicy:
    """How a model is asked: part of what a Target is, since success depends on it.

    Attributes:
        prompt: `chat` sends the messages through the model's chat template;
            `few_shot` completes `Q: ... A:` after solved examples of the same group.
        shots: Number of solved examples for `few_shot`.
        system: System turn put before a chat, if any.
        temperature: 0 is greedy.
        top_p: Nucleus mass for sampling.
        max_tokens: Longest answer.
        votes: Answers drawn, the most frequent one returned; 1 is a plain answer.
        effort: Reasoning effort passed to endpoints that take one.
    """

    prompt: Literal["chat", "few_shot"] = "chat"
    shots: int = 0
    system: str | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 32
    votes: int = 1
    effort: str | None = None

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ConfigError(f"temperature must be >= 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must lie in (0, 1], got {self.top_p}")
        if self.votes < 1 or self.max_tokens < 1 or self.shots < 0:
            raise ConfigError(
                f"votes and max_tokens must be >= 1 and shots >= 0, got votes={self.votes}, "
                f"max_tokens={self.max_tokens}, shots={self.shots}"
            )
        if self.votes > 1 and self.temperature == 0:
            raise ConfigError(f"votes={self.votes} at temperature 0 would draw one answer again and again")


@dataclass(frozen=True, slots=True)
class Target:
    """A model under a decoding policy: what a decision chooses between."""

    name: str
    model: str
    policy: DecodingPolicy = field(default_factory=DecodingPolicy)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a target needs a name")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question answered once by one target.

    Attributes:
        success: In [0, 1]; None when missing, which is masked and never counted as wrong.
        unparsable: No answer could be read out of the text (success is then 0, said apart).
        cost_usd: None where no cost was recorded.
    """

    question_id: str
    target: str
    sample: int = 0
    success: float | None = None
    unparsable: bool = False
    answer: str | None = None
    text: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.success is not None and not 0.0 <= self.success <= 1.0:
            raise DataError(
                f"success of question {self.question_id!r} by {self.target!r} must lie in [0, 1], got {self.success}"
            )


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """What a feature vector means; a probe refuses vectors with another spec.

    Attributes:
        encoder: Name of the model whose prefill was read.
        weights: Fingerprint of its weights.
        template: Fingerprint of its chat template.
        layers: 0 is the embeddings, L the last block's raw output before the final norm;
            several layers are concatenated in this order.
        readout: `last`, `mean`, or `eoi[k]`: the k-th end-of-instruction token, k < 0
            counted from the end of the prompt.
        dtype: Precision the encoder ran in.
    """

    encoder: str
    weights: str
    template: str
    layers: tuple[int, ...]
    readout: str
    dtype: str = "float32"

    @property
    def hash(self) -> str:
        """Short hash of every field: equal specs, equal hash."""
        return content_hash(json.dumps(asdict(self), sort_keys=True))[:12]


class Prediction(NamedTuple):
    """What one target is expected to achieve on one question.

    A tuple, because a decision over 64 targets makes 64 of them on the serving path.

    Attributes:
        target: Name of the target.
        success: Calibrated P(success).
        output_tokens: Expected length of the answer.
        cost_usd: Expected cost at the prices given now; None without prices.
    """

    target: str
    success: float
    output_tokens: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was chosen and why.

    Attributes:
        target: Name of the chosen target, None to abstain.
        predictions: What was expected of each target, in the router's order.
        rule: Name of the policy; `setting` its parameters.
        reason: One sentence.
        artifact: Hash of the router that decided.
    """

    target: str | None
    predictions: tuple[Prediction, ...]
    rule: str
    setting: dict[str, float]
    reason: str
    artifact: str = ""


def content_hash(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
