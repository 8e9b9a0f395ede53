"""Which questions exits are made from, certified on and judged by, and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forethought.core import DecodingPolicy, Question, content_hash
from forethought.errors import ConfigError, DataError

SHARES = (0.38, 0.09, 0.53)
"""Of the questions, to train, certify and test: an interval on 1,500 questions needs most of them."""

ARITHMETIC = "arithmetic"
COMMITTED = "committed"
_DRAWN = 1200
"""Arithmetic questions of each part, where no limit is given."""


@dataclass(frozen=True)
class Source:
    """Where questions come from.

    Attributes:
        name: `committed`, `arithmetic`, or a file.
        limit: Most of them; None is all.
        seed: Of what is drawn, and of the parts.
    """

    name: str
    limit: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, model: str, questions: Path | None, limit: int | None, seed: int) -> Source:
        """A file, or what goes with a model: arithmetic for the small decoder, the committed ones for others."""
        from forethought.models.language_model import SMALL_DECODER

        if questions is not None:
            return cls(str(questions), limit, seed)
        return cls(ARITHMETIC if model == SMALL_DECODER else COMMITTED, limit, seed)

    def policy(self, system: str | None, max_tokens: int | None) -> DecodingPolicy:
        """How these questions are asked, greedily, where flags do not say otherwise."""
        usual = {ARITHMETIC: (None, 64), COMMITTED: ("Give only the final answer.", 24)}.get(self.name, (None, 64))
        return DecodingPolicy(
            system=usual[0] if system is None else system or None,
            max_tokens=usual[1] if max_tokens is None else max_tokens,
        )


@dataclass(frozen=True)
class Parts:
    """Questions by what they are for; none that belong together are in two parts.

    Attributes:
        source: Where they come from.
        train: To make exits from.
        certify: To certify a threshold on.
        test: To judge by.
    """

    source: Source
    train: Sequence[Question]
    certify: Sequence[Question]
    test: Sequence[Question]

    @classmethod
    def read(cls, source: Source) -> Parts:
        """Read or draw the questions and deal them.

        Raises:
            ConfigError: A limit under 1.
            DataError: No such file, or so few questions that a part stays empty.
        """
        if source.name == ARITHMETIC:
            return cls._arithmetic(source)
        from forethought.data import default_questions
        from forethought.outcomes import split
        from forethought.questions import read_questions, spread

        path = default_questions() if source.name == COMMITTED else Path(source.name)
        asked = spread(read_questions(path), source.limit, source.seed)
        parts = [[asked[row] for row in rows.tolist()] for rows in split(asked, SHARES, source.seed)]
        return cls(source, *parts)

    @classmethod
    def _arithmetic(cls, source: Source) -> Parts:
        """Each from its own part of all expressions, so that none that the decoder was trained on judges it."""
        from forethought.questions import arithmetic_questions

        if source.limit is not None and source.limit < 1:
            raise ConfigError(f"limit must be >= 1, got {source.limit}")
        each = _DRAWN if source.limit is None else -(-source.limit // 3)
        drawn = [arithmetic_questions(part, each, seed=source.seed) for part in ("train", "validation", "test")]
        return cls(source, *drawn)

    @classmethod
    def again(cls, described: Mapping[str, Any]) -> Parts:
        """The parts that `describe` described.

        Raises:
            DataError: The questions are others by now.
        """
        source = Source(described["source"], described["limit"], described["seed"])
        parts = cls.read(source)
        if parts.describe() != described:
            raise DataError(
                f"the questions of {source.name} are not those that were dealt before; name others with --questions"
            )
        return parts

    def describe(self) -> dict[str, Any]:
        """What an artifact records, so that a later run deals the same parts."""
        return {
            "source": self.source.name,
            "limit": self.source.limit,
            "seed": self.source.seed,
            "train": _part(self.train),
            "certify": _part(self.certify),
            "test": _part(self.test),
        }


def _part(questions: Sequence[Question]) -> dict[str, Any]:
    ids = [(question.id, question.text) for question in questions]
    return {"n": len(ids), "hash": content_hash(repr(ids))[:16]}
