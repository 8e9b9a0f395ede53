"""Short factual answers, compared as normalised words.

The rule, in order:

1. The answer is the first non-empty line's first sentence, after greetings and lead-ins
   ("Sure!", "A:", "The answer is") are removed.
2. What it repeats of the question around a form of "to be" is removed: "The capital of
   France is Paris" and "Paris is the capital of France" both leave "Paris". A question about a
   quoted word may be repeated with another one: 'The plural of "x" is "y"' always leaves "y".
3. Both sides are normalised: NFKC, no accents, casefold, punctuation to spaces, no articles.
4. It is right if the words of an accepted answer stand in it one after the other, and that
   place is neither denied ("not Paris") nor one of several candidates ("Paris or Lyon").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.graders.base import Grade, judged, unparsable

ARTICLES = frozenset({"a", "an", "the"})
# Letters that Unicode does not decompose into a base letter and a mark.
LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
APOSTROPHES = re.compile("['`’‘ʻʼ′]")
POSSESSIVE = re.compile(r"['’ʼ]s\b")

GREETING = re.compile(
    r"^\W*(?:sure|certainly|of course|okay|ok|great question|absolutely|yes|well)\b\s*[!.,:]+\s*", re.I
)
LABEL = re.compile(r"^\W*(?:(?:final |short |correct )?answer|a|assistant|response)\W*?:\W*", re.I)
LEAD_IN = re.compile(
    r"^\W*(?:i (?:think|believe) (?:that )?)?(?:so,? )?(?:the |my )?(?:(?:final|correct|short|right) )?answer"
    r"(?: to [^.:]{0,120}?)?(?: is|:)\s*:?\s*",
    re.I,
)
OPINION = re.compile(r"^\W*(?:i (?:think|believe|guess|would say)(?: that)?|it is|it's|that is|that would be)\s+", re.I)
# A full stop ends a sentence unless it closes an initial or a saint.
SENTENCE_END = re.compile(r"(?<!\b[A-Z])(?<!\bSt)(?<!\bMt)(?<!\bNo)[.!?]+[\"'”’*_)\]]*(?:\s+|$)")

CLAUSE = re.compile(
    r",[\"'”’*)]*\s+(?:which|where|who|whose|with|because|since|although|while|but in"
    r"|referring|meaning|specifically|border(?:ed|ing))\b",
    re.I,
)

TO_BE = frozenset({"is", "are", "was", "were", "be"})
COPULA = TO_BE | {"has", "have", "uses", "means", "becomes"}
# In a sentence to complete, any verb but "to be" may be the answer.
GAP = re.compile(r"\.\.\.|…|_{2,}")
# "the plural of" in: What is the plural of "x"?
QUOTED_STEM = re.compile(r"^\W*what (?:is|was|are|were) ([^\"“”]+?)\s*[\"“]", re.I)
# Words that an echo of the question may hold although the question does not.
ECHO = frozenset({"of", "in", "for", "to", "on", "by", "as", "it", "its", "this", "that", "which", "one"})
ECHO |= {"word", "verb", "noun", "adjective", "term", "form", "number", "name", "city", "country"}
ECHO |= {"with", "chemical", "code", "symbol", "also", "often", "commonly", "usually"}
ECHO |= {"official", "english", "called", "known", "spelled", "written"}
CALLED = re.compile(r"^\W*(?:called|named|known as|spelled|written(?: as)?|located in)\b\W*(?=\w)", re.I)
DENIAL = frozenset({"not", "never", "isnt", "wasnt", "arent", "cannot", "except", "unlike"})
DENIED_AFTER = (("is", "not"), ("was", "not"), ("are", "not"), ("isnt",), ("wasnt",), ("arent",))
SEPARATOR = re.compile(r"\s*(?:[,;/|]|\b(?:or|and)\b)\s*", re.I)
CONJUNCTION = re.compile(r"/|\||\b(?:or|and)\b", re.I)
# What follows a preposition says nothing about which candidate is offered: "or sullen in many languages".
ALTERNATIVE_TAIL = re.compile(r"(\bor\s+[^\s,;/|][^,;/|]{0,40}?)\s+(?:in|to|from|as|for)\b[^,;/|]*", re.I)
CANDIDATE_WORDS = 3


def normalise(text: str) -> str:
    """NFKC, accents stripped, casefolded, punctuation as spaces, articles dropped.

    Apostrophes join what they stand between (`Sana'a` equals `Sanaa`), but a possessive `'s` falls away.
    """
    text = POSSESSIVE.sub(" ", unicodedata.normalize("NFKC", text))
    decomposed = unicodedata.normalize("NFKD", APOSTROPHES.sub("", text).casefold().translate(LETTERS))
    kept = (c if c.isalnum() else " " for c in decomposed if not unicodedata.combining(c))
    return " ".join(word for word in "".join(kept).split() if word not in ARTICLES) or _only_articles(text)


def _only_articles(text: str) -> str:
    # "A" alone is an answer (a letter, a grade), not an article.
    return " ".join(re.findall(r"\w+", text.casefold()))


class TextGrader:
    """Right if an accepted answer's words stand one after the other in the answer; the module tells the rule."""

    name = "text"
    version = 3

    def extract(self, question: Question, text: str) -> str | None:
        """The normalised answer, None when the text has no word in it."""
        return normalise(_without_echo(_statement(text), question.text)) or None

    def grade(self, question: Question, text: str) -> Grade:
        """Compare with every accepted answer.

        Raises:
            DataError: The question has no accepted answer that holds a word.
        """
        accepted = [words for words in (normalise(answer).split() for answer in question.answers) if words]
        if not accepted:
            raise DataError(f"question {question.id!r} has no accepted answer to grade against")
        statement = _without_echo(_statement(text), question.text)
        answer = normalise(statement)
        if not answer:
            return unparsable("no word in the text")
        words = answer.split()
        places = [span for form in accepted for span in _occurrences(form, words)]
        if not places:
            return judged(False, answer)
        if all(_denied(words, start, stop) for start, stop in places):
            return judged(False, answer, "denied")
        if _lists_rivals(statement, accepted, normalise(question.text).split()):
            return judged(False, answer, "several candidates")
        return judged(True, answer)


