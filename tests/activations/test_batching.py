from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forethought.activations.batching import token_batches


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 500))
def test_every_row_once_and_within_budget(lengths, budget):
    batches = token_batches(lengths, budget)
    assert sorted(np.concatenate(batches).tolist() if batches else []) == list(range(len(lengths)))
    for rows in batches:
        longest = max(lengths[row] for row in rows)
        assert len(rows) == 1 or len(rows) * longest <= budget


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(1, 500))
def test_rows_of_a_batch_are_neighbours_in_length(lengths, budget):
    batches = token_batches(lengths, budget)
    for earlier, later in pairwise(batches):
        assert min(lengths[row] for row in earlier) >= max(lengths[row] for row in later)
