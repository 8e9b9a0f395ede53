"""The text of each token of an answer, such that the pieces together are the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

HALF = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet one."""


class TokenPieces:
    """Tells what each token adds to a text, as tokens come.

    A character whose bytes several tokens share is told by the last of them; the others add nothing.

    Args:
        decode: Token ids to text.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._told = self._from = 0

    def add(self, token: int) -> str:
        """The text that one more token settles."""
        self._tokens.append(token)
        # Decoded together with what came before it: alone, many tokenizers drop a token's leading space.
        text = self._decode(self._tokens[self._from :])
        if text.endswith(HALF):
            return ""
        known = self._decode(self._tokens[self._from : self._told])
        self._from, self._told = self._told, len(self._tokens)
        return text[len(known) :]


def pieces(decode: Callable[[list[int]], str], tokens: Sequence[int]) -> Iterator[str]:
    """What each token of a whole answer adds."""
    growing = TokenPieces(decode)
    for token in tokens:
        yield growing.add(token)
