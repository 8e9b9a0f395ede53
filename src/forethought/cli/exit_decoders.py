"""Who writes an answer of `forethought exits generate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forethought.core import DecodingPolicy
    from forethought.early_exit.decoder import ExitDecoder
    from forethought.early_exit.model import ExitModel
    from forethought.early_exit.speculation import SpeculationMeter, SpeculativeDecoder
    from forethought.targets.generation import Prompt

_DRAFTED = 0.5
"""Gate probability above which a draft is more likely accepted than not."""


@dataclass(frozen=True)
class SpeculationFlags:
    """Drafts that the whole model checks.

    Args:
        speculate: Draft at most so many tokens below an exit and check them above it: the unmodified model's greedy
            answer. Drafting goes on while the exit's gate is sure, which gates that were trained with adapters
            seldom are of the unmodified model's states.
        draft_layer: The exit that drafts, always; with `--threshold`, while its gate is sure.
    """

    speculate: int | None = None
    draft_layer: int | None = None

    def check(self) -> None:
        """Raise ConfigError where there is a layer to draft at, and nothing to draft."""
        from forethought.errors import ConfigError

        if self.draft_layer is not None and self.speculate is None:
            raise ConfigError(
                f"--draft-layer {self.draft_layer} says where to draft: state --speculate N, how many tokens, too"
            )


class PlainDecoder:
    """The unmodified model as it is without exits: nothing is looked at on the way, which a comparison would charge it.

    Args:
        model: With exits.
        policy: Temperature, nucleus and longest answer.

    Attributes:
        meter: What was computed since the decoder was made.
    """

    def __init__(self, model: ExitModel, policy: DecodingPolicy) -> None:
        from forethought.early_exit.meter import Meter
        from forethought.targets.generation import Generator

        self.stops = model.base.eos.__contains__
        self.meter = Meter()
        self._model = model
        self._policy = policy
        self._generator = Generator(model.base, policy, self.stops)

    def stream(self, prompt: Prompt, key: bytes) -> Iterator[tuple[int, int]]:
        """Answer one prompt token by token: pairs of token id and depth, which is every layer.

        Raises:
            DataError: A prompt and the longest answer exceed the model's window.
        """
        from forethought.early_exit.decoder import check_room

        check_room(self._model, [prompt], self._policy.max_tokens)
        self.meter.prompt(self._model.teacher, len(prompt.ids))
        for place, token in enumerate(self._generator.stream(prompt, key)):
            if place:
                self._count(len(prompt.ids) + place)
            yield token.id, self._model.n_layers

    def _count(self, keys: int) -> None:
        meter, layers = self.meter, self._model.n_layers
        meter.pass_of(self._model.teacher, layers, keys)
        meter.macs = meter.full_macs
        meter.layers += layers
        meter.steps += layers
        meter.full_steps += layers


@dataclass(frozen=True)
class Decoders:
    """Makes decoders of one model with exits.

    Attributes:
        model: With exits.
        threshold: Gate probability above which a token leaves, or a draft goes on; None where none is stated nor
            certified.
        speculation: Whether, and where, tokens are drafted.
    """

    model: ExitModel
    threshold: float | None
    speculation: SpeculationFlags

    def unmodified(self, policy: DecodingPolicy) -> PlainDecoder:
        """The unmodified model, at full depth."""
        return PlainDecoder(self.model, policy)

    def asked(self, policy: DecodingPolicy) -> ExitDecoder | SpeculativeDecoder | PlainDecoder:
        """What was asked for: drafts, else exits, else, without a threshold, the unmodified model.

        Raises:
            ConfigError: A draft that cannot be.
        """
        from forethought.early_exit.confidences import GateConfidence
        from forethought.early_exit.decoder import ExitDecoder
        from forethought.early_exit.rules import Threshold

        if self.speculation.speculate is not None:
            return self._drafting(policy, self.speculation.speculate)
        if self.threshold is None:
            return self.unmodified(policy)
        return ExitDecoder(self.model, Threshold(GateConfidence(self.model), self.threshold), policy)

    def _drafting(self, policy: DecodingPolicy, length: int) -> SpeculativeDecoder:
        from forethought.early_exit.confidences import GateConfidence
        from forethought.early_exit.rules import Threshold
        from forethought.early_exit.speculation import Drafting, SpeculativeDecoder

        layer = self.speculation.draft_layer
        if layer is not None and self.threshold is None:
            return SpeculativeDecoder(self.model, policy, Drafting(layer, length))
        sure = Threshold(GateConfidence(self.model), _DRAFTED if self.threshold is None else self.threshold)
        return SpeculativeDecoder(
            self.model, policy, Drafting(_usual_layer(self.model) if layer is None else layer, length, sure)
        )


def why_few(meter: SpeculationMeter, model: ExitModel) -> str | None:
    """What to say where gates let less than a token a check be drafted; None where they let more."""
    if meter.drafted >= meter.rounds:
        return None
    return (
        "few drafts: drafts come from the unmodified model, and the gates, which learned the adapted one's states, are "
        "seldom sure of it. --draft-layer N drafts always, below the exit before layer "
        f"{', '.join(map(str, model.config.layers))}; a lower --threshold more often. The answer stays the same"
    )


def _usual_layer(model: ExitModel) -> int:
    """The exit nearest to two thirds of the depth: shallower drafts are refused more often, deeper ones spare less."""
    return min(model.config.layers, key=lambda layer: abs(layer - 2 * model.n_layers / 3))
