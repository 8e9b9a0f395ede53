from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forethought.activations.readouts import offset_from_end, pool, readout_names
from forethought.errors import FeatureError


@given(st.lists(st.integers(3, 9), min_size=1, max_size=5), st.integers(0, 2**31))
def test_padding_never_enters(lengths, seed):
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(len(lengths), 9, 4, generator=draw)
    for row, length in enumerate(lengths):
        hidden[row, length:] = float("nan")
    pooled = pool(hidden, torch.tensor(lengths), ("mean", "eoi[-3]", "last")).numpy()
    for row, length in enumerate(lengths):
        valid = hidden[row, :length].numpy()
        np.testing.assert_allclose(pooled[row], [valid.mean(0), valid[-3], valid[-1]], rtol=1e-5, atol=1e-6)


def test_names():
    assert readout_names(2) == ("last", "mean", "eoi[-1]", "eoi[-2]")
    assert readout_names(0) == ("last", "mean")


@pytest.mark.parametrize("name", ["", "eoi", "eoi[1]", "eoi[0]", "eoi[-0]", "eoi[-1] ", "Mean"])
def test_no_such_readout(name):
    with pytest.raises(FeatureError, match="allowed are"):
        offset_from_end(name)
