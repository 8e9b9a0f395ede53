"""Models in this process, in the wire format of any other upstream."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import from_json, to_json

from forethought.core import Question, Target, content_hash
from forethought.errors import ForethoughtError
from forethought.gateway.execution.completion import DONE, EVENTS, JSON, CompletionWriter, event, usage_of
from forethought.gateway.execution.request_body import CHAT
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams.base import UpstreamFailure, UpstreamRequest
from forethought.gateway.upstreams.local_engine import LocalEngine, shared_model
from forethought.gateway.upstreams.local_request import LocalRequest, read_request
from forethought.gateway.upstreams.local_text import AnswerText
from forethought.targets.pool import PoolEntry

if TYPE_CHECKING:
    from forethought.models import LanguageModel
    from forethought.targets import LocalResponder
    from forethought.targets.generation import Prompt
    from forethought.targets.prompts import Examples


class Prepared(NamedTuple):
    """A request that fits the model, and what the model reads of it."""

    request: LocalRequest
    prompt: Prompt


class LocalUpstream:
    """Answers for one target with a model that is loaded at the first request.

    What the target's policy says holds where a request says nothing: a target that is asked by name answers as it
    was measured. Few-shot targets read the last user turn alone, after the solved examples that look most like it.

    Args:
        entry: The target; its votes are left to `execution.voting`.
        engine: Where models run.
        examples: Group -> solved examples, for few-shot targets.
        load: Loads the model.
    """

    def __init__(
        self,
        entry: PoolEntry,
        engine: LocalEngine,
        examples: Examples,
        *,
        load: Callable[[str], LanguageModel] = shared_model,
    ) -> None:
        self.entry = entry
        self.engine = engine
        self.examples = examples
        self._load = load

    def __repr__(self) -> str:
        return f"LocalUpstream({self.entry.name!r})"

    @cached_property
    def responder(self) -> LocalResponder:
        """The target itself, loaded; only for the engine's thread.

        Raises:
            ConfigError: Its weights are not installed, or the policy cannot be followed.
            ArtifactError: Its exits are missing, or those of another model.
        """
        from forethought.early_exit import local_responder

        entry = self.entry
        single = Target(entry.name, entry.model, replace(entry.policy, votes=1))
        return local_responder(self._load(entry.model), entry, single, self.examples)

    @cached_property
    def _longest_token(self) -> int:
        """Characters."""
        return max(map(len, self.responder.model.tokenizer.get_vocab()))

    @property
    def context(self) -> int:
        """Longest prompt and answer together, tokens."""
        context = self.responder.model.context
        return context if self.entry.context is None else min(context, self.entry.context)

    async def open(self, request: UpstreamRequest) -> LocalReply:
        """Read a request; the answer is computed as the reply is read.

        Raises:
            UpstreamFailure: `connect`, the model cannot be loaded.
        """
        try:
            prepared = await self.engine.run(lambda: self.prepare(request.path, from_json(request.body)))
        except Problem as problem:
            return LocalReply(problem.status, _once(problem.body), JSON)
        except ForethoughtError as error:
            raise UpstreamFailure("connect", f"local model of {self.entry.name}: {error}") from error
        answer = _Answer(
            self, prepared, CompletionWriter(secrets.token_hex(12), self.entry.model, request.path == CHAT)
        )
        return LocalReply(200, answer.events(), EVENTS) if request.stream else LocalReply(200, answer.body(), JSON)

    async def aclose(self) -> None:
        """Let the engine end."""
        self.engine.close()

    def prepare(self, path: str, body: dict[str, Any]) -> Prepared:
        """What the model reads of a request; only for the engine's thread.

        Raises:
            Problem: 400, the request cannot be followed or is too long.
            ForethoughtError: The model cannot be loaded.
        """
        request = read_request(path, body, self.entry.policy)
        room = self.context - request.policy.max_tokens
        if sum(len(turn.content) for turn in request.messages) > self._longest_token * self.context:
            raise self._too_long("the prompt alone", request)  # not worth the time to count its tokens
        prompt = self._few_shot(request) if request.policy.prompt == "few_shot" else self._chat(request)
        if len(prompt.ids) > room:
            raise self._too_long(f"a prompt of {len(prompt.ids)} tokens", request)
        return Prepared(request, prompt)

    def _chat(self, request: LocalRequest) -> Prompt:
        from jinja2.exceptions import TemplateError

        from forethought.targets.generation import Prompt

        chat = self.responder.model.chat
        try:
            ids = chat.encode(request.messages)
        except TemplateError as error:
            raise Problem(400, f"the model's template refuses this chat: {error}", code="invalid_value") from None
        return Prompt(tuple(ids), min(self._shared(request), len(ids) - 1))

    def _shared(self, request: LocalRequest) -> int:
        """Tokens of the target's own system turn, which are computed once for all requests; 0 in any other chat."""
        *earlier, last = request.messages
        if last.role != "user" or [turn.content for turn in earlier] != [self.entry.policy.system][: len(earlier)]:
            return 0
        return self.responder.model.chat.head_length(request.messages)

    def _few_shot(self, request: LocalRequest) -> Prompt:
        if not request.question.strip():
            raise Problem(400, "there is no user turn with text", code="invalid_value", param="messages")
        question = self.question(request)
        [prompt] = self.responder.prompts([question])
        if len(prompt.ids) >= self.responder.model.context - self.entry.policy.max_tokens:
            raise self._too_long("the solved examples and the question", request)  # it was cut to this length
        return prompt

    def question(self, request: LocalRequest) -> Question:
        """The chat as a question, in the group that looks most like it where the target is shown examples.

        Raises:
            DataError: The last turn is not the user's, or blank.
        """
        from forethought.outcomes import closest_group

        few_shot = request.policy.prompt == "few_shot"
        group = closest_group(request.question, self.examples) if few_shot else ""
        if few_shot:
            return Question.ask(request.question, group=group)
        return Question(id=content_hash(repr(request.messages))[:16], messages=request.messages)

    def _too_long(self, what: str, request: LocalRequest) -> Problem:
        limit = f"a window of {self.context} tokens, of which the answer may take {request.policy.max_tokens}"
        return Problem(400, f"{what} does not fit {limit}", code="context_length_exceeded", param="messages")


