"""Exact expected cost and accuracy of a stopping rule under independent answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, cast

from forethought.errors import ConfigError
from forethought.voting.base import Ballot, StoppingRule, Verdict
from forethought.voting.beta_mixture import Prior, as_mixture

MOST_STATES = 200_000
"""Ballots kept at one number of answers; some minutes' work."""

Branch = Callable[[Ballot], Iterable[tuple[str | None, float]]]
"""From a ballot to the answers that may come next, each with its weight."""


@dataclass(frozen=True, slots=True)
class Performance:
    """What a rule does on average.

    Attributes:
        samples: Expected answers drawn.
        accuracy: P(the returned answer is right).
        agrees_with_mode: P(the returned answer is the most probable one).
        consensus: P(the rule stops because it was convinced, not because of its cap).
    """

    samples: float
    accuracy: float
    agrees_with_mode: float
    consensus: float


class _Kind(NamedTuple):
    """Answers that nothing distinguishes: `many` of them, each with this share."""

    share: float
    many: int
    right: bool
    mode: bool


def exact_performance(
    rule: StoppingRule, shares: Sequence[float], *, right: int | None = 0, unparsable: float = 0.0
) -> Performance:
    """Cost and accuracy on a question whose answers are drawn independently, by dynamic programming.

    Ballots of equal `rule.state` and equal counts have one future and are merged. Answers of equal share
    are interchangeable and are named by their votes. Swapping two answers with equal votes maps each course
    of the vote to an equally likely one, so which of them came first need not be kept: what is returned
    is split evenly among the answers with as many votes. Every confidence is 1.

    Args:
        rule: When to stop. It may see which answers are equal, not what they say, and may use the order
            of `Ballot.counts` to break ties only.
        shares: Probability of each answer among those that can be read; they sum to 1.
        right: Position of the right answer, None where none of them is.
        unparsable: Probability that an answer cannot be read.

    Raises:
        ConfigError: Arguments out of range, a rule that goes on at its cap, or too many different ballots.
    """
    kinds = _kinds(shares, right)
    names = _Names(kinds)
    if not 0 <= unparsable <= 1:
        raise ConfigError(f"unparsable must lie in [0, 1], got {unparsable}")

    def branch(ballot: Ballot) -> Iterator[tuple[str | None, float]]:
        if unparsable > 0:
            yield None, unparsable
        for i, kind in enumerate(kinds):
            each = (1 - unparsable) * kind.share
            came = names.came(i, ballot)
            yield from ((answer, each) for answer in names.of_kind[i][:came])
            if came < kind.many:
                yield names.of_kind[i][came], each * (kind.many - came)

    sums: list[tuple[float, ...]] = []
    for ballot, verdict, mass in _endings(rule, branch, names.add):
        votes = dict(ballot.counts)
        tied = [kinds[names.kind[answer]] for answer in votes if votes[answer] == votes.get(verdict.answer or "")]
        right_part = sum(kind.right for kind in tied) / max(len(tied), 1)
        mode_part = sum(kind.mode for kind in tied) / max(len(tied), 1)
        sums.append((mass * len(ballot), mass * right_part, mass * mode_part, mass * verdict.consensus))
    return Performance(*map(math.fsum, zip(*sums, strict=True)))


class _Names:
    """Names of the answers: those of a kind are numbered by falling votes, and counts are kept in that order."""

    def __init__(self, kinds: Sequence[_Kind]) -> None:
        self.of_kind = [[f"{k}.{rank}" for rank in range(kind.many)] for k, kind in enumerate(kinds)]
        self.kind = {name: k for k, names in enumerate(self.of_kind) for name in names}
        self._place = {name: place for place, name in enumerate(self.kind)}

    def came(self, kind: int, ballot: Ballot) -> int:
        """How many answers of a kind have come."""
        return sum(self.kind[answer] == kind for answer, _ in ballot.counts)

    def add(self, ballot: Ballot, answer: str | None) -> Ballot:
        """The ballot with one more answer, which changes names with the first of its kind that had as many votes."""
        answers, confidences = (*ballot.answers, answer), (*ballot.confidences, 1.0)
        if answer is None:
            return Ballot(answers, confidences, ballot.counts)
        counts, place = list(ballot.counts), self._place
        at = sum(place[known] < place[answer] for known, _ in counts)
        if at == len(counts) or counts[at][0] != answer:
            counts.insert(at, (answer, 1))
            return Ballot(answers, confidences, tuple(counts))
        votes, first = counts[at][1], at
        while first and counts[first - 1][1] == votes and self.kind[counts[first - 1][0]] == self.kind[answer]:
            first -= 1
        other = counts[first][0]
        counts[first] = other, votes + 1
        if other != answer:
            swapped = {answer: other, other: answer}
            answers = tuple(swapped.get(name, name) if name else None for name in answers)
        return Ballot(answers, confidences, tuple(counts))


