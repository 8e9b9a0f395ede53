"""What the router reads of a request: its system prompt and its last user turn, within the encoder's window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forethought.core import Question
from forethought.gateway.base import ClientRequest
from forethought.gateway.problems import Problem

if TYPE_CHECKING:
    from forethought.activations import Encoder

CHARACTERS_PER_WINDOW_TOKEN = 16
"""Longest text that is tokenised at all: no text has so long tokens, and a megabyte of it must not cost seconds."""

MOST_TOKENS_PER_CHARACTER = 4
"""A token a byte, where a tokenizer does not know a script."""

_ID = "request"
"""Of every question asked here: one made from the text would carry it into logs and errors."""

_SYSTEM_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Turns:
    """The text of a request.

    Attributes:
        system: Its system and developer turns.
        user: The last user turn.
        first: The first user turn, which names a conversation.
        answered: Whether an assistant has spoken before.
        characters: Of all turns.
    """

    system: str
    user: str
    first: str
    answered: bool
    characters: int

    @property
    def routed(self) -> int:
        """Characters of what the router is to read."""
        return len(self.system) + len(self.user)

    def question(self, fitted_under: str | None) -> Question:
        """What the encoder is asked to read.

        The heads were fitted under the encoder's own system turn (or under none), which is part of the fingerprint
        that they check: it must stay as it is. So the client's system prompt goes in front of the user turn and not
        beside it. Many templates refuse a second system turn or any, and only the last user turn can be cut to the
        window. A prompt that says what the encoder's own turn says is not said twice.

        Args:
            fitted_under: The encoder's own system turn.
        """
        told = self.system.strip()
        alone = not told or told == (fitted_under or "").strip()
        return Question.ask(self.user if alone else f"{self.system}\n\n{self.user}", id=_ID)


def read_turns(request: ClientRequest) -> Turns:
    """The text of a request.

    Raises:
        Problem: 400 where there is no text to route by.
    """
    turns = _prompt(request.body) if request.path == "/completions" else _chat(request.body)
    if not turns.user.strip():
        raise Problem(
            400,
            "the last user turn has no text to route by; write some, or name a target as the model",
            code="empty_prompt",
            param="prompt" if request.path == "/completions" else "messages",
        )
    return turns


def routed_text(request: ClientRequest) -> str | None:
    """The part of a prompt that is routed by, for owners who opted in to its being kept; None where there is none."""
    try:
        return read_turns(request).question(None).text
    except Problem:
        return None


def text_of(content: object) -> str:
    """The text parts of a turn's content, a line each."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _chat(body: dict[str, Any]) -> Turns:
    system: list[str] = []
    user: list[str] = []
    answered, characters = False, 0
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        text = text_of(message.get("content"))
        characters += len(text)
        match message.get("role"):
            case "user":
                user.append(text)
            case "assistant":
                answered = True
            case role if role in _SYSTEM_ROLES:
                system.append(text)
    return Turns("\n\n".join(system), user[-1] if user else "", user[0] if user else "", answered, characters)


def _prompt(body: dict[str, Any]) -> Turns:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise Problem(
            400,
            "only a prompt that is one text can be routed; name a target as the model for token ids or several prompts",
            code="not_routable",
            param="prompt",
        )
    return Turns("", prompt, prompt, False, len(prompt))


def bounded(text: str, window: int) -> str:
    """A text short enough to be tokenised in milliseconds: head and tail of a longer one, as the encoder cuts it.

    Args:
        text: Any.
        window: The encoder's, tokens.
    """
    limit = CHARACTERS_PER_WINDOW_TOKEN * window
    if len(text) <= limit:
        return text
    return text[: limit - limit // 2] + text[-(limit // 2) :]


def characters_read(encoder: Encoder, text: str, tokens: int) -> int:
    """How much of a text stands in its prompt.

    Exact where the prompt does not fill the window. Where it does, the encoder left out the middle; how many
    characters that were follows from counting the text's tokens piece by piece, to a few characters a seam.

    Args:
        encoder: That read it.
        text: The last user turn.
        tokens: Of the whole prompt, as it was read.
    """
    if tokens < encoder.window:
        return len(text)
    fixed = int(encoder.lengths([Question.ask("x", id=_ID)])[0]) - 1
    room = max(encoder.window - fixed, 1)
    size = max(1, room // MOST_TOKENS_PER_CHARACTER)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    # A letter in front, because a piece of nothing but spaces is no question.
    lengths = encoder.lengths([Question.ask(f"x{piece}", id=_ID) for piece in pieces])
    ends = np.minimum(np.arange(len(pieces) + 1) * size, len(text))
    counted = np.concatenate([[0], np.cumsum(np.maximum(lengths - fixed - 1, 1))])
    whole = int(counted[-1])
    if whole <= room:
        return len(text)
    head = float(np.interp((room + 1) // 2, counted, ends))
    tail = len(text) - float(np.interp(whole - room // 2, counted, ends))
    return min(len(text), round(head + tail))
