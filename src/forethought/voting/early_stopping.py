"""ESC: stop after a window of equal answers; and the scheme that chooses the window."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from forethought.errors import BudgetError, ConfigError
from forethought.voting.base import Ballot, Verdict, at_cap, check_cap


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """Early-stopping self-consistency: stops when a window of answers is unanimous (arXiv 2401.10480).

    Answers fall into windows of `window`, one after another. A window that agrees is returned without
    a vote over the earlier ones, as in the authors' code; an answer that could not be read agrees with
    nothing. At the cap the most frequent of all answers is returned. Where the cap is no multiple of
    the window, the rest after the last full window goes to that majority only.

    Confidence is the returned answer's share of all answers drawn.

    Attributes:
        window: Answers that must agree; the paper's 5.
        cap: Most answers; the paper's 40.
    """

    window: int = 5
    cap: int = 40
    name = "early_stopping"

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ConfigError(f"window must be >= 1, got {self.window}")
        check_cap(self.cap, self.window, "window")

    def judge(self, ballot: Ballot) -> Verdict:
        """Stop at the end of a unanimous window."""
        votes, drawn = dict(ballot.counts), len(ballot)
        if drawn % self.window == 0 and (agreed := _agreed(ballot.answers[-self.window :])) is not None:
            return Verdict(True, agreed, votes[agreed] / drawn, f"the last {self.window} answers were {agreed!r}")
        first, _ = ballot.top_two
        return at_cap(ballot, self.cap, Verdict(False, ballot.leader, first / drawn, "no window agreed yet"))

    def state(self, ballot: Ballot) -> Hashable:
        """The counts, how many were drawn, and what the window begun so far agrees on."""
        begun = len(ballot) % self.window or self.window
        return ballot.counts, len(ballot), _agreed(ballot.answers[-begun:])


def _agreed(answers: Sequence[str | None]) -> str | None:
    return answers[0] if len(set(answers)) == 1 else None


def expected_samples(shares: Sequence[float], window: int, cap: int) -> float:
    """Expected answers that ESC draws, for i.i.d. answers (arXiv 2401.10480, control scheme).

    With Q the probability that a window agrees: `sum_i Q (1 - Q)^i (i + 1) window` over the full windows,
    and the cap where none agreed.

    Args:
        shares: Probability of each answer; what is missing to 1 cannot be read.
        window: Answers that must agree.
        cap: Most answers.

    Raises:
        ConfigError: Shares or sizes out of range.
    """
    EarlyStopping(window, cap)
    agree = sum(share**window for share in _checked(shares))
    windows = cap // window
    early = sum(agree * (1 - agree) ** i * (i + 1) * window for i in range(windows))
    return early + (1 - agree) ** windows * cap


def risk(shares: Sequence[float], window: int) -> float:
    """The scheme's proxy for the risk that a window agrees on an answer that is not the mode.

    Summed over the answers but the most frequent, the normal tail `1 - Phi((w - p w) / sqrt(w p (1 - p)))`.

    Args:
        shares: Probability of each answer.
        window: Answers that must agree.

    Raises:
        ConfigError: Shares or window out of range.
    """
    EarlyStopping(window, cap=window)
    others = sorted(_checked(shares))[:-1]
    # (w - p w) / sqrt(w p (1 - p)) = sqrt(w (1 - p) / p)
    return sum(math.erfc(math.sqrt(window * (1 - share) / share / 2)) / 2 for share in others if share > 0)


def choose_window(shares: Sequence[float], cap: int, windows: Sequence[int], most_samples: float) -> int:
    """The window of least risk among those that are expected to draw at most `most_samples` answers.

    Args:
        shares: Probability of each answer, such as its share of a first window.
        cap: Most answers.
        windows: Windows to choose from.
        most_samples: Expected answers that are allowed.

    Returns:
        The window; of equal risks the cheapest.

    Raises:
        ConfigError: Shares or sizes out of range, or no window to choose from.
        BudgetError: None is cheap enough.
    """
    if not windows:
        raise ConfigError("windows must name at least one window, got none")
    samples = {window: expected_samples(shares, window, cap) for window in windows}
    allowed = [window for window in windows if samples[window] <= most_samples]
    if not allowed:
        least = min(samples.values())
        raise BudgetError(f"no window draws at most {most_samples:g} answers; the least expected is {least:.2f}")
    return min(allowed, key=lambda window: (risk(shares, window), samples[window]))


def _checked(shares: Sequence[float]) -> Sequence[float]:
    if not shares or not all(0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
        raise ConfigError(f"shares must lie in [0, 1] and sum to at most 1, got {list(shares)}")
    return shares
