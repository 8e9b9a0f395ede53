"""Draws of questions: the pilot's, the examples' and the final ones never overlap."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from forethought.core import Question
from forethought.errors import ConfigError
from forethought.questions import countries, names, numbers, places, words
from forethought.questions.family import Family, Item

SHOTS = 5
"""Solved examples set aside per family, for few-shot prompts."""


def families() -> dict[str, Family]:
    """Every candidate family by name."""
    sources = (countries, places, words, numbers, names)
    return {family.name: family for source in sources for family in source.families()}


def pilot_questions(families: Iterable[Family], *, per_family: int, seed: int) -> list[Question]:
    """Draw questions about reserved subjects, to be asked in the pilot and then discarded."""
    return [
        question
        for family in families
        for question in _numbered(family, _shuffled(family, seed, reserved=True)[:per_family])
    ]


def examples(families: Iterable[Family], *, seed: int) -> list[Question]:
    """Draw `SHOTS` solved examples per family; their subjects are in no final question of that family."""
    return [
        question
        for family in families
        for question in _numbered(family, _shuffled(family, seed, reserved=False)[:SHOTS])
    ]


def generate(families: Iterable[Family], *, per_family: int, seed: int) -> list[Question]:
    """Draw the final questions, family by family.

    Args:
        families: Where to draw from.
        per_family: Most questions of one family; a family with fewer subjects gives all it has.
        seed: Same families, number and seed, same questions.

    Raises:
        ConfigError: `per_family` is not positive.
    """
    if per_family < 1:
        raise ConfigError(f"per_family must be >= 1, got {per_family}")
    return [question for family in families for question in _numbered(family, _final(family, seed)[:per_family])]


def _final(family: Family, seed: int) -> list[Item]:
    items = _shuffled(family, seed, reserved=False)
    shown = {entity for item in items[:SHOTS] for entity in item.entities}
    return [item for item in items[SHOTS:] if shown.isdisjoint(item.entities)]


def _shuffled(family: Family, seed: int, *, reserved: bool) -> list[Item]:
    items = [item for item in family.items if item.reserved == reserved]
    random.Random(f"{seed}-{family.name}").shuffle(items)
    return items


def _numbered(family: Family, items: Iterable[Item]) -> Iterator[Question]:
    return (family.question(item, number) for number, item in enumerate(items, start=1))
