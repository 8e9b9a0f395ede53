from __future__ import annotations

from dataclasses import dataclass

from forethought.voting.base import Verdict, at_cap, check_cap


@dataclass(frozen=True, slots=True)
class TwiceRunning:
    """Stops when an answer is given twice running."""

    cap: int = 8
    name = "twice-running"

    def __post_init__(self):
        check_cap(self.cap)

    def judge(self, ballot):
        *_, before, last = (None, *ballot.answers)
        settled = last is not None and last == before
        reason = "the last two agree" if settled else "no two running"
        return at_cap(ballot, self.cap, Verdict(settled, last if settled else ballot.leader, 0.5, reason))

    def state(self, ballot):
        return ballot.counts, len(ballot), ballot.answers[-2:]
