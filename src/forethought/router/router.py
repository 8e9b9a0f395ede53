"""The router: read the prefill once, predict every target, choose one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forethought.allocation import explain, policy_from, restricted
from forethought.artifacts import load_artifact, save_artifact
from forethought.core import Decision, DecodingPolicy, FeatureSpec, Prediction, Prices, Question, Target
from forethought.errors import ArtifactError, ConfigError
from forethought.router.costs import InputLength, PriceList
from forethought.router.features import Block, FeatureBlocks

if TYPE_CHECKING:
    from forethought.activations import Encoder
    from forethought.allocation import Policy
    from forethought.probes import Scorer, TokenScorer

KIND = "router"

_as_prediction = partial(tuple.__new__, Prediction)
"""`Prediction._make` without its length check: a decision over 64 targets calls it 64 times."""


@dataclass(frozen=True)
class Heads:
    """What was learned: how features become success, tokens and prompt lengths.

    Attributes:
        targets: The K targets, in the order of every array.
        features: The blocks that the heads read.
        scorer: Blocks -> calibrated P(success), shape (n, K).
        tokens: First block -> expected output tokens, shape (n, K).
        lengths: Encoder prompt length -> prompt length in each target.
    """

    targets: tuple[Target, ...]
    features: FeatureBlocks
    scorer: Scorer
    tokens: TokenScorer
    lengths: InputLength

    @property
    def names(self) -> tuple[str, ...]:
        """Target names in order."""
        return tuple(target.name for target in self.targets)


class Router:
    """Decides, before any token is generated, which target a question is worth.

    Example:
        >>> router = Router.load("runs/demo/router")  # doctest: +SKIP
        >>> router.route("What is the capital of France?").target  # doctest: +SKIP
        'smollm2-chat'
    """

    def __init__(
        self,
        heads: Heads,
        policy: Policy,
        prices: PriceList,
        *,
        encoder: Encoder | None = None,
        manifest: Mapping[str, Any] | None = None,
        artifact: str = "",
    ) -> None:
        self.heads = heads
        self.policy = policy
        self.prices = prices
        self.manifest = dict(manifest or {})
        self.artifact = artifact
        self._encoder = encoder
        self._names = heads.names

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets that this router chooses between."""
        return self.heads.targets

    @property
    def encoder(self) -> Encoder:
        """The encoder whose prefill is read, loaded at its first use.

        Raises:
            ConfigError: Its weights are not installed.
            FeatureError: What is installed is not what the heads were fitted on.
        """
        if self._encoder is None:
            from forethought.activations import load_encoder

            description = self.manifest["encoder"]
            self._encoder = load_encoder(
                description["source"], system=description["system"], dtype=description["dtype"]
            )
        return self._encoder

    def route(
        self, question: str | Question, *, allowed: Collection[str] | None = None, policy: Policy | None = None
    ) -> Decision:
        """Decide for one question.

        Args:
            question: The question, or its text.
            allowed: Names of the targets that may be chosen; all by default.
            policy: Overrides the router's own policy.

        Raises:
            ConfigError: `allowed` is empty or names an unknown target.
            FeatureError: The encoder does not fit the heads.
        """
        question = Question.ask(question) if isinstance(question, str) else question
        blocks = self.heads.features.encode(self.encoder, [question])
        length = float(self.encoder.lengths([question])[0])
        return self.decide(blocks, length, allowed=allowed, policy=policy)

    async def aroute(
        self, question: str | Question, *, allowed: Collection[str] | None = None, policy: Policy | None = None
    ) -> Decision:
        """Like `route`, off the event loop."""
        return await asyncio.to_thread(self.route, question, allowed=allowed, policy=policy)

    def decide(
        self,
        blocks: Sequence[Block],
        encoder_tokens: float,
        *,
        allowed: Collection[str] | None = None,
        policy: Policy | None = None,
    ) -> Decision:
        """Decide from features that are already there: the serving hot path.

        Args:
            blocks: One (1, d) array per feature block.
            encoder_tokens: Prompt length in the encoder.
            allowed: As in `route`.
            policy: As in `route`.
        """
        policy = policy or self.policy
        success, output, cost = self.predict(blocks, np.array([encoder_tokens]))
        if allowed is None:
            choice = int(policy.choose(success, cost)[0])
        else:
            columns = self._columns(allowed)
            applied = restricted(policy, columns)
            choice = int(applied.choose(success[:, columns], cost[:, columns])[0])
            choice = choice if choice < 0 else columns[choice]
            policy = policy if applied.name == policy.name else applied
        table = (self._names, success[0].tolist(), output[0].tolist(), cost[0].tolist())
        predictions = tuple(map(_as_prediction, zip(*table, strict=True)))
        chosen = None if choice < 0 else self._names[choice]
        return Decision(
            target=chosen,
            predictions=predictions,
            rule=policy.name,
            setting=policy.setting,
            reason=explain(policy, chosen, predictions),
            artifact=self.artifact,
        )

    def predict(
        self, blocks: Sequence[Block], encoder_tokens: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Predict success, output tokens and cost in USD of every target, each of shape (n, K)."""
        success = self.heads.scorer.predict_proba(blocks)
        output = self.heads.tokens.predict_proba(blocks[:1])
        return success, output, self.prices.cost(self.heads.lengths.predict(encoder_tokens), output)

    def with_policy(self, policy: Policy) -> Router:
        """The same heads under another policy."""
        return Router(
            self.heads, policy, self.prices, encoder=self._encoder, manifest=self.manifest, artifact=self.artifact
        )

    def save(self, path: Path | str) -> str:
        """Write the router as an artifact directory; prices stay out, they belong to serving time.

        Returns:
            The artifact's hash, also kept in `artifact`.
        """
        scorer_meta, scorer_arrays = self.heads.scorer.state()
        token_meta, token_arrays = self.heads.tokens.state()
        tensors = {
            **{f"scorer.{name}": array for name, array in scorer_arrays.items()},
            **{f"tokens.{name}": array for name, array in token_arrays.items()},
            "lengths.slope": self.heads.lengths.slope,
            "lengths.intercept": self.heads.lengths.intercept,
        }
        texts = {}
        if self.heads.features.text is not None:
            vocabulary, text_arrays = self.heads.features.text.state()
            texts["vocabulary"] = json.dumps(vocabulary, ensure_ascii=False)
            tensors |= {f"text.{name}": array for name, array in text_arrays.items()}
        manifest = {
            **self.manifest,
            "kind": KIND,
            "targets": [asdict(target) for target in self.heads.targets],
            "features": [asdict(spec) for spec in self.heads.features.specs],
            "scorer": scorer_meta,
            "tokens": token_meta,
            "policy": {"name": self.policy.name, "setting": self.policy.setting},
        }
        self.artifact = save_artifact(Path(path), manifest, tensors, **texts)
        return self.artifact

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        prices: Mapping[str, Prices] | None = None,
        encoder_price: float = 0.0,
        encoder: Encoder | None = None,
    ) -> Router:
        """Load a router artifact.

        Args:
            path: The artifact's directory.
            prices: USD per million tokens of each target, as they are now. Without them every
                target costs 0 and rules that weigh cost see none.
            encoder_price: USD per million prompt tokens that the encoder reads.
            encoder: An encoder to use instead of loading the one that the manifest names.

        Raises:
            ArtifactError: Missing, altered, of another kind or schema version.
            ConfigError: A target without a price.
        """
        manifest, tensors, artifact = load_artifact(Path(path))
        if manifest.get("kind") != KIND:
            raise ArtifactError(f"{path} holds a {manifest.get('kind')!r}, not a {KIND!r}")
        heads = _read_heads(Path(path), manifest, tensors)
        free = dict.fromkeys(heads.names, Prices(0.0, 0.0))
        policy = policy_from(manifest["policy"]["name"], manifest["policy"]["setting"])
        return cls(
            heads,
            policy,
            PriceList.of(heads.names, free if prices is None else prices, encoder_price),
            encoder=encoder,
            manifest=manifest,
            artifact=artifact,
        )

    def _columns(self, allowed: Collection[str]) -> list[int]:
        if unknown := set(allowed) - set(self._names):
            raise ConfigError(f"unknown target {sorted(unknown)[0]!r}; this router knows {', '.join(self._names)}")
        if not allowed:
            raise ConfigError("no target is allowed; at least one must be")
        return [index for index, name in enumerate(self._names) if name in allowed]


def _read_heads(path: Path, manifest: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Heads:
    from forethought.probes import TfidfFeatures, TokenScorer, scorer_from_state

    def part(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}

    vocabulary = path / "vocabulary.json"
    text = (
        TfidfFeatures.from_state(json.loads(vocabulary.read_text()), part("text."))
        if vocabulary.name in manifest["files"]
        else None
    )
    specs = tuple(FeatureSpec(**{**spec, "layers": tuple(spec["layers"])}) for spec in manifest["features"])
    return Heads(
        targets=tuple(_read_target(entry) for entry in manifest["targets"]),
        features=FeatureBlocks(specs, text),
        scorer=scorer_from_state(manifest["scorer"], part("scorer.")),
        tokens=TokenScorer.from_state(manifest["tokens"], part("tokens.")),
        lengths=InputLength(tensors["lengths.slope"], tensors["lengths.intercept"]),
    )


def _read_target(entry: Mapping[str, Any]) -> Target:
    return replace(Target(entry["name"], entry["model"]), policy=DecodingPolicy(**entry["policy"]))
