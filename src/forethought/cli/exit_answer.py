"""One answer, coloured by depth as it is written, and what that spared."""

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

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        assert self.meter is not None, "it was written"
        return {
            "text": self.text,
            "tokens": self.pieces,
            "depths": self.depths,
            "mean_depth": self.meter.mean_depth,
            "macs_saved": self.meter.macs_saved,
            "seconds": self.seconds,
        }


def write(task: Task, decoder: Any, writer: DepthWriter) -> Written:
    """Let a decoder answer a task's first question, token by token.

    Args:
        task: One question.
        decoder: `ExitDecoder` or `SpeculativeDecoder`.
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
        writer.add(found.pieces[-1], depth)
    writer.end()
    return found


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
    from forethought.evaluation.report.numbers import percent

    meter = found.meter
    assert meter is not None, "it was written"
    if not meter.passes:
        return f"{_counted(len(found.tokens))}: predicted by the prompt's own pass"
    return (
        f"{_counted(len(found.tokens))}, {meter.mean_depth:.1f} of {n_layers} layers a token, "
        f"{percent(round(meter.macs_saved, 3) + 0.0)} of MACs saved, {found.seconds:.2f} s"
    )


def speculative_summary(found: Written) -> str:
    """One line of an answer that was drafted below an exit and checked above it."""
    from forethought.evaluation.report.numbers import percent

    meter: Any = found.meter
    return (
        f"{_counted(len(found.tokens))} of the unmodified model, {meter.drafted} drafted, {meter.accepted} of them "
        f"accepted in {meter.rounds} checks, {percent(round(meter.steps_saved, 3) + 0.0)} of layer calls saved, "
        f"{found.seconds:.2f} s"
    )


def _counted(tokens: int) -> str:
    return "1 token" if tokens == 1 else f"{tokens} tokens"
