from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save
from sklearn.feature_extraction.text import TfidfVectorizer

from forethought.errors import ArtifactError, DataError
from forethought.probes.tfidf import TfidfFeatures

CITIES = ["Paris", "São Tomé", "N'Djamena", "Rome", "Bonn", "a b", "x"]
TEXTS = [f"What is the capital of {city}?" for city in CITIES] + [f"Spell {city} backwards, please!" for city in CITIES]


def same(A, B):
    return A.shape == B.shape and all(
        np.array_equal(getattr(A, part), getattr(B, part)) for part in ("data", "indices", "indptr")
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="abC é'\n-1?", max_size=25), min_size=2, max_size=8))
def test_equals_scikit_learn(texts):
    texts = [*texts, "abc abc", "abc bca"]
    ours = TfidfFeatures(min_df=1).fit(texts)
    parts = [
        TfidfVectorizer(analyzer=kind, ngram_range=span, sublinear_tf=True).fit(texts)
        for kind, span in (("word", (1, 2)), ("char_wb", (3, 5)))
    ]
    for view, vectorizer in zip(ours.views_, parts, strict=True):
        assert list(view.columns) == vectorizer.get_feature_names_out().tolist()
    expected = np.hstack([vectorizer.transform(texts).toarray() for vectorizer in parts])
    np.testing.assert_allclose(ours.transform(texts).toarray(), expected, atol=1e-12)


def test_json_state_gives_identical_rows():
    features = TfidfFeatures().fit(TEXTS)
    meta, arrays = features.state()
    again = TfidfFeatures.from_state(json.loads(json.dumps(meta)), load(save(arrays)))
    fresh = [*TEXTS, "capital of nowhere", "", "ünïcödé the the the"]
    assert same(again.transform(fresh), features.transform(fresh))


def test_a_text_gives_the_same_row_alone_and_in_a_batch():
    features = TfidfFeatures().fit(TEXTS)
    batch = features.transform(TEXTS)
    assert all(same(features.transform([text]), batch[i]) for i, text in enumerate(TEXTS))
    assert features.transform([]).shape == (0, batch.shape[1])


def test_most_frequent_terms_are_kept():
    features = TfidfFeatures(max_features=3).fit(TEXTS)
    assert [len(view.columns) for view in features.views_] == [3, 3]
    assert set(features.views_[0].columns) <= {
        "what",
        "is",
        "the",
        "capital",
        "of",
        "what is",
        "is the",
        "the capital",
    } | {"spell", "capital of", "backwards", "please", "backwards please"}


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="min_df=2"):
        TfidfFeatures().fit(["one", "two"])
    meta, arrays = TfidfFeatures().fit(TEXTS).state()
    with pytest.raises(ArtifactError, match="lacks"):
        TfidfFeatures.from_state(meta, {})
    meta["views"][0]["terms"].append("more")
    with pytest.raises(ArtifactError, match="terms"):
        TfidfFeatures.from_state(meta, arrays)
    with pytest.raises(ArtifactError, match="char_wb"):
        TfidfFeatures.from_state({"views": [{"kind": "other", "terms": [], "span": [1, 1]}]}, {"idf.other": np.ones(0)})