def _statement(text: str) -> str:
    """The first sentence of the first line that says something."""
    for line in text.splitlines():
        bare = GREETING.sub("", line)
        for lead in (LABEL, LEAD_IN, OPINION):
            bare = lead.sub("", bare)
        if normalise(bare):
            sentence = SENTENCE_END.split(bare, maxsplit=1)[0]
            return sentence if normalise(sentence) else bare
    return ""


def _without_echo(statement: str, question: str) -> str:
    """Drop the side of "to be" that only repeats the question, leaving the shortest other side."""
    known = {*normalise(question).split(), *ECHO, *COPULA, *ARTICLES}
    stem = _quoted_stem(question)
    copulas = TO_BE if GAP.search(question) else COPULA
    tokens = statement.split()
    sides = []
    for at in (i for i, token in enumerate(tokens) if normalise(token) in copulas):
        after, before = " ".join(tokens[at + 1 :]), " ".join(tokens[:at])
        if not (normalise(after) and normalise(before)):
            continue
        if _starts_with(before, stem):
            return CALLED.sub("", after)
        pair = (after, before)
        sides += [side for side, other in (pair, pair[::-1]) if known.issuperset(normalise(other).split())]
    return CALLED.sub("", min(sides, key=lambda side: len(side.split()), default=statement))


def _quoted_stem(question: str) -> str:
    """What a question about a quoted word asks of it ("plural of"), empty for other questions."""
    match = QUOTED_STEM.match(question)
    return normalise(match[1]) if match else ""


def _starts_with(text: str, stem: str) -> bool:
    return bool(stem) and normalise(text).startswith(f"{stem} ")


def _occurrences(form: Sequence[str], words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Spans of `words` that equal `form`."""
    size = len(form)
    return ((i, i + size) for i in range(len(words) - size + 1) if list(words[i : i + size]) == list(form))


def _denied(words: Sequence[str], start: int, stop: int) -> bool:
    if start and words[start - 1] in DENIAL:
        return True
    after = tuple(words[stop : stop + 3])
    return any(after[: len(denial)] == denial and after[len(denial) :] != ("only",) for denial in DENIED_AFTER)


def _lists_rivals(statement: str, accepted: Sequence[Sequence[str]], question: Iterable[str]) -> bool:
    """Whether the statement offers short candidates that no accepted answer or the question knows.

    One rival joined by "or", "and" or a slash is enough; without these it takes two, since one
    comma also gives a place ("Paris, France"). A clause after the answer (", which is ...") lists nothing.
    """
    head = CLAUSE.split(statement, maxsplit=1)[0]
    if any(any(_occurrences(form, normalise(head).split())) for form in accepted):
        statement = head
    known = {word for form in accepted for word in form} | set(question)
    items = [normalise(item).split() for item in SEPARATOR.split(ALTERNATIVE_TAIL.sub(r"\1", statement))]
    rivals = [item for item in items if 0 < len(item) <= CANDIDATE_WORDS and known.isdisjoint(item)]
    rivals = [item for item in rivals if COPULA.isdisjoint(item) and item[0] not in DENIAL]
    return len(rivals) >= (1 if CONJUNCTION.search(statement) else 2)
