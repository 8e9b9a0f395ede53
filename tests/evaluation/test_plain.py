from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.evaluation import plain


class Pair(NamedTuple):
    name: str
    value: float


@dataclass(frozen=True)
class Holder:
    pair: Pair
    table: np.ndarray
    inner: dict[str, object]


def test_everything_becomes_json():
    holder = Holder(Pair("a", math.nan), np.array([[1.0, np.inf], [2.0, 3.0]]), {"b": (np.int64(4), np.bool_(True))})
    assert plain(holder) == {
        "pair": {"name": "a", "value": None},
        "table": [[1.0, None], [2.0, 3.0]],
        "inner": {"b": [4, True]},
    }


def test_keys_become_text():
    assert plain({("layer", 3): 1, 7: 2}) == {"layer, 3": 1, "7": 2}


@pytest.mark.parametrize("value", [None, True, 3, "text", 2.5])
def test_plain_values_stay(value):
    assert plain(value) is value


def test_a_class_is_not_taken_apart():
    assert plain(Holder) is Holder


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(TREES)
def test_the_result_is_strict_json_and_plain_already(value):
    found = plain(value)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert plain(found) == found