def two_answer_performance(rule: StoppingRule, prior: Prior = (1.0, 1.0)) -> Performance:
    """Cost and accuracy between a right and a wrong answer, averaged over the right one's share p ~ prior.

    Given p answers are independent, so every order of the same counts is equally likely: orders are
    counted once a rule, and the Beta-binomial probabilities and the posterior probability of the mode
    are exact.

    Args:
        rule: When to stop. It may see which answers are equal, not what they say.
        prior: Beta parameters of p, or a mixture.

    Raises:
        ConfigError: As for `exact_performance`.
    """
    evidence = as_mixture(prior).evidence(rule.cap)
    sums: dict[str, list[float]] = {"samples": [], "accuracy": [], "agrees_with_mode": [], "consensus": []}
    for end in _two_answer_ends(cast(Hashable, rule)):
        mass = end.orders * float(evidence.counts[end.right, end.wrong])
        mode = end.orders * float(evidence.mode_is_right[end.right, end.wrong])
        sums["samples"].append(mass * (end.right + end.wrong))
        sums["accuracy"].append(mass * end.returns_right)
        sums["agrees_with_mode"].append(mode if end.returns_right else mass - mode)
        sums["consensus"].append(mass * end.consensus)
    return Performance(**{name: math.fsum(terms) for name, terms in sums.items()})


class _End(NamedTuple):
    """Counts at which a rule stops, and in how many orders of the answers it comes there."""

    right: int
    wrong: int
    orders: int
    returns_right: bool
    consensus: bool


@lru_cache(maxsize=1024)
def _two_answer_ends(hashable: Hashable) -> tuple[_End, ...]:
    rule = cast(StoppingRule, hashable)
    ends = []
    for ballot, verdict, orders in _endings(rule, lambda _: (("right", 1), ("wrong", 1))):
        votes = dict(ballot.counts)
        counts = votes.get("right", 0), votes.get("wrong", 0)
        ends.append(_End(*counts, int(orders), verdict.answer == "right", verdict.consensus))
    return tuple(ends)


def _endings(
    rule: StoppingRule, branch: Branch, add: Callable[[Ballot, str | None], Ballot] = Ballot.add
) -> Iterator[tuple[Ballot, Verdict, float]]:
    """Every ballot at which the rule stops, its verdict and its weight."""
    alive: list[tuple[Ballot, float]] = [(Ballot(), 1)]
    while alive:
        merged: dict[Hashable, tuple[Ballot, float]] = {}
        for ballot, mass in alive:
            for answer, chance in branch(ballot):
                longer = add(ballot, answer)
                key = rule.state(longer), longer.counts
                known, before = merged.get(key, (longer, 0))
                merged[key] = known, before + mass * chance
            if len(merged) > MOST_STATES:
                raise ConfigError(
                    f"the {rule.name} rule with cap={rule.cap} has more than {MOST_STATES} different ballots here; "
                    "take a smaller cap or fewer answers"
                )
        alive = []
        for ballot, mass in merged.values():
            verdict = rule.judge(ballot)
            if verdict.stop:
                yield ballot, verdict, mass
            elif len(ballot) < rule.cap:
                alive.append((ballot, mass))
            else:
                raise ConfigError(f"the {rule.name} rule goes on at its cap of {rule.cap} answers")


def _kinds(shares: Sequence[float], right: int | None) -> list[_Kind]:
    if not shares or not all(0 <= share <= 1 for share in shares) or abs(math.fsum(shares) - 1) > 1e-9:
        raise ConfigError(f"shares must lie in [0, 1] and sum to 1, got {list(shares)}")
    if right is not None and not 0 <= right < len(shares):
        raise ConfigError(f"right must be a position among {len(shares)} shares or None, got {right}")
    many: dict[tuple[float, bool], int] = {}
    for i, share in enumerate(shares):
        if share > 0:
            many[share, i == right] = many.get((share, i == right), 0) + 1
    top = max(shares)
    return [_Kind(share, n, is_right, math.isclose(share, top)) for (share, is_right), n in many.items()]
