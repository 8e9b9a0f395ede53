"""An answer's text while its tokens come: whole characters, up to a stop string, without the space around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_HALF = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet one."""


class AnswerText:
    """Turns tokens into pieces of text that can be shown at once; together they are the decoded answer, stripped.

    Held back are the bytes of a character that is not whole, what may be the beginning of a stop string, and space
    that may turn out to be the answer's last.

    Args:
        decode: Token ids to text.
        stops: Strings that end the answer and are not part of it.
    """

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str] = ()) -> None:
        self.stopped = False
        self._decode = decode
        self._stops = stops
        self._tokens: list[int] = []
        self._from = self._decoded = 0
        self._held = ""
        self._begun = False

    def add(self, token: int) -> str:
        """The text that one more token settles; `stopped` is set where a stop string came up."""
        self._tokens.append(token)
        # Decoded together with what came before it: alone, many tokenizers drop a token's leading space.
        text = self._decode(self._tokens[self._from :])
        if text.endswith(_HALF):
            return ""
        return self._take(text)

    def close(self) -> str:
        """What is left at the end; bytes that never became a character are dropped."""
        rest = self._take(self._decode(self._tokens[self._from :]).rstrip(_HALF)) if not self.stopped else ""
        held, self._held = self._held.rstrip(), ""
        return rest + (held if self._begun else held.lstrip())

    def _take(self, text: str) -> str:
        known = self._decode(self._tokens[self._from : self._decoded])
        self._from, self._decoded = self._decoded, len(self._tokens)
        self._held += text[len(known) :]
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = self._held[: min(found)]
        return self._release()

    def _release(self) -> str:
        """Give what is settled and keep the rest."""
        settled = len(self._held) - (0 if self.stopped else self._undecided())
        ready = self._held[:settled].rstrip()
        self._held = self._held[len(ready) :]
        if not self._begun:
            ready = ready.lstrip()
            self._begun = bool(ready)
        return ready

    def _undecided(self) -> int:
        """Length of the longest end of what is held that a stop string begins with."""
        ends = (k for stop in self._stops for k in range(1, len(stop)) if self._held.endswith(stop[:k]))
        return max(ends, default=0)
