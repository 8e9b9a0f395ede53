"""One view of TF-IDF features: word or character n-grams, their vocabulary and their idf."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forethought.errors import ArtifactError
from forethought.probes.base import FloatArray

_WORD = re.compile(r"\b\w\w+\b")


@dataclass(frozen=True)
class TfidfView:
    """One analyser with its vocabulary and idf; what it computes, scikit-learn's `TfidfVectorizer` computes too.

    Attributes:
        kind: `word` or `char_wb`, scikit-learn's names of the analysers.
        span: Shortest and longest n-gram.
        columns: Term -> column, in column order.
        idf: `(d,)`, `1 + log((1 + n) / (1 + df))`.
    """

    kind: str
    span: tuple[int, int]
    columns: dict[str, int]
    idf: FloatArray

    @classmethod
    def fit(cls, texts: Sequence[str], kind: str, span: tuple[int, int], min_df: int, max_features: int) -> Self:
        """Keep the `max_features` terms that are in most texts, and in at least `min_df`; equals alphabetically."""
        document_counts: Counter[str] = Counter()
        for text in texts:
            document_counts.update(set(_ANALYSERS[kind](text, *span)))
        frequent = [(-count, term) for term, count in document_counts.items() if count >= min_df]
        terms = sorted(term for _, term in sorted(frequent)[:max_features])
        df = np.array([document_counts[term] for term in terms], dtype=np.float64)
        return cls(kind, span, {term: j for j, term in enumerate(terms)}, np.log((1 + len(texts)) / (1 + df)) + 1)

    @classmethod
    def restore(cls, view: Mapping[str, Any], idf: NDArray[Any]) -> Self:
        """Rebuild a view from its JSON description and idf array.

        Raises:
            ArtifactError: Vocabulary and idf differ in length, or the analyser is unknown.
        """
        if view["kind"] not in _ANALYSERS:
            raise ArtifactError(f"TF-IDF view must be one of {sorted(_ANALYSERS)}, got {view['kind']!r}")
        if len(view["terms"]) != len(idf):
            raise ArtifactError(
                f"TF-IDF view {view['kind']!r} has {len(view['terms'])} terms and {len(idf)} idf values"
            )
        first, last = view["span"]
        return cls(view["kind"], (first, last), {term: j for j, term in enumerate(view["terms"])}, idf)

    def row(self, text: str) -> tuple[NDArray[np.int32], FloatArray]:
        """Return the columns, ascending, and values of one text; a vector of length 1, or empty."""
        counts: Counter[int] = Counter()
        lookup = self.columns.get
        counts.update(
            column for term in _ANALYSERS[self.kind](text, *self.span) if (column := lookup(term)) is not None
        )
        columns = np.array(sorted(counts), dtype=np.int32)
        damped = np.array([1.0 + math.log(counts[column]) for column in columns.tolist()])
        values = damped * self.idf[columns]
        norm = math.sqrt(values @ values)
        return columns, values / norm if norm else values


def _word_grams(text: str, shortest: int, longest: int) -> Iterable[str]:
    words = _WORD.findall(text.lower())
    for size in range(shortest, longest + 1):
        yield from (" ".join(words[i : i + size]) for i in range(len(words) - size + 1))


def _character_grams(text: str, shortest: int, longest: int) -> Iterable[str]:
    for word in text.lower().split():
        padded = f" {word} "
        for size in range(shortest, longest + 1):
            yield from (padded[i : i + size] for i in range(max(1, len(padded) - size + 1)))
            if len(padded) <= size:  # a short word counts once, not once for every size it is too short for
                break


_ANALYSERS: dict[str, Callable[[str, int, int], Iterable[str]]] = {"word": _word_grams, "char_wb": _character_grams}
