"""Chat templates: prompts as token ids, and which of them the template appended."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from forethought.core import Message, content_hash
from forethought.errors import DataError

PLAIN = "Question: {text}\nAnswer:"
"""Format of a chat for models without a template of their own."""

_SENTINEL = "{instruction}"
# Different last characters, so that a tail token that merged with the text shows up.
_PROBES = ("What is 2 + 2?", "Name it.", "a", "7", "(so)")


class ChatTemplate:
    """How one model's prompts are written.

    Args:
        tokenizer: A transformers tokenizer, with a chat template or without.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._boundaries = lru_cache(maxsize=256)(self._find_boundaries)

    @cached_property
    def text(self) -> str | None:
        """The model's own template, None where it has none and `PLAIN` is used."""
        template = self.tokenizer.chat_template
        return None if template is None else str(self.tokenizer.get_chat_template())

    def fingerprint(self, system: str | None = None) -> str:
        """SHA-256 over the template's text, or the plain format, and the system turn."""
        return content_hash("\x1f".join((self.text or f"plain:{PLAIN}", system or "")))

    def write(self, messages: Sequence[Message], system: str | None = None) -> str:
        """The prompt as text, generation prompt included."""
        turns = [Message("system", system), *messages] if system is not None else list(messages)
        if self.text is None:
            return "\n".join([turn.content for turn in turns[:-1]] + [PLAIN.format(text=turns[-1].content)])
        chat = [{"role": turn.role, "content": turn.content} for turn in turns]
        return str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    def encode(self, messages: Sequence[Message], system: str | None = None) -> list[int]:
        """The prompt as token ids."""
        # A template writes its own special tokens; without one the tokenizer adds the model's.
        text = self.write(messages, system)
        return list(self.tokenizer(text, add_special_tokens=self.text is None, verbose=False)["input_ids"])

    def fit(self, messages: Sequence[Message], system: str | None, limit: int) -> list[int]:
        """The prompt as at most `limit` token ids: what is too long is cut from the middle of the last user turn.

        Raises:
            DataError: Not even the template and the earlier turns fit.
        """
        ids = self.encode(messages, system)
        if len(ids) <= limit:
            return ids
        head, tail = self._boundaries((*messages[:-1],), system)
        return cut_middle(ids, head, tail, limit)

    def eoi_length(self, system: str | None = None) -> int:
        """Number of end-of-instruction tokens: those the template puts after the user's text (2602.09924, sec. 3)."""
        return self._boundaries((), system)[1]

    def head_length(self, messages: Sequence[Message], system: str | None = None) -> int:
        """Number of tokens before the last user turn, equal for every text of that turn."""
        return self._boundaries((*messages[:-1],), system)[0]

    def _find_boundaries(self, earlier: tuple[Message, ...], system: str | None) -> tuple[int, int]:
        prompts = [self.encode([*earlier, Message("user", text)], system) for text in _PROBES]
        tail_text = self.write([*earlier, Message("user", _SENTINEL)], system).rpartition(_SENTINEL)[2]
        alone = list(self.tokenizer(tail_text, add_special_tokens=False)["input_ids"])
        if all(prompt[len(prompt) - len(alone) :] == alone for prompt in prompts):
            tail = len(alone)
        else:
            tail = common_prefix([prompt[::-1] for prompt in prompts])
        return common_prefix(prompts), tail


def common_prefix(rows: Sequence[list[int]]) -> int:
    """Length of the longest common prefix."""
    first, last = min(rows), max(rows)
    shortest = min(len(first), len(last))
    return next((i for i in range(shortest) if first[i] != last[i]), shortest)


def cut_middle(ids: list[int], head: int, tail: int, limit: int) -> list[int]:
    """Shorten `ids` to `limit` by dropping tokens from the middle of what lies between head and tail.

    Raises:
        DataError: Head and tail alone, with one token between them, are longer than `limit`.
    """
    room = limit - head - tail
    if room < 1:
        raise DataError(
            f"a prompt's fixed part of {head} + {tail} tokens leaves no room for the question in a window of {limit}"
        )
    middle = ids[head : len(ids) - tail]
    left = (room + 1) // 2
    right = room - left
    return ids[:head] + middle[:left] + middle[len(middle) - right :] + ids[len(ids) - tail :]
