"""What a decoder with exits looks at before a layer, and what may decide there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from forethought.early_exit.cache import RowsCache
    from forethought.early_exit.frame import Frame

Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of the tokens that reach an exit, before its layer is computed.

    An exit at layer l means that blocks 0 to l - 1 ran: h_l, the residual stream before block l, is read out.

    Attributes:
        exit: Number of the exit, from the shallowest.
        layer: l, its layer.
        hidden: h_l, shape (rows, width).
        before: h_{l-1}, shape (rows, width).
        step: Number of the pass in its answer: 1 predicts the second token, since the prompt predicts the first.
        keys: Of each row's random stream.
        rows: Which rows of the batch these are, shape (rows,).
    """

    exit: int
    layer: int
    hidden: torch.Tensor
    before: torch.Tensor
    step: int
    keys: Sequence[bytes]
    rows: torch.Tensor


@runtime_checkable
class Confidence(Protocol):
    """How sure it is, at a look, that the token is decided."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one look at one token."""
        ...

    def __call__(self, look: Look) -> torch.Tensor:
        """Confidence of each row, shape (rows,), in [0, 1]; NaN where the state is."""
        ...


@runtime_checkable
class ExitRule(Protocol):
    """Decides at each exit which tokens stop there.

    A rule under which no token of an answer goes deeper than the one before says so in an attribute `monotone`.
    """

    name: str

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one look at one token."""
        ...

    def leaves(self, look: Look) -> torch.Tensor:
        """Which rows stop here, bool, shape (rows,). A row whose confidence is NaN goes on."""
        ...


@runtime_checkable
class CachePolicy(Protocol):
    """What becomes of the keys and values of the layers that a token skips.

    What `begin` gives serves one batch of answers: it may remember what it owes.

    Attributes:
        single: Whether only one row at a time can be served.
        fills: Share of the keys and values of the skipped layers that are computed at once; 0 or 1.
    """

    single: bool
    fills: int

    def begin(self) -> CachePolicy:
        """The policy for one batch of answers, owing nothing."""
        ...

    def forces_full(self) -> bool:
        """Whether the pass that comes next has to go to full depth."""
        ...

    def enter(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """The states to run through a layer.

        Args:
            layer: About to be computed.
            hidden: Of the tokens at hand, (rows, tokens, width), the newest last.

        Returns:
            The same, perhaps with the tokens right before them that are still owed this layer in front.
        """
        ...

    def leave(self, layer: int, hidden: torch.Tensor, frame: Frame, cache: RowsCache) -> None:
        """Take note of tokens that stop before a layer.

        Args:
            layer: The first that is not computed.
            hidden: Their residual streams, (rows, tokens, width), frozen from here on.
            frame: Of these rows.
            cache: To fill.
        """
        ...


@dataclass(slots=True)
class ExitAnswer:
    """One answer and how deep each token of it went.

    Attributes:
        tokens: Ids, the one that ended the answer included.
        depths: For each token, how many layers ran in the pass that predicted it. The first is predicted
            by the prompt's own pass, which is always whole.
        logprob: Sum of the tokens' log-probabilities at temperature 1, as read at their depth.
        finish: `stop` or `length`.
    """

    tokens: list[int]
    depths: list[int]
    logprob: float = 0.0
    finish: Finish = "length"


class Report(Protocol):
    """Called as work goes on, with what is done of how much and the latest figures."""

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Take note of progress."""
        ...


def silent(done: int, total: int, text: str = "") -> None:
    """Tell nobody."""
