"""Targets that run here, on a loaded model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache

from forethought.core import DecodingPolicy, Question, Target, content_hash
from forethought.errors import ConfigError
from forethought.models import LanguageModel
from forethought.models.template import cut_middle
from forethought.targets.base import Response, check_aligned
from forethought.targets.generation import Generated, Generator, Prompt, Token
from forethought.targets.prompts import Examples, few_shot_prompt, pick_examples
from forethought.targets.sampling import sample_key


class LocalResponder:
    """Answers questions with a local model, in batches.

    Every answer is a function of (weights, policy, seed, question, sample number): fp32 logits agree in
    any batch composition to 1e-4, and the random numbers come from a counter keyed on those alone.
    A prompt longer than the window less `max_tokens` loses tokens from the middle of the user's text,
    never from the template or the solved examples.

    Args:
        model: The model.
        target: Whose answers these are; its policy says how to ask.
        examples: Group -> solved examples, for `few_shot` policies.
        batch_size: Most answers computed at once.
        seed: Of the random streams.

    Raises:
        ConfigError: A few-shot policy without examples, several votes (see `voting.VotingResponder`), or a
            policy whose `max_tokens` leaves no room in the model's window.
    """

    def __init__(
        self,
        model: LanguageModel,
        target: Target,
        *,
        examples: Examples | None = None,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        _check(model, target, examples, batch_size)
        self.model = model
        self.target = target
        self.examples = examples or {}
        self.batch_size = batch_size
        self.seed = seed
        self.generator = Generator(model, target.policy, self._stops())

    @property
    def fingerprint(self) -> str:
        """What answers depend on beside the target and the question: weights, precision, template, seed, examples."""
        solved = [asdict(question) for group in sorted(self.examples) for question in self.examples[group]]
        parts = [self.model.weights, self.model.dtype, self.model.template, self.seed, solved]
        return content_hash(json.dumps(parts))[:16]

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        """Answer `questions[i]` as sample `samples[i]`.

        Raises:
            DataError: A question whose group has too few examples, or whose template alone exceeds the window.
        """
        check_aligned(questions, samples)
        prompts = self.prompts(questions)
        order = sorted(range(len(questions)), key=lambda i: (prompts[i].prefix, len(prompts[i].ids), prompts[i].ids, i))
        responses: dict[int, Response] = {}
        for batch in self._batches(order, prompts):
            keys = [sample_key(self.seed, questions[i].id, samples[i]) for i in batch]
            responses.update(zip(batch, self._answer([prompts[i] for i in batch], keys), strict=True))
        return [responses[i] for i in range(len(questions))]

    def stream(self, prompt: Prompt, key: bytes, policy: DecodingPolicy | None = None) -> Iterator[Token]:
        """Answer one prompt token by token; nothing is computed for an iterator that is asked for no more.

        Args:
            prompt: From `prompts`, or any other.
            key: Of the random stream, as `sample_key` makes it.
            policy: Temperature, nucleus and longest answer of this answer alone, by default the target's.
        """
        return self.generator.stream(prompt, key, policy)

    def prompts(self, questions: Sequence[Question]) -> list[Prompt]:
        """What the model reads of each question.

        Raises:
            DataError: As in `respond`.
        """
        known: dict[str, Prompt] = {}
        for question in questions:
            if question.id not in known:
                known[question.id] = self._prompt(question)
        return [known[question.id] for question in questions]

    def _batches(self, order: list[int], prompts: list[Prompt]) -> Iterator[list[int]]:
        """Cut into batches of one prefix; of one length too where a sliding window would count padding."""
        window = getattr(self.model.model.config, "sliding_window", None) or self.model.context
        batch: list[int] = []
        for i in order:
            long = len(prompts[i].ids) + self.target.policy.max_tokens > window
            first = prompts[batch[0]] if batch else prompts[i]
            fits = first.prefix == prompts[i].prefix and not (long and len(first.ids) != len(prompts[i].ids))
            if batch and (len(batch) == self.batch_size or not fits):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _answer(self, prompts: list[Prompt], keys: list[bytes]) -> list[Response]:
        started = time.perf_counter()
        distinct = list(dict.fromkeys(prompts))
        place = {prompt: i for i, prompt in enumerate(distinct)}
        answers = self.generator.generate(distinct, [place[prompt] for prompt in prompts], keys)
        pace = (time.perf_counter() - started) / sum(len(answer.tokens) for answer in answers)
        return [self._response(prompt, answer, pace) for prompt, answer in zip(prompts, answers, strict=True)]

    def _response(self, prompt: Prompt, answer: Generated, seconds_per_token: float) -> Response:
        count = len(answer.tokens)
        text = self.model.tokenizer.decode(answer.tokens, skip_special_tokens=True)
        if self.target.policy.prompt == "few_shot":
            text = text.partition("\n")[0]
        return Response(
            text=text.strip(),
            input_tokens=len(prompt.ids),
            output_tokens=count,
            seconds=count * seconds_per_token,
            finish=answer.finish,
            mean_logprob=answer.logprob / count,
        )

    def _prompt(self, question: Question) -> Prompt:
        policy = self.target.policy
        limit = self.model.context - policy.max_tokens
        if policy.prompt == "few_shot":
            return self._few_shot(question, limit)
        ids = self.model.render(question.messages, policy.system, limit=limit)
        shared = self.model.chat.head_length(question.messages, policy.system)
        return Prompt(tuple(ids), min(shared, len(ids) - 1))

    def _few_shot(self, question: Question, limit: int) -> Prompt:
        examples = pick_examples(self.examples, question.group, self.target.policy.shots)
        shared, own = few_shot_prompt(examples, question)
        tokenizer = self.model.tokenizer
        head = tokenizer(shared, verbose=False)["input_ids"]
        tail = tokenizer(own, add_special_tokens=False, verbose=False)["input_ids"]
        ids = [*head, *tail]
        if len(ids) > limit:
            ending = len(tokenizer("\nA:", add_special_tokens=False)["input_ids"])
            ids = cut_middle(ids, len(head), ending, limit)
        return Prompt(tuple(ids), len(head))

    def _stops(self) -> Callable[[int], bool]:
        eos = self.model.eos
        if self.target.policy.prompt == "chat":
            return eos.__contains__
        tokenizer = self.model.tokenizer
        return lru_cache(maxsize=None)(lambda token: token in eos or "\n" in tokenizer.decode([token]))


def _check(model: LanguageModel, target: Target, examples: Examples | None, batch_size: int) -> None:
    policy = target.policy
    if batch_size < 1:
        raise ConfigError(f"batch_size must be >= 1, got {batch_size}")
    if policy.votes > 1:
        raise ConfigError(f"target {target.name!r} has {policy.votes} votes: wrap its responder in VotingResponder")
    if policy.prompt == "few_shot" and policy.shots > 0 and not examples:
        raise ConfigError(f"target {target.name!r} asks for {policy.shots} shots, but no examples were given")
    if policy.max_tokens >= model.context:
        raise ConfigError(f"max_tokens {policy.max_tokens} leaves no room in a window of {model.context} tokens")
