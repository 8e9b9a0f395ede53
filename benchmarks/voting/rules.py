"""Count-only rules at many settings, replayed on recorded answers in several orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forethought.voting import (
    AdaptiveConsistency,
    AheadBy,
    AnswerPrior,
    Ballot,
    EarlyStopping,
    Replayed,
    Samples,
    SequentialProbabilityRatio,
    SequentialVote,
    StoppingRule,
    VotePaths,
    replay,
)
from forethought.voting.partitions import lattice

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

CAP = 16
"""Most answers, for every method."""

CAPS = (8, 16)
THRESHOLDS = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995)
TESTS = ((0.6, 0.1), (0.6, 0.2), (0.7, 0.05), (0.7, 0.1), (0.8, 0.05), (0.8, 0.1))
"""p1 and alpha of the sequential probability ratio test."""

PRICES = np.geomspace(5e-4, 0.04, 12)
"""What one more answer costs in P(right): the settings of the Bayes rules."""

TUNING = np.geomspace(2e-4, 0.1, 48)
"""The same for the choice among count-only settings: fine enough for every corner of their hull."""

SAMPLES, SUCCESS, OUTPUT, INPUT = range(4)
"""Columns of a curve: answers drawn, success, tokens generated, prompt tokens without a prefix cache."""


@dataclass(frozen=True, eq=False)
class Orders:
    """n questions' answers, each in several orders.

    Attributes:
        paths: The first order of all questions, then the second, and so on.
        many: Orders.
    """

    paths: VotePaths
    many: int

    @classmethod
    def of(cls, samples: Samples, many: int) -> Orders:
        """Shuffle by the seeds 0..many - 1."""
        return cls(VotePaths.of(_stacked([samples.shuffled(seed) for seed in range(many)]), CAP), many)

    @property
    def n(self) -> int:
        return len(self.paths.node) // self.many

    def take(self, rows: Ints) -> Orders:
        """Some of the questions, in every order."""
        every = np.concatenate([rows + order * self.n for order in range(self.many)])
        paths = VotePaths(self.paths.samples.take(every), self.paths.node[every], self.paths.right[every])
        return Orders(paths, self.many)

    def mean(self, played: Replayed) -> Array:
        """What a replay came to, averaged over orders, (n, 4)."""
        columns = played.samples, played.success, played.output_tokens, played.input_tokens
        return np.stack(columns, axis=1).reshape(self.many, self.n, 4).mean(axis=0)

    def bayes(self, prior: AnswerPrior, weights: Array | None = None) -> Array:
        """`BayesVote` at every price, under weights of each question (n, J) where given, (n, S, 4)."""
        every = None if weights is None else np.tile(weights, (self.many, 1))
        return np.stack([self.mean(self.paths.bayes(prior, price, every)) for price in PRICES.tolist()], axis=1)

    def majority(self) -> Array:
        """The vote of the first 1..CAP answers, (n, CAP, 4)."""
        never = np.zeros(self.paths.node.shape, dtype=bool)
        return np.stack([self.mean(self.paths.stopped(_capped(never, cap))) for cap in range(1, CAP + 1)], axis=1)

    def counted(self, rules: Sequence[StoppingRule]) -> Array:
        """Rules that read the counts alone, (n, S, 4)."""
        return np.stack([self.mean(self.paths.stopped(self._stops(rule))) for rule in rules], axis=1)

    def windows(self) -> Array:
        """ESC, which reads the order as well, at every window and cap, (n, S, 4)."""
        rules = [EarlyStopping(window, cap) for cap in CAPS for window in (2, 3, 4, 5)]
        return np.stack([self.mean(replay(rule, self.paths.samples)) for rule in rules], axis=1)

    def _stops(self, rule: StoppingRule) -> NDArray[np.bool_]:
        """Where a rule stops: asked once for each partition of votes, since orders and names are nothing to it."""
        at_node = np.array([_stops_at(rule, partition) for partition in lattice(CAP).index])
        return _capped(at_node[self.paths.node], rule.cap)


def families(orders: Orders) -> dict[str, Array]:
    """Curves of the count-only rules by family."""
    return {
        "mv": orders.majority(),
        "sv": orders.counted([SequentialVote(cap, k) for cap in CAPS for k in range(2, 7)]),
        "ac": orders.counted([AdaptiveConsistency(cap, threshold) for cap in CAPS for threshold in THRESHOLDS]),
        "esc": orders.windows(),
        "ahead": orders.counted([AheadBy(CAP, lead) for lead in range(1, 6)]),
        "sprt": orders.counted([SequentialProbabilityRatio(p1, alpha, CAP) for p1, alpha in TESTS]),
    }


def tuned(settings: Array, train: Ints, test: Ints) -> Array:
    """At each price of `TUNING` the setting that is worth most on the training rows, on the test rows: (m, L, 4).

    Over all prices these are the corners of the training rows' hull of success over samples.
    """
    mean = settings[train].mean(axis=0)
    worth = mean[:, SUCCESS] - TUNING[:, np.newaxis] * mean[:, SAMPLES]
    return settings[test][:, worth.argmax(axis=1)]


def _stops_at(rule: StoppingRule, partition: tuple[int, ...]) -> bool:
    if not partition:
        return False
    counts = tuple((str(place), votes) for place, votes in enumerate(partition))
    answers = tuple(answer for answer, votes in counts for _ in range(votes))
    return rule.judge(Ballot(answers, (1.0,) * len(answers), counts)).stop


def _capped(stops: NDArray[np.bool_], cap: int) -> NDArray[np.bool_]:
    capped = stops.copy()
    capped[:, cap - 1] = True
    return capped


def _stacked(parts: Sequence[Samples]) -> Samples:
    names = ("answers", "success", "input_tokens", "output_tokens")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], question_ids=tuple(id for part in parts for id in part.question_ids), **joined)
