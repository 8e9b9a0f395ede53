"""Votes inside one generation: the `[TRIAL] ... [/TRIAL]` traces of arXiv 2501.17974 (section 4, figure 3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from forethought.errors import DataError
from forethought.voting.base import Poll, Same
from forethought.voting.sequential_vote import SequentialVote

OPEN, CLOSE = "[TRIAL]", "[/TRIAL]"
SINGLE = "Terminated due to difficulty level."
"""What follows the only trial of an adaptive vote that decided against voting (the paper's case 2)."""

Outcome = Literal["consensus", "no consensus", "single"]
Group = Literal["voting", "single", "plain"]

_TAG = re.compile(r"\[/?TRIAL\]")
_FINAL = "final answer is"
_HOPE = "I hope it is correct."


@dataclass(frozen=True, slots=True)
class Trace:
    """A generation read as a vote.

    Attributes:
        trials: The text of each complete trial.
        answers: The answer of each trial, None where none could be read.
        answer: Of a vote, the final answer of the closing text, without one the most frequent of the trials;
            else the answer of the single trial or of the plain text. None where there is none.
        group: `voting` (the paper's G+: two complete trials or more), `single` (one), `plain` (no tags).
        well_formed: Whether it keeps to the format.
        defect: Where it first does not, in words; empty if it does.
    """

    trials: tuple[str, ...]
    answers: tuple[str | None, ...]
    answer: str | None
    group: Group
    well_formed: bool
    defect: str


@dataclass(slots=True)
class TraceParser:
    """Finds trials in a generation as it streams in: any cutting into deltas finds the same.

    Attributes:
        trials: The text of each complete trial so far.
        closing: What came after the last of them.
        defect: The first misplaced tag, in words; empty without one.
    """

    trials: list[str] = field(default_factory=list)
    closing: str = ""
    defect: str = ""
    _trial: list[str] | None = None
    _after: list[str] = field(default_factory=list)
    _pending: str = ""

    def feed(self, delta: str) -> list[str]:
        """Take more text; return the trials that it completes."""
        known = len(self.trials)
        text, place = self._pending + delta, 0
        for tag in _TAG.finditer(text):
            self._text(text[place : tag.start()])
            self._tag(tag.group())
            place = tag.end()
        rest = text[place:]
        held = _unfinished_tag(rest)
        self._text(rest[: len(rest) - held])
        self._pending = rest[len(rest) - held :]
        return self.trials[known:]

    def close(self) -> None:
        """Say that nothing follows."""
        self._text(self._pending)
        self._pending = ""
        self.closing = "".join(self._after).strip()
        if self._trial is not None:
            self._note(f"trial {len(self.trials) + 1} is not closed")

    def _text(self, text: str) -> None:
        (self._after if self._trial is None else self._trial).append(text)

    def _tag(self, tag: str) -> None:
        if tag == OPEN:
            if self._trial is not None:
                self._note(f"trial {len(self.trials) + 1} has another one inside")
            self._trial = []
        elif self._trial is None:
            self._note(f"{CLOSE} after trial {len(self.trials)} closes nothing")
        else:
            self.trials.append("".join(self._trial).strip())
            self._trial, self._after = None, []

    def _note(self, defect: str) -> None:
        self.defect = self.defect or defect


def _unfinished_tag(text: str) -> int:
    """Length of the longest end of a text that may be the start of a tag."""
    start = text.rfind("[")
    ending = text[start:] if start >= 0 else ""
    return len(ending) if ending and (OPEN.startswith(ending) or CLOSE.startswith(ending)) else 0


def render(trials: Sequence[str], final: str, outcome: Outcome, *, consensus: int = 3) -> str:
    """Write a trace, for instance to train on.

    Args:
        trials: The text of each trial, with its answer.
        final: The answer of the vote; a single trial states its own.
        outcome: How the vote ended.
        consensus: Equal answers that settled it.

    Raises:
        DataError: No trials, several for `single`, or a tag inside a trial or the final answer.
    """
    if not trials or (outcome == "single" and len(trials) > 1):
        wanted = "exactly 1 trial" if outcome == "single" else "at least 1 trial"
        raise DataError(f"a trace of outcome {outcome!r} needs {wanted}, got {len(trials)}")
    if tagged := [text for text in (*trials, final) if _TAG.search(text)]:
        raise DataError(f"a trial must not contain {OPEN} or {CLOSE}, got {tagged[0][:60]!r}")
    endings = {
        "consensus": f"The answer {final} was found {consensus} times: it is the consensus.",
        "no consensus": f"The last trial was reached and there is no consensus. The most plausible answer is {final}.",
        "single": SINGLE,
    }
    closing = endings[outcome] if outcome == "single" else f"{endings[outcome]} The {_FINAL} {final}. {_HOPE}"
    return "\n".join([*(f"{OPEN} {trial.strip()} {CLOSE}" for trial in trials), closing])


def parse(
    text: str,
    extract: Callable[[str], str | None],
    *,
    cap: int = 8,
    consensus: int = 3,
    same: Same | None = None,
) -> Trace:
    """Read a trace; a malformed one is an outcome with its defect, never an error.

    Args:
        text: The generation.
        extract: Reads an answer out of a text, None where there is none.
        cap: Most trials.
        consensus: Equal answers that settle it.
        same: Which answers are one vote besides those of equal text.

    Raises:
        ConfigError: `cap` < `consensus`, or `consensus` < 1.
    """
    parser = TraceParser()
    parser.feed(text)
    parser.close()
    trials = tuple(parser.trials)
    answers = tuple(_blank_is_none(extract(trial)) for trial in trials)
    poll = Poll(SequentialVote(cap, consensus), same)
    used = _count(poll, answers)
    if len(trials) >= 2:
        group: Group = "voting"
        final = _blank_is_none(extract(_final_part(parser.closing)))
        defect = parser.defect or _vote_defect(trials, used, poll) or _closing_defect(parser.closing, final, poll, same)
        answer = final if final is not None else poll.ballot.leader
    elif trials:
        group, answer = "single", answers[0]
        ending = "" if parser.closing == SINGLE else f"a single trial must end with {SINGLE!r}"
        defect = parser.defect or ending
    else:
        group, answer, defect = "plain", _blank_is_none(extract(_TAG.sub(" ", text))), parser.defect
    return Trace(trials, answers, answer, group, not defect, defect)


def _count(poll: Poll, answers: Sequence[str | None]) -> int:
    """Let a poll read answers until it stops; how many it read."""
    for number, answer in enumerate(answers, start=1):
        if poll.update(answer).stop:
            return number
    return len(answers)


def _vote_defect(trials: Sequence[str], used: int, poll: Poll) -> str:
    cap = poll.rule.cap
    if len(trials) > cap:
        return f"{len(trials)} trials were written, {cap} are allowed"
    verdict = poll.verdict
    if verdict is not None and not verdict.stop:
        return f"ends after {used} trials without consensus; {cap} are due then"
    return f"goes on after the consensus of trial {used}" if used < len(trials) else ""


def _closing_defect(closing: str, final: str | None, poll: Poll, same: Same | None) -> str:
    verdict = poll.verdict
    assert verdict is not None, "a vote has trials"
    if final is None:
        return "the closing text has no final answer"
    claim = closing.casefold()
    if "consensus" in claim and ("no consensus" in claim) == verdict.consensus:
        found = "is" if verdict.consensus else "is not"
        return f"the closing text is wrong about consensus: there {found} one"
    allowed = [verdict.answer] if verdict.consensus else [answer for answer, _ in poll.ballot.counts]
    if not any(vote is not None and (vote == final or (same is not None and same(vote, final))) for vote in allowed):
        return f"the final answer {final!r} is not " + ("the consensus" if verdict.consensus else "of any trial")
    return ""


def _final_part(closing: str) -> str:
    """What a closing text says after its last 'final answer is', all of it where it does not say that."""
    start = closing.casefold().rfind(_FINAL)
    part = closing if start < 0 else closing[start + len(_FINAL) :].lstrip(": ")
    return part.strip().removesuffix(_HOPE).strip().removesuffix(".")


def _blank_is_none(answer: str | None) -> str | None:
    return answer if answer is not None and answer.strip() else None


def sequential_prompt(cap: int = 8, consensus: int = 3) -> str:
    """A system prompt that asks for a vote inside one answer."""
    return (
        f"Solve the problem several times over, each time afresh and by another way where there is one, as if you had "
        f"not seen your earlier attempts. Write every attempt as {OPEN} the attempt, ending in its answer {CLOSE}. As "
        f"soon as {consensus} attempts have the same answer, stop: that answer is the consensus. After {cap} attempts "
        f"without consensus, stop and take the most plausible answer. Close with one sentence that says which of the "
        f"two it was, and then: The {_FINAL} X. {_HOPE}"
    )


def adaptive_prompt(cap: int = 8, consensus: int = 3) -> str:
    """A system prompt that lets the model decide, by difficulty, whether to vote at all."""
    return (
        f"First judge how hard the problem is. If it is easy, make a single attempt, written as {OPEN} the attempt, "
        f"ending in its answer {CLOSE}, and close with exactly: {SINGLE} If it is of medium difficulty or hard: "
        f"{sequential_prompt(cap, consensus)}"
    )
