"""TF-IDF under logistic regression, the text router that everyone starts with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from crossfit import Array, View
from scipy.sparse import csr_matrix, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from splits import Rows


@dataclass(frozen=True)
class Tfidf:
    """One logistic head a target on words and pairs of words.

    The project's own `TfidfProbe` adds characters and a path of penalties, which takes minutes a fit on 29 targets;
    characters are in what our head reads as text.

    Args:
        C: Inverse penalty. Several are entered as contenders of their own, and the best of all text routers is chosen
            on inner predictions: that tunes it.
    """

    C: float
    kind = "text"

    @property
    def name(self) -> str:
        return f"TF-IDF + logistic, C={self.C:g}"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        texts = np.array(view.table.texts, dtype=object)
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit(texts[train])
        X, Z = words.transform(texts[train]), words.transform(texts[test])
        return np.column_stack([self._head(X, y, Z) for y in view.table.success[train].T])

    def _head(self, X: csr_matrix, y: Array, Z: csr_matrix) -> Array:
        if len(np.unique(y)) == 1:
            return np.full(Z.shape[0], (y.sum() + 0.5) / (len(y) + 1))
        # A rate is that much of a success and the rest of a failure.
        right, wrong = np.flatnonzero(y > 0), np.flatnonzero(y < 1)
        labels, weights = np.repeat([1, 0], [len(right), len(wrong)]), np.concatenate([y[right], 1 - y[wrong]])
        head = LogisticRegression(C=self.C, solver="liblinear", random_state=0)
        return head.fit(vstack([X[right], X[wrong]]), labels, sample_weight=weights).predict_proba(Z)[:, 1]
