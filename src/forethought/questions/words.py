"""Forms and opposites of common English words; inflections from lemminflect."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from lemminflect import getInflection

from forethought.questions import word_lists
from forethought.questions.family import Family, Item

VERBS = sorted({*word_lists.IRREGULAR_VERBS.split(), *word_lists.REGULAR_VERBS.split()})
NOUNS = sorted({*word_lists.IRREGULAR_NOUNS.split(), *word_lists.REGULAR_NOUNS.split()})
ADJECTIVES = sorted(word_lists.ADJECTIVES.split())

FORMS = {
    ("far", "JJR"): ("farther", "further"),
    ("far", "JJS"): ("farthest", "furthest"),
    ("hang", "VBD"): ("hung", "hanged"),
    ("hang", "VBN"): ("hung", "hanged"),
    ("lie", "VBD"): ("lied", "lay"),
    ("lie", "VBN"): ("lied", "lain"),
    ("little", "JJR"): ("less", "littler", "lesser", "smaller"),
    ("little", "JJS"): ("least", "littlest", "smallest"),
    ("old", "JJR"): ("older", "elder"),
    ("old", "JJS"): ("oldest", "eldest"),
    ("ox", "NNS"): ("oxen",),
    ("penny", "NNS"): ("pennies", "pence"),
    ("person", "NNS"): ("people", "persons"),
    ("shine", "VBD"): ("shone", "shined"),
    ("shine", "VBN"): ("shone", "shined"),
    ("shrink", "VBD"): ("shrank", "shrunk"),
    ("sink", "VBD"): ("sank", "sunk"),
    ("travel", "VBD"): ("traveled", "travelled"),
    ("travel", "VBG"): ("traveling", "travelling"),
    ("travel", "VBN"): ("traveled", "travelled"),
    ("wake", "VBD"): ("woke", "waked"),
    ("wake", "VBN"): ("woken", "waked"),
}
"""Words with several good forms, or for which the table's first form is not the usual one."""


def inflections(word: str, tag: str) -> tuple[str, ...]:
    """Accepted forms of a word under a Penn Treebank tag, the usual one first."""
    if (word, tag) in FORMS:
        return FORMS[word, tag]
    form = getInflection(word, tag)[0]
    if tag in {"JJR", "JJS"} and form[:2] == word[:2] and _syllables(word) > 1:
        return form, f"{'more' if tag == 'JJR' else 'most'} {word}"
    return (form,)


def _syllables(word: str) -> int:
    return len(re.findall("[aeiouy]+", word.removesuffix("e")))


def _forms(words: Sequence[str], tag: str) -> Iterator[Item]:
    return (Item(word, inflections(word, tag), (word,)) for word in words)


def _lemmas(words: Sequence[str], tag: str) -> Iterator[Item]:
    """The way back: the form is asked about, the word is the answer; forms of two words are left out."""
    forms = [inflections(word, tag)[0] for word in words]
    return (Item(form, (word,), (word,)) for word, form in zip(words, forms, strict=True) if forms.count(form) == 1)


def _opposites() -> Iterator[Item]:
    """Both words of a pair are entities: old and young are one fact."""
    for word, others in word_lists.OPPOSITES.items():
        answers = tuple(others.split())
        yield Item(word, answers, (word, answers[0]))


def _prefixed() -> Iterator[Item]:
    pairs = (pair.split() for pair in word_lists.PREFIXED.split(","))
    return (Item(word, (negated,), (word,)) for word, negated in pairs)


def _unprefixed() -> Iterator[Item]:
    return (Item(item.answers[0], (item.subject,), item.entities) for item in _prefixed())


def families() -> Iterator[Family]:
    """Families whose subjects are English words."""

    def family(name: str, template: str, source: Callable[..., Iterator[Item]], *args: object) -> Family:
        return Family(name, template, partial(source, *args))

    yield family("plural", 'What is the plural of "{}"?', _forms, NOUNS, "NNS")
    yield family("singular", 'What is the singular of "{}"?', _lemmas, NOUNS, "NNS")
    yield family("past_tense", 'What is the past tense of the verb "{}"?', _forms, VERBS, "VBD")
    yield family("past_participle", 'What is the past participle of the verb "{}"?', _forms, VERBS, "VBN")
    yield family("ing_form", 'What is the -ing form of the verb "{}"?', _forms, VERBS, "VBG")
    yield family(
        "third_person", 'Complete with the right form of the verb "{}": "Every day she ..."', _forms, VERBS, "VBZ"
    )
    yield family("base_of_past", 'What is the infinitive of the verb form "{}"?', _lemmas, VERBS, "VBD")
    yield family("base_of_ing", 'What is the base form of the verb "{}"?', _lemmas, VERBS, "VBG")
    yield family("comparative", 'What is the comparative form of "{}"?', _forms, ADJECTIVES, "JJR")
    yield family("superlative", 'What is the superlative form of "{}"?', _forms, ADJECTIVES, "JJS")
    yield family("base_of_superlative", '"{}" is the superlative of which adjective?', _lemmas, ADJECTIVES, "JJS")
    yield family("plural_in_context", 'Complete with one word: "one {}, two ..."', _forms, NOUNS, "NNS")
    yield family("singular_in_context", 'Complete with one word: "two {}, one ..."', _lemmas, NOUNS, "NNS")
    completed = 'Complete with the right form of the verb "{}": '
    yield family("past_in_context", completed + '"Yesterday she ..."', _forms, VERBS, "VBD")
    yield family("perfect_in_context", completed + '"She has already ..."', _forms, VERBS, "VBN")
    yield family("ing_in_context", completed + '"Right now she is ..."', _forms, VERBS, "VBG")
    yield family("opposite", 'What is the opposite of "{}"?', _opposites)
    yield family("negative_prefix", 'Which word with a negative prefix is the opposite of "{}"?', _prefixed)
    yield family("opposite_of_negative", 'What is the opposite of "{}"?', _unprefixed)
    yield family("without_prefix", 'Which word becomes "{}" when a negative prefix is put before it?', _unprefixed)
