"""One chat completion as it streams in, and the token usage that endpoints report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from forethought.targets.base import Finish, Response

FINISH: Mapping[str | None, Finish] = {"stop": "stop", "length": "length"}
"""`finish_reason` of an endpoint to `Response.finish`; anything else is an error."""

_CHARACTERS_PER_TOKEN = 4
_LONG_WORD = 16


class Usage(NamedTuple):
    """Tokens as an endpoint counted them."""

    input: int
    output: int
    cached: int = 0


def read_usage(usage: Any) -> Usage:
    """Read the `usage` object of a completion.

    Raises:
        KeyError, TypeError, ValueError: It has no token counts >= 0.
    """
    counts = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    if min(counts) < 0:
        raise ValueError(f"token counts must be >= 0, got {counts}")
    details = usage.get("prompt_tokens_details") or {}
    cached = int(details.get("cached_tokens") or 0)
    return Usage(*counts, cached=min(max(cached, 0), counts[0]))


def tokens_in(delta: str) -> int:
    """About how many tokens a piece of a stream holds: one, unless it is longer than a long word."""
    return 1 if len(delta) <= _LONG_WORD else -(-len(delta) // _CHARACTERS_PER_TOKEN)


def estimated_prompt(messages: Iterable[Mapping[str, Any]]) -> int:
    """Tokens of a prompt that nobody counted, at four characters a token."""
    characters = sum(len(str(message["content"])) for message in messages)
    return -(-characters // _CHARACTERS_PER_TOKEN)


@dataclass(slots=True)
class StreamedAnswer:
    """An answer while its chunks arrive.

    Attributes:
        prompt_tokens: Length of the prompt, to be charged where no usage comes.
        text: What has arrived.
        tokens: Deltas that have arrived, each of which is about one token.
        usage: The endpoint's own count, once it has come.
        finish: Why the model ended the answer, once it has.
        done: Whether the endpoint has said that nothing follows.
    """

    prompt_tokens: int
    text: list[str] = field(default_factory=list)
    tokens: int = 0
    usage: Usage | None = None
    finish: Finish | None = None
    done: bool = False

    def feed(self, data: str) -> str | None:
        """Take the data of one event.

        Returns:
            The text it adds; empty for a token that is not shown, such as one of hidden reasoning; None
            where the event is not a token.

        Raises:
            ValueError: The event is not a chunk of a chat completion, for instance an error told midway.
        """
        if data.strip() == "[DONE]":
            self.done = True
            return None
        try:
            return self._chunk(json.loads(data))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"not a chunk of a chat completion: {type(error).__name__}") from None

    def _chunk(self, chunk: Any) -> str | None:
        if chunk.get("usage"):
            self.usage = read_usage(chunk["usage"])
        choices = chunk["choices"]
        if not choices:
            return None
        delta = choices[0].get("delta") or {}
        if choices[0].get("finish_reason") is not None:
            self.finish = FINISH.get(choices[0]["finish_reason"], "error")
        shown = str(delta.get("content") or "")
        hidden = delta.get("reasoning_content") or delta.get("reasoning")
        if not shown and not hidden:
            return None
        self.text.append(shown)
        self.tokens += tokens_in(shown)
        return shown

    def response(self, seconds: float) -> Response:
        """What has arrived as an answer: an `error` with estimated tokens if it has no end or no usage."""
        text = "".join(self.text).strip()
        if self.usage is not None and self.finish is not None:
            used = self.usage
            return Response(text, used.input, used.output, seconds, self.finish, cached_tokens=used.cached)
        known = self.usage or Usage(self.prompt_tokens, 0)
        return Response(
            text=text,
            input_tokens=known.input,
            output_tokens=max(known.output, self.tokens),
            seconds=seconds,
            finish="error",
            cached_tokens=known.cached,
            estimated=True,
        )
