"""The limit: what the best rule that sees nothing but two counts can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forethought.errors import ConfigError
from forethought.metrics import FloatArray
from forethought.voting.base import check_cap
from forethought.voting.beta_mixture import BetaMixture, Prior, as_mixture
from forethought.voting.exact import Performance

Aim = Literal["mode", "right"]
BoolArray = NDArray[np.bool_]


def two_answer_limit(cap: int, price: float, prior: Prior = (1.0, 1.0), aim: Aim = "mode") -> Performance:
    """The Bayes-optimal rule between two answers, by backward induction over their counts.

    It maximises P(the returned answer is the aim) - price * samples over every rule that draws at least
    one and at most `cap` answers, reads only the counts, and returns an answer that was given. Nothing
    tells the two answers apart beforehand: either is the right one with probability 1/2.

    Args:
        cap: Most answers.
        price: What one answer costs, in probability of the aim, >= 0.
        prior: Of the right answer's share p: Beta parameters, or a mixture. A question's own prior
            gives the limit with that knowledge.
        aim: 'mode', the more probable answer, or 'right'.

    Returns:
        Its performance; `consensus` is the probability of stopping before the cap.

    Raises:
        ConfigError: Arguments out of range.
    """
    return two_answer_frontier(cap, (price,), prior, aim)[0]


def two_answer_frontier(
    cap: int, prices: Sequence[float], prior: Prior = (1.0, 1.0), aim: Aim = "mode"
) -> tuple[Performance, ...]:
    """`two_answer_limit` at each price: the optimal frontier, from dear answers to cheap ones.

    Raises:
        ConfigError: Arguments out of range.
    """
    check_cap(cap)
    if not all(0 <= price < np.inf for price in prices):
        raise ConfigError(f"price must be >= 0, got {list(prices)}")
    if aim not in ("mode", "right"):
        raise ConfigError(f"aim must be 'mode' or 'right', got {aim!r}")
    chances = _chances(as_mixture(prior), cap)
    worth = chances.mode if aim == "mode" else chances.right
    return tuple(_performance(_goes_on(chances.counts, worth, price), chances, worth) for price in prices)


class _Chances(NamedTuple):
    """Probabilities by counts of two nameless answers, in one order of them; each has shape (cap + 1, cap + 1).

    Attributes:
        counts: P(such answers).
        right: The same together with 'the first is the right one'.
        mode: The same together with 'the first is the mode'.
    """

    counts: FloatArray
    right: FloatArray
    mode: FloatArray


def _chances(prior: BetaMixture, cap: int) -> _Chances:
    counts, mode_is_right = prior.evidence(cap)
    mode = mode_is_right + (counts - mode_is_right).T
    return _Chances((counts + counts.T) / 2, counts / 2, mode / 2)


def _takes_first(worth: FloatArray) -> BoolArray:
    """Where the first answer is the better one to return; an answer that was never given is not."""
    first = worth >= worth.T
    first[0, :], first[1:, 0] = False, True
    return first


def _goes_on(counts: FloatArray, worth: FloatArray, price: float) -> BoolArray:
    """Where drawing another answer is worth its price, shape (cap + 1, cap + 1)."""
    cap = len(counts) - 1
    value = np.where(_takes_first(worth), worth, worth.T)
    goes_on = np.zeros_like(counts, dtype=bool)
    for drawn in range(cap - 1, -1, -1):
        first = np.arange(drawn + 1)
        second = drawn - first
        another = value[first + 1, second] + value[first, second + 1] - price * counts[first, second]
        # Of equal plans the one that stops; the slack keeps rounding from drawing for nothing.
        better = another > value[first, second] + 1e-12 * counts[first, second]
        if drawn == 0:
            better[:] = True
        goes_on[first, second] = better
        value[first, second] = np.where(better, another, value[first, second])
    return goes_on


def _performance(goes_on: BoolArray, chances: _Chances, worth: FloatArray) -> Performance:
    """Count the orders that come to each pair of counts, and weigh what is returned where they stop."""
    cap = len(goes_on) - 1
    orders = np.zeros_like(chances.counts)
    orders[0, 0] = 1
    stops = np.zeros_like(orders)
    drawn = np.add.outer(np.arange(cap + 1), np.arange(cap + 1))
    for many in range(cap + 1):
        first = np.arange(many + 1)
        second = many - first
        on = goes_on[first, second]
        moving = np.where(on, orders[first, second], 0.0)
        stops[first, second] = orders[first, second] - moving
        if many < cap:
            orders[first + 1, second] += moving
            orders[first, second + 1] += moving
    takes = _takes_first(worth)
    mass = stops * chances.counts
    return Performance(
        samples=float((mass * drawn).sum()),
        accuracy=float((stops * np.where(takes, chances.right, chances.right.T)).sum()),
        agrees_with_mode=float((stops * np.where(takes, chances.mode, chances.mode.T)).sum()),
        consensus=float(mass[drawn < cap].sum()),
    )
