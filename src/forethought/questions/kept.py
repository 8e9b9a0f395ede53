"""The families that the pilot kept; the table behind this list stands in `docs/design/questions.md`."""

from __future__ import annotations

KEPT = (
    "capital",
    "capital_country",
    "continent",
    "currency",
    "language",
    "neighbour",
    "country_from_french",
    "city_country",
    "city_continent",
    "city_language",
    "city_state",
    "plural",
    "past_tense",
    "past_participle",
    "third_person",
    "base_of_ing",
    "comparative",
    "superlative",
    "base_of_superlative",
    "plural_in_context",
    "past_in_context",
    "perfect_in_context",
    "opposite",
    "negative_prefix",
    "opposite_of_negative",
    "words_digits",
    "element_symbol",
)