@dataclass(slots=True)
class LocalReply:
    """An answer that is computed while it is read."""

    status: int
    content: AsyncGenerator[bytes, None]
    content_type: str

    @property
    def headers(self) -> Mapping[str, str]:
        """The content type."""
        return {"content-type": self.content_type}

    def chunks(self) -> AsyncIterator[bytes]:
        """The answer, one piece for each token that settles some text.

        Raises:
            UpstreamFailure: `cut`, the model failed.
        """
        return self.content

    async def aclose(self) -> None:
        """Compute no more."""
        await self.content.aclose()


@dataclass(slots=True)
class _Answer:
    """One answer while it is computed."""

    upstream: LocalUpstream
    prepared: Prepared
    writer: CompletionWriter
    tokens: int = 0
    finish: str = "length"

    async def body(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._pieces()) as pieces:
            text = "".join([piece async for piece in pieces])
        yield to_json(self.writer.whole(text, self.finish, self._usage()))

    async def events(self) -> AsyncGenerator[bytes, None]:
        first, writer, apart = True, self.writer, self.prepared.request.show_usage
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                if piece or first:
                    yield event(writer.piece(piece, first=first))
                first = False
        yield event(writer.end(self.finish, None if apart else self._usage()))
        if apart:
            yield event(writer.counted(self._usage()))
        yield DONE

    async def _pieces(self) -> AsyncGenerator[str, None]:
        async with aclosing(self.upstream.engine.steps(self._compute)) as pieces:
            try:
                async for piece in pieces:
                    yield piece
            except RuntimeError as error:  # of torch, such as no memory; its text may hold shapes, never prompts
                raise UpstreamFailure("cut", f"local model: {type(error).__name__}") from error

    def _compute(self) -> Generator[str, None, None]:
        """The text each token settles, empty where it settles none; in the engine's thread."""
        from forethought.targets.sampling import sample_key

        responder, (request, prompt) = self.upstream.responder, self.prepared
        decode = partial(responder.model.tokenizer.decode, skip_special_tokens=True)
        text = AnswerText(decode, request.stops)
        seed = secrets.randbits(63) if request.seed is None else request.seed
        key = sample_key(seed, content_hash(repr(prompt.ids)), 0)
        for token in responder.stream(prompt, key, request.policy):
            self.tokens += 1
            yield text.add(token.id)
            if token.stop or text.stopped:
                self.finish = "stop"
                break
        yield text.close()

    def _usage(self) -> dict[str, Any]:
        return usage_of(len(self.prepared.prompt.ids), self.tokens)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
