"""TF-IDF of words and characters: features from the text alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from forethought.errors import ArtifactError, DataError
from forethought.probes.base import Arrays, Meta
from forethought.probes.tfidf_view import TfidfView


class TfidfFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Two TF-IDF views side by side: words 1-2 and characters 3-5 within word bounds, each of unit length.

    Term counts are damped to `1 + log(count)` and idf is `1 + log((1 + n) / (1 + df))`, both as
    scikit-learn's `TfidfVectorizer` has them, whose values this equals. It is written out here
    because a served text must give the very same row from a JSON vocabulary and an array, without
    pickle and in well under a millisecond.

    Args:
        words: Shortest and longest word n-gram.
        characters: Shortest and longest character n-gram.
        min_df: Terms in fewer texts are left out.
        max_features: Terms kept in each view, those in most texts; equals in alphabetical order.

    Attributes:
        views_: The two fitted views.
    """

    def __init__(
        self,
        words: tuple[int, int] = (1, 2),
        characters: tuple[int, int] = (3, 5),
        min_df: int = 2,
        max_features: int = 50_000,
    ) -> None:
        self.words = words
        self.characters = characters
        self.min_df = min_df
        self.max_features = max_features

    def fit(self, X: Sequence[str], y: object = None) -> Self:
        """Learn vocabulary and idf from texts `(n,)`.

        Raises:
            DataError: No term occurs in `min_df` texts.
        """
        self.views_ = [
            TfidfView.fit(X, kind, (shortest, longest), self.min_df, self.max_features)
            for kind, (shortest, longest) in (("word", self.words), ("char_wb", self.characters))
        ]
        if not any(len(view.idf) for view in self.views_):
            raise DataError(f"no term occurs in min_df={self.min_df} of {len(X)} texts")
        return self

    def transform(self, X: Sequence[str]) -> csr_matrix:
        """Return `(n, d)` CSR, float64; equal texts give equal rows in any batch."""
        check_is_fitted(self)
        offsets = np.cumsum([0, *(len(view.idf) for view in self.views_)])
        indices, data, ends = [np.empty(0, np.int64)], [np.empty(0)], [0]
        for text in X:
            for view, offset in zip(self.views_, offsets[:-1], strict=True):
                columns, values = view.row(text)
                indices.append(columns + offset)
                data.append(values)
            ends.append(ends[-1] + len(indices[-1]) + len(indices[-2]))
        return csr_matrix((np.concatenate(data), np.concatenate(indices), ends), shape=(len(ends) - 1, offsets[-1]))

    def state(self) -> tuple[Meta, Arrays]:
        """Return JSON-able vocabularies (terms in column order) and the idf arrays."""
        check_is_fitted(self)
        views = [{"kind": view.kind, "span": list(view.span), "terms": list(view.columns)} for view in self.views_]
        return {"kind": "tfidf", "views": views}, {f"idf.{view.kind}": view.idf for view in self.views_}

    @classmethod
    def from_state(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild fitted features from `state()`.

        Raises:
            ArtifactError: A vocabulary and its idf array differ in length, or one is missing.
        """
        features = cls()
        try:
            features.views_ = [TfidfView.restore(view, arrays[f"idf.{view['kind']}"]) for view in meta["views"]]
        except KeyError as error:
            raise ArtifactError(f"TF-IDF state lacks {error}") from None
        return features

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
