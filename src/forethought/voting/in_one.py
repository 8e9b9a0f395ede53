"""Sequential voting inside one streamed generation, which ends as soon as the rule is content."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from forethought.core import Question
from forethought.errors import UpstreamError
from forethought.targets.base import Response
from forethought.targets.streaming import estimated_prompt, tokens_in
from forethought.voting.base import Poll, Same, StoppingRule, Verdict
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.spent import Spent
from forethought.voting.trace import TraceParser, sequential_prompt
from forethought.voting.voted import Extract, RuleFor, VotedAnswer, VoteEvent, result_of, rule_for

if TYPE_CHECKING:
    from forethought.targets.endpoint import EndpointResponder


class TraceSampler:
    """Lets a model write trial after trial in one answer and closes the stream at consensus.

    The stop of arXiv 2501.17974 is enforced here, from outside: the model need not count, so that any
    instruct model can do it without training. The trials share one prompt and one wait; they are not
    independent, since each is written in view of those before. `max_tokens` of the target's policy has to
    hold them all. A model that writes no trial at all casts its whole answer as the only vote.

    Args:
        endpoint: Streams the answer; a policy at temperature 0 is allowed.
        rule: When to stop, or a callable that gives the rule of each question.
        extract: Reads the answer to compare by out of a trial, None where there is none.
        same: Which answers are one vote besides those of equal text.
        prompt: Asks for the format; added to the policy's system turn.
    """

    def __init__(
        self,
        endpoint: EndpointResponder,
        extract: Extract,
        *,
        rule: StoppingRule | RuleFor | None = None,
        same: Same | None = None,
        prompt: str | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.rule = rule or SequentialVote()
        self.extract = extract
        self.same = same
        self.prompt = sequential_prompt() if prompt is None else prompt

    async def answer(self, question: Question) -> VotedAnswer:
        """Vote on one question.

        Raises:
            UpstreamError: No trial could be had at all.
        """
        return await result_of(self.votes(question))

    async def votes(self, question: Question) -> AsyncGenerator[VoteEvent, None]:
        """Vote on one question, event by event; closing the iterator closes the stream.

        Yields:
            Each trial as it is counted, and last the result.

        Raises:
            UpstreamError: No trial could be had at all.
        """
        rule = rule_for(self.rule)(question)
        writing = _Writing(Poll(rule, self.same), self._messages(question))
        async with aclosing(self.endpoint.astream(question, extra={"messages": writing.messages})) as pieces:
            async for piece in pieces:
                for trial in writing.take(piece):
                    yield writing.count(trial, self.extract(question, trial))
                    if writing.stopped:
                        break
                if writing.stopped:
                    break
        if not writing.poll.ballot:
            yield self._plain(question, writing)
        result = writing.result()
        yield VoteEvent(len(result.ballot), result.answer, result.verdict, result)

    def _plain(self, question: Question, writing: _Writing) -> VoteEvent:
        """The only vote of an answer without trials."""
        whole = writing.whole
        if whole is None or whole.finish == "error":
            told = 0 if whole is None else whole.output_tokens
            raise UpstreamError(
                f"{self.endpoint.target.name} gave no trial to question {question.id!r}: "
                f"the stream was cut after {told} tokens or told no usage"
            )
        return writing.count(whole.text, self.extract(question, whole.text))

    def _messages(self, question: Question) -> list[dict[str, Any]]:
        told = [turn.content for turn in question.messages if turn.role == "system"]
        turns = [{"role": turn.role, "content": turn.content} for turn in question.messages if turn.role != "system"]
        parts = [part for part in (self.endpoint.target.policy.system, *told, self.prompt) if part]
        return [{"role": "system", "content": "\n\n".join(parts)}, *turns]


@dataclass(slots=True)
class _Writing:
    """One generation while it is written.

    Attributes:
        poll: The trials' vote.
        messages: The prompt.
        texts: What the votes were read out of.
        tokens: Written so far, by `tokens_in`.
        whole: The endpoint's last word, which never comes if we close the stream.
    """

    poll: Poll
    messages: list[dict[str, Any]]
    texts: list[str] = field(default_factory=list)
    tokens: int = 0
    whole: Response | None = None
    parser: TraceParser = field(default_factory=TraceParser)
    started: float = field(default_factory=time.perf_counter)

    @property
    def stopped(self) -> bool:
        """Whether the rule wants no more."""
        return self.poll.verdict is not None and self.poll.verdict.stop

    def take(self, piece: str | Response) -> list[str]:
        """Take the next piece; return the trials that it completes."""
        if isinstance(piece, Response):
            self.whole = piece
            return []
        self.tokens += tokens_in(piece)
        return self.parser.feed(piece)

    def count(self, text: str, answer: str | None) -> VoteEvent:
        """Count one trial."""
        self.texts.append(text)
        return VoteEvent(len(self.texts) - 1, answer, self.poll.update(answer))

    def result(self) -> VotedAnswer:
        """What it came to."""
        verdict, ballot = self._verdict(), self.poll.ballot
        elected = (text for text, vote in zip(self.texts, ballot.answers, strict=True) if vote == verdict.answer)
        written = self.whole or Response(
            text="",
            input_tokens=estimated_prompt(self.messages),
            output_tokens=self.tokens,
            seconds=time.perf_counter() - self.started,
            finish="stop",
            estimated=True,
        )
        spent = Spent(
            samples=len(ballot),
            input_tokens=written.input_tokens,
            cached_tokens=written.cached_tokens,
            output_tokens=written.output_tokens,
            rounds=1,
            seconds=written.seconds,
            estimated=written.estimated,
        )
        text = next(elected, self.texts[0])
        return VotedAnswer(verdict.answer, replace(written, text=text), verdict, ballot, spent)

    def _verdict(self) -> Verdict:
        """The rule's last word, turned into a stop where the writing ended before it gave one."""
        last = self.poll.verdict
        assert last is not None, "at least one vote was counted"
        if last.stop:
            return last
        how = "was cut" if self.whole is None or self.whole.finish == "error" else "ended"
        trials = len(self.texts)
        return replace(
            last, stop=True, consensus=False, reason=f"the writing {how} after {trials} trial{'s' * (trials > 1)}"
        )
