from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from forethought.errors import DataError
from forethought.probes.tfidf_probe import TfidfProbe


def test_probe_reads_success_from_the_text():
    words = ["capital", "plural"]
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 300)
    texts = [f"Give the {words[k]} of thing {i % 13}" for i, k in enumerate(kind)]
    Y = np.column_stack([kind, 1 - kind]).astype(float)
    Y[::5, 1] = np.nan
    p = TfidfProbe().fit(texts[:200], Y[:200]).predict_proba(texts[200:])
    assert ((p[:, 0] > 0.5) == kind[200:]).all()
    assert ((p[:, 1] > 0.5) == (1 - kind[200:])).all()
    assert clone(TfidfProbe()).features is None


def test_one_class_targets_get_their_smoothed_rate_and_rates_count_as_trials():
    texts = [f"question about {word}" for word in ("cats", "dogs") * 20]
    Y = np.column_stack([np.ones(40), np.tile([0.75, 0.25], 20)])
    p = TfidfProbe(Cs=(1e6,)).fit(texts, Y, trials=np.full((40, 2), 4)).predict_proba(texts[:2])
    np.testing.assert_allclose(p, [[160.5 / 161, 0.75], [160.5 / 161, 0.25]], atol=0.01)


def test_uneven_input_is_refused():
    with pytest.raises(DataError, match="2 texts"):
        TfidfProbe().fit(["a", "b"], np.ones((3, 1)))
