"""What contenders may look at: texts, sentence embeddings, and the activations of two encoders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from extract import LAYERS, MINILM
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from tables import Table

from forethought.activations import ActivationStore
from forethought.core import content_hash
from forethought.probes import LayerMean

Block = NDArray[np.float32]

MIDDLE = slice(2, 5)
"""Of the six stored layers: between a half and seven tenths of the depth."""

COMPONENTS = 150


class Features:
    """Stored vectors of any question of the tables, read once and kept in memory.

    Args:
        stores: Encoder -> its store.
    """

    def __init__(self, stores: Mapping[str, ActivationStore]) -> None:
        self._stores = stores
        self.encoders = tuple(name for name in stores if name != MINILM)
        self._whole = cache(self._read)
        self._derived: dict[tuple[str, ...], Block] = {}

    @classmethod
    def open(cls, folder: Path, encoders: Sequence[str] = (*LAYERS, MINILM)) -> Features:
        """Open the stores that `extract.py` made.

        Raises:
            ArtifactError: A store that is missing or cannot be read.
        """
        return cls({name: ActivationStore(folder / name) for name in encoders})

    def layers(self, encoder: str) -> tuple[int, ...]:
        return self._stores[encoder].layers

    def fingerprint(self) -> str:
        """What decides a vector apart from its question: every store's layout, and what is made of it here."""
        layouts = [repr(store.layout) for store in self._stores.values()]
        return content_hash(json.dumps([*layouts, repr(MIDDLE), COMPONENTS]))

    def held(self) -> set[str]:
        """Questions that every store has."""
        return set.intersection(*(set(store.question_ids) for store in self._stores.values()))

    def block(self, table: Table, encoder: str, layer: int, readout: str) -> Block:
        """Activations of the table's questions, (n, width)."""
        return self._whole(encoder, layer, readout)[self._rows(encoder, table)]

    def embedding(self, table: Table) -> Block:
        """MiniLM's sentence embeddings, (n, 384), rows of length 1."""
        (layer,) = self._stores[MINILM].layers
        return self.block(table, MINILM, layer, "mean")

    def layer_mean(self, table: Table, encoder: str, readout: str) -> Block:
        """Mean of the middle three of the stored layers, each standardised over the table's questions, (n, width).

        Standardisation, like the text's SVD, sees every question and no label.
        """
        return self._remember(table, f"{encoder} {readout}", lambda: self._layer_mean(table, encoder, readout))

    def tfidf(self, table: Table) -> Block:
        """TF-IDF of words 1-2 and characters 3-5, reduced by a truncated SVD, (n, 150)."""
        return self._remember(table, "tfidf", lambda: reduced_tfidf(table.texts))

    def _layer_mean(self, table: Table, encoder: str, readout: str) -> Block:
        blocks = [self.block(table, encoder, layer, readout) for layer in self.layers(encoder)[MIDDLE]]
        return LayerMean(len(blocks)).fit_transform(np.hstack(blocks)).astype(np.float32)

    def _remember(self, table: Table, what: str, make: Callable[[], Block]) -> Block:
        key = (what, content_hash("".join(table.ids)))
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    def prompt_tokens(self, table: Table, encoder: str) -> NDArray[np.int64]:
        """Tokens of each prompt as the encoder read it, (n,)."""
        return self._stores[encoder].lengths(table.ids)

    def _read(self, encoder: str, layer: int, readout: str) -> Block:
        return self._stores[encoder].block((layer,), readout).values

    def _rows(self, encoder: str, table: Table) -> NDArray[np.intp]:
        place = self._places[encoder]
        return np.array([place[id] for id in table.ids], dtype=np.intp)

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        return {name: {id: row for row, id in enumerate(store.question_ids)} for name, store in self._stores.items()}


def reduced_tfidf(texts: Sequence[str]) -> Block:
    """Two TF-IDF views side by side under one truncated SVD, (n, at most 150)."""
    views = [
        TfidfVectorizer(analyzer=analyzer, ngram_range=span, min_df=2, max_features=50_000, sublinear_tf=True)
        for analyzer, span in (("word", (1, 2)), ("char_wb", (3, 5)))
    ]
    X = hstack([view.fit_transform(texts) for view in views]).tocsr()
    return TruncatedSVD(min(COMPONENTS, len(texts) // 4), n_iter=3, random_state=0).fit_transform(X).astype(np.float32)
