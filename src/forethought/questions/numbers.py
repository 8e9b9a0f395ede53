"""Names of numbers, from num2words and roman."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import roman
from num2words import num2words

from forethought.questions.family import Family, Item

SMALL = range(11, 200)
"""Numbers asked about; every family shares them, so its share of each is piloted alike."""

LANGUAGES = {"es": "Spanish", "fr": "French", "de": "German", "it": "Italian", "pt": "Portuguese", "nl": "Dutch"}


def _items(subject: Callable[[int], str], answers: Callable[[int], tuple[str, ...]]) -> Iterator[Item]:
    return (Item(subject(number), answers(number), (str(number),)) for number in SMALL)


def _words(number: int) -> tuple[str, ...]:
    """British and American ways to write a number out."""
    british = num2words(number)
    return tuple(dict.fromkeys((british, british.replace(" and ", " "))))


def _ordinals(number: int) -> tuple[str, ...]:
    british = num2words(number, to="ordinal")
    return tuple(dict.fromkeys((british, british.replace(" and ", " "))))


def _digits(number: int) -> tuple[str, ...]:
    return (str(number), *_words(number))


def _foreign_word(language: str, number: int) -> str:
    return str(num2words(number, lang=language))


def _foreign(language: str, number: int) -> tuple[str, ...]:
    return (_foreign_word(language, number),)


def _three_before(number: int) -> str:
    return ", ".join(str(number - back) for back in (3, 2, 1))


def families() -> Iterator[Family]:
    """Families whose subjects are numbers."""
    yield Family("number_words", "Write the number {} in words.", partial(_items, str, _words))
    yield Family(
        "words_digits", "Write the number {} in digits.", partial(_items, num2words, lambda number: (str(number),))
    )
    yield Family("ordinal", "Write the ordinal number for {} in words.", partial(_items, str, _ordinals))
    yield Family("from_roman", "What number is the Roman numeral {}?", partial(_items, roman.toRoman, _digits))
    yield Family(
        "to_roman", "Write the number {} as a Roman numeral.", partial(_items, str, lambda n: (roman.toRoman(n),))
    )
    yield Family("next_number", "Which number comes right after {}?", partial(_items, str, lambda n: _digits(n + 1)))
    yield Family(
        "previous_number", "Which number comes right before {}?", partial(_items, str, lambda n: _digits(n - 1))
    )
    yield Family("count_on", "Which number comes next: {}, ...?", partial(_items, _three_before, _digits))
    for code, language in LANGUAGES.items():
        yield Family(
            f"number_in_{language.lower()}",
            f"How do you say the number {{}} in {language}?",
            partial(_items, str, partial(_foreign, code)),
        )
        yield Family(
            f"number_from_{language.lower()}",
            f"What number is {{}} in {language}? Write it in digits.",
            partial(_items, partial(_foreign_word, code), _digits),
        )
