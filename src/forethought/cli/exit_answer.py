"""One answer, coloured by depth as it is written, and what it took."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from forethought.cli.token_pieces import TokenPieces

if TYPE_CHECKING:
    from forethought.early_exit.meter import Meter
    from forethought.early_exit.task import Task

STYLES = ("green", "cyan", "bright_blue")
"""From the shallowest exits to the deepest."""
WHOLE = "bright_black"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a model may write and a terminal would obey."""


@dataclass(frozen=True)
class DepthColours:
    """What colour a depth has in a terminal.

    Attributes:
        layers: Of the exits, rising.
        n_layers: L.
    """

    layers: Sequence[int]
    n_layers: int

    def style(self, depth: int) -> str:
        """Of a token."""
        if depth not in self.layers:
            return WHOLE
        return STYLES[list(self.layers).index(depth) * len(STYLES) // len(self.layers)]

    def legend(self) -> Text:
        """One line: which colours mean which layers."""
        line = Text("layers: ")
        for style in STYLES:
            if inside := [layer for layer in self.layers if self.style(layer) == style]:
                line.append(str(inside[0]) if len(inside) == 1 else f"{inside[0]}-{inside[-1]}", style)
                line.append("  ")
        return line.append(f"{self.n_layers} (all)", WHOLE)


@dataclass
class DepthWriter:
    """Writes an answer as it comes: coloured in a terminal, else with each token's layers behind it in brackets.

    Attributes:
        out: Where to; None writes nothing.
        colours: Of depths.
    """

    out: Console | None
    colours: DepthColours

    def begin(self) -> None:
        """The legend, where there are colours."""
        if self.out is not None and self._coloured:
            self.out.print(self.colours.legend())

    def add(self, piece: str, depth: int) -> None:
        """One token."""
        if self.out is None:
            return
        piece = _CONTROL.sub("\ufffd", piece)
        shown = Text(piece, self.colours.style(depth)) if self._coloured else Text(f"{piece}[{depth}]")
        self.out.print(shown, end="", soft_wrap=True)

    def end(self) -> None:
        """The line after the answer."""
        if self.out is not None:
            self.out.print()

    @property
    def _coloured(self) -> bool:
        return self.out is not None and self.out.is_terminal and not self.out.no_color


@dataclass
class Written:
    """An answer and what it took.

    Attributes:
        tokens: Ids.
        pieces: The text of each.
        depths: Layers of each.
        seconds: From the first token, which the prompt's pass predicts, to the last.
        meter: What was computed.
    """

    tokens: list[int] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    seconds: float = 0.0
    meter: Meter | None = None

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(self.pieces).strip()

    @property
    def totals(self) -> dict[str, float]:
        """What the generated tokens took; the prompt's pass, which predicts the first of them, is not in it."""
        meter = self._metered
        return {
            "tokens": len(self.tokens),
            "layers": meter.layers,
            "layer_calls": meter.steps,
            "macs": meter.macs,
            "seconds": self.seconds,
        }

    @property
    def prompt_tokens(self) -> int:
        """Of the prompt."""
        return self._metered.prompt_tokens

    @property
    def prompt_macs(self) -> int:
        """Of the prompt's pass."""
        return self._metered.prompt_macs

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "text": self.text,
            "tokens": self.pieces,
            "depths": self.depths,
            "mean_depth": self._metered.mean_depth,
            "macs_saved": self._metered.macs_saved,
            "seconds": self.seconds,
            "totals": self.totals,
            "prompt": {"tokens": self.prompt_tokens, "macs": self.prompt_macs},
        }

    @property
    def _metered(self) -> Meter:
        assert self.meter is not None, "it was written"
        return self.meter


def write(task: Task, decoder: Any, writer: DepthWriter) -> Written:
    """Let a decoder answer a task's first question, token by token.

    Args:
        task: One question.
        decoder: `ExitDecoder`, `SpeculativeDecoder` or `PlainDecoder`.
        writer: Shows each token as it comes.
    """
    [prompt] = task.prompts()
    tokenizer = task.model.tokenizer
    growing = TokenPieces(lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True)))
    found = Written(meter=decoder.meter)
    writer.begin()
    for token, depth in _timed(decoder.stream(prompt, task.key(0, 0)), found):
        found.tokens.append(token)
        found.depths.append(depth)
        found.pieces.append(growing.add(token))
        writer.add(end_text(tokenizer, token) if decoder.stops(token) else found.pieces[-1], depth)
    writer.end()
    return found


def end_text(tokenizer: Any, token: int) -> str:
    """What an end token is shown as: its own name, or `<end>` where it has none that can be seen."""
    return str(tokenizer.decode([token], skip_special_tokens=False)).strip() or "<end>"


def _timed(stream: Iterator[tuple[int, int]], found: Written) -> Iterator[tuple[int, int]]:
    """The same, counting the seconds that the stream itself takes after its first token."""
    if (first := next(stream, None)) is None:
        return
    yield first
    while True:
        started = time.perf_counter()
        token = next(stream, None)
        found.seconds += time.perf_counter() - started
        if token is None:
            return
        yield token


def summary(found: Written, n_layers: int) -> str:
    """One line of an answer with exits."""
    meter = found.meter
    assert meter is not None, "it was written"
    if not meter.passes:
        return f"{_counted(len(found.tokens))}: predicted by the prompt's own pass"
    return (
        f"{_counted(len(found.tokens))}, {meter.mean_depth:.1f} of {n_layers} layers a token, "
        f"{share(meter.macs_saved)} of MACs saved, {found.seconds:.2f} s"
    )


def speculative_summary(found: Written) -> str:
    """One line of an answer that was drafted below an exit and checked above it."""
    meter: Any = found.meter
    return (
        f"{_counted(len(found.tokens))} of the unmodified model, {meter.drafted} drafted, {meter.accepted} of them "
        f"accepted in {meter.rounds} checks, {share(meter.steps_saved)} of layer calls saved, "
        f"{found.seconds:.2f} s"
    )


def share(value: float) -> str:
    """A share as a percentage, without a minus before a zero."""
    from forethought.evaluation.report.numbers import percent

    return percent(round(value, 3) + 0.0)


def _counted(tokens: int) -> str:
    return "1 token" if tokens == 1 else f"{tokens} tokens"
