"""A target that runs here and may stop each token early."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forethought.core import DecodingPolicy, Target, content_hash
from forethought.early_exit.base import ExitRule
from forethought.early_exit.confidences import GateConfidence
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.meter import Meter
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import Threshold
from forethought.early_exit.saved import SavedExits
from forethought.models import LanguageModel
from forethought.targets import LocalResponder, Response
from forethought.targets.generation import Generated, Generator, Prompt, Token
from forethought.targets.prompts import Examples

if TYPE_CHECKING:
    from forethought.targets.pool import PoolEntry


@dataclass(frozen=True, slots=True)
class ExitResponse(Response):
    """An answer and how deep each token of it went.

    Attributes:
        tokens: Ids, the one that ended the answer included.
        depths: Of each token, the layers that ran in the pass that predicted it; the prompt's own pass, which
            predicts the first, is always whole.
    """

    tokens: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()


@dataclass(slots=True)
class ExitGenerated(Generated):
    """One row's answer with the depth of each token."""

    depths: list[int] = field(default_factory=list)


class ExitGenerator(Generator):
    """Generates as `Generator` does, each token only as deep as a rule lets it; prompts are read in full.

    Args:
        model: Model with exits.
        rule: Who leaves where.
        policy: Temperature, nucleus and longest answer.
        stops: Whether a token ends an answer.
    """

    def __init__(self, model: ExitModel, rule: ExitRule, policy: DecodingPolicy, stops: Callable[[int], bool]) -> None:
        super().__init__(model.base, policy, stops)
        self._decoder = _Followed(model, rule, policy, stops=stops)

    @property
    def meter(self) -> Meter:
        """What was computed since the generator was made."""
        return self._decoder.meter

    def under(self, policy: DecodingPolicy, stops: Callable[[int], bool]) -> ExitGenerator:
        """The same model and rule under another policy."""
        return ExitGenerator(self._decoder.model, self._decoder.rule, policy, stops)

    def generate(self, prompts: Sequence[Prompt], rows: Sequence[int], keys: Sequence[bytes]) -> list[Generated]:
        """Answer `prompts[rows[i]]` with the random stream `keys[i]`, for every i; each is an `ExitGenerated`."""
        answers = self._decoder.generate(prompts, rows, keys)
        return [ExitGenerated(answer.tokens, answer.logprob, answer.finish, answer.depths) for answer in answers]

    def stream(self, prompt: Prompt, key: bytes, policy: DecodingPolicy | None = None) -> Iterator[Token]:
        """Answer one prompt token by token, as `generate` does: each is computed when it is asked for."""
        following = copy(self._decoder)  # several streams may take turns: each follows its own answer
        following.policy = policy or self._decoder.policy
        told = 0.0
        for token, _ in following.stream(prompt, key):
            yield Token(token, following.logprob - told, self._stops(token))
            told = following.logprob


class _Followed(ExitDecoder):
    """Lets the latest answer be followed while it grows."""

    @property
    def logprob(self) -> float:
        """Of the answer that is being streamed, so far."""
        return self._latest.answers[0].logprob

    def _start(self, prompts: Sequence[Prompt], rows: Sequence[int], keys: Sequence[bytes]) -> Any:
        self._latest = super()._start(prompts, rows, keys)
        return self._latest


class ExitResponder(LocalResponder):
    """Answers questions with a model whose tokens may stop before the last layer (the issue's `ExitTarget`).

    Prompts, batches and random streams are those of `LocalResponder`: with untrained exits and a rule by which
    nobody leaves, the answers are its answers. Whatever reads the prefill of such a target reads the unmodified
    model's. `Response.seconds` falls with depth; prices per token are the pool's and do not.

    Args:
        model: Model with exits.
        target: Whose answers these are.
        rule: Who leaves where.
        examples: Group -> solved examples, for `few_shot` policies.
        batch_size: Most answers computed at once.
        seed: Of the random streams.

    Raises:
        ConfigError: As `LocalResponder`.
    """

    generator: ExitGenerator

    def __init__(
        self,
        model: ExitModel,
        target: Target,
        rule: ExitRule,
        *,
        examples: Examples | None = None,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(model.base, target, examples=examples, batch_size=batch_size, seed=seed)
        self.exits = model
        self.rule = rule
        self.generator = ExitGenerator(model, rule, target.policy, self._stops())

    @property
    def fingerprint(self) -> str:
        """What answers depend on beside the target and the question, adapters, exits and rule included."""
        parts = [super().fingerprint, _weights(self.exits), _setting(self.rule)]
        return content_hash(json.dumps(parts))[:16]

    @property
    def meter(self) -> Meter:
        """What was computed since the responder was made: layers, multiply-accumulates, and those of full depth."""
        return self.generator.meter

    def _response(self, prompt: Prompt, answer: Generated, seconds_per_token: float) -> Response:
        said = super()._response(prompt, answer, seconds_per_token)
        assert isinstance(answer, ExitGenerated), "made by ExitGenerator"
        known = {part.name: getattr(said, part.name) for part in fields(said)}
        return ExitResponse(**known, tokens=tuple(answer.tokens), depths=tuple(answer.depths))


def local_responder(
    model: LanguageModel, entry: PoolEntry, target: Target, examples: Examples, *, seed: int = 0
) -> LocalResponder:
    """The responder of a local target of a pool: with exits, where its entry has some.

    An entry without a threshold takes the certified one, and the unmodified model where none could be certified.

    Args:
        model: The unmodified model.
        entry: Of the pool.
        target: As which it answers.
        examples: Solved questions by group.
        seed: Of the random streams.

    Raises:
        ArtifactError: No exits at the entry's path, or those of another model, or without a threshold of their own
            where the entry states none.
        ConfigError: As `LocalResponder`.
    """
    if entry.exits is None:
        return LocalResponder(model, target, examples=examples, seed=seed)
    from forethought.data import exits

    path = exits() if entry.exits.path is None else Path(entry.exits.path)
    with_exits = ExitModel.load(path, model)
    threshold = SavedExits.read(path).threshold if entry.exits.threshold is None else entry.exits.threshold
    if threshold is None:
        return LocalResponder(model, target, examples=examples, seed=seed)
    rule = Threshold(GateConfidence(with_exits), threshold)
    return ExitResponder(with_exits, target, rule, examples=examples, seed=seed)


def _weights(model: ExitModel) -> str:
    """Hash of the exits' settings, which say how weights are used, and of everything that was learned."""
    digest = hashlib.sha256(json.dumps(asdict(model.config)).encode())
    for name, tensor in sorted(model.state().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _setting(rule: ExitRule) -> list[Any]:
    """A rule's name and settings; of what it asks, the kind."""
    held = {part.name: getattr(rule, part.name) for part in fields(rule)} if is_dataclass(rule) else dict[str, Any]()
    plain = {
        name: value if isinstance(value, int | float | str) else type(value).__name__ for name, value in held.items()
    }
    return [rule.name, plain]
