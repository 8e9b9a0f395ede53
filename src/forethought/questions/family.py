"""A family of questions: one sentence asked of many subjects."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from forethought.core import Question, content_hash

RESERVED = 0.22
"""Share of subjects set aside for the pilot, whatever the seed."""


@dataclass(frozen=True, slots=True)
class Item:
    """One subject of a family.

    Attributes:
        subject: What stands in the template.
        answers: Accepted answers, the canonical one first.
        entities: Names that tie this item to others; the first decides whether it is reserved.
    """

    subject: str
    answers: tuple[str, ...]
    entities: tuple[str, ...]

    @property
    def reserved(self) -> bool:
        """Whether the item belongs to the pilot and may never be a final question."""
        return int(content_hash(f"pilot:{self.entities[0]}")[:8], 16) / 16**8 < RESERVED


@dataclass(frozen=True)
class Family:
    """A template and the source of its subjects.

    Attributes:
        name: Group of its questions, and the stem of their ids.
        template: The question, `{}` where the subject goes.
        source: Yields the items; called once, on first use.
    """

    name: str
    template: str
    source: Callable[[], Iterable[Item]]

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Items that can be asked fairly: one a subject, no answer given away by the question."""
        fair: dict[str, Item] = {}
        for item in self.source():
            asked = plain(self.template.format(item.subject))
            if item.answers and not any(f" {plain(answer)} " in f" {asked} " for answer in item.answers):
                fair.setdefault(item.subject, item)
        return tuple(fair.values())

    def question(self, item: Item, number: int) -> Question:
        """The item as a question with id `<family>-<number>`."""
        return Question.ask(
            self.template.format(item.subject),
            id=f"{self.name}-{number:04d}",
            answers=item.answers,
            group=self.name,
            entities=item.entities,
        )


def plain(text: str) -> str:
    """Lower case without accents, punctuation or articles; words parted by single spaces."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    words = re.sub(r"[^\w\s]|_", " ", bare.casefold()).split()
    return " ".join(word for word in words if word not in {"a", "an", "the"})
