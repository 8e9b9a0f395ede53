"""A router that is being served, with its encoder, and what it reads of one question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from forethought.core import Prices, Question
from forethought.gateway.routing.embedded import encoder_of
from forethought.gateway.routing.reading import bounded, characters_read
from forethought.probes.base import log_odds
from forethought.router import PriceList, Router, Subspace

if TYPE_CHECKING:
    from forethought.activations import Encoder
    from forethought.router.features import Block

_WARM_UP = Question.ask("What is the capital of France?", id="warm-up")


@dataclass(frozen=True, slots=True)
class Features:
    """What was read of a question; the router that read it is the one to decide by it.

    Attributes:
        router: Whose features they are.
        blocks: One (1, d) array per feature block.
        encoder_tokens: Prompt length in the encoder.
        read: Characters that the encoder read.
        of: Characters of the question.
        logits: Uncalibrated log-odds of each target, in the router's order.
        projection: On the head's `Subspace`.
    """

    router: Router
    blocks: list[Block]
    encoder_tokens: int
    read: int
    of: int
    logits: tuple[float, ...]
    projection: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LoadedRouter:
    """One router with all that is computed once for it."""

    router: Router
    encoder: Encoder
    subspace: Subspace

    @classmethod
    def load(
        cls,
        path: Path,
        prices: Mapping[str, Prices],
        encoder_price: float,
        *,
        encoder: Encoder | None = None,
        earlier: LoadedRouter | None = None,
    ) -> Self:
        """Load an artifact.

        Targets without a price are taken for free here; nobody may be sent to them.

        Args:
            path: The artifact.
            prices: USD per million tokens by target.
            encoder_price: USD per million prompt tokens that the encoder reads.
            encoder: To use instead of the one that the artifact names.
            earlier: The router served so far, whose encoder is kept where it is the same.

        Raises:
            ArtifactError: Missing, altered or of another kind.
            ConfigError: The encoder's weights are not installed.
        """
        bare = Router.load(path)
        if encoder is None and earlier is not None and _encoder_of(bare) == _encoder_of(earlier.router):
            encoder = earlier.encoder
        encoder = encoder or encoder_of(bare)
        heads = bare.heads
        known = {name: prices.get(name, Prices(0.0, 0.0)) for name in heads.names}
        priced = PriceList.of(heads.names, known, encoder_price)
        router = Router(heads, bare.policy, priced, encoder=encoder, manifest=bare.manifest, artifact=bare.artifact)
        return cls(router, encoder, Subspace.of(heads.scorer))

    def question(self, question: Question) -> Question:
        """The question, short enough to be tokenised; see `bounded`."""
        *earlier, last = question.messages
        text = bounded(last.content, self.encoder.window)
        return question if text is last.content else replace(question, messages=(*earlier, last._replace(content=text)))

    def features(self, question: Question, known: Features | None = None) -> Features:
        """Read a question; blocks the thread for one prefill.

        Args:
            question: As `question` gives it.
            known: The same question's features by a router that reads the same activations, which are then
                not read again.

        Raises:
            FeatureError: The encoder is not the router's, or gives values that are not finite.
            DataError: The prompt's fixed part leaves no room.
        """
        features = self.router.heads.features
        if known is None:
            blocks = features.encode(self.encoder, [question])
            tokens = int(self.encoder.lengths([question])[0])
            unread = len(question.text) - characters_read(self.encoder, question.text, tokens)
        else:
            states = known.blocks[: len(features.specs)]
            text = [] if features.text is None else [features.text.transform([question.text])]
            blocks, tokens, unread = [*states, *text], known.encoder_tokens, known.of - known.read
        of = characters(question)
        logits = tuple(log_odds(self.router.heads.scorer, blocks)[0].tolist())
        projection = tuple(self.subspace.project(blocks)[0].tolist())
        return Features(self.router, blocks, tokens, of - unread, of, logits, projection)

    def warm_up(self) -> None:
        """Read and decide once: shows that everything fits together, and makes the first request no slower.

        Raises:
            FeatureError: The encoder is not the one that the heads were fitted on.
        """
        found = self.features(_WARM_UP)
        self.router.decide(found.blocks, found.encoder_tokens)


def characters(question: Question) -> int:
    """Of every turn."""
    return sum(len(turn.content) for turn in question.messages)


def _encoder_of(router: Router) -> tuple[Any, ...]:
    """What a router's encoder is, but for the layers and readouts that are read."""
    specs = {(spec.encoder, spec.weights, spec.template, spec.dtype) for spec in router.heads.features.specs}
    return router.manifest.get("encoder"), specs
