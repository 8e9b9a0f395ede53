"""Sequential voting inside one generation of a local model: the engine writes the tags and counts the votes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from forethought.core import Question, Target
from forethought.errors import ConfigError
from forethought.models import LanguageModel
from forethought.targets.base import Response, check_aligned
from forethought.targets.generation import Generated, Generator, Prompt
from forethought.targets.sampling import sample_key
from forethought.voting.base import Same, StoppingRule
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.trace import CLOSE, OPEN, sequential_prompt
from forethought.voting.voted import Confidence, Extract, OnVote, RuleFor, Vote, VotedAnswer, rule_for


class LocalTraceSampler:
    """Lets a local model write one trial after another, each in view of those before (arXiv 2501.17974).

    The engine opens and closes every trial, so a trace cannot be malformed: a trial ends where the model
    ends its answer or closes the trial itself, or after the policy's `max_tokens`, which here hold for a
    trial. The prompt is counted once, as input; so are the tags; output is what the model generated.
    When the model's window has no room for another trial, the vote ends without consensus.

    Args:
        model: The model.
        target: Whose answers these are; a chat policy, at any temperature.
        extract: Reads the answer to compare by out of a trial, None where there is none.
        rule: When to stop, or a callable that gives the rule of each question.
        same: Which answers are one vote besides those of equal text.
        prompt: Asks for the format; added to the policy's system turn.
        seed: Of the random streams.
        confidence: How sure the model was of a trial, for rules that weigh votes.

    Raises:
        ConfigError: A policy that is not `chat`, or whose `max_tokens` leave no room in the window.
    """

    def __init__(
        self,
        model: LanguageModel,
        target: Target,
        extract: Extract,
        *,
        rule: StoppingRule | RuleFor | None = None,
        same: Same | None = None,
        prompt: str | None = None,
        seed: int = 0,
        confidence: Confidence | None = None,
    ) -> None:
        policy = target.policy
        if policy.prompt != "chat":
            raise ConfigError(f"target {target.name!r}: trials need a chat prompt, got {policy.prompt!r}")
        if policy.max_tokens >= model.context:
            raise ConfigError(f"max_tokens {policy.max_tokens} leaves no room in a window of {model.context} tokens")
        self.model = model
        self.target = target
        self.extract = extract
        self.rule = rule or SequentialVote()
        self.same = same
        self.prompt = sequential_prompt() if prompt is None else prompt
        self.seed = seed
        self.confidence = confidence

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        """Answer `questions[i]` as sample `samples[i]`."""
        check_aligned(questions, samples)
        return [self.answer(question, sample).response for question, sample in zip(questions, samples, strict=True)]

    def answer(self, question: Question, sample: int = 0, on_vote: OnVote | None = None) -> VotedAnswer:
        """Vote on one question.

        Raises:
            DataError: The template alone exceeds the window.
        """
        vote = Vote(question, rule_for(self.rule)(question), self.extract, self.same, self.confidence)
        written = self._start(question)
        charged = 0
        while vote.open and len(written) + self.target.policy.max_tokens <= self.model.context:
            key = sample_key(self.seed, question.id, sample * vote.rule.cap + vote.drawn)
            trial, response = self._trial(written, key)
            response = replace(response, input_tokens=len(written) - charged)
            written += trial
            charged = len(written)
            written += self._ids(f" {CLOSE}\n{OPEN} ")
            event = vote.take(response)
            if event is not None and on_vote is not None:
                on_vote(question, event.number, event.answer, event.verdict)
        return vote.result(rounds=1)

    def _start(self, question: Question) -> list[int]:
        """The prompt up to the first opened trial."""
        opening = self._ids(f"{OPEN} ")
        policy = self.target.policy
        system = "\n\n".join(part for part in (policy.system, self.prompt) if part)
        limit = self.model.context - policy.max_tokens - len(opening)
        return [*self.model.render(question.messages, system, limit=limit), *opening]

    def _trial(self, written: list[int], key: bytes) -> tuple[list[int], Response]:
        """Tokens of the next trial without what ended it, and the trial as an answer."""
        started = time.perf_counter()
        generator = Generator(self.model, self.target.policy, _TrialEnd(self.model))
        [generated] = generator.generate([Prompt(tuple(written), 0)], [0], [key])
        text = self._text(generated)
        count = len(generated.tokens)
        response = Response(
            text=text,
            input_tokens=0,
            output_tokens=count,
            seconds=time.perf_counter() - started,
            finish=generated.finish,
            mean_logprob=generated.logprob / count,
        )
        return self._ids(text), response

    def _text(self, generated: Generated) -> str:
        text: str = self.model.tokenizer.decode(generated.tokens, skip_special_tokens=True)
        return text.partition(CLOSE)[0].strip()

    def _ids(self, text: str) -> list[int]:
        return list(self.model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


class _TrialEnd:
    """Whether a token ends the trial that is being written: an end of the answer, or the last of a closing tag."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._eos = model.eos
        self._tail: list[int] = []

    def __call__(self, token: int) -> bool:
        # A tag has eight characters, so that its tokens, at least one character each, are among the last eight;
        # a few more because the last may carry what comes after the tag.
        self._tail = [*self._tail, token][-2 * len(CLOSE) :]
        return token in self._eos or CLOSE in self._model.tokenizer.decode(self._tail)
